"""Eigen-Grad-CAM: Eigen-CAM of the activation times its gradient."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evaluator.methods.base import Method, View, weighted_sum
from evaluator.methods.eigencam import first_right_singular_vector

if TYPE_CHECKING:
    from torch import Tensor


class EigenGradCAM(Method):
    """Eigen-Grad-CAM (Gildenblat et al., pytorch-grad-cam, 2021): Eigen-CAM of a class.

    ``O = U Σ Vᵀ`` and ``L = O v``

    - ``O``: ``[hw, K]``, ``g ⊙ A``, one row per position; ``g``: ``∂s_c/∂A`` of the logit; ``A``:
      the target layer's activation
    - ``v``: ``[K]``, the right singular vector of the largest singular value; its sign is the one
      with ``Σ_ij L ≥ 0``, as in Eigen-CAM

    There is no paper: the method is pytorch-grad-cam's, which subtracts each channel's mean from
    ``O`` first and keeps whichever sign its SVD gives. Uncentred here, as Eigen-CAM is: with the
    mean and the sign put in by hand the two agree.

    >>> from evaluator.measuring.trial import trial_view
    >>> EigenGradCAM().combine(trial_view(images=2)).shape
    torch.Size([2, 8, 8])
    """

    key = "eigengradcam"
    title = "Eigen-Grad-CAM"
    paper = "Gildenblat et al., pytorch-grad-cam 2021"
    weighs_by = "first singular vector of gradient times activation"
    beyond_paper = True

    def combine(self, view: View) -> Tensor:
        """``[B, h, w]``."""
        product = view.gradient.double() * view.activation
        return weighted_sum(first_right_singular_vector(product.flatten(2)), product)
