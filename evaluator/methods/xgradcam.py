"""XGrad-CAM: gradients averaged by how active each position is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evaluator.methods.base import Method, View, guarded_ratio, weighted_sum

if TYPE_CHECKING:
    from torch import Tensor


class XGradCAM(Method):
    """Axiom-based Grad-CAM (Fu et al., BMVC 2020, arXiv:2008.02312).

    ``α_k = Σ_ij g_k A_k / Σ_ij A_k``, 0 where the denominator is 0; ``L = Σ_k α_k A_k``

    - ``g_k``: ``[h, w]``, ``∂s_c/∂A_k``; ``A_k``: ``[h, w]``, channel k of the target layer

    On a GAP + linear head ``g_k`` is constant over positions, so this *is* Grad-CAM: computed once.
    The paper reports it for VGG-16 only, for that reason. pytorch-grad-cam adds 1e-7 to the
    denominator; we leave exactly empty channels out instead.

    >>> from evaluator.measuring.trial import trial_view
    >>> XGradCAM().combine(trial_view("deep", images=2)).shape
    torch.Size([2, 8, 8])
    >>> XGradCAM().map_identity(gap_linear=True)
    'gradcam'
    """

    key = "xgradcam"
    title = "XGrad-CAM"
    paper = "Fu et al., BMVC 2020"
    weighs_by = "gradient averaged by activation"

    def combine(self, view: View) -> Tensor:
        """``[B, h, w]``."""
        activation = view.activation
        weights = guarded_ratio((view.gradient * activation).sum((2, 3)), activation.sum((2, 3)))
        return weighted_sum(weights, activation)

    def map_identity(self, gap_linear: bool) -> str:
        """Grad-CAM where the gradient is constant over positions."""
        return "gradcam" if gap_linear else self.name
