"""Checksums of the records of a run's file: eight bytes beside each.

Written with a record, compared by whatever computes from it. A checksum finds damage: a disk, a
copy or a tool that has changed a value. It is no signature: who can write the file can write the
checksum too.
"""

from __future__ import annotations

import json
import re
import sqlite3
import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from functools import cache
from hashlib import blake2b
from itertools import chain
from typing import Any, NamedTuple

from evaluator.errors import StoreError
from evaluator.plan import todays_names
from evaluator.records import Row
from evaluator.store import schema
from evaluator.store.readonly import DAMAGE, ReadOnlyFile
from evaluator.store.schema import HISTOGRAM_BINS, MEASUREMENT_COLUMNS, ROW_COLUMNS
from evaluator.text import printable

SIZE = 8
"""Bytes of a checksum: one damaged record in 2⁶⁴ passes for a whole one."""

_ROW = struct.Struct("<4q7dB")
_UNDEFINED = [Row._fields.index(name) for name in ("average_drop", "coherency", "adcc")]
"""Numbers of a row that may be ``None``, which counts as NaN."""

_MEASUREMENT = struct.Struct("<2qd")
_NAN = float("nan")

WRONG_KIND = (struct.error, TypeError, AttributeError)
"""Exceptions of packing a value that is not of the kind that was written."""


def row_checksum(row: Sequence[Any], identity: str, path: bytes, content: bytes | None) -> bytes:
    """The checksum of a row: over cell and image, every number, and the map.

    Args:
        row: a ``Row``, or its columns as stored.
        identity: of the cell, ``plan.cell_identity``.
        path, content: of the image.

    Raises:
        WRONG_KIND: a value of another kind, which no row of ours has.
    """
    *numbers, map_ = row
    for place in _UNDEFINED:
        if numbers[place] is None:
            numbers[place] = _NAN
    packed = _ROW.pack(*numbers)
    map_ = b"-" if map_ is None else b"+" + map_
    return _digest(packed, map_, identity.encode(), content or b"", path)


def measurement_checksum(
    measurement: Sequence[Any], identity: str, path: bytes, content: bytes | None
) -> bytes:
    """The checksum of an optional metric, as ``row_checksum``."""
    cell, image, metric, value, curve = measurement
    numbers = _MEASUREMENT.pack(cell, image, value)
    return _digest(numbers, curve, metric.encode(), identity.encode(), content or b"", path)


def is_sound(
    record: Sequence[Any],
    checksum: bytes | None,
    identity: str,
    path: bytes,
    content: bytes | None,
    *,
    may_lack: bool,
) -> bool:
    """Whether a row or an optional metric is what was written.

    Args:
        record: the columns of a ``Row`` or of a ``Measurement``.
        checksum: as stored.
        may_lack: a record without one is taken as it is, because the file was begun by a camtui
            that wrote none. Such records get theirs later, and it then says nothing of the cell and
            the file that they were made from.
    """
    if checksum is None:
        return may_lack
    checksum_of = row_checksum if len(record) == len(Row._fields) else measurement_checksum
    try:
        return checksum == checksum_of(record, identity, path, content) or (
            checksum == checksum_of(record, "", path, None)
        )
    except WRONG_KIND:
        return False


def sums_checksum(sums: Mapping[tuple[str, str], Sequence[int]]) -> bytes:
    """The checksum of all running sums of a cell, in any order.

    Args:
        sums: (a, b) → n, total.

    Raises:
        WRONG_KIND: a value of another kind, which no sum of ours has.
    """
    keys = sorted(sums)
    return _numbers_digest(map("\0".join, keys), [number for key in keys for number in sums[key]])


def histograms_checksum(bins: Mapping[str, Sequence[int]]) -> bytes:
    """The checksum of all histograms of a cell, in any order.

    Args:
        bins: metric → images in each of its bins.

    Raises:
        WRONG_KIND: a value of another kind, which no histogram of ours has.
    """
    metrics = sorted(bins)
    return _numbers_digest(metrics, [number for metric in metrics for number in bins[metric]])


