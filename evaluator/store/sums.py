"""The share of rows in the running sums and histograms of their cells.

The one rule, for the writer and for the audit.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
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


def sums_of(
    rows: Iterable[Row], measurements: Iterable[Measurement], arcc: Iterable[ArccSources] = ()
) -> tuple[Deltas, Counter[tuple[int, str, int]]]:
    """Sum up rows and measurements for the running sums and histograms of their cells.

    Args:
        arcc: the sources of the measurements of ARCC.

    Returns:
        ``(cell, a, b) → [n, Σ]`` in units of 2⁻⁴⁰, and ``(cell, metric, bin) → n``.
    """
    sums: Deltas = {}
    bins: Counter[tuple[int, str, int]] = Counter()

    def add(cell: int, a: str, b: str, value: float) -> None:
        entry = sums.setdefault((cell, a, b), [0, 0])
        entry[0] += 1
        entry[1] += statistics.quantise(value)

    def add_value(cell: int, metric: str, value: float) -> None:
        add(cell, metric, "", value)
        add(cell, metric, metric, value * value)
        bins[cell, metric, schema.histogram_bin(value, *value_range(metric))] += 1

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
