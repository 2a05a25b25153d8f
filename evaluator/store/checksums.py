"""What a record of a run's file looked like when it was written.

Eight bytes beside it, compared by whoever computes from it.

A checksum finds damage: a disk, a copy or a tool that has changed a value. It is no signature: who
can write the file can write the checksum too.
"""

from __future__ import annotations

import struct
from hashlib import blake2b
from typing import Any

from evaluator.records import Measurement, Row

SIZE = 8
"""Bytes of a checksum: one damaged record in 2⁶⁴ passes for a whole one."""

_ROW = struct.Struct("<4q7d?")
_MEASUREMENT = struct.Struct("<2qd")
_NAN = float("nan")


def row_checksum(row: Row, identity: str, path: bytes, content: bytes | None) -> bytes:
    """The checksum of a row: whose it is, every number, and the map.

    Args:
        identity: of the cell, ``plan.cell_identity``; ``path``, ``content``: of the image.

    Raises:
        struct.error, TypeError: a value of the wrong kind, which no row of ours has.
    """
    drop, adcc = row.average_drop, row.adcc
    numbers = _ROW.pack(
        row.cell,
        row.image,
        row.target,
        row.predicted,
        row.y,
        row.o,
        _NAN if drop is None else drop,
        row.average_increase,
        row.coherency,
        row.complexity,
        _NAN if adcc is None else adcc,
        row.degenerate,
    )
    return _digest(
        numbers,
        b"-" if row.map is None else b"+" + row.map,
        identity.encode(),
        content or b"",
        path,
    )


def measurement_checksum(
    measurement: Measurement, identity: str, path: bytes, content: bytes | None
) -> bytes:
    """The checksum of an optional metric, as ``row_checksum``."""
    numbers = _MEASUREMENT.pack(measurement.cell, measurement.image, measurement.value)
    return _digest(
        numbers,
        measurement.curve,
        measurement.metric.encode(),
        identity.encode(),
        content or b"",
        path,
    )


def is_row_sound(
    row: Row,
    checksum: bytes | None,
    identity: str,
    path: bytes,
    content: bytes | None,
    *,
    optional: bool,
) -> bool:
    """Whether a row is what was written.

    Args:
        checksum: as stored. optional: a row without one is taken as it is: the file was begun by a
        camtui that wrote none. Such rows get theirs on
            request, which then says nothing of the cell and the file they were made from.
    """
    if checksum is None:
        return optional
    try:
        return checksum in (
            row_checksum(row, identity, path, content),
            row_checksum(row, "", path, None),
        )
    except (struct.error, TypeError, AttributeError):
        return False


def is_measurement_sound(
    measurement: Measurement,
    checksum: bytes | None,
    identity: str,
    path: bytes,
    content: bytes | None,
    *,
    optional: bool,
) -> bool:
    """Whether an optional metric is what was written, as ``is_row_sound``."""
    if checksum is None:
        return optional
    try:
        return checksum in (
            measurement_checksum(measurement, identity, path, content),
            measurement_checksum(measurement, "", path, None),
        )
    except (struct.error, TypeError, AttributeError):
        return False


def record_checksum(*columns: Any) -> bytes:
    """The checksum of any other record.

    Args:
        columns: name, value, name, value, … in the order of the table; columns that are NULL do not
            count, so that a later version can add some.
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


def _digest(*parts: bytes) -> bytes:
    lengths = struct.pack(f"<{len(parts)}q", *map(len, parts))
    return blake2b(lengths + b"".join(parts), digest_size=SIZE).digest()
