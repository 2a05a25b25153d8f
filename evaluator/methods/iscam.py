"""IS-CAM: Score-CAM with scores integrated from black to the full mask."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from evaluator.methods.base import ChannelMasks, Method, View, weighted_sum

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class ISCAM(Method):
    """IS-CAM, Integrated Score-CAM (Naidu et al., 2020, arXiv:2010.03023).

    ``α_k = 1/n Σ_{i=1..n} softmax(f(x ⊙ (i/n) m_k))_c`` and ``L = Σ_k α_k minmax(A_k)``

    - ``m_k``: ``[H, W]`` in [0, 1], upsampled min-max of channel k; ``n``: steps of the integral

    torchcam accumulates the scaled inputs from step to step; here each step scales the mask once,
    as the formula says.

    >>> from evaluator.measuring.trial import trial_view
    >>> ISCAM(n=3).combine(trial_view(images=2)).shape
    torch.Size([2, 8, 8])
    >>> ISCAM(n=3).forwards(channels=512, gap_linear=True)
    3073
    """

    n: int = 10

    key = "iscam"
    title = "IS-CAM"
    paper = "Naidu et al., arXiv:2010.03023"
    weighs_by = "Score-CAM integrated over mask strength"
    masks_channels = True
    beyond_paper = True

    def combine(self, view: View) -> Tensor:
        """``[B, h, w]``."""

        def scaled(masks: ChannelMasks) -> Tensor:
            return masks.values * ((masks.step + 1) / self.n)

        return weighted_sum(view.channel_scores(scaled, passes=self.n), view.normalised_activation)

    def forwards(self, channels: int, gap_linear: bool) -> int:
        """As many times Score-CAM as there are passes."""
        return 2 * self.n * channels + 1
