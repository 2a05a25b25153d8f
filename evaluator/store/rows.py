"""What is asked of a run about single images: which they are, their rows, what was measured on request."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from evaluator.errors import NotFound
from evaluator.records import ImageRef, Measurement, Row, StoredMap
from evaluator.store.readonly import ReadOnlyFile
from evaluator.text import printable

_ROW_COLUMNS = (
    "cell_id, image_id, target, predicted, y, o, average_drop, average_increase, coherency, complexity, adcc, degenerate, map"
)


class Rows(ReadOnlyFile):
    """Questions about images and what was measured on them."""

    def image(self, image: int) -> ImageRef:
        """One image of the manifest.

        Raises:
            NotFound: the run has no image of that rank.
        """
        row = self._connection.execute("SELECT id, path, size, label FROM images WHERE id = ?", (image,)).fetchone()
        if row is None:
            raise NotFound(f"the run has no image {image}", "camtui worst RUN lists images")
        return ImageRef(*row)

    def images(self, first: int, last: int) -> list[ImageRef]:
        """The images of rank first to last, both included."""
        return [
            ImageRef(*row)
            for row in self._all("SELECT id, path, size, label FROM images WHERE id BETWEEN ? AND ?", (first, last))
        ]

    def find_image(self, text: str) -> ImageRef:
        """An image by rank, by path, or by file name.

        Raises:
            NotFound: none, or more than one.
        """
        if text.isdecimal():
            return self.image(int(text))
        exact = self._all("SELECT id, path, size, label FROM images WHERE path = ?", (text.encode("utf-8", "surrogateescape"),))
        rows = exact or [
            row
            for row in self._all("SELECT id, path, size, label FROM images")
            if text in row[1].decode("utf-8", "surrogateescape")
        ]
        if len(rows) != 1:
            raise NotFound(f"{len(rows) or 'no'} images match '{printable(text)}'", "give its number or its whole path")
        return ImageRef(*rows[0])

    def row(self, cell: int, image: int) -> Row | None:
        """One image in one cell, ``None`` while there is no row."""
        found = self._connection.execute(
            f"SELECT {_ROW_COLUMNS} FROM results WHERE cell_id = ? AND image_id = ?", (cell, image)
        ).fetchone()
        return _row(found) if found else None

    def rows(self, cell: int) -> Iterator[tuple[Row, ImageRef, dict[str, float]]]:
        """Every row of a cell in image order, with its image and its metrics on request; streams."""
        cursor = self._connection.execute(
            f"SELECT {_ROW_COLUMNS}, i.id, i.path, i.size, i.label FROM results JOIN images i ON i.id = image_id"
            " WHERE cell_id = ? ORDER BY image_id",
            (cell,),
        )
        requested = {
            name: self._connection.execute(
                "SELECT image_id, value FROM measurements WHERE cell_id = ? AND metric = ? ORDER BY image_id", (cell, name)
            )
            for (name,) in self._all("SELECT DISTINCT metric FROM measurements WHERE cell_id = ?", (cell,))
        }
        heads = {name: next(values, None) for name, values in requested.items()}
        for record in cursor:
            row = _row(record[:13])
            measured: dict[str, float] = {}
            for name, values in requested.items():
                head = heads[name]
                while head is not None and head[0] < row.image:
                    head = next(values, None)
                if head is not None and head[0] == row.image:
                    measured[name] = head[1]
                heads[name] = head
            yield row, ImageRef(*record[13:]), measured

    def measurements(self, cell: int, image: int) -> dict[str, Measurement]:
        """The metrics on request of one image in one cell, with their curves."""
        rows = self._all(
            "SELECT cell_id, image_id, metric, value, curve FROM measurements WHERE cell_id = ? AND image_id = ?", (cell, image)
        )
        return {row[2]: Measurement(*row) for row in rows}

    def every_row(self) -> Iterator[Row]:
        """Every row of every cell; streams."""
        return map(_row, self._connection.execute(f"SELECT {_ROW_COLUMNS} FROM results"))

    def every_measurement(self) -> Iterator[Measurement]:
        """Every metric on request of every cell; streams."""
        found = self._connection.execute("SELECT cell_id, image_id, metric, value, curve FROM measurements")
        return (Measurement(*row) for row in found)

    def finished(self, cells: Sequence[int], metric: str, first: int, last: int) -> set[tuple[int, int]]:
        """(cell, image) pairs that need nothing more: a row (or curve) or a failure, for images of rank first to last."""
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

    def stored_maps(self, cells: Sequence[int], first: int, last: int) -> dict[tuple[int, int], StoredMap]:
        """The finished rows of some cells as metrics on request need them."""
        return {
            (cell, image): StoredMap(target, y, o, values)
            for cell in cells
            for image, target, y, o, values in self._all(
                "SELECT image_id, target, y, o, map FROM results WHERE cell_id = ? AND image_id BETWEEN ? AND ?",
                (cell, first, last),
            )
        }


def _row(record: Sequence[Any]) -> Row:
    *values, degenerate, map_ = record
    return Row(*[*values, bool(degenerate), map_])
