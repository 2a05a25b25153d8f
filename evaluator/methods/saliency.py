"""Gradient saliency: how much the logit changes with each pixel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from evaluator.methods.base import SIGNS, ImageMethod, ImageView, versions

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Saliency(ImageMethod):
    """Gradient saliency (Simonyan, Vedaldi and Zisserman, ICLR workshop 2014, arXiv:1312.6034).

    ``M = Σ_C |∂s_c/∂x|``

    - ``x``: ``[C, H, W]``, the normalised image; ``s_c``: the logit of the explained class
    - ``channels``: ``sum``, or ``max`` over the channels, as the paper has it for colour images
    - ``sign=positive``: ``relu(Σ_C ∂s_c/∂x)``, what would raise the logit

    >>> from evaluator.measuring.trial import trial_view
    >>> Saliency(channels="max").combine(trial_view(images=2)).shape
    torch.Size([2, 32, 32])
    """

    channels: str = "sum"
    sign: str = "absolute"

    key = "saliency"
    title = "Saliency"
    paper = "Simonyan et al., ICLR workshop 2014"
    weighs_by = "size of the gradient at each pixel"
    choices = {"channels": ("sum", "max"), "sign": SIGNS}
    beyond_paper = True

    def explain(self, view: ImageView) -> Tensor:
        """``[B, C, H, W]``, or ``[B, H, W]`` where the largest channel counts."""
        found = pixel_gradient(view)
        if self.channels == "sum":
            return found
        return (found.abs() if self.sign == "absolute" else found.relu()).amax(1)

    def cost(self) -> int:
        """A forward and a backward."""
        return 3


def pixel_gradient(view: ImageView) -> Tensor:
    """``∂s_c/∂x`` of the images themselves, ``[B, C, H, W]``."""
    return view.gradient(
        lambda start, stop: view.images[start:stop], len(view.images), versions(view, 1)
    )
