"""Gradient-weighted attention: attention through all blocks, weighted by the class's gradient."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evaluator.methods.base import Attention, Method, View

if TYPE_CHECKING:
    from torch import Tensor


class GradAttention(Method):
    """Gradient-weighted attention (Chefer, Gur and Wolf, ICCV 2021, arXiv:2103.15679).

    The paper's rule for self-attention:

    ``R ← R + Ā_l R`` from ``R = 1`` over all blocks, with ``Ā_l = mean_heads relu(∇A_l ⊙ A_l)``;
    the map is the row of ``R`` of the token that the classifier reads

    - ``A_l``: ``[heads, N, N]``, the attention weights of block l, a row for each token that asks;
      ``∇A_l``: ``∂s_c/∂A_l``, through all that comes after, later attention included
    - N: prefix tokens (class, registers) and the h·w positions of the map; where the classifier
      reads several tokens, the mean of their rows; the prefix tokens' columns are left out

    The generic rule, which needs no relevance propagation (that is the authors' CVPR 2021 method).
    Defined where attention rollout is. One pass with unfused attention and its gradient for each
    image. Beyond the ADCC paper; neither pytorch-grad-cam 1.5.7 nor torchcam 0.5 has it.

    >>> from evaluator.measuring.trial import trial_view
    >>> GradAttention().combine(trial_view("transformer", images=2)).shape
    torch.Size([2, 8, 8])
    """

    key = "gradattention"
    title = "Gradient-weighted attention"
    paper = "Chefer, Gur and Wolf, ICCV 2021"
    weighs_by = "attention times its positive gradient, through all blocks"
    needs_attention = True
    beyond_paper = True

    def combine(self, view: View) -> Tensor:
        """``[B, h, w]``."""
        return view.attention(_gathered, gradients=True)

    def forwards(self, channels: int, gap_linear: bool) -> int:
        """The masked pass, and a pass for the attention of the image and of the masked image."""
        return 3


def _gathered(attention: Attention) -> Tensor:
    pairs = zip(attention.weights, attention.gradients, strict=True)
    return attention.gathered([(weights * gradient).relu().mean(1) for weights, gradient in pairs])
