"""HiResCAM: every position of every channel weighted by its own gradient."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evaluator.methods.base import Method, View

if TYPE_CHECKING:
    from torch import Tensor


class HiResCAM(Method):
    """HiResCAM (Draelos and Carin, 2020, arXiv:2011.08891).

    ``L = Σ_k g_k ⊙ A_k``

    - ``g_k``: ``[h, w]``, ``∂s_c/∂A_k`` of the logit; ``A_k``: ``[h, w]``, channel k of the target
      layer; ``⊙`` elementwise

    LayerCAM without the ReLU on the gradient. On a GAP + linear head the gradient is the same at
    every position, so this *is* Grad-CAM: computed once. Agrees with pytorch-grad-cam 1.5.7;
    torchcam 0.5 has no HiResCAM.

    >>> from evaluator.measuring.trial import trial_view
    >>> HiResCAM().combine(trial_view("deep", images=2)).shape
    torch.Size([2, 8, 8])
    >>> HiResCAM().map_identity(gap_linear=True)
    'gradcam'
    """

    key = "hirescam"
    title = "HiResCAM"
    paper = "Draelos and Carin, arXiv:2011.08891"
    weighs_by = "gradient at each position"
    beyond_paper = True

    def combine(self, view: View) -> Tensor:
        """``[B, h, w]``."""
        return (view.gradient * view.activation).sum(1)

    def map_identity(self, gap_linear: bool) -> str:
        """Grad-CAM where the gradient is constant over positions."""
        return "gradcam" if gap_linear else self.name
