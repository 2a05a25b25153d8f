"""Queries about cells: averages, distributions, convergence, paired differences.

At most two cells are scanned.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Any, NamedTuple

from evaluator.catalog import ROW_METRICS
from evaluator.statistics import (
    ADCC,
    ARCC,
    FEWEST_TESTED,
    UNIT,
    CellSummary,
    PairedDifference,
    Sum,
    Sums,
    paired_difference,
    summarise,
)
from evaluator.store import schema
from evaluator.store.checks import Checks
from evaluator.store.readonly import ReadOnlyFile


class ConvergencePoint(NamedTuple):
    """The components of one image in evaluation order: what convergence is drawn from."""

    average_drop: float
    coherency: float
    complexity: float


_SAME = 1e-6
"""Confidences of one image in two batches differ by less than this."""


def _stored_as(metric: str) -> tuple[str, ...]:
    """The optional metrics that differences of a metric are computed from, ``''`` for rows."""
    if metric == "arcc":
        return ("", "road")
    return ("",) if metric in ROW_METRICS else (metric,)


class Averages:
    """Averages, distributions, convergence and differences of cells."""

    def __init__(self, file: ReadOnlyFile, checks: Checks) -> None:
        self._file = file
        self._checks = checks

    def summaries(self) -> list[CellSummary]:
        """One summary per cell, from the running sums: a few dozen rows for any number of images.

        Raises:
            StoreError: running sums are not what was written.
        """
        with self._file.moment():
            failed = dict(
                self._file.all(
                    "SELECT cell_id, count(*) FROM failures WHERE metric = '' GROUP BY cell_id"
                )
            )
            records: dict[int, list[tuple[Any, ...]]] = {
                cell: [] for (cell,) in self._file.all("SELECT id FROM cells ORDER BY id")
            }
            for cell, *record in self._file.all(
                "SELECT cell_id, a, b, n, total FROM sums WHERE cell_id IN (SELECT id FROM cells)"
            ):
                records[cell].append(tuple(record))
            self._checks.verify_sums(records)
            summaries = []
            for cell, found in records.items():
                sums = {(a, b): Sum(n, total * UNIT) for a, b, n, total in found}
                without_drop = self._without_drop(cell, sums)
                constant = self._constant(cell, sums)
                summaries.append(
                    summarise(cell, sums, failed.get(cell, 0), without_drop, constant=constant)
                )
            return summaries

    def _constant(self, cell: int, sums: Sums) -> bool:
        """Whether the answer is one for all images and their explanation maps.

        One predicted class, and one confidence in each class that is explained. Reads as far as the
        first row that differs: the second one at most, of a network that sees images.
        """
        rows = sums.get(("complexity", ""))
        if rows is None or rows.n < FEWEST_TESTED:
            return False
        known: dict[int, float] = {}
        classes: set[int] = set()
        with closing(
            self._file.stream(
                "SELECT predicted, target, y, o FROM results WHERE cell_id = ?", (cell,)
            )
        ) as found:
            for predicted, target, y, o in found:
                classes.add(predicted)
                first = known.setdefault(target, y)
                if len(classes) > 1 or max(abs(y - first), abs(o - first)) > _SAME:
                    return False
        self._checks.verify(cell)
        return True

    def _without_drop(self, cell: int, sums: Sums) -> list[tuple[float, float]]:
        """Coherency and complexity of rows without a drop: hardly any, found by ADCC's index."""
        rows, drops = sums.get(("coherency", "")), sums.get(("average_drop", ""))
        if rows is None or (drops is not None and drops.n == rows.n):
            return []
        found = self._file.all(
            "SELECT image_id, coherency, complexity FROM results INDEXED BY results_by_adcc"
            " WHERE cell_id = ? AND adcc IS NULL AND average_drop IS NULL",
            (cell,),
        )
        if found:
            self._checks.verify_images(cell, "", [image for image, *_ in found])
        return [(coherency, complexity) for _, coherency, complexity in found]

    def histogram(self, cell: int, metric: str) -> list[int]:
        """Images per bin, ``schema.HISTOGRAM_BINS`` equal bins of the metric's range.

        Raises:
            StoreError: the histograms of the cell are not what was written.
        """
        with self._file.moment():
            query = "SELECT metric, bin, n FROM histograms WHERE cell_id = ?"
            self._checks.verify_histograms({cell: self._file.all(query, (cell,))})
            return self.unverified_histogram(cell, metric)

    def unverified_histogram(self, cell: int, metric: str) -> list[int]:
        """As ``histogram``, for whom a wrong one costs time and nothing else."""
        bins = [0] * schema.HISTOGRAM_BINS
        for place, n in self._file.all(
            "SELECT bin, n FROM histograms WHERE cell_id = ? AND metric = ? AND bin BETWEEN 0"
            " AND ?",
            (cell, metric, len(bins) - 1),
        ):
            bins[place] = n
        return bins

    def convergence(self, cell: int) -> Iterator[ConvergencePoint]:
        """The components of every image of a cell in evaluation order.

        Rows with an undefined drop are left out.

        Raises:
            StoreError: a row is not what was written.
        """
        self._checks.verify(cell)
        cursor = self._file.stream(
            "SELECT average_drop, coherency, complexity FROM results WHERE cell_id = ? AND "
            "average_drop IS NOT NULL"
            " ORDER BY image_id",
            (cell,),
        )
        return (ConvergencePoint(*row) for row in cursor)

    def paired(self, metric: str, first: int, second: int) -> PairedDifference | None:
        """Paired difference of two cells over their common images.

        Reads and verifies both cells: not for every tick.

        Raises:
            StoreError: a row is not what was written.
        """
        with self._file.moment():
            for cell in (first, second):
                for key in _stored_as(metric):
                    self._checks.verify(cell, key)
            return self._paired(metric, first, second)

    def _paired(self, metric: str, first: int, second: int) -> PairedDifference | None:
        if metric == "adcc":
            names = ADCC.sources
            columns = ", ".join(f"{side}.{name}" for side in "fs" for name in names)
            rows = self._file.all(
                f"SELECT {columns} FROM results f JOIN results s USING (image_id)"
                " WHERE f.cell_id = ? AND s.cell_id = ? AND f.average_drop NOTNULL AND "
                "s.average_drop NOTNULL",
                (first, second),
            )
            pairs = (
                (dict(zip(names, row[:3], strict=True)), dict(zip(names, row[3:], strict=True)))
                for row in rows
            )
            return paired_difference(metric, pairs)
        if metric == "arcc":
            return paired_difference(metric, self._arcc_pairs(first, second))
        if metric in ROW_METRICS:
            rows = self._file.all(
                f"SELECT f.{metric}, s.{metric} FROM results f JOIN results s USING (image_id)"
                f" WHERE f.cell_id = ? AND s.cell_id = ? AND f.{metric} NOTNULL AND s.{metric} "
                "NOTNULL",
                (first, second),
            )
        else:
            rows = self._file.all(
                "SELECT f.value, s.value FROM measurements f JOIN measurements s USING "
                "(metric, image_id)"
                " WHERE f.cell_id = ? AND s.cell_id = ? AND metric = ?",
                (first, second, metric),
            )
        return paired_difference(metric, (({metric: a}, {metric: b}) for a, b in rows))

    def _arcc_pairs(
        self, first: int, second: int
    ) -> Iterator[tuple[dict[str, float], dict[str, float]]]:
        """The sources of ARCC, of the images for which both cells have all of them."""
        sides: list[dict[int, dict[str, float]]] = []
        for cell in (first, second):
            found = self._file.all(
                "SELECT image_id, coherency, complexity, value FROM results JOIN measurements "
                "USING (cell_id, image_id)"
                " WHERE cell_id = ? AND metric = 'road'",
                (cell,),
            )
            sides.append(
                {image: dict(zip(ARCC.sources, values, strict=True)) for image, *values in found}
            )
        return ((sides[0][image], sides[1][image]) for image in sides[0] if image in sides[1])

    def raw_sums(self) -> dict[tuple[int, str, str], tuple[int, int]]:
        """The running sums as stored: (cell, a, b) → (n, total in units of 2⁻⁴⁰)."""
        return {
            (cell, a, b): (n, total)
            for cell, a, b, n, total in self._file.all("SELECT cell_id, a, b, n, total FROM sums")
        }

    def raw_histograms(self) -> dict[tuple[int, str, int], int]:
        """The histograms as stored: (cell, metric, bin) → n, empty bins left out."""
        return {
            (cell, metric, bin_): n
            for cell, metric, bin_, n in self._file.all("SELECT * FROM histograms WHERE n > 0")
        }
