"""What is asked of a run about single images.

Which they are, their rows, their optional metrics.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from evaluator.catalog import ROW_METRICS
from evaluator.errors import NotFound, StoreError
from evaluator.records import ImageRef, Measurement, Row, StoredMap
from evaluator.store.checksums import is_measurement_sound, is_row_sound
from evaluator.store.readonly import ReadOnlyFile
from evaluator.store.sums import ArccSources
from evaluator.text import printable

ROW_COLUMNS = "cell_id, image_id, target, predicted, y, o, average_drop, average_increase, coherency, complexity, adcc, degenerate, map"
_ROW_WIDTH = 13

MEASUREMENT_COLUMNS = "cell_id, image_id, metric, value, curve"

Key = tuple[int, int, str]
"""(cell, image, metric) of something that was measured; metric ``''`` for a row."""


class StoredMaps(NamedTuple):
    """Finished rows as optional metrics need them.

    Attributes:
        maps: (cell, image) → what the row knows; ``damaged``: those whose checksum is not theirs,
            which must not be used.
    """

    maps: dict[tuple[int, int], StoredMap]
    damaged: frozenset[tuple[int, int]]


ARCC_SOURCES = (
    "SELECT a.cell_id, r.coherency, r.complexity, d.value FROM measurements a"
    " JOIN results r ON r.cell_id = a.cell_id AND r.image_id = a.image_id"
    " JOIN measurements d ON d.cell_id = a.cell_id AND d.metric = 'road' AND d.image_id = "
    "a.image_id WHERE a.metric = 'arcc'"
)
"""The query of ``ArccSources``."""


class Rows(ReadOnlyFile):
    """Questions about images and what was measured on them."""

    @property
    def _image_columns(self) -> str:
        return f"i.id, i.path, i.size, i.label, {'i.content' if self.version > 1 else 'NULL'}"

    def _checked(self, columns: str, table: str) -> str:
        """A query for records of a table with what their checksums are made from.

        Checksum, identity, path, content.
        """
        seal = "r.checksum, coalesce(c.identity, '')" if self.version > 1 else "NULL, ''"
        source = (
            f"{table} r CROSS JOIN cells c ON c.id = cell_id CROSS JOIN images i ON i.id = image_id"
        )
        return f"SELECT {columns}, {seal}, {self._image_columns} FROM {source}"

    def born_sealed(self) -> bool:
        """Whether every record must have a checksum: not in files that an older camtui began."""
        return self.version > 1 and self._one("SELECT born FROM run")[0] > 1

    def image(self, image: int) -> ImageRef:
        """One image of the manifest.

        Raises:
            NotFound: the run has no image of that rank.
        """
        row = self._connection.execute(
            f"SELECT {self._image_columns} FROM images i WHERE id = ?", (image,)
        ).fetchone()
        if row is None:
            raise NotFound(f"the run has no image {image}", "camtui worst RUN lists images")
        return ImageRef(*row)

    def images(self, first: int, last: int) -> list[ImageRef]:
        """The images of rank first to last, both included."""
        return [
            ImageRef(*row)
            for row in self._all(
                f"SELECT {self._image_columns} FROM images i WHERE id BETWEEN ? AND ?",
                (first, last),
            )
        ]

    def find_image(self, text: str) -> ImageRef:
        """An image by rank, by path, or by file name.

        Raises:
            NotFound: none, or more than one.
        """
        if text.isdecimal():
            return self.image(int(text))
        exact = self._all(
            f"SELECT {self._image_columns} FROM images i WHERE path = ?",
            (text.encode("utf-8", "surrogateescape"),),
        )
        rows = exact or [
            row
            for row in self._all(f"SELECT {self._image_columns} FROM images i")
            if text in row[1].decode("utf-8", "surrogateescape")
        ]
        if len(rows) != 1:
            raise NotFound(
                f"{len(rows) or 'no'} images match '{printable(text)}'",
                "give its number or its whole path",
            )
        return ImageRef(*rows[0])

    def row(self, cell: int, image: int) -> Row | None:
        """One image in one cell, ``None`` while there is no row."""
        found = self._connection.execute(
            f"SELECT {ROW_COLUMNS} FROM results WHERE cell_id = ? AND image_id = ?", (cell, image)
        ).fetchone()
        return _row(found) if found else None

    def rows(
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
            self.refuse_damage(cell)
        cursor = self._connection.execute(
            f"SELECT {ROW_COLUMNS}, {self._image_columns} FROM results JOIN images i ON i.id "
            "= image_id"
            " WHERE cell_id = ? ORDER BY image_id",
            (cell,),
        )
        optional = {
            name: self._connection.execute(
                "SELECT image_id, value FROM measurements WHERE cell_id = ? AND metric = ? "
                "ORDER BY image_id",
                (cell, name),
            )
            for (name,) in self._all(
                "SELECT DISTINCT metric FROM measurements WHERE cell_id = ?", (cell,)
            )
        }
        heads = {name: next(values, None) for name, values in optional.items()}
        for record in cursor:
            row = _row(record[:_ROW_WIDTH])
            measured: dict[str, float] = {}
            for name, values in optional.items():
                head = heads[name]
                while head is not None and head[0] < row.image:
                    head = next(values, None)
                if head is not None and head[0] == row.image:
                    measured[name] = head[1]
                heads[name] = head
            yield row, ImageRef(*record[_ROW_WIDTH:]), measured

    def values(self, cell: int, metric: str) -> list[tuple[int, float]]:
        """(image, value) for every image of a cell that has a value of a metric, in image order."""
        if metric in ROW_METRICS:
            return self._all(
                f"SELECT image_id, {metric} FROM results WHERE cell_id = ? AND {metric} "
                "NOTNULL ORDER BY image_id",
                (cell,),
            )
        return self._all(
            "SELECT image_id, value FROM measurements WHERE cell_id = ? AND metric = ? ORDER "
            "BY image_id",
            (cell, metric),
        )

    def measurements(self, cell: int, image: int) -> dict[str, Measurement]:
        """The optional metrics of one image in one cell, with their curves."""
        rows = self._all(
            f"SELECT {MEASUREMENT_COLUMNS} FROM measurements WHERE cell_id = ? AND image_id = ?",
            (cell, image),
        )
        return {row[2]: Measurement(*row) for row in rows}

    def every_row(self) -> Iterator[Row]:
        """Every row of every cell; streams."""
        return map(_row, self._connection.execute(f"SELECT {ROW_COLUMNS} FROM results"))

    def every_measurement(self) -> Iterator[Measurement]:
        """Every optional metric of every cell; streams."""
        found = self._connection.execute(f"SELECT {MEASUREMENT_COLUMNS} FROM measurements")
        return (Measurement(*row) for row in found)

    def every_arcc_source(self) -> Iterator[ArccSources]:
        """What every measurement of ARCC was computed from; streams."""
        return (ArccSources(*row) for row in self._connection.execute(ARCC_SOURCES))

    def finished(
        self, cells: Sequence[int], metric: str, first: int, last: int
    ) -> set[tuple[int, int]]:
        """(cell, image) pairs that need nothing more.

        A row (or curve) or a failure, for images of rank first to last.
        """
        finished: set[tuple[int, int]] = set()
        source = "measurements WHERE metric = ?2" if metric else "results WHERE ?2 = ''"
        for cell in cells:
            found = self._all(
                f"SELECT image_id FROM {source} AND cell_id = ?1 AND image_id BETWEEN ?3 AND ?4"
                " UNION ALL SELECT image_id FROM failures"
                " WHERE metric IN (?2, '') AND cell_id = ?1 AND image_id BETWEEN ?3 AND ?4",
                (cell, metric, first, last),
            )
            finished.update((cell, image) for (image,) in found)
        return finished

    def components(self, cells: Sequence[int], first: int, end: int) -> list[tuple[Any, ...]]:
        """(cell, image, average drop, coherency.

        Complexity) of each row and failure of some cells, images first to end - 1.
        """
        return self._all(
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
        """The finished rows of some cells as optional metrics need them.

        Each compared with its checksum.

        Args:
            of: metrics whose values come along where an image has them.
        """
        maps: dict[tuple[int, int], StoredMap] = {}
        damaged: set[tuple[int, int]] = set()
        query = f"{self._checked(ROW_COLUMNS, 'results')} WHERE cell_id = ? AND image_id BETWEEN ? AND ?"
        optional = not self.born_sealed()
        columns = [key for key in of if key in ROW_METRICS]
        for cell in cells:
            known = self._values(cell, [key for key in of if key not in ROW_METRICS], first, last)
            for record in self._all(query, (cell, first, last)):
                if _is_row_sound(record, optional=optional):
                    row = _row(record[:_ROW_WIDTH])
                    own = [
                        (key, value) for key in columns if (value := getattr(row, key)) is not None
                    ]
                    maps[cell, row.image] = StoredMap(
                        row.target, row.y, row.o, row.map, (*own, *known[row.image])
                    )
                else:
                    damaged.add((cell, record[1]))
        return StoredMaps(maps, frozenset(damaged))

    def _values(
        self, cell: int, metrics: Sequence[str], first: int, last: int
    ) -> dict[int, list[tuple[str, float]]]:
        """Image → key and value of some optional metrics."""
        known: dict[int, list[tuple[str, float]]] = defaultdict(list)
        query = "SELECT image_id, metric, value FROM measurements WHERE cell_id = ? AND metric = ? AND image_id BETWEEN ? AND ?"
        for key in metrics:
            for image, metric, value in self._all(query, (cell, key, first, last)):
                known[image].append((metric, value))
        return known

    def damaged(self, cell: int | None = None) -> Iterator[Key]:
        """Rows and measurements, of one cell or of all, that are not what was written; streams."""
        optional = not self.born_sealed()
        of_cell, values = ("", ()) if cell is None else (" WHERE cell_id = ?", (cell,))
        for record in self._connection.execute(
            self._checked(ROW_COLUMNS, "results") + of_cell, values
        ):
            if not _is_row_sound(record, optional=optional):
                yield record[0], record[1], ""
        for record in self._connection.execute(
            self._checked(MEASUREMENT_COLUMNS, "measurements") + of_cell, values
        ):
            checksum, identity, _, path, _, _, content = record[5:]
            if not is_measurement_sound(
                Measurement(*record[:5]), checksum, identity, path, content, optional=optional
            ):
                yield record[0], record[1], record[2]

    def refuse_damage(self, cell: int | None = None) -> None:
        """Compare every checksum of one cell, or of all.

        Raises:
            StoreError: at the first row or measurement that is not what was written.
        """
        for key in self.damaged(cell):
            raise StoreError(
                self._damage_words(key), f"see all of it: camtui doctor {printable(self.path)}"
            )

    def _damage_words(self, key: Key) -> str:
        cell, image, metric = key
        what = f"{printable(metric)} of image {image}" if metric else f"the row of image {image}"
        return f"{printable(self.path)}: {what} in cell {cell} is not what was written"


def _is_row_sound(record: Sequence[Any], *, optional: bool) -> bool:
    checksum, identity, _, path, _, _, content = record[_ROW_WIDTH:]
    return is_row_sound(
        _row(record[:_ROW_WIDTH]), checksum, identity, path, content, optional=optional
    )


def _row(record: Sequence[Any]) -> Row:
    *values, degenerate, map_ = record
    return Row(*[*values, bool(degenerate), map_])
