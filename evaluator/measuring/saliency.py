"""A saliency map ``U``: values at low resolution, pixels made where a network must see them.

Bilinear upsampling is linear and separable, ``U = P L Qᵀ``, so what the metrics ask of the H·W
pixels, mean and scatter, are sums over the h·w values of ``L`` with the small matrices ``PᵀP`` and
``QᵀQ``: equal in real arithmetic, in float64 here, at a thousandth of the work (49 values for
50 176 pixels).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from evaluator.measuring.maps import upsample, upsample_exactly
from evaluator.metrics.curves import pixel_ranks


class Saliency:
    """B saliency maps of ``height × width`` pixels.

    Args:
        values: ``[B, h, w]`` in [0, 1], to be upsampled; of the size of the image for a map that is
            made at full resolution.
        height: H in pixels; ``width``: W.
    """

    def __init__(self, values: Tensor, height: int, width: int) -> None:
        self.values = values
        self._size = (height, width)
        self._whole = values.shape[1:] == self._size

    def part(self, start: int, stop: int) -> Saliency:
        """Return the maps of images ``start`` to ``stop``; one that stands for all stays one."""
        return self if len(self.values) == 1 else Saliency(self.values[start:stop], *self._size)

    def chosen(self, places: Sequence[int]) -> Saliency:
        """Return the maps of some images, in that order."""
        return Saliency(self.values[list(places)], *self._size)

    def pixels(self) -> Tensor:
        """``U``, ``[B, H, W]``."""
        return self.values if self._whole else upsample(self.values, *self._size)

    def ranks(self) -> Tensor:
        """Rank of every pixel in descending saliency, ``[B, H, W]``, ties by pixel index.

        A function of ``values`` alone: see ``maps.upsample_exactly``.
        """
        exact = self.values if self._whole else upsample_exactly(self.values, *self._size)
        return pixel_ranks(exact)

    def mean(self) -> Tensor:
        """Mean over the pixels, ``[B]``, float64.

        A float32 sum of 50 176 loses digits that ADCC near complexity 1 needs.
        """
        if self._whole:
            return self.values.double().mean((1, 2))
        across, down = self._weights()
        return torch.einsum("bij,i,j->b", self.values.double(), down.mean, across.mean)

    def scatter(self, other: Saliency) -> Tensor:
        """``Σ (U − mean U)(U′ − mean U′)`` over the pixels, ``[B]``, float64.

        Both of one resolution.
        """
        first, second = self._centred(), other._centred()
        if self._whole:
            return (first * second).sum((1, 2))
        across, down = self._weights()
        return (down.gram @ first @ across.gram * second).sum((1, 2))

    def _centred(self) -> Tensor:
        """The values less the mean: the weights of a pixel add up to 1, so it may go first."""
        return self.values.double() - self.mean()[:, None, None]

    def _weights(self) -> tuple[_Weights, _Weights]:
        """The upsampling weights of the columns and of the rows."""
        (_, h, w), device = self.values.shape, self.values.device
        return _weights(w, self._size[1], device), _weights(h, self._size[0], device)


def masked(images: Tensor, saliency: Saliency) -> Tensor:
    """Make the explanation maps ``e = x ⊙ U`` in normalised space, ``[n, 3, H, W]``."""
    return images * saliency.pixels()[:, None]


class _Weights(NamedTuple):
    """Upsampling along one side: ``P`` ``[H, h]``, the weight of each value in each pixel.

    Attributes:
        mean: ``[h]``, the mean weight of each value; ``gram``: ``PᵀP``, ``[h, h]``.
    """

    mean: Tensor
    gram: Tensor


@cache
def _weights(low: int, high: int, device: torch.device) -> _Weights:
    each = torch.eye(low, dtype=torch.float64, device=device)[None]
    pixels = interpolate(each, size=high, mode="linear", align_corners=False)[0]  # [low, high]
    return _Weights(pixels.mean(1), pixels @ pixels.T)
