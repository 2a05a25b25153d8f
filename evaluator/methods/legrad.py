"""LeGrad: how sensitive the score of every block is to its own attention."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from evaluator.methods.base import Attention, BlockScore, Method, View

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class LeGrad(Method):
    """LeGrad (Bousselham et al., ICCV 2025, arXiv:2404.03214).

    ``M = Σ_l mean_heads mean_i relu(∂s_l/∂A_l)[i]``

    - ``A_l``: ``[heads, N, N]``, the attention weights of block l, a row for each token i that
      asks; the prefix tokens' columns are left out
    - ``s_l``: the logit of the class that what follows the last block gives for the tokens of block
      l: for their mean in place of each token (``score=mean``, as the authors' code and torchcam
      have it), or for the tokens as they are (``read``), so that ``s`` of the last block is the
      network's
    - ``blocks``: how many, the last ones; 0 for all. The authors' code begins with the last two

    The weights themselves play no part, nor do later blocks in the share of an earlier one. Defined
    where attention rollout is, if each attention stands in a block that gives tokens. One pass with
    unfused attention for each image.

    >>> from evaluator.measuring.trial import trial_view
    >>> LeGrad().combine(trial_view("transformer", images=2)).shape
    torch.Size([2, 8, 8])
    """

    blocks: int = 0
    score: str = "mean"

    key = "legrad"
    title = "LeGrad"
    paper = "Bousselham et al., ICCV 2025"
    weighs_by = "positive gradient of each block's score by its attention"
    choices = {"score": ("mean", "read")}
    ranges = {"blocks": (0, 1000)}
    needs_attention = True
    beyond_paper = True

    def combine(self, view: View) -> Tensor:
        """``[B, h, w]``."""
        return view.attention(self._summed, gradients=True, score=cast("BlockScore", self.score))

    def _summed(self, attention: Attention) -> Tensor:
        shares = [one.relu().mean((1, 2)) for one in attention.gradients[-self.blocks :]]
        total = shares[0]
        for share in shares[1:]:
            total = total + share
        return total[:, attention.prefix :].reshape(-1, attention.height, attention.width)

    def forwards(self, channels: int, gap_linear: bool) -> int:
        """The masked pass, and a pass for the attention of the image and of the masked image."""
        return 3
