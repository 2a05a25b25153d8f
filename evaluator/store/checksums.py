"""Checksums of the records of a run's file: eight bytes beside each.

Written with a record, compared by whatever computes from it. A checksum finds damage: a disk, a
copy or a tool that has changed a value. It is no signature: who can write the file can write the
checksum too.
"""

from __future__ import annotations

import sqlite3
import struct
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from hashlib import blake2b
from typing import Any, NamedTuple

from evaluator.plan import todays_names
from evaluator.records import Row

SIZE = 8
"""Bytes of a checksum: one damaged record in 2⁶⁴ passes for a whole one."""

_ROW = struct.Struct("<4q7dB")
_UNDEFINED = [Row._fields.index(name) for name in ("average_drop", "adcc")]
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
