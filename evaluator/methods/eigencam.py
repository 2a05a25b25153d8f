"""Eigen-CAM: the first principal direction of the activation, whatever the class."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evaluator.methods.base import Method, View, weighted_sum
from evaluator.methods.principal import first_right_singular_vector

if TYPE_CHECKING:
    from torch import Tensor


class EigenCAM(Method):
    """Eigen-CAM (Muhammad and Yeasin, IJCNN 2020, arXiv:2008.00299).

    ``O = U Σ Vᵀ`` and ``L = O v``: the activation projected on its first right singular vector

    - ``O``: ``[hw, K]``, the activation of the target layer, one row per position; not centred
    - ``v``: ``[K]``, the column of ``V`` with the largest singular value, and thus α; its sign is
      the one with ``Σ_ij L ≥ 0``

    A singular vector has no sign of its own, and the paper names none. After a ReLU every entry of
    ``O`` is ≥ 0, and so is ``L`` with this sign (Perron and Frobenius): no position is cut off. The
    class plays no part in the map.

    pytorch-grad-cam subtracts each channel's mean first ("otherwise the image returned is
    negative", a comment says) and keeps whichever sign its SVD gives: the direction in which
    positions differ most, and at times the reverse of it. torchcam has no Eigen-CAM. Beyond the
    ADCC paper.
    """

    key = "eigencam"
    title = "Eigen-CAM"
    paper = "Muhammad and Yeasin, IJCNN 2020"
    weighs_by = "first singular vector of the activation, whatever the class"
    beyond_paper = True

    def combine(self, view: View) -> Tensor:
        """``[B, h, w]``."""
        return weighted_sum(
            first_right_singular_vector(view.activation.flatten(2).double()), view.activation
        )
