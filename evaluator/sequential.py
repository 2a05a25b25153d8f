"""Confidence sequences, and what the first n images decide by them.

Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas, *Time-uniform central limit theory and asymptotic
confidence sequences*, Annals of Statistics 52 (2024), theorem 2.2: with σ̂ the standard deviation
of the first n values,

    mean_n ± σ̂_n · sqrt( 2(nρ² + 1)/(n²ρ²) · log( sqrt(nρ² + 1)/α ) )

misses the mean at any n from a burn-in on with a probability of about α. ρ > 0 may be chosen
freely, but before the first look. Every argument may be a number or an array; arrays are broadcast.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import combinations
from math import ceil, log, sqrt

import numpy as np
from numpy.typing import ArrayLike, NDArray

from evaluator.statistics import ADCC
from evaluator.stopping_rule import ALPHA, BURN_IN, Rule

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


_SCALE = 2.0**40
_RESOLUTION = 2.0**-38
"""Variances below this are rounding of the sums: cells that are equal by construction differ by
exactly nothing.
"""

_TYPICAL_SD = {"ci": 0.10, "decided": 0.03}
"""Of ψ, and of the difference of two methods' ψ (EfficientNet-Lite0, 250 images): only to choose ρ
before the first image.
"""


@dataclass(frozen=True)
class Estimate:
    """Estimates from the images so far, of the methods in the race, in their order.

    Attributes:
        n: images that count.
        adcc: of each method; ``covariance``: of the influence values ψ, methods × methods.
    """

    n: int
    adcc: NDArray[np.float64]
    covariance: NDArray[np.float64]

    def difference(self, a: int, b: int) -> tuple[float, float]:
        """ADCC of the first less that of the second, and the deviation of their ψ's difference."""
        variance = self.covariance[a, a] + self.covariance[b, b] - 2 * self.covariance[a, b]
        return float(self.adcc[a] - self.adcc[b]), _sd(variance)


def _sd(variance: float) -> float:
    return float(np.sqrt(variance)) if variance > _RESOLUTION else 0.0


def rule_rho(rule: Rule, pairs: int) -> float:
    """ρ for the number of images at which the rule is expected to stop, by the rule alone."""
    alpha = ALPHA if rule.kind == "ci" else ALPHA / max(1, pairs)
    width = rule.width if rule.kind == "ci" else rule.margin
    return rho_for(max(BURN_IN, expected_images(width, _TYPICAL_SD[rule.kind], alpha)), alpha)


