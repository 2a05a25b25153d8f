"""Means, standard errors and the headline ADCC from running sums; paired differences.

Plain arithmetic, no arrays. Sums are integers in units of 2⁻⁴⁰: addition is then associative, so
that a table does not depend on the order in which workers finished, to the last digit. A value in
[0, 1] is rounded by at most 5e-13; 8 million images fit 64 bits. Metrics of another range are
summed by digits (``digits_of``), in a unit that fits the range.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from itertools import combinations_with_replacement
from math import exp, frexp, inf, isqrt, lgamma, log1p, pi, sqrt
from statistics import NormalDist
from typing import NamedTuple, TypeVar

UNIT = 2.0**-40
Z95 = 1.959963984540054
"""Half-width of a 95 % normal interval in standard errors; the limit of ``t_quantile``."""

LEVEL = 0.05
"""Of every test, and one minus that of every interval, at a number of images fixed before."""

FEWEST_TESTED = 10
"""Means over fewer images are neither ranked nor tested: a t test needs about so many values."""

COMPONENTS = ("average_drop", "coherency", "complexity")
"""The components of ADCC; their cross-products are summed beside their squares."""


def arcc_components(coherency: float, complexity: float, road: float) -> tuple[float, float, float]:
    """The three parts of ARCC: coherency, 1 − complexity, ``R = clip(2·ROAD, 0, 1)``.

    Each is in [0, 1], and the higher the better.
    """
    return coherency, 1 - complexity, min(1.0, max(0.0, 2 * road))


_RESOLUTION = 2.0**-38
"""Variances below this are rounding of the sums, not spread (Fake-CAM's complexity is one
constant).
"""


def quantise(value: float) -> int:
    """A value in [0, 1] as an integer multiple of 2⁻⁴⁰."""
    return round(value * 2**40)


class Sum(NamedTuple):
    """n values and their total; a fraction is exact."""

    n: int
    total: float | Fraction


_DIGIT = 32
"""Bits of a digit: 2 billion images fit 64 bits."""

_UNBOUNDED = -40
"""Exponent of a range without an end, or with one so far that values lie anywhere within."""

_DIGIT_KEY = re.compile(r"(-?[0-9]{1,4})([x^])([0-9]{1,3})")
"""Of the sum of one digit: exponent, ``x`` of values or ``^`` of squares, place of the digit."""


def exponent_of(low: float, high: float) -> int | None:
    """The exponent e of a metric's range: it is summed by digits, in units of 2^(e − 40).

    ``None`` of ranges within [−1, 1], of which 2⁻⁴⁰ is a small part: 64 bits hold their sums.
    """
    width = high - low
    if low >= -1 and high <= 1 and width >= 2.0**-4:
        return None
    return min(frexp(width)[1], 0) if width <= 2.0**40 else _UNBOUNDED


def digits_of(value: float, exponent: int) -> dict[str, int]:
    """A value and its square as signed digits of base 2³², by the key under which each is summed.

    The square is that of the rounded value, exactly: so is the variance then.
    """
    numerator, denominator = value.as_integer_ratio()
    scaled = Fraction(numerator, denominator) * Fraction(2) ** (40 - exponent)
    rounded = round(scaled)
    found = {}
    for power, number in (("x", rounded), ("^", rounded * rounded)):
        sign, left, place = (1 if number >= 0 else -1), abs(number), 0
        while left or not place:
            left, digit = divmod(left, 2**_DIGIT)
            found[f"{exponent}{power}{place}"] = sign * digit
            place += 1
    return found


def digit_exponent(b: str) -> int | None:
    """The exponent in the key of a digit's sum; ``None`` where ``b`` is of another sum."""
    found = _DIGIT_KEY.fullmatch(b)
    return int(found[1]) if found else None


