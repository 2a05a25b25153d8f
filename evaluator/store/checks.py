"""Whether a run's file is what was written: its pages, its tables, the checksums of its records."""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from typing import Any

from evaluator.errors import StoreError
from evaluator.plan import todays_names
from evaluator.store import checksums, schema
from evaluator.store.checksums import (
    WRONG_KIND,
    histograms_checksum,
    is_sound,
    sums_checksum,
)
from evaluator.store.readonly import DAMAGE, ReadOnlyFile
from evaluator.store.schema import MEASUREMENT_COLUMNS, ROW_COLUMNS, ROW_WIDTH
from evaluator.store.sums import bins_by_metric, sums_by_key
from evaluator.text import printable

Key = tuple[int, int, str]
"""(cell, image, metric) of something that was measured; metric ``''`` for a row."""


class Checks:
    """Compares records with their checksums.

    The ``verify_…`` methods are asked by whatever computes from records. What they have compared
    is not compared again by this reader until the file changes.
    """

    def __init__(self, file: ReadOnlyFile) -> None:
        self._file = file
        self._verified: dict[tuple[int, str], int] = {}

    def born_sealed(self) -> bool:
        """Whether every record must have a checksum: not in files that an older camtui began."""
        return self.born() > 1

    def born(self) -> int:
        """The version of the camtui that began the run; 3 at least where all of it was sealed."""
        if self._file.version < 2:
            return 1
        born = self._file.first("SELECT born FROM run")
        return int(born[0]) if born else schema.SCHEMA_VERSION

    # -- rows and optional metrics
    # ----------------------------------------------------------------------------------------------

    def query(self, columns: str, table: str) -> str:
        """A query for records of a table with the sources of their checksums behind them.

        Those are the checksum, the cell's identity, the image's path and content.
        """
        sources = "r.checksum, coalesce(c.identity, ''), i.path, i.content"
        if self._file.version < 2:
            sources = "NULL, '', i.path, NULL"
        return (
            f"SELECT {columns}, {sources} FROM {table} r"
            " LEFT JOIN cells c ON c.id = cell_id LEFT JOIN images i ON i.id = image_id"
        )

    def damaged_rows(self, cell: int | None = None) -> Iterator[Key]:
        """Rows and measurements, of one cell or of all, that are not what was written; streams."""
        where, values = ("", ()) if cell is None else ("WHERE cell_id = ?", (cell,))
        yield from self._damaged("results", where, values)
        yield from self._damaged("measurements", where, values)

    def verify_all(self) -> None:
        """Verify every row and every optional metric of the run.

        Raises:
            StoreError: at the first that is not what was written.
        """
        self._refuse(self.damaged_rows())

    def verify_cell(self, cell: int) -> None:
        """Verify every row and every optional metric of a cell.

        Raises:
            StoreError: at the first that is not what was written.
        """
        self._refuse(self.damaged_rows(cell))

    def verify(self, cell: int, metric: str = "") -> None:
        """Verify the rows of a cell, or its values of one optional metric.

        Raises:
            StoreError: at the first that is not what was written.
        """
        (version,) = self._file.one("PRAGMA data_version")
        if self._verified.get((cell, metric)) == version:
            return
        if metric:
            where = "WHERE cell_id = ? AND metric = ?"
            self._refuse(self._damaged("measurements", where, (cell, metric)))
        else:
            self._refuse(self._damaged("results", "WHERE cell_id = ?", (cell,)))
        self._verified[cell, metric] = version

    def verify_range(self, cells: Sequence[int], first: int, end: int) -> None:
        """Verify the rows of some cells of images first to end - 1.

        Raises:
            StoreError: at the first that is not what was written.
        """
        where = (
            "WHERE cell_id IN (SELECT value FROM json_each(?)) AND image_id >= ? AND image_id < ?"
        )
        self._refuse(self._damaged("results", where, (json.dumps(list(cells)), first, end)))

    def verify_images(self, cell: int, metric: str, images: Iterable[int]) -> None:
        """Verify the rows of some images of a cell, or their values of one optional metric.

        Raises:
            StoreError: at the first that is not what was written.
        """
        chosen = "cell_id = ? AND image_id IN (SELECT value FROM json_each(?))"
        values = (cell, json.dumps(list(images)))
        if metric:
            where = f"WHERE {chosen} AND metric = ?"
            self._refuse(self._damaged("measurements", where, (*values, metric)))
        else:
            self._refuse(self._damaged("results", f"WHERE {chosen}", values))

    def _damaged(self, table: str, where: str, values: Sequence[Any]) -> Iterator[Key]:
        may_lack, is_row = not self.born_sealed(), table == "results"
        columns, width = (ROW_COLUMNS, ROW_WIDTH) if is_row else (MEASUREMENT_COLUMNS, 5)
        for record in self._file.stream(f"{self.query(columns, table)} {where}", values):
            if not is_sound(record[:width], *record[width:], may_lack=may_lack):
                yield record[0], record[1], "" if is_row else record[2]

    def _refuse(self, damaged: Iterator[Key]) -> None:
        for cell, image, metric in damaged:
            of_image = f"image {image} in {self._cell_name(cell)}"
            what = f"{printable(metric)} of {of_image}" if metric else f"the row of {of_image}"
            raise self.error(what, "is")

    def _cell_name(self, cell: int) -> str:
        try:
            name = self._file.first(
                "SELECT b.name || '/' || c.method FROM cells c"
                " JOIN backbones b ON b.id = c.backbone_id WHERE c.id = ?",
                (cell,),
            )
        except DAMAGE:
            name = None
        if name is None:
            return f"cell {cell}"
        earlier = self._file.version < schema.NAMED_ANEW_SINCE
        return printable(todays_names(name[0]) if earlier else name[0], 80)

    def error(self, what: str, verb: str) -> StoreError:
        """The error that says what was found damaged, and how it is mended."""
        path = printable(self._file.path)
        return StoreError(
            f"{path}: {what} {verb} not what was written",
            f"drop what is damaged, resume then computes it again: camtui doctor {path} --repair",
        )

    # -- running sums and histograms
    # ----------------------------------------------------------------------------------------------

    def verify_sums(self, sums: dict[int, list[tuple[Any, ...]]]) -> None:
        """Verify the running sums of cells; to be asked in the moment that they were read in.

        Args:
            sums: cell → (a, b, n, total) of each.

        Raises:
            StoreError: those of a cell are not what was written.
        """
        for cell in self._wrong("sums", sums):
            raise self.error(f"the running sums of {self._cell_name(cell)}", "are")

    def verify_histograms(self, bins: dict[int, list[tuple[Any, ...]]]) -> None:
        """Verify the histograms of cells, as ``verify_sums``.

        Args:
            bins: cell → (metric, bin, n) of each.

        Raises:
            StoreError: those of a cell are not what was written.
        """
        for cell in self._wrong("histograms", bins):
            raise self.error(f"the histograms of {self._cell_name(cell)}", "are")

    def wrong_sums(
        self, sums: dict[int, list[tuple[Any, ...]]], bins: dict[int, list[tuple[Any, ...]]]
    ) -> list[int]:
        """Cells whose running sums or histograms do not fit their checksum.

        Cells with a checksum and no sums are among them.
        """
        cells = {*sums, *bins}
        if self._file.version >= schema.SUMS_SEALED_SINCE:
            cells |= {cell for (cell,) in self._file.all("SELECT cell_id FROM sum_checksums")}
        return sorted(
            {
                *self._wrong("sums", {cell: sums.get(cell, []) for cell in cells}),
                *self._wrong("histograms", {cell: bins.get(cell, []) for cell in cells}),
            }
        )

    def _wrong(self, column: str, parts: dict[int, list[tuple[Any, ...]]]) -> Iterator[int]:
        if self._file.version < schema.SUMS_SEALED_SINCE:
            return
        stored = dict(self._file.all(f"SELECT cell_id, {column} FROM sum_checksums"))
        may_lack = self.born() < schema.SUMS_SEALED_SINCE
        for cell, records in parts.items():
            checksum = stored.get(cell)
            if checksum is None and (may_lack or not records):
                continue
            if checksum is None or not _fits(checksum, column, records):
                yield cell

    # -- the file itself, and all other records
    # ----------------------------------------------------------------------------------------------

    def integrity(self) -> list[str]:
        """SQLite's own complaints about the file: none, as a rule. Reads all of it."""
        found = [
            str(line) for (line,) in self._file.all("PRAGMA integrity_check(20)") if line != "ok"
        ]
        return found + [
            f"{row[0]}: a row without its {row[2]}"
            for row in self._file.all("PRAGMA foreign_key_check")[:20]
        ]

    def foreign_schema(self) -> list[str]:
        """Tables and indexes that are not those of its version; none, as a rule."""
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
        missing = "" if self.born_sealed() else "checksum NOTNULL AND"
        checksums.add_function(self._file.connection)
        for table in checksums.sealed_tables(self._file.connection):
            keys = ", ".join(table.key)
            wrong = f"{missing} checksum IS NOT {table.expression()}"
            for key in self._file.stream(f"SELECT {keys} FROM {table.name} WHERE {wrong}"):
                yield table.name, key


def is_record_sound(record: Sequence[Any], *, may_lack: bool) -> bool:
    """Whether a record of ``Checks.query(ROW_COLUMNS, …)`` is a row as it was written."""
    return is_sound(record[:ROW_WIDTH], *record[ROW_WIDTH:], may_lack=may_lack)


def _fits(checksum: bytes, column: str, records: list[tuple[Any, ...]]) -> bool:
    try:
        if column == "sums":
            return checksum == sums_checksum(sums_by_key(records))
        return checksum == histograms_checksum(bins_by_metric(records))
    except (LookupError, *WRONG_KIND):
        return False


_SCHEMA_QUERY = (
    "SELECT type, tbl_name, coalesce(sql, name) FROM sqlite_schema"
    " WHERE name NOT LIKE 'sqlite_stat%'"
)


def _definitions(found: list[tuple[Any, ...]]) -> set[tuple[str, str, str]]:
    """Kind, table and definition of each entry, comments and blanks aside."""
    return {
        (str(kind), str(table), " ".join(re.sub("--[^\n]*", "", str(sql)).split()))
        for kind, table, sql in found
    }
