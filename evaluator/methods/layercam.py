"""LayerCAM: every position weighted by its own positive gradient."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evaluator.methods.base import Method, View, weighted_sum

if TYPE_CHECKING:
    from torch import Tensor


class LayerCAM(Method):
    """LayerCAM (Jiang et al., IEEE TIP 2021).

    ``L = Σ_k relu(g_k) ⊙ A_k``

    - ``g_k``: ``[h, w]``, ``∂s_c/∂A_k`` of the logit; ``A_k``: ``[h, w]``, channel k of the target
      layer; ``⊙`` elementwise

    Beyond the ADCC paper. Agrees with torchcam and pytorch-grad-cam.

    >>> from evaluator.measuring.trial import trial_view
    >>> LayerCAM().combine(trial_view(images=2)).shape
    torch.Size([2, 8, 8])
    """

    key = "layercam"
    title = "LayerCAM"
    paper = "Jiang et al., IEEE TIP 2021"
    weighs_by = "positive gradient at each position"
    beyond_paper = True

    def combine(self, view: View) -> Tensor:
        """``[B, h, w]``."""
        return weighted_sum(view.gradient.relu(), view.activation)
