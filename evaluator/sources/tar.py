"""Tar archives: ustar, GNU and pax; WebDataset's shards are such."""

from __future__ import annotations

from collections.abc import Iterator

from evaluator.sources.archive import Archive, Member, read_at

_BLOCK = 512
_END = bytes(_BLOCK)
_MOST_HEADER_BYTES = 2**20
"""Of a long name, or of a pax header."""

_ODD = {
    b"1": "a link, not a file", b"2": "a link, not a file", b"3": "a device", b"4": "a device",
    b"6": "a pipe", b"S": "a file with holes (tar --sparse)",
}  # fmt: skip
_PACKED = {
    b"\x1f\x8b": ("gzip", "gunzip"),
    b"BZh": ("bzip2", "bunzip2"),
    b"\xfd7zXZ": ("xz", "unxz"),
    b"\x28\xb5\x2f\xfd": ("zstd", "unzstd"),
}
"""Begins of files that are compressed as a whole: their program, and what undoes it."""


class Tar(Archive):
    """A tar archive that is not compressed.

    >>> from pathlib import Path
    >>> from evaluator.sources.base import Entry
    >>> Tar(Path("/data/val.tar"), b"val").open(Entry(b"a.jpg", None))
    Traceback (most recent call last):
    evaluator.errors.ImageUnreadable: No such file or directory
    """

    endings = (
        b".tar",
        b".tar.gz",
        b".tgz",
        b".tar.bz2",
        b".tbz2",
        b".tar.xz",
        b".txz",
        b".tar.zst",
    )

    def members(self, descriptor: int, size: int, *, sizes: bool) -> Iterator[Member]:
        """Its members, header by header."""
        place, name, given_size, sparse = 0, b"", -1, False
        shared: dict[bytes, bytes] = {}
        while (header := read_at(descriptor, _BLOCK, place)) != _END:
            if place == 0:
                self._refuse_packed(header)
            if len(header) < _BLOCK:
                raise self.refused(
                    "has no end: it was cut, or is still being written"
                    if place
                    else "is no tar archive",
                    "copy it again, and compare its size or its checksum",
                )
            length = self._length(header, place)
            kind, begin = header[156:157], place + _BLOCK
            if kind in b"LxgK" and kind:
                data = read_at(descriptor, min(length, _MOST_HEADER_BYTES), begin)
                if len(data) < length:
                    raise self.refused(f"has a header of {length:,} bytes at {place:,}")
                if kind == b"L":
                    name = data.rstrip(b"\0")
                elif kind != b"K":
                    told = shared | _pax(data)
                    shared = told if kind == b"g" else shared
                    sparse = any(key.startswith(b"GNU.sparse.") for key in told)
                    name = told.get(b"path", name)
                    given = told.get(b"size", b"")
                    given_size = int(given) if given.isdigit() and len(given) < 19 else given_size
            else:
                length = given_size if given_size >= 0 else length
                length = 0 if kind in b"123456" and kind else length
                if begin + length > size:
                    raise self.refused(
                        f"ends within a member: {length:,} bytes at {begin:,}, of {size:,} in all",
                        "copy it again, and compare its size or its checksum",
                    )
                if kind != b"5":
                    odd = _ODD[b"S"] if sparse else _ODD.get(kind, "")
                    yield Member(name or _name(header), length, (begin,), odd=odd)
                name, given_size, sparse = b"", -1, False
            place = begin + -(-length // _BLOCK) * _BLOCK
        self._refuse_another(descriptor, place)

    def content(self, descriptor: int, size: int, place: tuple[int, ...]) -> bytes:
        """The bytes of a member as they lie in the file."""
        return read_at(descriptor, size, *place)

    def _length(self, header: bytes, place: int) -> int:
        """The bytes behind a header.

        Raises:
            UsageError: its checksum says that it is none.
        """
        given, length = header[148:156], _number(header[124:136])
        if length < 0 or _number(given) != sum(header) - sum(given) + 8 * 32:
            raise self.refused(
                "is no tar archive" if place == 0 else f"is damaged at byte {place:,}",
                "copy it again, and compare its size or its checksum",
            )
        return length

    def _refuse_another(self, descriptor: int, place: int) -> None:
        """Refuse two archives in one file, of which the second would be left out without a word."""
        while (part := read_at(descriptor, 2**20, place)) and not part.strip(b"\0"):
            place += len(part)
        place += (len(part) - len(part.lstrip(b"\0"))) // _BLOCK * _BLOCK
        if read_at(descriptor, _BLOCK, place)[257:262] == b"ustar":
            raise self.refused(
                f"has another archive behind its end, at byte {place:,}",
                "tar -Af FIRST.tar SECOND.tar joins two; cat does not",
            )

    def _refuse_packed(self, header: bytes) -> None:
        for begin, (packer, unpacker) in _PACKED.items():
            if header.startswith(begin):
                raise self.refused(
                    f"is compressed as a whole by {packer}, so that no image can be read by itself",
                    f"{unpacker} -k {self.file}; camtui run --data FILE.tar",
                )


def _name(header: bytes) -> bytes:
    name = header[:100].partition(b"\0")[0]
    prefix = header[345:500].partition(b"\0")[0] if header[257:263] == b"ustar\0" else b""
    return prefix + b"/" + name if prefix else name


def _number(field: bytes) -> int:
    """Octal digits, or base 256 behind a byte 0x80; -1 where it is neither."""
    if field[:1] == b"\x80":
        return int.from_bytes(field[1:], "big")
    digits = field.strip(b" \0") or b"0"
    return int(digits, 8) if digits.isdigit() and not set(digits) & set(b"89") else -1


def _pax(data: bytes) -> dict[bytes, bytes]:
    """The records of a pax header, ``LENGTH KEY=VALUE`` each, as far as they are such."""
    found = {}
    while data:
        length = data.partition(b" ")[0]
        if not length.isdigit() or len(length) > 7 or not 0 < int(length) <= len(data):
            break
        record, data = data[len(length) + 1 : int(length) - 1], data[int(length) :]
        key, _, value = record.partition(b"=")
        found[key] = value
    return found