def sums_by_key(records: Iterable[tuple[Any, ...]]) -> dict[tuple[str, str], tuple[int, int]]:
    """The sums of one cell, of records (a, b, n, total)."""
    return {(a, b): (n, total) for a, b, n, total in records}


def bins_by_metric(records: Iterable[tuple[Any, ...]]) -> dict[str, list[int]]:
    """The histograms of one cell, of records (metric, bin, n).

    Raises:
        LookupError: a bin that no histogram of ours has.
    """
    bins: dict[str, list[int]] = {}
    for metric, place, n in records:
        if place not in range(HISTOGRAM_BINS):
            raise LookupError(f"bin {place}")
        bins.setdefault(metric, [0] * HISTOGRAM_BINS)[place] = n
    return bins


def record_checksum(*columns: Any) -> bytes:
    """The checksum of any other record.

    Args:
        *columns: name, value, name, value, … in the order of the table; columns that are NULL do
            not count, so that a later version can add some.
    """
    parts: list[bytes] = []
    for name, value in zip(columns[::2], columns[1::2], strict=True):
        if value is not None:
            parts += (name.encode(), _encoded(value))
    return _digest(*parts)


def _encoded(value: Any) -> bytes:
    """A value with its kind."""
    if isinstance(value, int):
        return b"i%d" % value
    if isinstance(value, float):
        return b"f" + struct.pack("<d", value)
    return (
        b"t" + value.encode("utf-8", "surrogatepass")
        if isinstance(value, str)
        else b"b" + bytes(value)
    )


def _numbers_digest(names: Iterable[str], numbers: Sequence[int]) -> bytes:
    text = "\n".join(names).encode("utf-8", "surrogatepass")
    return _digest(text, struct.pack(f"<{len(numbers)}q", *numbers))


@cache
def _integers(count: int) -> struct.Struct:
    return struct.Struct(f"<{count}q")


def _digest(*parts: bytes) -> bytes:
    lengths = _integers(len(parts)).pack(*map(len, parts))
    return blake2b(b"".join((lengths, *parts)), digest_size=SIZE).digest()


BY_THEMSELVES = ("results", "measurements")
"""Tables whose checksums are computed with their records: they are many, and depend on what their
cell and image are.
"""


class SealedTable(NamedTuple):
    """A table whose records have checksums of their own columns."""

    name: str
    columns: tuple[str, ...]
    key: tuple[str, ...]

    def expression(self, prefix: str = "", changed: Mapping[str, str] | None = None) -> str:
        """The checksum in SQL, where ``record_checksum`` is a function of the connection.

        Args:
            changed: SQL for columns of which another value is meant than the stored one.
        """
        values = {column: f"{prefix}{column}" for column in self.columns} | dict(changed or {})
        pairs = ", ".join(f"'{column}', {value}" for column, value in values.items())
        return f"record_checksum({pairs})"


def sealed_tables(connection: sqlite3.Connection) -> list[SealedTable]:
    """Every table of the file with a column for checksums, rows and measurements aside."""
    names = [
        name
        for (name,) in connection.execute(
            "SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name"
        )
    ]
    tables = []
    for name in names:
        found = connection.execute(
            "SELECT name, pk FROM pragma_table_info(?, 'main') ORDER BY cid", (name,)
        ).fetchall()
        columns = tuple(column for column, _ in found if column != "checksum")
        if len(columns) < len(found) and name not in BY_THEMSELVES:
            tables.append(
                SealedTable(name, columns, tuple(column for column, place in found if place))
            )
    return tables


def add_function(connection: sqlite3.Connection) -> None:
    """Make ``record_checksum`` known to a connection."""
    connection.create_function("record_checksum", -1, record_checksum, deterministic=True)


_NAMING_METHODS = {"cells": ("method", "note"), "looks": ("verdicts",)}
"""Tables with columns that name methods. Events tell what was said when it was said."""


