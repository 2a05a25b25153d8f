"""From a weighted sum of activations to a saliency map.

Min-max and upsampling, each written once.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import interpolate


class LowMap(NamedTuple):
    """Saliency at the resolution of the target layer.

    Attributes:
        values: ``[B, h, w]`` in [0, 1].
        degenerate: ``[B]`` bool: ``relu(L)`` was zero or constant, so that the map is all zero.
    """

    values: Tensor
    degenerate: Tensor


def min_max(values: Tensor) -> Tensor:
    """Every trailing ``h × w`` map scaled to [0, 1]; a constant map becomes 0."""
    low = values.amin((-2, -1), keepdim=True)
    spread = values.amax((-2, -1), keepdim=True) - low
    return torch.where(spread > 0, (values - low) / spread.where(spread > 0, 1), 0)


def low_map(combination: Tensor) -> LowMap:
    """``minmax(relu(L))`` at low resolution, ``L`` being ``[B, h, w]``.

    Not a number where ``L`` is infinite or none anywhere.
    """
    nothing = 0 * (combination.amax((1, 2)) - combination.amin((1, 2)))
    values = min_max(combination.relu()) + nothing[:, None, None]
    return LowMap(values, values.amax((1, 2)) == 0)


def upsample(values: Tensor, height: int, width: int) -> Tensor:
    """``[n, h, w]`` → ``[n, H, W]``, bilinear, ``align_corners=False``.

    With no second normalisation.
    """
    return interpolate(values[:, None], size=(height, width), mode="bilinear", align_corners=False)[
        :, 0
    ]
