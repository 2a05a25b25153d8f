"""Noisy linear imputation: missing pixels as the weighted means of their neighbours.

Solved on the device for many masks at once.

Each missing pixel is the mean of its eight neighbours (edges 1/6, diagonals 1/12, renormalised at
the border), be they known or missing: a sparse symmetric positive definite system for every mask
(Rong et al., ICML 2022, arXiv:2202.00449, section 4). Its matrix is a 3 × 3 convolution, and the
systems of one image, a plane for every mask and colour, are one depthwise convolution. Conjugate
gradients alone take about 600 steps on the holes that saliency maps leave; a multigrid cycle as
preconditioner brings them to about 10.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, conv2d, interpolate

NOISE = 0.01
"""Standard deviation of what is added to imputed pixels, in normalised space."""

_WEIGHTS = ((1 / 12, 1 / 6, 1 / 12), (1 / 6, 0.0, 1 / 6), (1 / 12, 1 / 6, 1 / 12))
_ALL, _FROM_SECOND, _TO_LAST_BUT_ONE = slice(None), slice(1, None), slice(None, -1)
_PAIRS = (
    ((_ALL, _TO_LAST_BUT_ONE), (_ALL, _FROM_SECOND), 1 / 6),
    ((_TO_LAST_BUT_ONE, _ALL), (_FROM_SECOND, _ALL), 1 / 6),
    ((_TO_LAST_BUT_ONE, _TO_LAST_BUT_ONE), (_FROM_SECOND, _FROM_SECOND), 1 / 12),
    ((_TO_LAST_BUT_ONE, _FROM_SECOND), (_FROM_SECOND, _TO_LAST_BUT_ONE), 1 / 12),
)
"""Rows and columns of pixels and of their neighbours, every pair of neighbours once, and what they
weigh.
"""

_PASSES, _TOLERANCE = 2, 1e-3
"""How often the system is solved, each time for what is still left over, and how far the residual
falls each time.

