"""Statistics of judgements: Kendall's tau, and percentile intervals by bootstrap over images.

Efron and Tibshirani 1993, section 13.3.
"""

from __future__ import annotations

from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from camtui.judging import Estimate

Floats = NDArray[np.float64]


def kendall(judged: Floats, truth: Floats) -> Floats:
    """τ-b between two orders of the same methods (Kendall 1945), one for each column, in [−1, 1].

    ``τ_b = Σ s·t / √(Σ s² · Σ t²)`` over pairs of methods, ``s``, ``t``: signs of the differences
    in ``judged`` and ``truth``

    A column in which ``judged`` ties every pair has τ 0: it orders nothing. One in which ``truth``
    ties every pair has none.

    Args:
        judged: ``[methods, columns]``; pairs with a NaN are left out.
        truth: of the same shape.

    Returns:
        ``[columns]``, NaN where there is nothing to agree with.
    """
    agree, ordered, ordered_truly = (np.zeros(judged.shape[1]) for _ in range(3))
    for one, other in combinations(range(len(judged)), 2):
        sign = np.sign(judged[one] - judged[other])
        true = np.sign(truth[one] - truth[other])
        missing = np.isnan(sign) | np.isnan(true)
        sign[missing] = true[missing] = 0
        agree += sign * true
        ordered += np.abs(sign)
        ordered_truly += np.abs(true)
    scale = np.sqrt(ordered * ordered_truly)
    tau = np.divide(agree, scale, out=np.zeros_like(agree), where=scale > 0)
    tau[ordered_truly == 0] = np.nan
    return tau


_BLOCK = 8_000_000
"""Draws that are worked with at once: 64 MB as numbers."""


class Resampling:
    """The same draws of images, with replacement, for every statistic: differences are paired.

    Args:
        images: how many there are; ``draws``: how often as many are drawn; ``seed``: of the draws.
    """

    def __init__(self, images: int, draws: int, seed: int) -> None:
        self._images = images
        rng = np.random.default_rng(seed)
        self._rows = max(1, _BLOCK // max(1, images))
        self._times = np.zeros((draws, images), dtype=np.uint8)
        for begun in range(0, draws, self._rows):
            count = min(self._rows, draws - begun)
            drawn = rng.integers(images, size=(count, images)) + np.arange(count)[:, None] * images
            times = np.bincount(drawn.ravel(), minlength=count * images)
            self._times[begun : begun + count] = times.reshape(count, images)

    def means(self, columns: Floats) -> Floats:
        """Averages over all images, then over each draw.

        Args:
            columns: ``[images, columns]``; NaN where an image has no value.

        Returns:
            ``[1 + draws, columns]``; NaN where no image drawn has a value.
        """
        parts = [weighted_means(np.ones((1, self._images)), columns)]
        for begun in range(0, len(self._times), self._rows):
            parts.append(
                weighted_means(self._times[begun : begun + self._rows].astype(np.float64), columns)
            )
        return np.concatenate(parts)


def weighted_means(weights: Floats, columns: Floats) -> Floats:
    """Averages by several sets of weights, over the images that have a value.

    Args:
        weights: ``[sets, images]``.
        columns: ``[images, columns]``, NaN where an image has no value.

    Returns:
        ``[sets, columns]``; NaN where no image of weight has a value.
    """
    known = ~np.isnan(columns)
    if (known == known[:, :1]).all():
        known = known[:, :1]
    total, counted = weights @ np.where(known, columns, 0.0), weights @ known.astype(np.float64)
    return np.divide(total, counted, out=np.full_like(total, np.nan), where=counted > 0)


def estimate(statistics: Floats, n: int) -> Estimate:
    """The value and the middle 95 % of the draws.

    Args:
        statistics: ``[1 + draws]``: over all images, then over each draw.
        n: images that it rests on.
    """
    value, draws = float(statistics[0]), statistics[1:]
    draws = draws[~np.isnan(draws)]
    if np.isnan(value):
        return Estimate(None, None, None, n)
    if n < 2 or not len(draws):
        return Estimate(value, None, None, n)
    low, high = np.percentile(draws, [2.5, 97.5])
    return Estimate(value, float(low), float(high), n)
