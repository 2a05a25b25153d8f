"""Zip archives, by their central directory; members that are stored or deflated."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from typing import NamedTuple

from evaluator.errors import ImageUnreadable
from evaluator.sources.archive import MOST_MEMBERS, Archive, Member, read_at
from evaluator.sources.base import MOST_BYTES
from evaluator.text import printable

_END, _END64, _LOCATOR = b"PK\x05\x06", b"PK\x06\x06", b"PK\x06\x07"
_CENTRAL, _LOCAL = b"PK\x01\x02", b"PK\x03\x04"
_HEADER = struct.Struct("<4s6H3I5H2I")
_LOCAL_HEADER = struct.Struct("<4s5H3I2H")
_WINDOW = 2**20

STORED, _DEFLATED = 0, 8
_METHODS = {9: "Deflate64", 12: "bzip2", 14: "LZMA", 93: "zstd", 95: "xz", 99: "AES"}
_UTF8, _ENCRYPTED = 2**11, 1
_UNIX, _KIND, _LINK = 3, 0o170000, 0o120000
_AGAIN = "copy it again, and compare its size or its checksum"


class _Directory(NamedTuple):
    """Where the central directory lies; ``shift``: bytes that stand before the archive."""

    begin: int
    size: int
    members: int
    shift: int


class Zip(Archive):
    """A zip archive.

    >>> from pathlib import Path
    >>> Zip(Path("/data/val.zip")).identity()
    Traceback (most recent call last):
    FileNotFoundError: [Errno 2] No such file or directory: '/data/val.zip'
    """

    endings = (b".zip",)

    def members(self, descriptor: int, size: int, *, sizes: bool) -> Iterator[Member]:
        """Its members, as the central directory lists them.

        The packed sizes together are no more than the file: none lies upon another.
        """
        directory = self._directory(descriptor, size)
        place, end, count, packed_sizes = directory.begin, directory.begin + directory.size, 0, 0
        window, at = b"", 0
        while place + at < end:
            if len(window) - at < 2**17 and place + len(window) < end:
                place, at, window = place + at, 0, b""
                window = read_at(descriptor, min(_WINDOW, end - place), place)
            if len(window) - at < _HEADER.size or window[at : at + 4] != _CENTRAL:
                raise self.refused(f"is damaged: no member's header at byte {place + at:,}", _AGAIN)
            fields = _HEADER.unpack_from(window, at)
            made, flags, method, crc = fields[1] >> 8, fields[3], fields[4], fields[7]
            packed, unpacked, lengths, offset = fields[8], fields[9], fields[10:13], fields[16]
            at += _HEADER.size
            behind = at + lengths[0]
            name, extra = window[at:behind], window[behind : behind + lengths[1]]
            at += sum(lengths)
            unpacked, packed, offset = _wide(extra, unpacked, packed, offset)
            count, packed_sizes = count + 1, packed_sizes + packed
            if offset + directory.shift + packed > size or packed_sizes > size:
                raise self.refused("has members that lie upon each other or beyond its end", _AGAIN)
            if name.endswith(b"/"):
                continue
            odd = ""
            if flags & _ENCRYPTED:
                odd = "encrypted"
            elif method not in (STORED, _DEFLATED):
                odd = f"packed by {_METHODS.get(method, f'method {method}')}, not by Deflate"
            elif made == _UNIX and fields[15] >> 16 & _KIND == _LINK:
                odd = "a link, not a file"
            begin = offset + directory.shift
            yield Member(_utf8(name, flags), unpacked, (begin, packed, method, crc), odd=odd)
        if count != directory.members:
            raise self.refused(
                f"is damaged: {count:,} members of {directory.members:,} are listed", _AGAIN
            )

    def content(self, descriptor: int, size: int, place: tuple[int, ...]) -> bytes:
        """The content of a member, which must be of its size and its checksum."""
        _, packed, method, crc = place
        first = self.data_of(descriptor, place)
        if packed > MOST_BYTES:
            raise ImageUnreadable("too-large", f"{packed} bytes packed, at most {MOST_BYTES}")
        data = read_at(descriptor, packed, first)
        if method == _DEFLATED:
            data = _inflated(data, size)
        if zlib.crc32(data) != crc:
            raise ImageUnreadable("damaged", "it does not fit its checksum in the archive")
        return data

    def data_of(self, descriptor: int, place: tuple[int, ...]) -> int:
        """The byte at which a member's data begin.

        Raises:
            ImageUnreadable: it is not there.
        """
        header = read_at(descriptor, _LOCAL_HEADER.size, place[0])
        if len(header) < _LOCAL_HEADER.size or header[:4] != _LOCAL:
            raise ImageUnreadable("changed", "its header in the archive has gone")
        *_, name, extra = _LOCAL_HEADER.unpack(header)
        return place[0] + _LOCAL_HEADER.size + int(name) + int(extra)

    def _directory(self, descriptor: int, size: int) -> _Directory:
        """Where the list of members is.

        Raises:
            UsageError: it is not there, or claims what cannot be.
        """
        begin = max(0, size - 2**16 - 22)
        tail = read_at(descriptor, size - begin, begin)
        found = tail.rfind(_END)
        if found < 0 or len(tail) - found < 22:
            raise self.refused("is no zip archive, or its end is missing: it was cut", _AGAIN)
        disk, other, _, count, length, offset = struct.unpack_from("<4H2I", tail, found + 4)
        end = begin + found
        if 0xFFFF in (count, disk) or 0xFFFFFFFF in (length, offset):
            locator = read_at(descriptor, 20, end - 20) if end >= 20 else b""
            if locator[:4] != _LOCATOR:
                raise self.refused("is damaged: its list of members is not found", _AGAIN)
            (place,) = struct.unpack_from("<Q", locator, 8)
            wide = read_at(descriptor, 56, place)
            if len(wide) < 56 or wide[:4] != _END64:
                raise self.refused("is damaged: its list of members is not found", _AGAIN)
            disk, other, _, count, length, offset = struct.unpack_from("<2I4Q", wide, 16)
            end = place
        if disk or other:
            raise self.refused("is one part of several", "zip -s 0 PART.zip --out WHOLE.zip")
        if count > MOST_MEMBERS:
            raise self.refused(
                f"has {count:,} members, at most {MOST_MEMBERS:,} are read", "split it into parts"
            )
        shift = end - length - offset
        if shift < 0:
            raise self.refused("is damaged: its list of members is not found", _AGAIN)
        return _Directory(offset + shift, length, count, shift)


def _wide(extra: bytes, unpacked: int, packed: int, offset: int) -> tuple[int, int, int]:
    """Sizes and place of a member, of which those that are too great stand in an extra field."""
    while len(extra) >= 4:
        kind, length = struct.unpack_from("<2H", extra)
        if kind == 1:
            values = iter(struct.unpack_from(f"<{min(length, len(extra) - 4) // 8}Q", extra, 4))
            unpacked = next(values, unpacked) if unpacked == 0xFFFFFFFF else unpacked
            packed = next(values, packed) if packed == 0xFFFFFFFF else packed
            offset = next(values, offset) if offset == 0xFFFFFFFF else offset
        extra = extra[4 + length :]
    return unpacked, packed, offset


def _utf8(name: bytes, flags: int) -> bytes:
    """A name in UTF-8: old archives have the characters of DOS."""
    if flags & _UTF8 or name.isascii():
        return name
    try:
        name.decode("utf-8")
    except UnicodeDecodeError:
        return name.decode("cp437").encode()
    return name


def _inflated(data: bytes, size: int) -> bytes:
    """What was deflated, no more than a byte beyond its size.

    Raises:
        ImageUnreadable: it is damaged, or unpacks to more than the archive says.
    """
    try:
        found = zlib.decompressobj(-15).decompress(data, size + 1)
    except zlib.error as error:
        raise ImageUnreadable("damaged", printable(error, 100)) from error
    if len(found) > size:
        raise ImageUnreadable("damaged", f"it unpacks to more than the {size} bytes that are said")
    return found
