"""Ablation-CAM: the fall of the logit without each channel."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evaluator.methods.base import Method, View, guarded_ratio, weighted_sum

if TYPE_CHECKING:
    from torch import Tensor


class AblationCAM(Method):
    """Ablation-CAM (Desai and Ramaswamy, WACV 2020).

    ``α_k = (s_c − s_c[A_k := 0]) / s_c`` and ``L = Σ_k α_k A_k``

    - ``s_c``: the target's logit; ``s_c[A_k := 0]``: the same with channel k of the target layer
      set to zero

    Only the head is run again, never the trunk. On a GAP + linear head the difference is ``W[c, k]
    mean(A_k)``: no forward at all. pytorch-grad-cam runs the whole network for each channel.

    >>> from evaluator.measuring.trial import trial_view
    >>> AblationCAM().combine(trial_view("deep", images=2)).shape
    torch.Size([2, 8, 8])
    """

    key = "ablationcam"
    title = "Ablation-CAM"
    paper = "Desai and Ramaswamy, WACV 2020"
    weighs_by = "fall of the logit without the channel"
    beyond_paper = True

    def combine(self, view: View) -> Tensor:
        """``[B, h, w]``."""
        logit = view.logits.gather(1, view.targets[:, None])
        fall = (
            view.class_weights * view.activation.mean((2, 3))
            if view.gap_linear
            else logit - _without_each(view)
        )
        return weighted_sum(guarded_ratio(fall, logit.expand_as(fall)), view.activation)


def _without_each(view: View, chunk: int = 64) -> Tensor:
    """The target's logit with each channel set to zero, ``[B, K]``; ``chunk`` of them at once."""
    activation = view.activation
    channel = view.targets.new_ones(activation.shape[1]).cumsum(0)
    off = (channel[:, None] == channel)[:, :, None, None]
    ablated_logits = view.logits.new_empty(activation.shape[:2])
    for row in range(len(activation)):
        for start in range(0, activation.shape[1], chunk):
            part = off[start : start + chunk]
            ablated = activation[row].repeat(len(part), 1, 1, 1).masked_fill_(part, 0)
            rows = view.targets.new_full((len(part),), row)
            logits = view.head(ablated, rows).gather(1, view.targets[row].expand(len(part), 1))
            ablated_logits[row, start : start + chunk] = logits[:, 0]
    return ablated_logits