One pass of float32 ends at errors of 2e-4, from rounding; what the second adds to it leaves less
than 1e-5.
"""
_MOST_STEPS = 60
_DAMPING = 0.8
"""Of the Jacobi smoother."""
_COARSEST, _COARSEST_SWEEPS = 7, 8
"""Pixels of a side that is not halved any more, and how often that level is smoothed."""


def impute(images: Tensor, missing: Tensor) -> Tensor:
    """The images with their missing pixels imputed, without noise.

    Args:
        images: ``[B, C, H, W]``, float32 or float64. missing: ``[B, M, H, W]`` bool; a mask that is
        everything leaves nothing to impute from and gives zeros.

    Returns:
        ``[B, M, C, H, W]``.
    """
    if images.device.type == "cpu":
        return torch.cat(list(_threads().map(_imputed, images[:, None], missing[:, None])))
    return _imputed(images, missing)


@cache
def _threads() -> ThreadPoolExecutor:
    """An image for each core, each core on its own.

    The steps are too small to be shared between them.

    Beside other work on the same cores, which makes shared steps wait for each other, an image
    takes a seventh of the time.
    """
    return ThreadPoolExecutor(
        torch.get_num_threads(), "imputation", initializer=torch.set_num_threads, initargs=(1,)
    )


def _imputed(images: Tensor, missing: Tensor) -> Tensor:
    batch, masks, height, width = missing.shape
    channels = images.shape[1]
    planes = (batch, masks * channels, height, width)
    holes = missing.to(images)[:, :, None].expand(-1, -1, channels, -1, -1).reshape(planes)
    holes = holes.contiguous(memory_format=torch.channels_last)
    known = images[:, None].expand(-1, masks, -1, -1, -1).reshape(planes) * (1 - holes)
    values = known.contiguous(memory_format=torch.channels_last)
    levels = _levels(holes)
    for _ in range(_PASSES):
        values = values + _solve(holes * _shortfall(values), levels)
    empty = missing.flatten(2).all(2).repeat_interleave(channels, 1)[..., None, None]
    return values.masked_fill(empty, 0).view(batch, masks, channels, height, width)


def _shortfall(values: Tensor) -> Tensor:
    """By how much each pixel misses the weighted sum of its neighbours, ``Σ_j w_j (v_j − v)``.

    Differences keep their digits.
    """
    total = torch.zeros_like(values)
    for here, there, weight in _PAIRS:
        step = weight * (values[..., *there] - values[..., *here])
        total[..., *here] += step
        total[..., *there] -= step
    return total


class _Level(NamedTuple):
    """One resolution of the multigrid cycle.

    Attributes:
        holes: ``[B, planes, h, w]``, 1 where a pixel is missing. degree: ``[1, 1, h, w]``, the
        weights of the neighbours that a pixel has: 1 but at the border. smoothing: ``[B, planes, h,
        w]``, the damped inverse of the diagonal.
    """

    holes: Tensor
    degree: Tensor
    smoothing: Tensor

    def apply(self, values: Tensor) -> Tensor:
        """The matrix of the system times a vector that is 0 where nothing is missing."""
        return _neighbours(values).neg_().addcmul_(self.degree, values).mul_(self.holes)

    def left_over(self, residual: Tensor, values: Tensor) -> Tensor:
        """What is left of a residual once the system is given these values."""
        image = self.apply(values)
        return torch.sub(residual, image, out=image)


def _levels(holes: Tensor) -> list[_Level]:
    """From the image's resolution down by halves.

    A coarse pixel is missing where all four below it are, at an odd border two.
    """
    levels = [_level(holes)]
    while min(holes.shape[2:]) > _COARSEST:
        holes = (avg_pool2d(holes, 2, ceil_mode=True) == 1).to(holes)
        levels.append(_level(holes))
    return levels


def _level(holes: Tensor) -> _Level:
    degree = _degree(holes.shape[2], holes.shape[3], holes.dtype, holes.device)
    return _Level(holes, degree, holes * (_DAMPING / degree))


@cache
def _degree(height: int, width: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    return _neighbours(torch.ones(1, 1, height, width, dtype=dtype, device=device))


def _neighbours(values: Tensor) -> Tensor:
    """The weighted sum of the eight neighbours, ``[B, planes, H, W]``.

    Beyond the border is nothing.
    """
    planes = values.shape[1]
    return conv2d(values, _kernel(planes, values.dtype, values.device), padding=1, groups=planes)


@cache
def _kernel(planes: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    return torch.tensor(_WEIGHTS, dtype=dtype, device=device).expand(planes, 1, 3, 3).contiguous()


def _solve(right: Tensor, levels: list[_Level]) -> Tensor:
    """Preconditioned conjugate gradients, a step for all planes at a time.

    Until the last of them has converged.

    Everything is done in place: at this size it is memory that takes the time.
    """
    finest = levels[0]
    enough = (_dot(right, right) * _TOLERANCE**2).clamp(min=torch.finfo(right.dtype).tiny)
    solution, residual = torch.zeros_like(right), right.clone()
    direction = _cycle(residual, levels)
    product = _dot(residual, direction)
    for _ in range(_MOST_STEPS):
        image = finest.apply(direction)
        length = _ratio(product, _dot(direction, image))
        solution.addcmul_(direction, length)
        residual.addcmul_(image, length, value=-1)
        if bool((_dot(residual, residual) <= enough).all()):
            break
        correction = _cycle(residual, levels)
        before, product = product, _dot(residual, correction)
        direction.mul_(_ratio(product, before)).add_(correction)
    return solution


def _cycle(residual: Tensor, levels: list[_Level]) -> Tensor:
    """A symmetric V-cycle: what is left is smoothed, corrected from half the resolution.

    And smoothed again.
    """
    level, coarser = levels[0], levels[1:]
    values = level.smoothing * residual
    if not coarser:
        for _ in range(_COARSEST_SWEEPS):
            values.addcmul_(level.smoothing, level.left_over(residual, values))
        return values
    left = avg_pool2d(
        level.left_over(residual, values), 2, ceil_mode=True, divisor_override=1
    ).mul_(coarser[0].holes)
    correction = interpolate(_cycle(left, coarser), scale_factor=2.0, mode="nearest")
    values.addcmul_(level.holes, correction[..., : values.shape[2], : values.shape[3]])
    return values.addcmul_(level.smoothing, level.left_over(residual, values))


def _dot(first: Tensor, second: Tensor) -> Tensor:
    """Of every plane, ``[B, planes, 1, 1]``."""
    return (first * second).sum((2, 3), keepdim=True)


def _ratio(numerator: Tensor, denominator: Tensor) -> Tensor:
    """The quotient, and 0 for a plane that has converged exactly."""
    return torch.where(denominator > 0, numerator / denominator.masked_fill(denominator == 0, 1), 0)