@dataclass
class Race:
    """The methods of one backbone.

    Attributes:
        cells: ids of its cells that can have rows, in order.
        ranked: those that are compared: neither controls nor copies of another by construction.
        rule: what ends the race.
        pairs: of ranked cells, those included of which nothing is known yet.
        out: cell → images after which it was certainly worse than the best.
        equal: pairs of cells that certainly differ by less than the margin.
        images: looked at so far; ``n``: of these, how many count.
        decided: images after which nothing was open any more.
        needed: about how many images that will be, ``None`` before there is an estimate.
    """

    cells: Sequence[int]
    ranked: frozenset[int]
    rule: Rule
    pairs: int
    out: dict[int, int] = field(default_factory=dict)
    equal: set[frozenset[int]] = field(default_factory=set)
    images: int = 0
    n: int = 0
    decided: int | None = None
    needed: int | None = None
    best: int | None = None

    def __post_init__(self) -> None:
        self._sums = np.zeros((1 + 3 * len(self.cells),) * 2, dtype=np.int64)
        self._rho = rule_rho(self.rule, self.pairs)

    @property
    def racing(self) -> list[int]:
        """The cells that are still in the race."""
        return [cell for cell in self.cells if cell not in self.out]

    def absorb(self, values: NDArray[np.float64]) -> None:
        """Count the next images of the seeded order.

        Args:
            values: ``COMPONENTS`` (images, cells, 3); NaN where a cell has no value. Cells that are
                out may hold anything.
        """
        self.images += len(values)
        values = values.copy()
        values[:, [place for place, cell in enumerate(self.cells) if cell in self.out]] = 0.0
        complete = values[np.isfinite(values).all(axis=(1, 2))]
        flat = np.concatenate(
            [np.ones((len(complete), 1)), complete.reshape(len(complete), -1)], axis=1
        )
        self._sums += (
            np.rint(flat[:, :, None] * flat[:, None, :] * _SCALE).astype(np.int64).sum(axis=0)
        )
        self.n += len(complete)

    def estimate(self) -> Estimate:
        """ADCC and the covariance of ψ of the cells in the race."""
        places = [self.cells.index(cell) for cell in self.racing]
        keep = [0, *(1 + 3 * place + part for place in places for part in range(3))]
        moments = self._sums[np.ix_(keep, keep)] / (_SCALE * self.n)
        means = moments[0, 1:]
        covariance = (moments[1:, 1:] - np.outer(means, means)) * self.n / max(1, self.n - 1)
        slopes = np.zeros((len(means), len(places)))
        adcc = np.zeros(len(places))
        for place, averages in enumerate(means.reshape(-1, 3)):
            plain = list(map(float, averages))
            adcc[place] = ADCC.of_averages(plain)
            slopes[3 * place : 3 * place + 3, place] = ADCC.slopes(plain)
        return Estimate(self.n, adcc, slopes.T @ covariance @ slopes)

    def look(self) -> None:
        """Decide what can be decided after the images so far."""
        if self.decided is not None or self.n < BURN_IN:
            return
        if self.rule.kind == "ci":
            self._look_at_widths(self.estimate())
        else:
            self._look_at_pairs()

    def _look_at_widths(self, found: Estimate) -> None:
        sds = [_sd(variance) for variance in np.diag(found.covariance)]
        if all(half_width(found.n, sd, ALPHA, self._rho) <= self.rule.width for sd in sds):
            self.decided = self.needed = self.images
            return
        self._forecast([(self.rule.width, sd, ALPHA) for sd in sds])

    def _look_at_pairs(self) -> None:
        found = self.estimate()
        racing = self.racing
        place = {cell: racing.index(cell) for cell in racing}
        runners = [cell for cell in racing if cell in self.ranked]
        if not runners:
            self.decided = self.needed = self.images
            return
        self.best = max(runners, key=lambda cell: found.adcc[place[cell]])
        open_pairs = [
            pair for pair in combinations(runners, 2) if frozenset(pair) not in self.equal
        ]
        differences = [found.difference(place[a], place[b]) for a, b in open_pairs]
        apart, alike = self._p_values(found.n, differences)
        for position in np.flatnonzero(holm(np.minimum(apart, alike), self._family, ALPHA)):
            a, b = open_pairs[position]
            if apart[position] > alike[position]:
                self.equal.add(frozenset((a, b)))
            elif self.best in (a, b):
                self.out[b if differences[position][0] > 0 else a] = self.images
        left = [
            difference
            for pair, difference in zip(open_pairs, differences, strict=True)
            if self.best in pair and not self._settled(pair)
        ]
        if not left:
            self.decided = self.needed = self.images
            return
        level = ALPHA / max(1, self._family)
        self._forecast([(max(abs(d), self.rule.margin - abs(d)), sd, level) for d, sd in left])

    def _settled(self, pair: tuple[int, int]) -> bool:
        return frozenset(pair) in self.equal or any(cell in self.out for cell in pair)

    @property
    def _family(self) -> int:
        """Pairs about which nothing has been claimed."""
        return max(1, self.pairs - len(self.equal) - len(self.out))

    def _p_values(
        self, n: int, differences: Sequence[tuple[float, float]]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Of every pair: that it does not differ, and that it differs by the margin or more."""
        size, sd = np.array(differences, dtype=float).reshape(-1, 2).T
        size = np.abs(size)
        return p_value(n, size, sd, self._rho), p_value(n, self.rule.margin - size, sd, self._rho)

    def _forecast(self, wanted: Sequence[tuple[float, float, float]]) -> None:
        """About how many images every (width, standard deviation, α) needs, as things stand."""
        n = max(images_for(width, sd, alpha, self._rho) for width, sd, alpha in wanted)
        self.needed = max(self.images + 1, ceil(n * self.images / self.n))
