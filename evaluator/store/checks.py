"""Whether a run's file is what was written: its pages, its tables, the checksums of its records."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from typing import Any

from evaluator.errors import StoreError
from evaluator.records import Measurement
from evaluator.store import schema, sealing
from evaluator.store.checksums import is_measurement_sound, is_row_sound
from evaluator.store.columns import MEASUREMENT_COLUMNS, ROW_COLUMNS, ROW_WIDTH, row_of
from evaluator.store.images import Images
from evaluator.store.readonly import ReadOnlyFile
from evaluator.text import printable

Key = tuple[int, int, str]
"""(cell, image, metric) of something that was measured; metric ``''`` for a row."""


class Checks:
    """Compares records with their checksums."""

    def __init__(self, file: ReadOnlyFile, images: Images) -> None:
        self._file = file
        self._images = images

    def query(self, columns: str, table: str) -> str:
        """A query for records of a table with what their checksums are made from.

        Checksum, identity, path, content.
        """
        seal = "r.checksum, coalesce(c.identity, '')" if self._file.version > 1 else "NULL, ''"
        source = (
            f"{table} r CROSS JOIN cells c ON c.id = cell_id CROSS JOIN images i ON i.id = image_id"
        )
        return f"SELECT {columns}, {seal}, {self._images.columns} FROM {source}"

    def born_sealed(self) -> bool:
        """Whether every record must have a checksum: not in files that an older camtui began."""
        return self._file.version > 1 and self._file.one("SELECT born FROM run")[0] > 1

    def damaged_rows(self, cell: int | None = None) -> Iterator[Key]:
        """Rows and measurements, of one cell or of all, that are not what was written; streams."""
        optional = not self.born_sealed()
        of_cell, values = ("", ()) if cell is None else (" WHERE cell_id = ?", (cell,))
        for record in self._file.stream(self.query(ROW_COLUMNS, "results") + of_cell, values):
            if not is_record_sound(record, optional=optional):
                yield record[0], record[1], ""
        for record in self._file.stream(
            self.query(MEASUREMENT_COLUMNS, "measurements") + of_cell, values
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
        for key in self.damaged_rows(cell):
            raise StoreError(
                self._damage_words(key),
                f"see all of it: camtui doctor {printable(self._file.path)}",
            )

    def _damage_words(self, key: Key) -> str:
        cell, image, metric = key
        what = f"{printable(metric)} of image {image}" if metric else f"the row of image {image}"
        return f"{printable(self._file.path)}: {what} in cell {cell} is not what was written"

    def integrity(self) -> list[str]:
        """What SQLite finds wrong with the file itself: nothing, as a rule. Reads all of it."""
        found = [
            str(line) for (line,) in self._file.all("PRAGMA integrity_check(20)") if line != "ok"
        ]
        return found + [
            f"{row[0]}: a row without its {row[2]}"
            for row in self._file.all("PRAGMA foreign_key_check")[:20]
        ]

    def foreign_schema(self) -> list[str]:
        """Tables and indexes that are not those of its version; nothing, as a rule."""
        with closing(sqlite3.connect(":memory:")) as fresh:
            for script in schema.MIGRATIONS[: self._file.version]:
                fresh.executescript(script)
            expected = _definitions(fresh.execute(_SCHEMA_QUERY).fetchall())
        found = _definitions(self._file.all(_SCHEMA_QUERY))
        return sorted(
            {f"the table {printable(name)} is not a run's" for _, name, _ in found ^ expected}
        )

    def damaged_records(self) -> Iterator[tuple[str, tuple[Any, ...]]]:
        """``(table, key)`` of every record with a wrong checksum; rows and measurements aside."""
        if self._file.version < 2:
            return
        optional = not self.born_sealed()
        sealing.add_function(self._file.connection)
        for table in sealing.sealed_tables(self._file.connection):
            missing = "checksum NOTNULL AND" if optional else ""
            query = f"SELECT {', '.join(table.key)} FROM {table.name} WHERE {missing} checksum IS NOT {table.expression()}"
            for key in self._file.stream(query):
                yield table.name, key


def is_record_sound(record: Sequence[Any], *, optional: bool) -> bool:
    """Whether a record of ``Checks.query(ROW_COLUMNS, …)`` is a row as it was written."""
    checksum, identity, _, path, _, _, content = record[ROW_WIDTH:]
    return is_row_sound(
        row_of(record[:ROW_WIDTH]), checksum, identity, path, content, optional=optional
    )


_SCHEMA_QUERY = "SELECT type, tbl_name, coalesce(sql, name) FROM sqlite_schema WHERE name NOT LIKE 'sqlite_stat%'"


def _definitions(found: list[tuple[Any, ...]]) -> set[tuple[str, str, str]]:
    """Kind, table and definition of each entry, comments and blanks aside."""
    return {
        (str(kind), str(table), " ".join(re.sub("--[^\n]*", "", str(sql)).split()))
        for kind, table, sql in found
    }
