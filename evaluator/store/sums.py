"""The share of rows in the running sums and histograms of their cells.

The one rule, for the writer and for the audit.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from itertools import combinations, combinations_with_replacement
from typing import NamedTuple

from evaluator import statistics
from evaluator.catalog import ROW_METRICS, value_range
from evaluator.records import Measurement, Row
from evaluator.store import schema

Deltas = dict[tuple[int, str, str], list[int]]


class ArccSources(NamedTuple):
    """The numbers that the ARCC of one image in one cell was computed from."""

    cell: int
    coherency: float
    complexity: float
    road: float


ARCC_QUERY = (
    "SELECT a.cell_id, r.coherency, r.complexity, d.value FROM measurements a"
    " JOIN results r ON r.cell_id = a.cell_id AND r.image_id = a.image_id"
    " JOIN measurements d ON d.cell_id = a.cell_id AND d.metric = 'road' AND d.image_id = "
    "a.image_id WHERE a.metric = 'arcc'"
)
"""The query of ``ArccSources``."""


Exponents = Mapping[tuple[int, str], int | None]
"""(cell, metric) → the exponent of its sums, ``None`` where they are in units of 2⁻⁴⁰."""


def stored_exponents(keys: Iterable[tuple[int, str, str]]) -> dict[tuple[int, str], int | None]:
    """The exponents of sums that are there, by their (cell, a, b)."""
    found: dict[tuple[int, str], int | None] = {}
    for cell, a, b in keys:
        if b == a:
            found[cell, a] = None
        elif (exponent := statistics.digit_exponent(b)) is not None:
            found.setdefault((cell, a), exponent)
    return found


def sums_of(
    rows: Iterable[Row],
    measurements: Iterable[Measurement],
    arcc: Iterable[ArccSources] = (),
    exponents: Exponents | None = None,
) -> tuple[Deltas, Counter[tuple[int, str, int]]]:
    """Sum up rows and measurements for the running sums and histograms of their cells.

    Args:
        arcc: the sources of the measurements of ARCC.
        exponents: of sums that are there already; others follow the metric's range.

    Returns:
        ``(cell, a, b) → [n, Σ]`` in units of 2⁻⁴⁰, or of digits; and ``(cell, metric, bin) → n``.
    """
    sums: Deltas = {}
    bins: Counter[tuple[int, str, int]] = Counter()
    known = exponents or {}

    def add_units(cell: int, a: str, b: str, units: int) -> None:
        entry = sums.setdefault((cell, a, b), [0, 0])
        entry[0] += 1
        entry[1] += units

    def add(cell: int, a: str, b: str, value: float) -> None:
        add_units(cell, a, b, statistics.quantise(value))

    def add_value(cell: int, metric: str, value: float) -> None:
        scale = value_range(metric)
        bins[cell, metric, schema.histogram_bin(value, *scale)] += 1
        key = (cell, metric)
        exponent = known[key] if key in known else statistics.exponent_of(*scale)
        if exponent is None:
            add(cell, metric, "", value)
            add(cell, metric, metric, value * value)
            return
        add_units(cell, metric, "", 0)
        for b, digit in statistics.digits_of(value, exponent).items():
            add_units(cell, metric, b, digit)

    for row in rows:
        add(row.cell, "degenerate", "", float(row.degenerate))
        values = {name: getattr(row, name) for name in ROW_METRICS}
        for name, value in values.items():
            if value is not None:
                add_value(row.cell, name, value)
        for a, b in combinations(statistics.COMPONENTS, 2):
            if values[a] is not None and values[b] is not None:
                add(row.cell, a, b, values[a] * values[b])
    for measurement in measurements:
        add_value(measurement.cell, measurement.metric, measurement.value)
    for sources in arcc:
        parts = dict(zip(statistics.ARCC.sums, statistics.ARCC.summed(*sources[1:]), strict=True))
        for a, value in parts.items():
            add(sources.cell, a, "", value)
        for a, b in combinations_with_replacement(parts, 2):
            add(sources.cell, a, b, parts[a] * parts[b])
    return sums, bins
