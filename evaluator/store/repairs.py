"""Dropping damaged records from a run, and giving checksums to records that have none."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from evaluator.records import Measurement, Row
from evaluator.store import schema, sealing
from evaluator.store.checksums import measurement_checksum, row_checksum
from evaluator.store.columns import MEASUREMENT_COLUMNS, ROW_COLUMNS
from evaluator.store.writable import WritableFile


class Repairs:
    """Changes to records that are there already."""

    def __init__(self, file: WritableFile) -> None:
        self._file = file

    def drop_damaged(
        self,
        measured: Sequence[tuple[int, int, str]],
        records: Sequence[tuple[str, tuple[Any, ...]]],
    ) -> int:
        """Delete damaged records, as far as they can be made again, in the caller's transaction.

        Args:
            measured: (cell, image, metric) of rows, metric ``''``, and measurements; a row takes
                its measurements along.
            records: table and key of others.

        Returns:
            How many rows and measurements are gone.
        """
        execute = self._file.execute
        dropped = 0
        for cell, image, metric in measured:
            if not metric:
                dropped += execute(
                    "DELETE FROM results WHERE cell_id = ? AND image_id = ?", (cell, image)
                ).rowcount
            dropped += execute(
                "DELETE FROM measurements"
                " WHERE cell_id = ?1 AND image_id = ?2 AND ?3 IN (metric, '')",
                (cell, image, metric),
            ).rowcount
        for table, key in records:
            if table in _MADE_AGAIN:
                places = " AND ".join(f"{column} = ?" for column in _MADE_AGAIN[table])
                execute(f"DELETE FROM {table} WHERE {places}", key)
        execute("DELETE FROM failures WHERE reason = 'damaged-row'")
        return dropped

    def seal_all(self) -> int:
        """Give a checksum to every record without one; return how many rows and measurements."""
        execute = self._file.execute
        path = "(SELECT path FROM images WHERE id = image_id)"
        with self._file.transaction():
            sealed = 0
            for table, columns, function in (
                ("results", ROW_COLUMNS, _late_row_checksum),
                ("measurements", MEASUREMENT_COLUMNS, _late_checksum),
            ):
                self._file.connection.create_function(function.__name__, -1, function)
                checksum = f"{function.__name__}({path}, {columns})"
                update = f"UPDATE {table} SET checksum = {checksum} WHERE checksum IS NULL"
                sealed += execute(update).rowcount
            for other in sealing.sealed_tables(self._file.connection):
                column = other.columns[-1]
                execute(f"UPDATE {other.name} SET {column} = {column} WHERE checksum IS NULL")
            execute("UPDATE run SET born = max(born, ?)", (schema.SUMS_SEALED_SINCE,))
        return sealed


_MADE_AGAIN = {
    "failures": ("cell_id", "image_id", "metric"),
    "events": ("id",),
    "stages": ("id",),
    "workers": ("id",),
}
"""Tables whose damaged records may go, with their keys: a session writes them anew, or tries their
failures again.
"""


def _late_row_checksum(path: bytes, *values: Any) -> bytes:
    """The checksum of a row written without one: its cell and file are not known."""
    return row_checksum(Row(*values), "", path, None)


def _late_checksum(path: bytes, *values: Any) -> bytes:
    return measurement_checksum(Measurement(*values), "", path, None)
