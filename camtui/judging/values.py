"""A backbone's stored numbers as arrays, a column of images for each metric and method."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from evaluator import catalog
from evaluator.metrics.base import Metric
from evaluator.records import Cell
from evaluator.statistics import HEADLINES

if TYPE_CHECKING:
    from evaluator.store.reader import RunReader

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Values:
    """Stored values of a backbone's cells.

    Attributes:
        columns: (metric, cell) → ``[images]``, by rank in the run's order; NaN where there is no
            value.
        images: how many images the run has.
    """

    columns: dict[tuple[str, int], Floats]
    images: int

    def parts(self, metric: str, cells: Sequence[Cell]) -> list[Floats]:
        """Return each of ``parts_of(metric)`` as ``[cells, images]``.

        An image that lacks one of these numbers in one of the cells counts in none: averages are
        over the same images.
        """
        found = [self._raw(part, cells) for part in parts_of(metric)]
        missing = np.isnan(np.stack(found)).any((0, 1))
        for part in found:
            part[:, missing] = np.nan
        return found

    def of(self, metric: str, cells: Sequence[Cell]) -> Floats:
        """Return a metric, ``[cells, images]``; NaN where an image lacks a value in a cell."""
        found = self._raw(metric, cells)
        found[:, np.isnan(found).any(0)] = np.nan
        return found

    def _raw(self, metric: str, cells: Sequence[Cell]) -> Floats:
        nothing = np.full(self.images, np.nan)
        return np.stack([self.columns.get((metric, cell.id), nothing) for cell in cells])

    def has(self, metric: str, cells: Sequence[Cell]) -> bool:
        """Return whether each cell has a value of that metric."""
        return len(self.having(metric, cells)) == len(cells)

    def having(self, metric: str, cells: Sequence[Cell]) -> list[Cell]:
        """Return those of the cells that have a value of that metric."""
        return [cell for cell in cells if (metric, cell.id) in self.columns]


def read_values(reader: RunReader, cells: Sequence[Cell], metrics: Sequence[Metric]) -> Values:
    """Read every value of some cells in some metrics and in the components that these average."""
    images = reader.info().image_count
    keys = dict.fromkeys(key for metric in metrics for key in (metric.key, *parts_of(metric.key)))
    columns: dict[tuple[str, int], Floats] = {}
    for cell in cells:
        for key in keys:
            pairs = reader.rows.values(cell.id, key)
            if pairs:
                column = columns[key, cell.id] = np.full(images, np.nan)
                places, numbers = zip(*pairs, strict=True)
                column[np.array(places)] = numbers
    return Values(columns, images)


def parts_of(metric: str) -> tuple[str, ...]:
    """Return the metrics whose averages make up this one's: itself, or its components."""
    return HEADLINES[metric].sources if metric in HEADLINES else (metric,)


def headline(metric: str, averages: Sequence[Floats]) -> Floats:
    """Return a method's average from those of ``parts_of(metric)``, or their harmonic mean."""
    if metric not in HEADLINES:
        return averages[0]
    score = HEADLINES[metric]
    summed = averages if metric == "adcc" else _parts_of_arcc(*averages)
    turned = [summed[at] if score.signs[at] > 0 else 1 - summed[at] for at in score.order]
    safe = [np.where(one > 0, one, np.nan) for one in turned]
    mean = len(safe) / sum(1 / one for one in safe)
    undefined = np.isnan(np.stack(turned)).any(0)
    return np.where(undefined, np.nan, np.where(np.isnan(mean), 0.0, mean))


def _parts_of_arcc(coherency: Floats, complexity: Floats, road: Floats) -> list[Floats]:
    """As ``statistics.arcc_components``, of arrays."""
    return [coherency, 1 - complexity, np.clip(2 * road, 0, 1)]


def better(metric: str, values: Floats) -> Floats:
    """Return values turned so that more is better."""
    return catalog.known_metrics()[metric].sign * values
