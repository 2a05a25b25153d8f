"""Eigen-CAM: the first principal direction of the activation, whatever the class."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evaluator.methods.base import Method, View, weighted_sum

if TYPE_CHECKING:
    from torch import Tensor

_SQUARINGS = 24
"""The power of a matrix that is taken is 2²⁴: a second eigenvalue of 0.999 999 of the first is gone
from it.
"""


def first_right_singular_vector(transposed: Tensor) -> Tensor:
    """First right singular vector ``v``, ``[B, K]``, of ``O`` from ``Oᵀ``, ``[B, K, hw]``.

    The limit of ``(OᵀO)ⁿ Oᵀ1``, scaled to length 1: power iteration from the map
    that is 1 everywhere, which settles the sign: ``Σ_ij O v ≥ 0``. The power is taken by squaring
    ``OᵀO`` or ``OOᵀ``, whichever is the smaller.
    """
    channels, positions = transposed.shape[1:]
    if channels < positions:
        found = high_power(transposed @ transposed.mT) @ transposed.sum(2, keepdim=True)
    else:
        found = transposed @ high_power(transposed.mT @ transposed).sum(2, keepdim=True)
    length = found.pow(2).sum(1, keepdim=True).sqrt()
    return (found / length.clamp(min=1e-300)).flatten(1)


def high_power(product: Tensor) -> Tensor:
    """A high power of a symmetric ``[B, n, n]`` without negative eigenvalues, kept at trace 1.

    The limit is the projection on the eigenvector of the largest eigenvalue; zeros stay zeros.
    """
    for _ in range(_SQUARINGS):
        product = product / product.diagonal(dim1=1, dim2=2).sum(1)[:, None, None].clamp(min=1e-300)
        product = product @ product
    return product


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

    >>> from evaluator.measuring.trial import trial_view
    >>> found = EigenCAM().combine(trial_view(images=2))
    >>> found.shape, bool((found.sum((1, 2)) >= 0).all())
    (torch.Size([2, 8, 8]), True)
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
