"""Poly-CAM: maps from the coarsest resolution to the finest, by masks of every channel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from evaluator.methods.base import ImageMethod, ImageView, weighted_sum

if TYPE_CHECKING:
    from torch import Tensor

_TINY = 1e-12
_OUTLIERS = 0.001
"""Share of the positions that count as outliers at either end."""

_AT_ONCE = 128
"""Maps whose percentiles are taken at once: torch sorts no more than 16 million values."""


@dataclass(frozen=True)
class PolyCAM(ImageMethod):
    """Poly-CAM (Englebert, Cornu and De Vleeschouwer, ICPR 2022, arXiv:2204.13359).

    ``P_l = relu(Σ_k w_lk A_lk) / max(↑↓(·), 1e-12) ⊙ ↑P_(l+1)``, from the coarsest layer, where
    ``P = relu(Σ_k w_k A_k)``, to the finest

    - ``A_l``: ``[K, h, w]``, the last layer of resolution l, up to the target layer
    - ``m_lk = ↑clip((A_lk − low) / high, 0, 1)``, ``low`` and ``high`` the 0.1 and 99.9 percentile
      of the channel; ``p(m)``: the confidence through a mask
    - ``w_lk``, by ``variant``: ``plus``: ``p(m)``; ``minus``: ``relu(p − p(1 − m))``; ``both``, the
      paper's PCAM±: ``relu(p(m) + p − p(1 − m))``
    - ``↑↓``: shrunk to the coarser resolution and enlarged again: only what is finer is left
    - the last map is scaled as a mask is, so that outliers do not stretch it

    As the authors' code (github.com/aenglebert/polycam) has it: one forward for every channel of
    every resolution, with ``both`` two. The dearest method here beside RISE. How many channels the
    finer resolutions have is known when it runs: until then its cost is an estimate, twice the
    channels of the target layer.

    >>> from evaluator.measuring.trial import trial_view
    >>> PolyCAM(variant="plus").combine(trial_view(images=2)).shape
    torch.Size([2, 16, 16])
    """

    variant: str = "both"

    key = "polycam"
    title = "Poly-CAM"
    paper = "Englebert et al., ICPR 2022"
    weighs_by = "confidence through each channel's mask, at every resolution"
    choices = {"variant": ("both", "plus", "minus")}
    estimated = True
    beyond_paper = True

    def explain(self, view: ImageView) -> Tensor:
        """``[B, h, w]``, the finest resolution."""
        found: Tensor | None = None
        count, whole = len(view.images), None
        if self.variant != "plus":
            rows = view.targets.new_tensor(range(count))
            whole = view.scores(lambda start, stop: view.images[start:stop], count, rows)
        for activation, _ in reversed(view.layers().values()):
            finer = weighted_sum(self._weights(view, activation, whole), activation).relu()
            if found is not None:
                size = finer.shape[1:]
                around = view.upsample(view.upsample(finer, *found.shape[1:]), *size)
                finer = finer / around.clamp(min=_TINY) * view.upsample(found, *size)
            found = finer
        assert found is not None, "the target layer is always among them"
        return _without_outliers(found)

    def _weights(self, view: ImageView, activation: Tensor, whole: Tensor | None) -> Tensor:
        """``[B, K]``; ``whole``: the confidence in the images, ``[B]``, where it plays a part."""
        images, channels = activation.shape[:2]
        masks = _without_outliers(activation.flatten(0, 1))
        rows = view.targets.new_tensor(range(images)).repeat_interleave(channels)

        def scores(kept: bool) -> Tensor:
            def shown(start: int, stop: int) -> Tensor:
                mask = view.upsample(masks[start:stop])[:, None]
                return view.images[rows[start:stop]] * (mask if kept else 1 - mask)

            return view.scores(shown, len(rows), rows).view(images, channels)

        if whole is None:
            return scores(True).float()
        fall = whole[:, None] - scores(False)
        return (fall if self.variant == "minus" else scores(True) + fall).relu().float()

    def cost(self) -> int:
        """The pass that finds the layers, and that of the image: what no channel costs."""
        return 3 if self.variant == "plus" else 4

    def forwards(self, channels: int, gap_linear: bool) -> int:
        """Of the masked pass and both maps; of all resolutions twice the target layer's."""
        masks = 2 * channels * (2 if self.variant == "both" else 1)
        return 1 + 2 * (self.cost() + masks)


def _without_outliers(maps: Tensor) -> Tensor:
    """``[n, h, w]`` in [0, 1]: less the 0.1 percentile, by the 99.9 percentile of each, clipped."""
    found, ends = maps.new_empty(maps.shape), maps.new_tensor([_OUTLIERS, 1 - _OUTLIERS])
    for start in range(0, len(maps), _AT_ONCE):
        part = maps[start : start + _AT_ONCE]
        low, high = part.flatten(1).quantile(ends, 1)[:, :, None, None]
        found[start : start + _AT_ONCE] = ((part - low) / high.clamp(min=_TINY)).clamp(0, 1)
    return found
