"""Attention rollout: attention through all blocks, whatever the class."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evaluator.methods.base import Method, View

if TYPE_CHECKING:
    from torch import Tensor


class Rollout(Method):
    """Attention rollout (Abnar and Zuidema, ACL 2020, arXiv:2005.00928).

    ``R = Ã_n … Ã_1`` with ``Ã_l = mean_heads A_l + 1``; the map is the row of ``R`` of the token
    that the classifier reads

    - ``A_l``: ``[heads, N, N]``, the attention weights of block l of n, a row for each token that
      asks; ``1``: the residual connection; N: prefix tokens (class, registers) and the h·w
      positions of the map
    - where the classifier reads several tokens, the mean of their rows; the prefix tokens' columns
      are left out

    Class-agnostic: the class plays no part in the map. Defined only for networks all of whose
    blocks attend over the same tokens (ViT, DeiT, EVA, DINOv2; not Swin, whose windows move). One
    pass with unfused attention for each image.

    The paper halves each ``Ã_l``, so that its rows add up to 1 again: the same map after min-max.
    Variants that take the maximum over heads or drop the weakest weights are not the paper's.
    Beyond the ADCC paper; neither pytorch-grad-cam 1.5.7 nor torchcam 0.5 has it.

    >>> from evaluator.measuring.trial import trial_view
    >>> Rollout().combine(trial_view("transformer", images=2)).shape
    torch.Size([2, 8, 8])
    >>> Rollout().needs
    'attention blocks over all tokens'
    """

    key = "rollout"
    title = "Attention rollout"
    paper = "Abnar and Zuidema, ACL 2020"
    weighs_by = "attention through all blocks, whatever the class"
    needs_attention = True
    beyond_paper = True

    def combine(self, view: View) -> Tensor:
        """``[B, h, w]``."""
        return view.attention(
            lambda attention: attention.gathered([weights.mean(1) for weights in attention.weights])
        )

    def forwards(self, channels: int, gap_linear: bool) -> int:
        """The masked pass, and a pass for the attention of the image and of the masked image."""
        return 3
