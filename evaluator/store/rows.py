"""Queries about single images: their rows, their optional metrics, their stored maps."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from evaluator.catalog import ROW_METRICS
from evaluator.records import ImageRef, Measurement, Row, StoredMap
from evaluator.store.checks import Checks, is_record_sound
from evaluator.store.columns import MEASUREMENT_COLUMNS, ROW_COLUMNS, ROW_WIDTH, row_of
from evaluator.store.images import Images
from evaluator.store.readonly import ReadOnlyFile
from evaluator.store.sums import ARCC_QUERY, ArccSources


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
