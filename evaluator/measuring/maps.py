"""From a weighted sum of activations to a saliency map: min-max and upsampling."""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from evaluator.networks.transfer import to_device


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
