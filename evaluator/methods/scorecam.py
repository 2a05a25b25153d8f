"""Score-CAM: confidence in the image under each channel's mask."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from evaluator.methods.base import Method, View, weighted_sum

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class ScoreCAM(Method):
    """Score-CAM (Wang et al., CVPR Workshops 2020, arXiv:1910.01279).

    ``m_k = upsample(minmax(A_k))``, ``α_k = softmax(f(x ⊙ m_k))_c``, ``L = Σ_k α_k B_k``, by
    variant

    - ``released`` (default): ``B_k = minmax(A_k)``, as the code released with the ADCC paper
      (torchcam 0.2.1a0); no baseline, no softmax over channels.
    - ``raw``: the same α, ``B_k = A_k``, as the original authors' code.
    - ``softmax-logit``: ``α = softmax_k(s_c(x ⊙ m_k))`` over channels, ``B_k = A_k``, as
      pytorch-grad-cam.
    - ``cic``: ``α_k = softmax(f(x ⊙ m_k))_c − softmax(f(0))_c``, ``B_k = A_k``: the increase of
      confidence over a black image in the paper's wording; black is zero in normalised space, the
      same removed state as everywhere else.

    - ``A_k``: ``[h, w]``, channel k of the target layer; ``m_k``: ``[H, W]`` in [0, 1]; ``f``: the
      network, ``c``: the target

    Channels with max = min have no mask: no forward, no contribution (exact, their minmax is 0). K
    forwards per image, K' on the masked image. The result does not depend on how channels are
    chunked.

    >>> from evaluator.measuring.trial import trial_view
    >>> ScoreCAM(variant="cic").combine(trial_view(images=2)).shape
    torch.Size([2, 8, 8])
    >>> ScoreCAM().forwards(channels=512, gap_linear=True)
    1025
    """

    variant: str = "released"

    key = "scorecam"
    title = "Score-CAM"
    paper = "Wang et al., CVPR Workshops 2020"
    weighs_by = "confidence through each channel's mask"
    choices = {"variant": ("released", "raw", "softmax-logit", "cic")}
    masks_channels = True

    def combine(self, view: View) -> Tensor:
        """``[B, h, w]``."""
        scores = view.channel_scores(logits=self.variant == "softmax-logit")
        if self.variant == "released":
            return weighted_sum(scores, view.normalised_activation)
        live = view.live_channels
        if self.variant == "softmax-logit":
            scores = scores.masked_fill(~live, float("-inf")).softmax(1).nan_to_num()
        elif self.variant == "cic":
            scores = scores - view.baseline_confidence()[:, None]
        return weighted_sum(scores.masked_fill(~live, 0), view.activation)

    def forwards(self, channels: int, gap_linear: bool) -> int:
        """Every channel of the image and of the masked image, and the masked pass."""
        return 2 * channels + 1
