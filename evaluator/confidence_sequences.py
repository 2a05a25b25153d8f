"""Confidence sequences: intervals that hold at every number of images at once.

Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas, *Time-uniform central limit theory and asymptotic
confidence sequences*, Annals of Statistics 52 (2024), theorem 2.2: with σ̂ the standard deviation
of the first n values,

    mean_n ± σ̂_n · sqrt( 2(nρ² + 1)/(n²ρ²) · log( sqrt(nρ² + 1)/α ) )

misses the mean at any n from a burn-in on with a probability of about α. ρ > 0 may be chosen
freely, but before the first look. Every argument may be a number or an array; arrays are broadcast.
"""

from __future__ import annotations

from math import ceil, log, sqrt

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

_MOST = 10**9
"""Images beyond which nobody goes."""


def tightest(alpha: float) -> float:
    """``x = nρ²`` of the narrowest sequence for its n: the root of ``x = log(x + 1) − 2 log α``."""
    x = -2 * log(alpha)
    for _ in range(50):
        x = log(x + 1) - 2 * log(alpha)
    return x


def rho_for(n: float, alpha: float) -> float:
    """The ρ that makes the sequence narrowest at n."""
    return sqrt(tightest(alpha) / n)


def expected_images(width: float, sd: float, alpha: float) -> float:
    """The n at which a sequence with the ρ that suits this n is as narrow as ± ``width``."""
    return (tightest(alpha) + 1) * (sd / width) ** 2


def half_width(n: ArrayLike, sd: ArrayLike, alpha: ArrayLike, rho: float) -> Floats:
    """Half of the interval after n values of standard deviation ``sd``."""
    n = np.asarray(n, dtype=float)
    x = n * rho**2
    return np.asarray(sd * np.sqrt(2 * (x + 1) / (n * x) * np.log(np.sqrt(x + 1) / alpha)))


def p_value(n: ArrayLike, distance: ArrayLike, sd: ArrayLike, rho: float) -> Floats:
    """The smallest α at which the interval leaves out what lies ``distance`` from the mean.

    Valid at every n at once. 1 where the distance is 0 or negative; 0 where values without any
    spread lie apart.
    """
    n, distance, sd = (np.asarray(value, dtype=float) for value in (n, distance, sd))
    x = n * rho**2
    spread = np.where(sd > 0, sd, 1.0)
    p = np.sqrt(x + 1) * np.exp(-x / (x + 1) * n / 2 * (distance / spread) ** 2)
    p = np.where(sd > 0, p, 0.0)
    return np.where(distance > 0, np.minimum(p, 1.0), 1.0)


def holm(p: Floats, family: ArrayLike, alpha: float) -> NDArray[np.bool_]:
    """The hypotheses that fall by Holm's step-down procedure (1979), in the last axis.

    Args:
        p: of those that have not fallen yet, infinite where one is not tested.
        family: how many have not fallen yet, those without a p included.
    """
    order = np.argsort(p, axis=-1, kind="stable")
    levels = alpha / np.maximum(1, np.asarray(family)[..., None] - np.arange(p.shape[-1]))
    falls = np.logical_and.accumulate(np.take_along_axis(p, order, -1) <= levels, axis=-1)
    fallen = np.zeros(p.shape, dtype=bool)
    np.put_along_axis(fallen, order, falls, -1)
    return fallen


def images_for(width: float, sd: float, alpha: float, rho: float) -> int:
    """The first n at which half of the interval is at most ``width``, at the present spread."""
    if sd == 0:
        return 1
    low, high = 0, 1
    while half_width(high, sd, alpha, rho) > width and high < _MOST:
        low, high = high, 2 * high
    while high - low > 1:
        middle = ceil((low + high) / 2) if high - low > 2 else low + 1
        if half_width(middle, sd, alpha, rho) > width:
            low = middle
        else:
            high = middle
    return high