def sums_from(records: Iterable[tuple[str, str, int, int]]) -> Sums:
    """The sums of one cell from records (a, b, n, total) as they are stored."""
    sums: dict[tuple[str, str], Sum] = {}
    exact: dict[tuple[str, str], Fraction] = {}
    for a, b, n, total in records:
        if (found := _DIGIT_KEY.fullmatch(b)) is None:
            sums[a, b] = Sum(n, total * UNIT)
            continue
        power = 1 if found[2] == "x" else 2
        weight = Fraction(2) ** (power * (int(found[1]) - 40) + _DIGIT * int(found[3]))
        key = (a, "" if power == 1 else a)
        exact[key] = exact.get(key, Fraction(0)) + total * weight
    for (a, b), whole in exact.items():
        if (a, "") in sums:
            sums[a, b] = Sum(sums[a, ""].n, whole)
    return sums


Pair = tuple[Mapping[str, float], Mapping[str, float]]
"""The metrics of one image in two cells, by name."""

Sums = Mapping[tuple[str, str], Sum]
"""``(metric, "")`` → Σx; ``(metric, metric)`` → Σx²; ``(a, b)`` in the order of ``COMPONENTS`` →
Σab over rows with both.
"""


@dataclass(frozen=True, slots=True)
class Mean:
    """An average, how many it averages, and its standard error (``None`` below two values)."""

    n: int
    value: float
    se: float | None

    @property
    def half_width(self) -> float | None:
        """Half of the 95 % interval by Student's t with n - 1 degrees of freedom."""
        return None if self.se is None else t_quantile(self.n - 1) * self.se


@dataclass(frozen=True, slots=True)
class CellSummary:
    """The averages of one cell so far.

    Attributes:
        n: rows; ``failed``: images without one; ``degenerate``: rows whose map is all zero.
        means: metric → its mean; ``adcc`` is the headline, the harmonic mean of the averaged
            components.
        mean_image_adcc: the mean of the per-image ADCC, another number.
        mean_image_arcc: the same of ARCC, whose headline is ``means["arcc"]``.
        constant: the network says the same of every image: its confidence does not depend on it.
        blank: degenerate rows whose ADCC is not 0 but undefined.
    """

    cell: int
    n: int
    failed: int
    degenerate: int
    means: dict[str, Mean]
    mean_image_adcc: Mean | None
    mean_image_arcc: Mean | None = None
    constant: bool = False
    blank: int = 0

    @property
    def undefined(self) -> int:
        """Rows without a drop, and so without an ADCC: the confidence y is 0 there."""
        drop = self.means.get("average_drop")
        return self.n - (drop.n if drop else 0)

    @property
    def all_degenerate(self) -> bool:
        """Whether every map is all zero."""
        return 0 < self.n == self.degenerate


def mean_of(sums: Sums, metric: str) -> Mean | None:
    """The mean of one metric with the standard error of a simple random sample, or ``None``."""
    first = sums.get((metric, ""))
    if first is None or first.n == 0:
        return None
    value = float(first.total / first.n)
    if first.n < 2:
        return Mean(first.n, value, None)
    variance = _covariance(first, first, sums[metric, metric])
    return Mean(first.n, value, _root(variance / (first.n - 1)))


def _root(square: float | Fraction) -> float:
    """The square root, of a fraction also where a float does not hold it; 0 below 0."""
    if isinstance(square, Fraction) and square > 2**1000:
        return float(isqrt(int(square)))
    return sqrt(max(0.0, float(square)))


def harmonic_mean(parts: Sequence[float]) -> float:
    """Of numbers in [0, 1]; 0 where one is 0."""
    return 0.0 if min(parts) <= 0 else len(parts) / sum(1 / part for part in parts)


