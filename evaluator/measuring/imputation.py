"""Noisy linear imputation: missing pixels as weighted means of their neighbours.

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
"""Standard deviation of what is added to imputed pixels, of pixels in [0, 1]."""

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
"""Number of solutions, each for the remaining residual, and its relative size where one ends.

One pass of float32 ends at errors of 2e-4, from rounding; what the second adds to it leaves less
than 1e-5.
"""
_MOST_STEPS = 60
_DAMPING = 0.8
"""Of the Jacobi smoother."""
_COARSEST, _COARSEST_SWEEPS = 7, 8
"""Pixels of a side that is not halved any more, and how often that level is smoothed."""


def impute(images: Tensor, missing: Tensor) -> Tensor:
    """Impute the missing pixels of images, without noise.

    Args:
        images: ``[B, C, H, W]``, float32 or float64.
        missing: ``[B, M, H, W]`` bool; a mask that is everything leaves nothing to impute from and
            gives zeros.

    Returns:
        ``[B, M, C, H, W]``.

    >>> image, hole = torch.full((1, 3, 8, 8), 0.5), torch.zeros(1, 1, 8, 8, dtype=torch.bool)
    >>> hole[..., 2:5, 2:5] = True
    >>> bool((impute(image, hole) - 0.5).abs().max() < 1e-4)
    True
    """
    if images.device.type == "cpu":
        return torch.cat(list(_threads().map(_imputed, images[:, None], missing[:, None])))
    return _imputed(images, missing)


@cache
def _threads() -> ThreadPoolExecutor:
    """Threads that impute one image each, on one core: the steps are too small to be shared.

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
    """Compute the residual of each pixel as a sum of differences, ``Σ_j w_j (v_j − v)``."""
    total = torch.zeros_like(values)
    for here, there, weight in _PAIRS:
        step = weight * (values[..., *there] - values[..., *here])
        total[..., *here] += step
        total[..., *there] -= step
    return total


class _Level(NamedTuple):
    """One resolution of the multigrid cycle.

    Attributes:
        holes: ``[B, planes, h, w]``, 1 where a pixel is missing.
        degree: ``[1, 1, h, w]``, the weights of the neighbours that a pixel has: 1 but at the
            border.
        smoothing: ``[B, planes, h, w]``, the damped inverse of the diagonal.
    """

    holes: Tensor
    degree: Tensor
    smoothing: Tensor

    def apply(self, values: Tensor) -> Tensor:
        """Multiply the matrix of the system by a vector that is 0 where nothing is missing."""
        return _neighbours(values).neg_().addcmul_(self.degree, values).mul_(self.holes)

    def left_over(self, residual: Tensor, values: Tensor) -> Tensor:
        """Compute the residual that remains with these values."""
        image = self.apply(values)
        return torch.sub(residual, image, out=image)


def _levels(holes: Tensor) -> list[_Level]:
    """Halve the resolution of the image until it is coarse.

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
    """Sum the eight neighbours by weight, ``[B, planes, H, W]``, with zeros beyond the border."""
    planes = values.shape[1]
    return conv2d(values, _kernel(planes, values.dtype, values.device), padding=1, groups=planes)


@cache
def _kernel(planes: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    return torch.tensor(_WEIGHTS, dtype=dtype, device=device).expand(planes, 1, 3, 3).contiguous()


def _solve(right: Tensor, levels: list[_Level]) -> Tensor:
    """Solve by preconditioned conjugate gradients, all planes until the last has converged.

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
    """Apply a symmetric V-cycle: smooth, correct from half the resolution, smooth again."""
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
    """Inner product of every plane, ``[B, planes, 1, 1]``."""
    return (first * second).sum((2, 3), keepdim=True)


def _ratio(numerator: Tensor, denominator: Tensor) -> Tensor:
    """Divide; 0 for a plane that has converged exactly."""
    return torch.where(denominator > 0, numerator / denominator.masked_fill(denominator == 0, 1), 0)
