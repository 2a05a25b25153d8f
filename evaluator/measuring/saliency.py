"""A saliency map ``U``: values at low resolution, pixels made where a network must see them.

Bilinear upsampling is linear and separable, ``U = P L Qᵀ``, so what the metrics ask of the H·W
pixels, mean and scatter, are sums over the h·w values of ``L`` with the small matrices ``PᵀP`` and
``QᵀQ``: equal in real arithmetic, in float64 here, at a thousandth of the work (49 values for
50 176 pixels).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from math import isqrt
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from evaluator.measuring.method_calls import call_method, made_method
from evaluator.methods.base import FixedMap, ImageMethod
from evaluator.metrics.curves import pixel_ranks
from evaluator.networks.device import to_device
from evaluator.networks.network import Network
from evaluator.records import LoadedBackbone, Preprocessing, StoredMap


class LowMap(NamedTuple):
    """Saliency at the resolution of the target layer.

    Attributes:
        values: ``[B, h, w]`` in [0, 1].
        degenerate: ``[B]`` bool: ``relu(L)`` was zero or constant, so that the map is all zero.
    """

    values: Tensor
    degenerate: Tensor


def min_max(values: Tensor) -> Tensor:
    """Scale every trailing ``h × w`` map to [0, 1]; a constant map becomes 0."""
    low = values.amin((-2, -1), keepdim=True)
    spread = values.amax((-2, -1), keepdim=True) - low
    return torch.where(spread > 0, (values - low) / spread.where(spread > 0, 1), 0)


def low_map(combination: Tensor) -> LowMap:
    """Compute ``minmax(relu(L))`` at low resolution, ``L`` being ``[B, h, w]``.

    A map with an infinite value, or one that is not a number, becomes NaN everywhere.
    """
    nothing = 0 * (combination.amax((1, 2)) - combination.amin((1, 2)))
    values = min_max(combination.relu()) + nothing[:, None, None]
    return LowMap(values, values.amax((1, 2)) == 0)


def image_map(combination: Tensor, most: int) -> LowMap:
    """Compute the map of an ``ImageMethod``, square and with at most ``most`` values a side.

    ``relu``, then averages by area, then min-max, then rounded to float16, as it is stored; 0 and 1
    are kept.

    Args:
        combination: ``[B, h, w]``.
    """
    side = min(most, max(combination.shape[1:]))
    low = low_map(averaged(combination.relu(), side))
    return low._replace(values=low.values.half().float())


def averaged(values: Tensor, side: int) -> Tensor:
    """Average ``[n, h, w]`` by area: ``[n, side, side]``; a value may count in two of the cells."""
    if values.shape[1:] == (side, side):
        return values
    down, across = (_areas(high, side, values.device) for high in values.shape[1:])
    found: Tensor = down @ values.double() @ across.T
    return found.to(values.dtype)


@cache
def _areas(high: int, low: int, device: torch.device) -> Tensor:
    """``[low, high]``: the share of each value in each cell along one side; rows add up to 1."""
    ends = torch.arange(low + 1, dtype=torch.float64)[:, None] * high / low
    place = torch.arange(high, dtype=torch.float64)
    shared = (torch.minimum(ends[1:], place + 1) - torch.maximum(ends[:-1], place)).clamp(min=0)
    return to_device(shared * low / high, device)


def upsample(values: Tensor, height: int, width: int) -> Tensor:
    """Upsample ``[n, h, w]`` → ``[n, H, W]``, bilinear, ``align_corners=False``.

    There is no second normalisation.
    """
    size = (height, width)
    return interpolate(values[:, None], size=size, mode="bilinear", align_corners=False)[:, 0]


def upsample_exactly(values: Tensor, height: int, width: int) -> Tensor:
    """Upsample as ``upsample`` does, without rounding, to compare pixels: ``[n, H, W]``, float64.

    The weights of a pixel are multiples of ``1 / (4·H·W)``. The values, in [0, 1], are rounded to
    multiples of ``2^-b`` with the largest ``b`` for which every sum is an integer below ``2^52``
    (34 at 224 × 224, 25 at 4096 × 4096), which float64 holds: the result is the same in every
    order of addition, on every device, in every batch.

    Returns:
        The pixels times ``4·H·W·2^b``.
    """
    bits = 52 - (4 * height * width).bit_length()
    whole = (values.double() * 2**bits).round()
    rows = _integer_weights(values.shape[1], height, values.device)
    columns = _integer_weights(values.shape[2], width, values.device)
    pixels: Tensor = rows @ whole @ columns.T
    return pixels


@cache
def _integer_weights(low: int, high: int, device: torch.device) -> Tensor:
    """``[high, low]``: what each value weighs in each pixel along one side, times ``2·high``."""
    centres = ((2 * torch.arange(high) + 1) * low - high).clamp(min=0)
    first = centres // (2 * high)
    second = (first + 1).clamp(max=low - 1)
    share = centres - 2 * high * first
    weights = torch.zeros(high, low, dtype=torch.float64)
    weights.scatter_add_(1, first[:, None], (2 * high - share)[:, None].double())
    weights.scatter_add_(1, second[:, None], share[:, None].double())
    return to_device(weights, device)


class MapOfImage(NamedTuple):
    """A stored map, the place of its image among those of the unit, and its method's spec."""

    image: int
    method: str
    stored: StoredMap

    @property
    def identity(self) -> tuple[int, int, bytes | str]:
        """Key of what its curves depend on; a fixed map has no values, its method names it."""
        return (
            self.image,
            self.stored.target,
            self.method if self.stored.values is None else self.stored.values,
        )


def saliency_of(maps: Sequence[MapOfImage], network: Network) -> Saliency:
    """Make ``U`` of stored maps of one method on one network; a fixed map is one for all images."""
    return stored_saliency(maps, network.backbone.facts, network.device)


def stored_saliency(
    maps: Sequence[MapOfImage], facts: LoadedBackbone, device: torch.device
) -> Saliency:
    """``saliency_of`` without the network."""
    made_by, side = made_method(maps[0].method), facts.preprocessing.side
    if isinstance(made_by, FixedMap):
        rows = call_method(made_by, lambda: made_by.fixed_map(side, side))
        low = torch.tensor([rows], dtype=torch.float32)
    else:
        values = bytearray(b"".join(one.stored.values or b"" for one in maps))
        if isinstance(made_by, ImageMethod):
            flat = torch.frombuffer(values, dtype=torch.float16).float()
            height = width = isqrt(len(flat) // len(maps))
        else:
            flat = torch.frombuffer(values, dtype=torch.float32)
            height, width = facts.height, facts.width
        low = flat.view(len(maps), height, width)
    return Saliency(to_device(low, device), side, side)


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


def masked(images: Tensor, saliency: Saliency, black: Tensor | None = None) -> Tensor:
    """Make the explanation maps ``e = x ⊙ U`` in normalised space, ``[n, channels, H, W]``.

    Args:
        black: ``black_of`` the network, to multiply the pixels before they are normalised, as the
            code of Opti-CAM (Zhang et al., 2023) and of others does: what is removed becomes black,
            not the mean, ``e = x ⊙ U + black ⊙ (1 − U)``.
    """
    kept = saliency.pixels()[:, None]
    return images * kept if black is None else images * kept + black * (1 - kept)


def black_of(seen: Preprocessing, device: torch.device) -> Tensor:
    """A black pixel as a network sees it, ``−mean / std``, ``[1, channels, 1, 1]``."""
    values = [-mean / std for mean, std in zip(seen.mean, seen.std, strict=True)]
    return to_device(torch.tensor(values)[None, :, None, None], device)


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
