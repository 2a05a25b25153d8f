"""RISE: confidence in the class through random masks."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, floor
from typing import TYPE_CHECKING

from evaluator.methods.base import ImageMethod, ImageView, versions

if TYPE_CHECKING:
    from torch import Tensor

_AT_ONCE = 256
"""Masks that are added up at once."""


@dataclass(frozen=True)
class RISE(ImageMethod):
    """RISE (Petsiuk, Das and Saenko, BMVC 2018, arXiv:1806.07421).

    ``M = Σ_i p_c(x ⊙ M_i) M_i / (n · keep)``

    - ``M_i``: ``cells × cells`` zeros and ones, 1 with probability ``keep``, enlarged linearly to
      one cell more than the image a side and cut at a random place, as the authors' code does
    - ``p_c``: confidence in the class; pixels are hidden by zero once normalised
    - ``n``: 4,000 masks, as for VGG-16 in the paper (8,000 for ResNet-50): the dearest method here

    Every image has masks of its own, a function of the seed and the image alone; the authors draw
    one set for all.

    >>> from evaluator.measuring.trial import trial_view
    >>> RISE(n=8).combine(trial_view(images=2)).shape
    torch.Size([2, 32, 32])
    """

    n: int = 4000
    cells: int = 7
    keep: float = 0.5

    key = "rise"
    title = "RISE"
    paper = "Petsiuk et al., BMVC 2018"
    weighs_by = "confidence through random masks"
    ranges = {"n": (1, 100_000), "cells": (2, 32), "keep": (0.01, 0.99)}
    beyond_paper = True

    def explain(self, view: ImageView) -> Tensor:
        """``[B, H, W]``."""
        masks, rows = _Masks(self, view), versions(view, self.n)

        def masked(start: int, stop: int) -> Tensor:
            return view.images[rows[start:stop]] * masks.part(start, stop)[:, None]

        scores = view.scores(masked, len(rows), rows).float() / (self.n * self.keep)
        images = len(view.images)
        total, step = (
            view.images.new_zeros(view.images[:, 0].shape),
            images * ceil(_AT_ONCE / images),
        )
        for start in range(0, len(rows), step):
            part = masks.part(start, start + step) * scores[start : start + step, None, None]
            total += part.view(-1, *total.shape).sum(0)
        return total

    def cost(self) -> int:
        """A forward for each mask."""
        return self.n


class _Masks:
    """The masks of all images, made from their random numbers when they are asked for."""

    def __init__(self, method: RISE, view: ImageView) -> None:
        count, cells = method.n, method.cells
        images, side = len(view.images), view.images.shape[2]
        drawn = (view.uniform(method.key, count * (cells * cells + 2)) + 1) / 2
        drawn = drawn.view(images, count, -1).transpose(0, 1).flatten(0, 1)
        grids = drawn[:, : cells * cells].reshape(-1, cells, cells)
        self._grids = (grids < method.keep).to(view.images.dtype)
        step = ceil(side / cells)
        self._tops, self._lefts = (drawn[:, cells * cells :] * step).long().T
        self._pixels = view.targets.new_tensor(range(side))
        self._enlarging = view.images.new_tensor(_enlarging(cells, (cells + 1) * step))

    def part(self, start: int, stop: int) -> Tensor:
        """Those of versions ``start`` to ``stop``, ``[stop − start, H, W]``."""
        down, across = (
            self._enlarging[at[start:stop, None] + self._pixels] for at in (self._tops, self._lefts)
        )
        return down @ self._grids[start:stop] @ across.transpose(1, 2)


def _enlarging(low: int, high: int) -> list[list[float]]:
    """``[high, low]``: the weights of values in linear interpolation, mirrored at both ends.

    That of scikit-image's ``resize`` with ``order=1, mode="reflect"``.
    """
    weights = []
    for place in range(high):
        at = abs((place + 0.5) * low / high - 0.5)
        at = min(at, 2 * (low - 1) - at)
        first = min(floor(at), low - 2)
        row = [0.0] * low
        row[first], row[first + 1] = 1 - (at - first), at - first
        weights.append(row)
    return weights