class Headline(NamedTuple):
    """A score of a cell that is the harmonic mean of averaged parts: ADCC, ARCC.

    Attributes:
        key: of the metric.
        sources: the metrics of an image that it is computed from.
        sums: the names under which their values, or what ``summed`` makes of them, are summed.
        signs: for each of these 1 where it is a part, −1 where one minus it is.
        order: places in ``sums`` in the order of the formula, which fixes the last digit.
        summed: the sources of an image → what is summed.
    """

    key: str
    sources: tuple[str, str, str]
    sums: tuple[str, ...]
    signs: tuple[int, ...]
    order: tuple[int, ...]
    summed: Callable[[float, float, float], tuple[float, ...]]

    def of_image(self, metrics: Mapping[str, float]) -> tuple[float, ...]:
        """What is summed of an image whose metrics are given by name."""
        first, second, third = (metrics[name] for name in self.sources)
        return self.summed(first, second, third)

    def of_averages(self, averages: Sequence[float]) -> float:
        """The score of the averages of what is summed; 0 where a part is 0."""
        return harmonic_mean([self._part(place, averages[place]) for place in self.order])

    def of_images(self, images: Sequence[Mapping[str, float]]) -> float:
        """The score of images whose metrics are given by name."""
        return self.of_averages(_averages([self.of_image(one) for one in images]))

    def of_sums(self, sums: Sums) -> Mean | None:
        """The score of a cell with its standard error.

        ``ψ_i = S²/3 · Σ_j (m_ij − m̄_j)/m̄_j²`` is the influence of image i on the score S, m its
        parts; ``SE = sd(ψ)/√n``, written out in the covariances of the parts, so that running sums
        are enough.

        Args:
            sums: over the same rows for all three parts (``over_complete_rows`` for ADCC).
        """
        firsts = [sums[name, ""] for name in self.sums if (name, "") in sums]
        if len(firsts) < len(self.sums) or not all(first.n for first in firsts):
            return None
        n, averages = firsts[0].n, [float(first.total / first.n) for first in firsts]
        if n < 2:
            return Mean(n, self.of_averages(averages), None)
        slopes = dict(zip(self.sums, self.slopes(averages), strict=True))
        variance = sum(
            (1 if a == b else 2)
            * slopes[a]
            * slopes[b]
            * float(_covariance(sums[a, ""], sums[b, ""], sums[a, b]))
            for a, b in combinations_with_replacement(self.sums, 2)
        )
        return Mean(n, self.of_averages(averages), sqrt(max(0.0, variance) / (n - 1)))

    def slopes(self, averages: Sequence[float]) -> list[float]:
        """The gradient of the score by the averages; all 0 where it is 0."""
        scale = self.of_averages(averages) ** 2 / len(self.sums)
        return [
            sign * scale / self._part(place, averages[place]) ** 2 if scale else 0.0
            for place, sign in enumerate(self.signs)
        ]

    def difference(self, both: Sequence[Pair]) -> tuple[float, list[float]]:
        """First minus second, and ``ψ^A − ψ^B`` of every image up to a constant."""
        pairs = [(self.of_image(one), self.of_image(other)) for one, other in both]
        first, second = (_averages(side) for side in zip(*pairs, strict=True))
        slopes, others = self.slopes(first), self.slopes(second)
        spread = [
            sum(a * x - b * y for a, x, b, y in zip(slopes, one, others, other, strict=True))
            for one, other in pairs
        ]
        return self.of_averages(first) - self.of_averages(second), spread

    def _part(self, place: int, average: float) -> float:
        return average if self.signs[place] > 0 else 1 - average


def _averages(images: Sequence[Sequence[float]]) -> list[float]:
    return [sum(values) / len(images) for values in zip(*images, strict=True)]


ADCC = Headline("adcc", COMPONENTS, COMPONENTS, (-1, 1, -1), (1, 2, 0), lambda *parts: parts)
"""Poppi et al., 2021, equation 5: coherency, 1 − complexity, 1 − average drop."""

ARCC = Headline(
    "arcc",
    ("coherency", "complexity", "road"),
    ("arcc/coherency", "arcc/simplicity", "arcc/road"),
    (1, 1, 1),
    (0, 1, 2),
    arcc_components,
)
"""Its parts and their products are summed over the images that have all three."""

HEADLINES: Mapping[str, Headline] = {one.key: one for one in (ADCC, ARCC)}


def harmonic_adcc(average_drop: float, coherency: float, complexity: float) -> float:
    """ADCC of three fractions; 0 where a component is 0."""
    return ADCC.of_averages((average_drop, coherency, complexity))


