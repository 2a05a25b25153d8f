"""Grad-CAM++: positive gradients, weighted by position."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evaluator.methods.base import Method, View, guarded_ratio, sum_of_positions, weighted_sum

if TYPE_CHECKING:
    from torch import Tensor


class GradCAMpp(Method):
    """Grad-CAM++ (Chattopadhyay et al., WACV 2018, arXiv:1710.11063, equation 19).

    ``a_k = g_k² / (2 g_k² + (Σ_ab A_k[a, b]) g_k³)``, 0 where g or the denominator is 0;
    ``α_k = Σ_ij a_k relu(g_k)`` and ``L = Σ_k α_k A_k``

    - ``g_k``: ``[h, w]``, ``∂s_c/∂A_k`` of the logit; ``A_k``: ``[h, w]``, channel k of the target
      layer
    - ``a_k``: ``[h, w]``, the weight of each position

    torchcam since 0.2.0 divides a copy, so that its weights become ``Σ relu(g)³``: not matched, on
    purpose. pytorch-grad-cam adds 1e-6 to the denominator.

    >>> from evaluator.measuring.trial import trial_view
    >>> GradCAMpp().combine(trial_view(images=2)).shape
    torch.Size([2, 8, 8])
    """

    key = "gradcampp"
    title = "Grad-CAM++"
    paper = "Chattopadhyay et al., WACV 2018"
    weighs_by = "positive gradients, weighted by position"

    def combine(self, view: View) -> Tensor:
        """``[B, h, w]``."""
        gradient, activation = view.gradient, view.activation
        total = activation.sum((2, 3), keepdim=True)
        position = guarded_ratio(gradient**2, 2 * gradient**2 + total * gradient**3)
        return weighted_sum(sum_of_positions(position * gradient.relu(), activation), activation)
