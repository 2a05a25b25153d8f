"""ShapleyCAM: Grad-CAM with a second-order correction."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evaluator.methods.base import Method, View, weighted_sum

if TYPE_CHECKING:
    from torch import Tensor


class ShapleyCAM(Method):
    """ShapleyCAM (Cai, 2025, arXiv:2501.06261).

    ``α_k = 1/(hw) Σ_ij (g − ½ H·A)_k[i, j]`` and ``L = Σ_k α_k A_k``

    - ``g``: ``∂s_c/∂A``, ``[K, h, w]``; ``H``: ``∂²s_c/∂A²``, of which only the product with A is
      made, by two backward passes through the head
    - ``A``: the target layer's activation

    The Shapley value of each position where the score is the second-order Taylor expansion of the
    logit. Where the head has no curvature this is Grad-CAM: on GAP + linear heads by construction
    (computed once), on heads of linear layers, ReLU and max-pooling (VGG) because ``H`` is 0
    wherever it exists.

    Agrees with pytorch-grad-cam 1.5.7, the author's code, which has the logit as its default too
    (the paper's "ReST" score is left to a target made by hand). torchcam 0.5 has no ShapleyCAM.

    >>> from evaluator.measuring.trial import trial_view
    >>> ShapleyCAM().combine(trial_view("deep", images=2)).shape
    torch.Size([2, 8, 8])
    >>> ShapleyCAM().map_identity(gap_linear=True)
    'gradcam'
    """

    key = "shapleycam"
    title = "ShapleyCAM"
    paper = "Cai, arXiv:2501.06261"
    weighs_by = "mean gradient less half the curvature along the activation"
    beyond_paper = True

    def combine(self, view: View) -> Tensor:
        """``[B, h, w]``."""
        corrected = view.gradient - view.hessian_product(view.activation) / 2
        return weighted_sum(corrected.mean((2, 3)), view.activation)

    def map_identity(self, gap_linear: bool) -> str:
        """Grad-CAM where the logit is linear in the activation."""
        return "gradcam" if gap_linear else self.name
