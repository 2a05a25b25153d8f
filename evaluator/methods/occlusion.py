"""Occlusion: how far the logit falls where a window hides the image."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING

from evaluator.methods.base import REFERENCES, SIGNS, ImageMethod, ImageView, versions

if TYPE_CHECKING:
    from torch import Tensor

_SIDE = 224
"""Side of the input that ``window`` and ``stride`` are said for."""


@dataclass(frozen=True)
class Occlusion(ImageMethod):
    """Occlusion (Zeiler and Fergus, ECCV 2014, arXiv:1311.2901).

    ``M = relu(mean over the windows W on a pixel of s_c(x) − s_c(x without W))``

    - ``W``: squares of ``window`` pixels, every ``stride`` pixels from the upper left; the last of
      a row and of a column ends at the border, as in captum
    - ``x without W``: the window shows the ``baseline``: ``zero`` once normalised (the mean colour;
      the paper's is grey), ``black`` or the image's ``blur``
    - both lengths are of an input of 224 pixels; on others they are in proportion, so that the
      number of windows is the same
    - ``sign=absolute``: the absolute value of the mean

    >>> from evaluator.measuring.trial import trial_view
    >>> Occlusion().cost(), Occlusion().combine(trial_view(images=2)).shape
    (64, torch.Size([2, 32, 32]))
    """

    window: int = 50
    stride: int = 25
    baseline: str = "zero"
    sign: str = "positive"

    key = "occlusion"
    title = "Occlusion"
    paper = "Zeiler and Fergus, ECCV 2014"
    weighs_by = "fall of the logit under a sliding window"
    choices = {"baseline": REFERENCES, "sign": SIGNS}
    ranges = {"window": (8, _SIDE), "stride": (8, _SIDE)}
    beyond_paper = True

    def explain(self, view: ImageView) -> Tensor:
        """``[B, 1, H, W]``."""
        nothing, images = view.reference(self.baseline), len(view.images)
        windows = list(product(self._edges(view.images.shape[2]), repeat=2))
        rows = versions(view, len(windows))

        def hidden(start: int, stop: int) -> Tensor:
            found = view.images[rows[start:stop]]
            for place in range(start, stop):
                (top, bottom), (left, right) = windows[place // images]
                shown = nothing[place % images, :, top:bottom, left:right]
                found[place - start, :, top:bottom, left:right] = shown
            return found

        scores = view.scores(hidden, len(rows), rows, logits=True).view(-1, images)
        falls = view.logits.gather(1, view.targets[:, None])[:, 0].double() - scores
        total = falls.new_zeros(images, *view.images.shape[2:])
        times = total[0].clone()
        for fall, ((top, bottom), (left, right)) in zip(falls, windows, strict=True):
            total[:, top:bottom, left:right] += fall[:, None, None]
            times[top:bottom, left:right] += 1
        return (total / times.clamp(min=1))[:, None]

    def cost(self) -> int:
        """A forward for each window."""
        return len(self._edges(_SIDE)) ** 2

    def _edges(self, side: int) -> list[tuple[int, int]]:
        """First and last pixel of the windows along one side."""
        count = -(-(_SIDE - self.window) // self.stride) + 1
        starts = [place * self.stride for place in range(count)]
        return [
            (round(at * side / _SIDE), min(side, round((at + self.window) * side / _SIDE)))
            for at in starts
        ]
