"""LIFT-CAM: each channel's share of the logit, by DeepLIFT."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evaluator.methods.base import Method, View, weighted_sum

if TYPE_CHECKING:
    from torch import Tensor


class LIFTCAM(Method):
    """LIFT-CAM (Jung and Oh, ICCV 2021, arXiv:2102.05228).

    ``α_k = Σ_ij DeepLIFT(A_k)[i, j]`` from 0, and ``L = Σ_k α_k A_k``

    - ``A_k``: ``[h, w]``, channel k of the target layer

    Only on GAP + linear heads, where a channel's share is ``W[c, k] mean(A_k)``: no forward at all,
    and the map of Ablation-CAM wherever the logit is positive. Ablation-CAM divides by the logit:
    where that is negative, its map shows the other channels. DeepLIFT through deeper heads needs
    rules of its own for every kind of layer: elsewhere this method does not apply.

    >>> from evaluator.measuring.trial import trial_view
    >>> LIFTCAM().combine(trial_view(images=2)).shape
    torch.Size([2, 8, 8])
    """

    key = "liftcam"
    title = "LIFT-CAM"
    paper = "Jung and Oh, ICCV 2021"
    weighs_by = "share of the logit by DeepLIFT"
    needs_gap_linear = True
    beyond_paper = True

    def combine(self, view: View) -> Tensor:
        """``[B, h, w]``."""
        return weighted_sum(view.class_weights * view.activation.mean((2, 3)), view.activation)
