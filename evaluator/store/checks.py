"""Whether a run's file is what was written: its pages, its tables, the checksums of its records."""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from itertools import chain
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
from evaluator.store.schema import MEASUREMENT_COLUMNS, ROW_COLUMNS
from evaluator.store.sums import bins_by_metric, sums_by_key
from evaluator.text import printable

Key = tuple[int, int, str]
"""(cell, image, metric) of something that was measured; metric ``''`` for a row."""


class Checks:
    """Compares records with their checksums.

    Whatever computes from records asks ``verify`` first. What it has compared of a whole cell is
    not compared again by this reader until the file changes.
    """

    def __init__(self, file: ReadOnlyFile) -> None:
        self._file = file
        self._verified: dict[tuple[int, str], int] = {}

    def born_sealed(self) -> bool:
        """Whether every record must have a checksum: not in files that an older camtui began."""
        return self.born() > 1

    def born(self) -> int:
        """The version of the camtui that began the run; 3 at least where all of it was sealed."""
        born = self._file.first("SELECT born FROM run")
        return int(born[0]) if born else schema.SCHEMA_VERSION

    # -- rows and optional metrics
    # ----------------------------------------------------------------------------------------------

    def verified(
        self,
        metric: str,
        cells: Sequence[int] | None = None,
        images: range | Sequence[int] | None = None,
    ) -> Iterator[tuple[tuple[Any, ...], bool]]:
        """Records with whether each is what was written; streams.

        Args:
            metric: ``''`` for rows, ``'*'`` for every optional metric.
            cells, images: of these alone, by id.

        Yields:
            ``ROW_COLUMNS`` or ``MEASUREMENT_COLUMNS``.
        """
        table, columns = (
            ("measurements", MEASUREMENT_COLUMNS) if metric else ("results", ROW_COLUMNS)
        )
        conditions, values = ["true"], list[Any]()
        for name, chosen in (("cell_id", cells), ("image_id", images)):
            if isinstance(chosen, range):
                conditions.append(f"{name} >= ? AND {name} < ?")
                values += [chosen.start, chosen.stop]
            elif chosen is not None:
                conditions.append(f"{name} IN (SELECT value FROM json_each(?))")
                values.append(json.dumps(list(chosen)))
        if metric not in ("", "*"):
            conditions.append("metric = ?")
            values.append(metric)
        width, may_lack = columns.count(",") + 1, not self.born_sealed()
        for record in self._file.stream(
            f"SELECT {columns}, r.checksum, coalesce(c.identity, ''), i.path, i.content"
            f" FROM {table} r LEFT JOIN cells c ON c.id = cell_id"
            f" LEFT JOIN images i ON i.id = image_id WHERE {' AND '.join(conditions)}",
            values,
        ):
            own = record[:width]
            yield own, is_sound(own, *record[width:], may_lack=may_lack)

    def damaged_rows(self, cells: Sequence[int] | None = None) -> Iterator[Key]:
        """Rows and measurements of all or some cells that are not what was written; streams."""
        return chain(self._damaged("", cells), self._damaged("*", cells))

    def verify(
        self,
        cells: Sequence[int] | None = None,
        metric: str | None = None,
        images: range | Sequence[int] | None = None,
    ) -> None:
        """Verify rows, values of one optional metric, or both of all.

        Args:
            cells, images: those alone, by id.
            metric: ``''`` for rows; ``None`` for rows and every optional metric.

        Raises:
            StoreError: at the first that is not what was written.
        """
        if metric is None:
            self._refuse(self.damaged_rows(cells))
        elif images is not None or cells is None:
            self._refuse(self._damaged(metric, cells, images))
        else:
            (version,) = self._file.one("PRAGMA data_version")
            for cell in cells:
                if self._verified.get((cell, metric)) != version:
                    self._refuse(self._damaged(metric, [cell]))
                    self._verified[cell, metric] = version

    def _damaged(
        self,
        metric: str,
        cells: Sequence[int] | None = None,
        images: range | Sequence[int] | None = None,
    ) -> Iterator[Key]:
        for record, sound in self.verified(metric, cells, images):
            if not sound:
                yield record[0], record[1], record[2] if metric else ""

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

    def verify_summed(self, table: str, parts: dict[int, list[tuple[Any, ...]]]) -> None:
        """Verify what is summed up of cells; to be asked in the moment that it was read in.

        Args:
            table: ``sums`` or ``histograms``.
            parts: cell → (a, b, n, total) of each sum, or (metric, bin, n) of each bin.

        Raises:
            StoreError: those of a cell are not what was written.
        """
        what = "running sums" if table == "sums" else table
        for cell in self._wrong(table, parts):
            raise self.error(f"the {what} of {self._cell_name(cell)}", "are")

    def wrong_sums(
        self, sums: dict[int, list[tuple[Any, ...]]], bins: dict[int, list[tuple[Any, ...]]]
    ) -> list[int]:
        """Cells whose running sums or histograms do not fit their checksum.

        Cells with a checksum and no sums are among them.
        """
        cells = {*sums, *bins}
        if self._file.version >= schema.SUMS_SEALED_SINCE:
            cells |= {cell for (cell,) in self._file.all("SELECT cell_id FROM sum_checksums")}
        wrong = (
            self._wrong(table, {cell: parts.get(cell, []) for cell in cells})
            for table, parts in (("sums", sums), ("histograms", bins))
        )
        return sorted({*chain(*wrong)})

    def _wrong(self, table: str, parts: dict[int, list[tuple[Any, ...]]]) -> Iterator[int]:
        if self._file.version < schema.SUMS_SEALED_SINCE:
            return
        stored = dict(self._file.all(f"SELECT cell_id, {table} FROM sum_checksums"))
        may_lack = self.born() < schema.SUMS_SEALED_SINCE
        for cell, records in parts.items():
            checksum = stored.get(cell)
            if checksum is None and (may_lack or not records):
                continue
            if checksum is None or not _fits(checksum, table, records):
                yield cell

    # -- the file itself, and all other records
    # ----------------------------------------------------------------------------------------------

    def integrity(self) -> list[str]:
        """SQLite's own complaints about the file: none, as a rule. Reads all of it."""
        found = [line for (line,) in self._file.all("PRAGMA integrity_check(20)") if line != "ok"]
        found += [
            f"{row[0]}: a row without its {row[2]}"
            for row in self._file.all("PRAGMA foreign_key_check")[:20]
        ]
        return [printable(line, 300) for line in found]

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
        missing = "" if self.born_sealed() else "checksum NOTNULL AND"
        checksums.add_function(self._file.connection)
        for table in checksums.sealed_tables(self._file.connection):
            keys = ", ".join(table.key)
            wrong = f"{missing} checksum IS NOT {table.expression()}"
            for key in self._file.stream(f"SELECT {keys} FROM main.{table.name} WHERE {wrong}"):
                yield table.name, key


def _fits(checksum: bytes, table: str, records: list[tuple[Any, ...]]) -> bool:
    try:
        if table == "sums":
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
