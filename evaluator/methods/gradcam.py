"""Grad-CAM: the mean gradient of a channel is its weight."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evaluator.methods.base import Method, View, weighted_sum

if TYPE_CHECKING:
    from torch import Tensor


class GradCAM(Method):
    """Grad-CAM (Selvaraju et al., ICCV 2017, arXiv:1610.02391).

    ``α_k = 1/(hw) Σ_ij g_k[i, j]`` and ``L = Σ_k α_k A_k``

    - ``g_k``: ``[h, w]``, ``∂s_c/∂A_k``, the gradient of the target's logit (before softmax, as in
      the paper)
    - ``A_k``: ``[h, w]``, channel k of the target layer

    Agrees with pytorch-grad-cam and torchcam up to the place of the normalisation: here min-max at
    low resolution, then upsampling, as in the code released with the ADCC paper.

    >>> from evaluator.measuring.trial import trial_view
    >>> GradCAM().combine(trial_view(images=2)).shape
    torch.Size([2, 8, 8])
    """

    key = "gradcam"
    title = "Grad-CAM"
    paper = "Selvaraju et al., ICCV 2017"
    weighs_by = "mean gradient"

    def combine(self, view: View) -> Tensor:
        """``[B, h, w]``."""
        return weighted_sum(view.gradient.mean((2, 3)), view.activation)
