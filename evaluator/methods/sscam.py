"""SS-CAM: Score-CAM with scores smoothed over noisy masks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from evaluator.methods.base import ChannelMasks, Method, View, weighted_sum

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class SSCAM(Method):
    """SS-CAM, Smoothed Score-CAM (Wang et al., 2020, arXiv:2006.14255; the ADCC paper's [19]).

    ``α_k = 1/n Σ_i softmax(f(x ⊙ (m_k + σ ε_i)))_c`` and ``L = Σ_k α_k minmax(A_k)``

    - ``m_k``: ``[H, W]`` in [0, 1], upsampled min-max of channel k; ``ε_i``: ``[H, W]``, standard
      normal noise of sample i
    - ``n``: samples; ``sigma``: standard deviation of the noise on the mask

    The noise of sample i is shared by all channels of an image: channels are compared under the
    same noise, and an image draws n fields instead of n·K. torchcam draws anew for each channel;
    the expectation is the same.

    >>> from evaluator.measuring.trial import trial_view
    >>> SSCAM(n=2).combine(trial_view(images=2)).shape
    torch.Size([2, 8, 8])
    """

    n: int = 35
    sigma: float = 2.0

    key = "sscam"
    title = "SS-CAM"
    paper = "Wang et al., arXiv:2006.14255"
    weighs_by = "Score-CAM over noisy masks"
    masks_channels = True
    beyond_paper = True

    def combine(self, view: View) -> Tensor:
        """``[B, h, w]``."""

        def noisy(masks: ChannelMasks) -> Tensor:
            return masks.values + self.sigma * view.noise("sscam", masks.step, 1)[masks.rows]

        return weighted_sum(view.channel_scores(noisy, passes=self.n), view.normalised_activation)

    def forwards(self, channels: int, gap_linear: bool) -> int:
        """As many times Score-CAM as there are passes."""
        return 2 * self.n * channels + 1
