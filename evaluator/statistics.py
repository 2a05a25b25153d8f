"""Means, standard errors and the headline ADCC from running sums; paired differences.

Plain arithmetic, no arrays. Sums are integers in units of 2⁻⁴⁰: addition is then associative, so
that a table does not depend on the order in which workers finished, to the last digit. A value in
[0, 1] is rounded by at most 5e-13; 8 million images fit 64 bits.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations_with_replacement
from math import sqrt
from typing import NamedTuple

UNIT = 2.0**-40
Z95 = 1.959963984540054
"""Half-width of a 95 % normal interval in standard errors."""

COMPONENTS = ("average_drop", "coherency", "complexity")
"""The components of ADCC; their cross-products are summed beside their squares."""

ARCC_SOURCES = ("coherency", "complexity", "road")
"""The metrics that ARCC is computed from."""


def arcc_components(coherency: float, complexity: float, road: float) -> tuple[float, float, float]:
    """The three parts of ARCC: coherency, 1 − complexity, ``R = clip(2·ROAD, 0, 1)``.

    Each is in [0, 1], and the higher the better.
    """
    return coherency, 1 - complexity, min(1.0, max(0.0, 2 * road))


ARCC_PARTS = ("arcc/coherency", "arcc/simplicity", "arcc/road")
"""Under which names these parts and their products are summed, over the images that have all three.
"""

_RESOLUTION = 2.0**-38
"""Variances below this are rounding of the sums, not spread (Fake-CAM's complexity is one
constant).
"""


def quantise(value: float) -> int:
    """A value in [0, 1] as an integer multiple of 2⁻⁴⁰."""
    return round(value * 2**40)


class Sum(NamedTuple):
    """n values and their total."""

    n: int
    total: float


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
        """Half of the 95 % interval."""
        return None if self.se is None else Z95 * self.se


@dataclass(frozen=True, slots=True)
class CellSummary:
    """The averages of one cell so far.

    Attributes:
        n: rows; ``failed``: images without one; ``degenerate``: rows whose map is all zero.
        means: metric → its mean; ``adcc`` is the headline, the harmonic mean of the averaged
            components.
        mean_image_adcc: the mean of the per-image ADCC, another number.
        mean_image_arcc: the same of ARCC, whose headline is ``means["arcc"]``.
    """

    cell: int
    n: int
    failed: int
    degenerate: int
    means: dict[str, Mean]
    mean_image_adcc: Mean | None
    mean_image_arcc: Mean | None = None


def mean_of(sums: Sums, metric: str) -> Mean | None:
    """The mean of one metric with the standard error of a simple random sample, or ``None``."""
    first = sums.get((metric, ""))
    if first is None or first.n == 0:
        return None
    value = first.total / first.n
    if first.n < 2:
        return Mean(first.n, value, None)
    variance = max(0.0, _covariance(first, first, sums[metric, metric]))
    return Mean(first.n, value, sqrt(variance / (first.n - 1)))


def harmonic_adcc(average_drop: float, coherency: float, complexity: float) -> float:
    """ADCC of three fractions (Poppi et al., 2021, equation 5); 0 where a component is 0."""
    parts = (coherency, 1 - complexity, 1 - average_drop)
    return 0.0 if min(parts) <= 0 else 3 / sum(1 / part for part in parts)


def headline_adcc(sums: Sums) -> Mean | None:
    """ADCC of a cell: the harmonic mean of the averaged components, with its standard error.

    ``ψ_i = ADCC²/3 · Σ_j (m_ij − m̄_j)/m̄_j²`` is the influence of image i, ``m = (Coh, 1 − Compl,
    1 − AD)``; ``SE = sd(ψ)/√n``, written out in the covariances of the components, so that running
    sums are enough.

    Args:
        sums: over the same rows for all three components, those that have a drop:
            ``over_complete_rows``.
    """
    drop, coherency, complexity = (sums.get((name, "")) for name in COMPONENTS)
    if (
        drop is None
        or coherency is None
        or complexity is None
        or not (drop.n and coherency.n and complexity.n)
    ):
        return None
    averages = drop.total / drop.n, coherency.total / coherency.n, complexity.total / complexity.n
    adcc = harmonic_adcc(*averages)
    if drop.n < 2:
        return Mean(drop.n, adcc, None)
    slopes = influence_slopes(*averages)
    variance = sum(
        twice * slopes[a] * slopes[b] * _covariance(sums[a, ""], sums[b, ""], sums[a, b])
        for a, b, twice in _PRODUCTS
    )
    return Mean(drop.n, adcc, sqrt(max(0.0, variance) / (drop.n - 1)))


_PRODUCTS = tuple(
    (a, b, 1 if a == b else 2) for a, b in combinations_with_replacement(COMPONENTS, 2)
)
"""Every product of two components once; those of two different ones count twice in a variance."""


def harmonic_mean(parts: Sequence[float]) -> float:
    """Of numbers in [0, 1]; 0 where one is 0."""
    return 0.0 if min(parts) <= 0 else len(parts) / sum(1 / part for part in parts)


def _harmonic_slopes(parts: Sequence[float]) -> list[float]:
    """The gradient of the harmonic mean by its parts; 0 where the mean is 0."""
    mean = harmonic_mean(parts)
    return [mean**2 / len(parts) / part**2 if mean else 0.0 for part in parts]


def headline_arcc(sums: Sums) -> Mean | None:
    """ARCC of a cell: the harmonic mean of the averaged parts, with its standard error."""
    firsts = [sums[part, ""] for part in ARCC_PARTS if (part, "") in sums]
    if len(firsts) < len(ARCC_PARTS) or not firsts[0].n:
        return None
    n, averages = firsts[0].n, [first.total / first.n for first in firsts]
    if n < 2:
        return Mean(n, harmonic_mean(averages), None)
    slopes = dict(zip(ARCC_PARTS, _harmonic_slopes(averages), strict=True))
    variance = sum(
        (1 if a == b else 2)
        * slopes[a]
        * slopes[b]
        * _covariance(sums[a, ""], sums[b, ""], sums[a, b])
        for a, b in combinations_with_replacement(ARCC_PARTS, 2)
    )
    return Mean(n, harmonic_mean(averages), sqrt(max(0.0, variance) / (n - 1)))


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
        *((a, b) for a, b, _ in _PRODUCTS if a != "average_drop"),
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


def influence_slopes(average_drop: float, coherency: float, complexity: float) -> dict[str, float]:
    """``∂ADCC/∂component`` at the averaged components; all 0 where ADCC is 0."""
    scale = harmonic_adcc(average_drop, coherency, complexity) ** 2 / 3
    if scale == 0:
        return dict.fromkeys(COMPONENTS, 0.0)
    return {
        "average_drop": -scale / (1 - average_drop) ** 2,
        "coherency": scale / coherency**2,
        "complexity": -scale / (1 - complexity) ** 2,
    }


def _covariance(first: Sum, second: Sum, product: Sum) -> float:
    """Population covariance; exactly 0 where it is below what the sums resolve."""
    value = product.total / product.n - (first.total / first.n) * (second.total / second.n)
    return value if abs(value) > _RESOLUTION else 0.0


def summarise(
    cell: int, sums: Sums, failed: int, without_drop: Iterable[tuple[float, float]] = ()
) -> CellSummary:
    """A cell's summary from its sums; metrics without values are left out.

    Args:
        without_drop: coherency and complexity of the rows without a drop, which the headline leaves
            out.
    """
    names = [name for name, b in sums if not b and name not in ("degenerate", *ARCC_PARTS)]
    means = {name: mean for name in names if (mean := mean_of(sums, name)) is not None}
    adcc, arcc = means.pop("adcc", None), means.pop("arcc", None)
    headlines = {
        "adcc": headline_adcc(over_complete_rows(sums, without_drop)),
        "arcc": headline_arcc(sums),
    }
    means |= {name: headline for name, headline in headlines.items() if headline is not None}
    degenerate = sums.get(("degenerate", ""), Sum(0, 0.0))
    return CellSummary(cell, degenerate.n, failed, round(degenerate.total), means, adcc, arcc)


@dataclass(frozen=True, slots=True)
class PairedDifference(Mean):
    """First minus second: the difference of the averages over the ``n`` common images."""

    @property
    def tie(self) -> bool:
        """Whether 0 is inside the 95 % interval; two values or fewer can tell nothing apart."""
        return self.half_width is None or abs(self.value) <= self.half_width


Pair = tuple[Mapping[str, float], Mapping[str, float]]


def paired_difference(metric: str, pairs: Iterable[Pair]) -> PairedDifference | None:
    """Paired difference of two cells in one metric.

    For ``adcc`` and ``arcc`` that of the headline, by ``ψ^A − ψ^B``.

    Args:
        metric: key; for these two every mapping holds the three components, else the metric itself.
        pairs: one pair of mappings for every common image.
    """
    both = list(pairs)
    if not both:
        return None
    if metric == "adcc":
        value, spread = _adcc_difference(both)
    elif metric == "arcc":
        value, spread = _arcc_difference(both)
    else:
        spread = [first[metric] - second[metric] for first, second in both]
        value = sum(spread) / len(spread)
    n = len(both)
    centre = sum(spread) / n
    se = sqrt(sum((x - centre) ** 2 for x in spread) / (n - 1) / n) if n > 1 else None
    return PairedDifference(n, value, se)


def _adcc_difference(both: list[Pair]) -> tuple[float, list[float]]:
    """First minus second, and ``ψ^A − ψ^B`` of every image up to a constant."""
    first, second = (
        {name: sum(pair[side][name] for pair in both) / len(both) for name in COMPONENTS}
        for side in (0, 1)
    )
    slopes, others = influence_slopes(**first), influence_slopes(**second)
    spread = [
        sum(slopes[name] * one[name] - others[name] * other[name] for name in COMPONENTS)
        for one, other in both
    ]
    return harmonic_adcc(**first) - harmonic_adcc(**second), spread


def _arcc_difference(both: list[Pair]) -> tuple[float, list[float]]:
    """The same for ARCC."""
    parts = [(_arcc_components_of(one), _arcc_components_of(other)) for one, other in both]
    averages = [
        [sum(values) / len(parts) for values in zip(*side, strict=True)]
        for side in zip(*parts, strict=True)
    ]
    slopes, others = map(_harmonic_slopes, averages)
    spread = [
        sum(a * x for a, x in zip(slopes, first, strict=True))
        - sum(b * y for b, y in zip(others, second, strict=True))
        for first, second in parts
    ]
    return harmonic_mean(averages[0]) - harmonic_mean(averages[1]), spread


def _arcc_components_of(image: Mapping[str, float]) -> tuple[float, ...]:
    return arcc_components(*(image[name] for name in ARCC_SOURCES))


def average_arcc(images: Sequence[Mapping[str, float]]) -> float:
    """The headline of images whose components are given by name."""
    parts = [_arcc_components_of(one) for one in images]
    return harmonic_mean([sum(part) / len(parts) for part in zip(*parts, strict=True)])