def over_complete_rows(sums: Sums, without_drop: Iterable[tuple[float, float]]) -> Sums:
    """The sums of the components over the rows that have a drop.

    Average drop is undefined where the confidence in the target underflows to 0. Coherency and
    complexity are known there and count in their own averages, but the headline must average its
    three components over the same images.

    Args:
        sums: of a cell, over all of its rows.
        without_drop: coherency and complexity of each of its rows that has none.
    """
    left_out = list(without_drop)
    if not left_out:
        return sums
    complete = dict(sums)
    values = {
        "coherency": [one for one, _ in left_out],
        "complexity": [other for _, other in left_out],
    }
    for key in [
        ("coherency", ""),
        ("complexity", ""),
        *combinations_with_replacement(values, 2),
    ]:
        products = (
            x * y
            for x, y in zip(
                values[key[0]], values[key[1]] if key[1] else [1.0] * len(left_out), strict=True
            )
        )
        n, total = complete[key]
        complete[key] = Sum(n - len(left_out), total - UNIT * sum(map(quantise, products)))
    return complete


def _covariance(first: Sum, second: Sum, product: Sum) -> float | Fraction:
    """Population covariance; exactly 0 where it is below what the sums resolve."""
    value = product.total / product.n - (first.total / first.n) * (second.total / second.n)
    if isinstance(value, Fraction):
        return value
    return value if abs(value) > _RESOLUTION else 0.0


def summarise(
    cell: int,
    sums: Sums,
    failed: int,
    without_drop: Iterable[tuple[float, float]] = (),
    *,
    constant: bool = False,
) -> CellSummary:
    """A cell's summary from its sums; metrics without values are left out.

    Args:
        without_drop: coherency and complexity of the rows without a drop, which the headline leaves
            out.
        constant: as ``CellSummary`` has it.
    """
    names = [name for name, b in sums if not b and name not in ("degenerate", *ARCC.sums)]
    means = {name: mean for name in names if (mean := mean_of(sums, name)) is not None}
    adcc, arcc = means.pop("adcc", None), means.pop("arcc", None)
    left_out = list(without_drop)
    headlines = {
        "adcc": ADCC.of_sums(over_complete_rows(sums, left_out)),
        "arcc": ARCC.of_sums(sums),
    }
    means |= {name: headline for name, headline in headlines.items() if headline is not None}
    degenerate = sums.get(("degenerate", ""), Sum(0, 0.0))
    return CellSummary(
        cell,
        degenerate.n,
        failed,
        round(degenerate.total),
        means,
        adcc,
        arcc,
        constant,
        blank=left_out.count((0.0, 0.0)),  # of an empty map both are 0
    )


@dataclass(frozen=True, slots=True)
class PairedDifference(Mean):
    """First minus second: the difference of the averages over the ``n`` common images."""

    @property
    def p(self) -> float | None:
        """Of the paired t test, two-sided, by itself; ``None`` below two images."""
        if self.se is None:
            return None
        if abs(self.value) <= UNIT:  # what the sums resolve: equal by construction
            return 1.0
        return t_test_p(self.value / self.se if self.se else inf, self.n - 1)

    @property
    def tested(self) -> bool:
        """Whether there are images enough for a test."""
        return self.p is not None and self.n >= FEWEST_TESTED

    @property
    def tie(self) -> bool:
        """Whether this one test, alone, leaves the two together; one value tells nothing apart."""
        return self.p is None or self.p > LEVEL


def paired_difference(metric: str, pairs: Iterable[Pair]) -> PairedDifference | None:
    """Paired difference of two cells in one metric.

    For ``HEADLINES`` that of the score, by ``ψ^A − ψ^B``.

    Args:
        metric: key; for these two every mapping holds the three components, else the metric itself.
        pairs: one pair of mappings for every common image.
    """
    both = list(pairs)
    if not both:
        return None
    if metric in HEADLINES:
        value, spread = HEADLINES[metric].difference(both)
    else:
        spread = [first[metric] - second[metric] for first, second in both]
        value = sum(spread) / len(spread)
    n = len(both)
    centre = sum(spread) / n
    squares = sum((x - centre) * (x - centre) for x in spread)
    se = sqrt(squares / (n - 1) / n) if n > 1 else None
    return PairedDifference(n, value, se)


