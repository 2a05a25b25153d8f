"""Queries: single images, their rows and maps, averages and differences of cells."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import closing
from typing import Any, NamedTuple

from evaluator.catalog import ROW_METRICS
from evaluator.errors import NotFound
from evaluator.records import ImageRef, Measurement, Row, StoredMap
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
from evaluator.store.checks import Checks, is_record_sound
from evaluator.store.readonly import ReadOnlyFile
from evaluator.store.schema import MEASUREMENT_COLUMNS, ROW_COLUMNS, ROW_WIDTH, row_of
from evaluator.store.sums import ARCC_QUERY, ArccSources
from evaluator.text import printable


class StoredMaps(NamedTuple):
    """Finished rows as optional metrics need them.

    Attributes:
        maps: (cell, image) → what the row knows; ``damaged``: those whose checksum is not theirs,
            which must not be used.
    """

    maps: dict[tuple[int, int], StoredMap]
    damaged: frozenset[tuple[int, int]]


class Rows:
    """The rows of a run, and its optional metrics."""

    def __init__(self, file: ReadOnlyFile, images: Images, checks: Checks) -> None:
        self._file = file
        self._images = images
        self._checks = checks

    def get(self, cell: int, image: int) -> Row | None:
        """One image in one cell, ``None`` while there is no row."""
        found = self._file.stream(
            f"SELECT {ROW_COLUMNS} FROM results WHERE cell_id = ? AND image_id = ?", (cell, image)
        ).fetchone()
        return row_of(found) if found else None

    def of_cell(
        self, cell: int, *, verify: bool = False
    ) -> Iterator[tuple[Row, ImageRef, dict[str, float]]]:
        """Every row of a cell in image order, with its image and its optional metrics; streams.

        Args:
            verify: compare every checksum.

        Raises:
            StoreError: with ``verify``, at the first row or measurement that is not what was
                written.
        """
        if verify:
            self._checks.verify_cell(cell)
        cursor = self._file.stream(
            f"SELECT {ROW_COLUMNS}, {self._images.columns} FROM results JOIN images i ON i.id "
            "= image_id"
            " WHERE cell_id = ? ORDER BY image_id",
            (cell,),
        )
        optional = {
            name: self._file.stream(
                "SELECT image_id, value FROM measurements WHERE cell_id = ? AND metric = ? "
                "ORDER BY image_id",
                (cell, name),
            )
            for (name,) in self._file.all(
                "SELECT DISTINCT metric FROM measurements WHERE cell_id = ?", (cell,)
            )
        }
        heads = {name: next(values, None) for name, values in optional.items()}
        for record in cursor:
            row = row_of(record[:ROW_WIDTH])
            measured: dict[str, float] = {}
            for name, values in optional.items():
                head = heads[name]
                while head is not None and head[0] < row.image:
                    head = next(values, None)
                if head is not None and head[0] == row.image:
                    measured[name] = head[1]
                heads[name] = head
            yield row, ImageRef(*record[ROW_WIDTH:]), measured

    def values(self, cell: int, metric: str) -> list[tuple[int, float]]:
        """(image, value) of a metric for every image of a cell that has one, in image order.

        Raises:
            StoreError: a row is not what was written.
        """
        self._checks.verify(cell, "" if metric in ROW_METRICS else metric)
        if metric in ROW_METRICS:
            return self._file.all(
                f"SELECT image_id, {metric} FROM results WHERE cell_id = ? AND {metric} "
                "NOTNULL ORDER BY image_id",
                (cell,),
            )
        return self._file.all(
            "SELECT image_id, value FROM measurements WHERE cell_id = ? AND metric = ? ORDER "
            "BY image_id",
            (cell, metric),
        )

    def measurements(self, cell: int, image: int) -> dict[str, Measurement]:
        """The optional metrics of one image in one cell, with their curves."""
        rows = self._file.all(
            f"SELECT {MEASUREMENT_COLUMNS} FROM measurements WHERE cell_id = ? AND image_id = ?",
            (cell, image),
        )
        return {row[2]: Measurement(*row) for row in rows}

    def undefined(self) -> list[tuple[int, int]]:
        """(cell, image) of the rows without average drop and ADCC: the confidence y is 0 there.

        Hardly any, found by ADCC's index.
        """
        return [
            (cell, image)
            for (cell,) in self._file.all("SELECT id FROM cells ORDER BY id")
            for (image,) in self._file.all(
                "SELECT image_id FROM results INDEXED BY results_by_adcc"
                " WHERE cell_id = ? AND adcc IS NULL AND average_drop IS NULL ORDER BY image_id",
                (cell,),
            )
        ]

    def every_row(self) -> Iterator[Row]:
        """Every row of every cell; streams."""
        return map(row_of, self._file.stream(f"SELECT {ROW_COLUMNS} FROM results"))

    def every_measurement(self) -> Iterator[Measurement]:
        """Every optional metric of every cell; streams."""
        found = self._file.stream(f"SELECT {MEASUREMENT_COLUMNS} FROM measurements")
        return (Measurement(*row) for row in found)

    def every_arcc_source(self) -> Iterator[ArccSources]:
        """The sources of every measurement of ARCC; streams."""
        return (ArccSources(*row) for row in self._file.stream(ARCC_QUERY))

    def finished(
        self, cells: Sequence[int], metric: str, first: int, last: int
    ) -> set[tuple[int, int]]:
        """(cell, image) pairs that have a row, a value of the metric, or a failure.

        Args:
            metric: ``''`` for rows.
            first, last: ranks of images, both included.
        """
        finished: set[tuple[int, int]] = set()
        source = "measurements WHERE metric = ?2" if metric else "results WHERE ?2 = ''"
        for cell in cells:
            found = self._file.all(
                f"SELECT image_id FROM {source} AND cell_id = ?1 AND image_id BETWEEN ?3 AND ?4"
                " UNION ALL SELECT image_id FROM failures"
                " WHERE metric IN (?2, '') AND cell_id = ?1 AND image_id BETWEEN ?3 AND ?4",
                (cell, metric, first, last),
            )
            finished.update((cell, image) for (image,) in found)
        return finished

    def components(self, cells: Sequence[int], first: int, end: int) -> list[tuple[Any, ...]]:
        """(cell, image, average drop, coherency, complexity) of some cells' rows and failures.

        Images first to end - 1; of a failure the numbers are ``None``.
        """
        return self._file.all(
            "SELECT cell_id, image_id, average_drop, coherency, complexity FROM results"
            " WHERE cell_id IN (SELECT value FROM json_each(?1)) AND image_id >= ?2 AND "
            "image_id < ?3"
            " UNION ALL SELECT cell_id, image_id, NULL, NULL, NULL FROM failures"
            " WHERE cell_id IN (SELECT value FROM json_each(?1)) AND image_id >= ?2 AND "
            "image_id < ?3 AND metric = ''",
            (json.dumps(list(cells)), first, end),
        )

    def stored_maps(
        self, cells: Sequence[int], first: int, last: int, of: Sequence[str] = ()
    ) -> StoredMaps:
        """The finished rows of some cells as optional metrics need them, each verified.

        Args:
            of: metrics whose values come along where an image has them.
        """
        maps: dict[tuple[int, int], StoredMap] = {}
        damaged: set[tuple[int, int]] = set()
        query = self._checks.query(ROW_COLUMNS, "results")
        query += " WHERE cell_id = ? AND image_id BETWEEN ? AND ?"
        may_lack = not self._checks.born_sealed()
        columns = [key for key in of if key in ROW_METRICS]
        for cell in cells:
            known = self._values(cell, [key for key in of if key not in ROW_METRICS], first, last)
            for record in self._file.all(query, (cell, first, last)):
                if is_record_sound(record, may_lack=may_lack):
                    row = row_of(record[:ROW_WIDTH])
                    own = [
                        (key, value) for key in columns if (value := getattr(row, key)) is not None
                    ]
                    maps[cell, row.image] = StoredMap(
                        row.target, row.y, row.o, row.map, (*own, *known[row.image])
                    )
                else:
                    damaged.add((cell, record[1]))
        return StoredMaps(maps, frozenset(damaged))

    def last_image(self, cells: Sequence[int]) -> int | None:
        """The highest rank of an image that has a row in one of these cells."""
        found = [
            last
            for cell in cells
            for (last,) in self._file.all(
                "SELECT max(image_id) FROM results WHERE cell_id = ?", (cell,)
            )
            if last is not None
        ]
        return max(found, default=None)

    def sound(self, cells: Sequence[int], images: Sequence[int]) -> list[Row]:
        """The rows of some images in some cells, those left out that are not what was written."""
        query = self._checks.query(ROW_COLUMNS, "results")
        query += (
            " WHERE cell_id IN (SELECT value FROM json_each(?))"
            " AND image_id IN (SELECT value FROM json_each(?))"
        )
        may_lack = not self._checks.born_sealed()
        found = self._file.all(query, (json.dumps(list(cells)), json.dumps(list(images))))
        return [
            row_of(record[:ROW_WIDTH])
            for record in found
            if is_record_sound(record, may_lack=may_lack)
        ]

    def _values(
        self, cell: int, metrics: Sequence[str], first: int, last: int
    ) -> dict[int, list[tuple[str, float]]]:
        """Image → key and value of some optional metrics."""
        known: dict[int, list[tuple[str, float]]] = defaultdict(list)
        query = (
            "SELECT image_id, metric, value FROM measurements"
            " WHERE cell_id = ? AND metric = ? AND image_id BETWEEN ? AND ?"
        )
        for key in metrics:
            for image, metric, value in self._file.all(query, (cell, key, first, last)):
                known[image].append((metric, value))
        return known


class Images:
    """The images of a run."""

    def __init__(self, file: ReadOnlyFile) -> None:
        self._file = file

    @property
    def columns(self) -> str:
        """The columns of an ``ImageRef``, of a table that a query calls ``i``."""
        return f"i.id, i.path, i.size, i.label, {'i.content' if self._file.version > 1 else 'NULL'}"

    def get(self, image: int) -> ImageRef:
        """One image of the manifest.

        Raises:
            NotFound: the run has no image of that rank.
        """
        row = self._file.stream(
            f"SELECT {self.columns} FROM images i WHERE id = ?", (image,)
        ).fetchone()
        if row is None:
            raise NotFound(f"the run has no image {image}", "camtui worst RUN lists images")
        return ImageRef(*row)

    def between(self, first: int, last: int) -> list[ImageRef]:
        """The images of rank first to last, both included."""
        return [
            ImageRef(*row)
            for row in self._file.all(
                f"SELECT {self.columns} FROM images i WHERE id BETWEEN ? AND ?",
                (first, last),
            )
        ]

    def find(self, text: str) -> ImageRef:
        """An image by rank, by path, or by file name.

        Raises:
            NotFound: none, or more than one.
        """
        if text.isdecimal():
            return self.get(int(text))
        exact = self._file.all(
            f"SELECT {self.columns} FROM images i WHERE path = ?",
            (text.encode("utf-8", "surrogateescape"),),
        )
        rows = exact or [
            row
            for row in self._file.all(f"SELECT {self.columns} FROM images i")
            if text in row[1].decode("utf-8", "surrogateescape")
        ]
        if len(rows) != 1:
            raise NotFound(
                f"{len(rows) or 'no'} images match '{printable(text)}'",
                "give its number or its whole path",
            )
        return ImageRef(*rows[0])


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

    def values(self, cell: int, metric: str) -> Iterator[float]:
        """One metric of every image of a cell that has it, in evaluation order.

        Raises:
            StoreError: a row is not what was written.
        """
        stored, optional = metric in ROW_METRICS, "" if metric in ROW_METRICS else metric
        self._checks.verify(cell, optional)
        found = self._file.stream(
            f"SELECT {metric} FROM results WHERE cell_id = ? AND {metric} NOTNULL ORDER BY image_id"
            if stored
            else "SELECT value FROM measurements WHERE cell_id = ? AND value NOTNULL AND metric = ?"
            " ORDER BY image_id",
            (cell,) if stored else (cell, metric),
        )
        return (value for (value,) in found)

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
