"""Queries: single images, their rows and maps, averages, differences and order of cells."""

from __future__ import annotations

import json
import os
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

from evaluator.catalog import ROW_METRICS, value_range
from evaluator.errors import NotFound, UsageError
from evaluator.records import ImageRef, Measurement, Row, StoredMap
from evaluator.statistics import (
    ADCC,
    ARCC,
    FEWEST_TESTED,
    CellSummary,
    PairedDifference,
    Sums,
    paired_difference,
    summarise,
    sums_from,
)
from evaluator.store import schema
from evaluator.store.checksums import Checks
from evaluator.store.readonly import ReadOnlyFile
from evaluator.store.schema import MEASUREMENT_COLUMNS, ROW_COLUMNS, ROW_WIDTH, row_of
from evaluator.store.sums import ARCC_QUERY, ArccSources
from evaluator.text import did_you_mean, printable

_IMAGE = "i.id, i.path, i.size, i.label, i.content"
"""The columns of an ``ImageRef``."""


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

    def __init__(self, file: ReadOnlyFile, checks: Checks) -> None:
        self._file = file
        self._checks = checks

    def get(self, cell: int, image: int) -> Row | None:
        """One image in one cell, ``None`` while there is no row."""
        found = self._file.first(
            f"SELECT {ROW_COLUMNS} FROM results WHERE cell_id = ? AND image_id = ?", (cell, image)
        )
        return row_of(found) if found else None

    def latest(self, cell: int) -> int | None:
        """Return the last image of the seeded order that a cell has a row of."""
        found = self._file.first("SELECT max(image_id) FROM results WHERE cell_id = ?", (cell,))
        return found[0] if found else None

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
            self._checks.verify([cell])
        cursor = self._file.stream(
            f"SELECT {ROW_COLUMNS}, {_IMAGE} FROM results JOIN images i ON i.id "
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
        self._checks.verify([cell], "" if metric in ROW_METRICS else metric)
        table, column, where, key = _source(metric)
        return self._file.all(
            f"SELECT image_id, {column} FROM {table} WHERE cell_id = ?{where} AND {column} NOTNULL"
            " ORDER BY image_id",
            [cell, *key],
        )

    def measurements(self, cell: int, image: int) -> dict[str, Measurement]:
        """The optional metrics of one image in one cell, with their curves."""
        rows = self._file.all(
            f"SELECT {MEASUREMENT_COLUMNS} FROM measurements WHERE cell_id = ? AND image_id = ?",
            (cell, image),
        )
        return {row[2]: Measurement(*row) for row in rows}

    def targets(self, cells: Sequence[int]) -> dict[int, int]:
        """Image → the class that is explained, of images with a row in one of a backbone's cells.

        All cells of a backbone explain the same class.
        """
        return dict(
            self._file.all(
                "SELECT image_id, min(target) FROM results"
                " WHERE cell_id IN (SELECT value FROM json_each(?)) GROUP BY image_id",
                (json.dumps(list(cells)),),
            )
        )

    def undefined(self) -> list[tuple[int, int]]:
        """(cell, image) of the rows without average drop and ADCC: the confidence y is 0 there.

        Hardly any, found by ADCC's index.
        """
        return self._file.all(
            "SELECT cell_id, image_id FROM cells c"
            " CROSS JOIN main.results INDEXED BY results_by_adcc ON cell_id = c.id"
            " WHERE adcc IS NULL AND average_drop IS NULL ORDER BY cell_id, image_id"
        )

    def every_row(self) -> Iterator[Row]:
        """Every row of every cell; streams."""
        return map(row_of, self._file.stream(f"SELECT {ROW_COLUMNS} FROM results"))

    def every_measurement(self) -> Iterator[Measurement]:
        """Every optional metric of every cell; streams."""
        found = self._file.stream(f"SELECT {MEASUREMENT_COLUMNS} FROM measurements")
        return (Measurement(*row) for row in found)

    def summed(self) -> tuple[Iterator[Row], Iterator[Measurement], Iterator[ArccSources]]:
        """All that the running sums are made of, see ``sums.sums_of``; streams."""
        sources = (ArccSources(*row) for row in self._file.stream(ARCC_QUERY))
        return self.every_row(), self.every_measurement(), sources

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
        columns = [key for key in of if key in ROW_METRICS]
        for cell in cells:
            known = self._values(cell, [key for key in of if key not in ROW_METRICS], first, last)
            for record, sound in self._checks.verified("", [cell], range(first, last + 1)):
                if sound:
                    row = row_of(record)
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
        (last,) = self._file.one(
            "SELECT max((SELECT max(image_id) FROM results WHERE cell_id = value))"
            " FROM json_each(?)",
            (json.dumps(list(cells)),),
        )
        return None if last is None else int(last)

    def sound(self, cells: Sequence[int], images: Sequence[int]) -> list[Row]:
        """The rows of some images in some cells, those left out that are not what was written."""
        found = self._checks.verified("", cells, images)
        return [row_of(record) for record, sound in found if sound]

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

    def get(self, image: int) -> ImageRef:
        """One image of the manifest.

        Raises:
            NotFound: the run has no image of that rank.
        """
        row = self._file.first(f"SELECT {_IMAGE} FROM images i WHERE id = ?", (image,))
        if row is None:
            raise NotFound(f"the run has no image {image}", "camtui worst RUN lists images")
        return ImageRef(*row)

    def between(self, first: int, last: int) -> list[ImageRef]:
        """The images of rank first to last, both included."""
        return [
            ImageRef(*row)
            for row in self._file.all(
                f"SELECT {_IMAGE} FROM images i WHERE id BETWEEN ? AND ?",
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
            f"SELECT {_IMAGE} FROM images i WHERE path = ?",
            (text.encode("utf-8", "surrogateescape"),),
        )
        rows = exact or [
            row
            for row in self._file.all(f"SELECT {_IMAGE} FROM images i")
            if text in row[1].decode("utf-8", "surrogateescape")
        ]
        if len(rows) != 1:
            near = "" if rows else did_you_mean(text, self._names(whole="." in text))
            raise NotFound(
                f"{len(rows) or 'no'} images match '{printable(text)}'",
                f"{near}give its number or its whole path: camtui worst RUN",
            )
        return ImageRef(*rows[0])

    def _names(self, *, whole: bool) -> list[str]:
        """Names of files, without their endings if not whole."""
        paths = (os.fsdecode(path) for (path,) in self._file.all("SELECT path FROM images"))
        return [Path(path).name if whole else Path(path).stem for path in paths]

    def matching(self, cell: int, words: str, classes: Sequence[int]) -> list[int]:
        """Ids of a cell's images whose path holds the words, or of one of the classes.

        Args:
            cell: has the predictions.
            words: in any case; all of the text must be there.
            classes: true or predicted.
        """
        wanted = set(classes)
        rows = self._file.all(
            "SELECT i.id, i.path, i.label, r.predicted FROM images i "
            "LEFT JOIN results r ON r.image_id = i.id AND r.cell_id = ?",
            (cell,),
        )
        text = words.lower()
        return [
            image
            for image, path, label, predicted in rows
            if label in wanted
            or predicted in wanted
            or text in path.decode("utf-8", "surrogateescape").lower()
        ]


class ConvergencePoint(NamedTuple):
    """The components of one image in evaluation order: what convergence is drawn from."""

    average_drop: float
    coherency: float
    complexity: float


_SAME = 1e-6
"""Confidences of one image in two batches differ by less than this."""


def _source(metric: str) -> tuple[str, str, str, list[str]]:
    """Table and column of a metric, what picks it among others there, and the values of that."""
    if metric in ROW_METRICS:
        return "results", metric, "", []
    return "measurements", "value", " AND metric = ?", [metric]


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
            self._checks.verify_summed("sums", records)
            summaries = []
            for cell, found in records.items():
                sums = sums_from(found)
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
        self._checks.verify([cell], "")
        return True

    def _without_drop(self, cell: int, sums: Sums) -> list[tuple[float, float]]:
        """Coherency and complexity of rows without a drop: hardly any, found by ADCC's index."""
        rows, drops = sums.get(("coherency", "")), sums.get(("average_drop", ""))
        if rows is None or (drops is not None and drops.n == rows.n):
            return []
        found = self._file.all(
            "SELECT image_id, coherency, complexity FROM main.results INDEXED BY results_by_adcc"
            " WHERE cell_id = ? AND adcc IS NULL AND average_drop IS NULL",
            (cell,),
        )
        if found:
            self._checks.verify([cell], "", [image for image, *_ in found])
        return [(coherency, complexity) for _, coherency, complexity in found]

    def histogram(self, cell: int, metric: str) -> list[int]:
        """Images per bin, ``schema.HISTOGRAM_BINS`` equal bins of the metric's range.

        Raises:
            StoreError: the histograms of the cell are not what was written.
        """
        with self._file.moment():
            query = "SELECT metric, bin, n FROM histograms WHERE cell_id = ?"
            self._checks.verify_summed("histograms", {cell: self._file.all(query, (cell,))})
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

        Rows with an undefined drop or without coherency are left out.

        Raises:
            StoreError: a row is not what was written.
        """
        self._checks.verify([cell], "")
        cursor = self._file.stream(
            "SELECT average_drop, coherency, complexity FROM results WHERE cell_id = ? AND "
            "average_drop IS NOT NULL AND coherency IS NOT NULL"
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
        self._checks.verify([cell], optional)
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
            for key in _stored_as(metric):
                self._checks.verify((first, second), key)
            return self._paired(metric, first, second)

    def _paired(self, metric: str, first: int, second: int) -> PairedDifference | None:
        if metric == "arcc":
            return paired_difference(metric, self._arcc_pairs(first, second))
        table, column, where, key = _source(metric)
        names, columns = (ADCC.sources,) * 2 if metric == "adcc" else ((metric,), (column,))
        both = [f"{side}.{name}" for side in "fs" for name in columns]
        rows = self._file.all(
            f"SELECT {', '.join(both)} FROM {table} f JOIN {table} s USING"
            f" ({'metric, ' if key else ''}image_id) WHERE f.cell_id = ? AND s.cell_id = ?{where}"
            f" AND {' AND '.join(f'{name} NOTNULL' for name in both)}",
            [first, second, *key],
        )
        n = len(names)
        pairs = (
            (dict(zip(names, row[:n], strict=True)), dict(zip(names, row[n:], strict=True)))
            for row in rows
        )
        return paired_difference(metric, pairs)

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
        """The running sums as stored: (cell, a, b) → (n, total), see ``sums.sums_of``."""
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


class RankedImage(NamedTuple):
    """One place in a list of worst or best images: the key to the next page."""

    image: int
    value: float


class Ranking:
    """The order of a cell's images; histograms keep a query from sorting them all."""

    def __init__(self, file: ReadOnlyFile, averages: Averages, checks: Checks) -> None:
        self._file = file
        self._averages = averages
        self._checks = checks

    def page(
        self,
        cell: int,
        metric: str,
        *,
        ascending: bool,
        limit: int,
        after: RankedImage | None = None,
        among: Sequence[int] | None = None,
    ) -> list[RankedImage]:
        """A page of the images of a cell by one metric; ties by image.

        ADCC has an index. The others scan the cell, for with an index on each a commit of 180 rows
        would write 2.8 MB in place of 0.8 MB; the histogram tells beforehand which bins the page
        must lie in, so that next to nothing is sorted.

        Args:
            after: the last entry of the page before; the next page continues behind it, by key, not
                by offset.
            among: ids of the images that are looked at, ``None`` for all.

        Raises:
            StoreError: a row of the page is not what was written.
            UsageError: no image has such a metric.
        """
        table, column, where, key = self._source(metric)
        order, beyond = ("ASC", ">") if ascending else ("DESC", "<")
        condition = f" AND ({column}, image_id) {beyond} (?, ?)" if after else ""
        values: list[Any] = [cell, *key]
        values += [after.value, after.image] if after else []
        if among is not None:
            condition += " AND image_id IN (SELECT value FROM json_each(?))"
            values.append(json.dumps(list(among)))

        def part(which: str, *edge: float) -> list[RankedImage]:
            rows = self._file.all(
                f"SELECT image_id, {column} FROM {table} WHERE cell_id = ?{where}{condition} "
                f"AND {column} {which}"
                f" ORDER BY {column} {order}, image_id {order} LIMIT ?",
                [*values, *edge, limit],
            )
            return [RankedImage(*row) for row in rows]

        whole = metric == "adcc" or among is not None
        edge = None if whole else self._bin_edge(cell, metric, ascending, limit, after)
        if edge is not None:
            found = part("< ?" if ascending else ">= ?", edge)
            if len(found) == limit:  # else the histogram is not that of the rows: ``camtui doctor``
                return self._verified(cell, metric, found)
        return self._verified(cell, metric, part("NOTNULL"))

    def _verified(self, cell: int, metric: str, found: list[RankedImage]) -> list[RankedImage]:
        optional = "" if metric in ROW_METRICS else metric
        self._checks.verify([cell], optional, [place.image for place in found])
        return found

    def _bin_edge(
        self, cell: int, metric: str, ascending: bool, limit: int, after: RankedImage | None
    ) -> float | None:
        """The edge of the bins that hold the next ``limit`` images for certain.

        ``None`` where there are not so many.
        """
        bins = self._averages.unverified_histogram(cell, metric)
        order = range(len(bins)) if ascending else range(len(bins) - 1, -1, -1)
        scale = value_range(metric)
        begun = schema.histogram_bin(after.value, *scale) if after else None
        known = 0
        for place in order:
            if begun is None or (place > begun if ascending else place < begun):
                known += bins[place]
            if known >= limit:
                return schema.least_of_bin(place + 1 if ascending else place, *scale)
        return None

    def rank_of(
        self, cell: int, metric: str, image: int, *, ascending: bool
    ) -> tuple[int, int] | None:
        """``(place from 1, images ranked)`` of an image, ``None`` where it has no value."""
        table, column, where, names = self._source(metric)
        key = [cell, *names]
        scope = f"FROM {table} WHERE cell_id = ?{where} AND {column} NOTNULL"
        value = self._file.first(f"SELECT {column} {scope} AND image_id = ?", [*key, image])
        if value is None:
            return None
        beyond = "<" if ascending else ">"
        before, total = self._file.one(
            f"SELECT count(*) FILTER (WHERE ({column}, image_id) {beyond} (?, ?)), count(*) "
            f"{scope}",
            [value[0], image, *key],
        )
        return before + 1, total

    def _source(self, metric: str) -> tuple[str, str, str, list[str]]:
        query = "SELECT 1 FROM measurements WHERE metric = ? LIMIT 1"
        if metric not in ROW_METRICS and self._file.first(query, (metric,)) is None:
            raise UsageError(
                f"the run has no metric '{printable(metric)}'",
                "camtui table RUN shows those it has",
            )
        return _source(metric)