# -- Student's t, and many tests at once
# --------------------------------------------------------------------------------------------------


@lru_cache(maxsize=65536)
def t_quantile(df: int, level: float = LEVEL) -> float:
    """Half-width of the two-sided interval of 1 - ``level``, in standard errors.

    Newton's method from the normal quantile, which lies below it: the tail is convex, so that every
    step stays on that side. Exact to 1e-9.

    Args:
        df: degrees of freedom, 1 or more.
        level: share of the two tails together.
    """
    z = NormalDist().inv_cdf(1 - level / 2)
    if df > _MANY:
        return _near_normal(z, df)
    t = z
    for _ in range(200):
        density = _gamma_ratio(df / 2) / sqrt(df) * exp(-(df + 1) / 2 * log1p(t * t / df))
        step = (t_test_p(t, df) - level) / (2 * density)
        t += step
        if abs(step) <= 1e-13 * t:
            break
    return t


_MANY = 1000
"""Beyond so many degrees of freedom the series of ``_near_normal`` is exact to 1e-12."""


def _near_normal(z: float, df: int) -> float:
    """Quantile from the normal one, by powers of 1/df (Abramowitz and Stegun, 26.7.5)."""
    first = (z**3 + z) / 4
    second = (5 * z**5 + 16 * z**3 + 3 * z) / 96
    third = (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384
    fourth = (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160
    return z + (first + (second + (third + fourth / df) / df) / df) / df


def t_test_p(t: float, df: int) -> float:
    """Probability of a Student's t at least as far from 0: ``I_x(df/2, 1/2)``, ``x = df/(df+t²)``.

    The incomplete beta function by its continued fraction (Press et al., Numerical Recipes, 6.4).
    """
    square = t * t
    if square == 0:
        return 1.0
    if square == inf:
        return 0.0
    a, x, rest = df / 2, df / (df + square), square / (df + square)
    front = _gamma_ratio(a) * exp(-a * log1p(square / df)) * sqrt(rest)
    if x < (a + 1) / (a + 2.5):
        return front * _beta_fraction(a, 0.5, x) / a
    return 1 - front * _beta_fraction(0.5, a, rest) / 0.5


def _gamma_ratio(a: float) -> float:
    """``Γ(a + 1/2) / (Γ(a) √π)``; of large a by its series, where logarithms lose digits."""
    if a < 64:
        return exp(lgamma(a + 0.5) - lgamma(a)) / sqrt(pi)
    u = 1 / a
    series = 1 + u * (
        -1 / 8 + u * (1 / 128 + u * (5 / 1024 + u * (-21 / 32768 - u * 399 / 262144)))
    )
    return sqrt(a / pi) * series


def _beta_fraction(a: float, b: float, x: float) -> float:
    """Continued fraction of the incomplete beta function, by Lentz's method."""
    c, d = 1.0, 1 / (1 - (a + b) * x / (a + 1))
    value = d
    for m in range(1, 100_000):
        for term in (
            m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
            -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)),
        ):
            d, c = 1 / (1 + term * d), 1 + term / c
            value *= d * c
        if abs(d * c - 1) < 1e-16:
            break
    return value


K = TypeVar("K", bound=Hashable)


def holm_separated(p: Mapping[K, float], family: int | None = None) -> set[K]:
    """Those that fall by Holm's step-down procedure (1979): all of them right, but for 5 %.

    Args:
        p: of each test.
        family: how many tests there are, where some are left out that are known not to fall or not
            known yet.
    """
    left = max(len(p), family or 0)
    fallen: set[K] = set()
    for key in sorted(p, key=lambda key: p[key]):
        if p[key] > LEVEL / left:
            break
        fallen.add(key)
        left -= 1
    return fallen