def name_anew(connection: sqlite3.Connection) -> None:
    """Bring the methods in a file of an earlier version to their names of today.

    A record that was not what had been written is none afterwards either.
    """
    add_function(connection)
    connection.create_function("todays_names", 1, todays_names, deterministic=True)
    for table in sealed_tables(connection):
        changed = {name: f"todays_names({name})" for name in _NAMING_METHODS.get(table.name, ())}
        if not changed:
            continue
        values = ", ".join(f"{name} = {value}" for name, value in changed.items())
        differs = " OR ".join(f"{name} IS NOT {value}" for name, value in changed.items())
        connection.execute(
            f"UPDATE {table.name} SET {values}, checksum = CASE WHEN checksum = "
            f"{table.expression()} THEN {table.expression(changed=changed)} ELSE checksum END "
            f"WHERE {differs}"
        )


def keep_sealed(connection: sqlite3.Connection) -> None:
    """From now on every record that this connection inserts or changes gets its checksum."""
    add_function(connection)
    for table in sealed_tables(connection):
        here = " AND ".join(f"{column} = NEW.{column}" for column in table.key)
        seal = f"UPDATE {table.name} SET checksum = {table.expression('NEW.')} WHERE {here}"
        for moment in ("INSERT", f"UPDATE OF {', '.join(table.columns)}"):
            trigger = f"seal_{moment[:6].lower()}_{table.name}"
            connection.execute(
                f"CREATE TEMP TRIGGER {trigger} AFTER {moment} ON main.{table.name} BEGIN "
                f"{seal}; END"
            )


# -- whether a file is what was written
# --------------------------------------------------------------------------------------------------

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

    def damaged_rows(
        self,
        cells: Sequence[int] | None = None,
        metric: str | None = None,
        images: range | Sequence[int] | None = None,
    ) -> Iterator[Key]:
        """Rows and measurements that are not what was written, chosen as in ``verify``; streams."""
        for key in ("", "*") if metric is None else (metric,):
            for record, sound in self.verified(key, cells, images):
                if not sound:
                    yield record[0], record[1], record[2] if key else ""

    def verify(
        self,
        cells: Sequence[int] | None = None,
        metric: str | None = None,
        images: range | Sequence[int] | None = None,
    ) -> None:
        """Verify rows, values of one optional metric, or both.

        Args:
            cells, images: of these alone, by id.
            metric: ``''`` for rows; ``None`` for rows and every optional metric.

        Raises:
            StoreError: at the first that is not what was written.
        """
        if cells is None or metric is None or images is not None:
            self._refuse(self.damaged_rows(cells, metric, images))
            return
        (version,) = self._file.one("PRAGMA data_version")
        for cell in cells:
            if self._verified.get((cell, metric)) != version:
                self._refuse(self.damaged_rows([cell], metric))
                self._verified[cell, metric] = version

    def _refuse(self, damaged: Iterator[Key]) -> None:
        for cell, image, metric in damaged:
            of_image = f"image {image} in {self.cell_name(cell)}"
            what = f"{printable(metric)} of {of_image}" if metric else f"the row of {of_image}"
            raise self.error(what, "is")

    def cell_name(self, cell: int) -> str:
        """``network/method``; the number where the file does not tell any more."""
        try:
            name = self._file.first(
                "SELECT b.name || '/' || c.method FROM cells c"
                " JOIN backbones b ON b.id = c.backbone_id WHERE c.id = ?",
                (cell,),
            )
        except DAMAGE:
            name = None
        if name is None:
            return f"method {cell}"
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
            raise self.error(f"the {what} of {self.cell_name(cell)}", "are")

    def of_sums(self) -> dict[int, bytes]:
        """Cell → checksum over its running sums: another one as soon as a row is added."""
        if self._file.version < schema.SUMS_SEALED_SINCE:
            return {}
        return dict(self._file.all("SELECT cell_id, sums FROM sum_checksums WHERE sums NOTNULL"))

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
        add_function(self._file.connection)
        for table in sealed_tables(self._file.connection):
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
