"""Arrays of NumPy's ``.npz``: ``images`` and ``labels``, MedMNIST's ``test_images``, ``x_test``."""

from __future__ import annotations

import ast
import re
import struct
import threading
import zlib
from collections.abc import Iterator
from math import prod
from typing import NamedTuple

from evaluator.errors import ImageUnreadable
from evaluator.sources.archive import Member, read_at
from evaluator.sources.zip import STORED, Zip
from evaluator.text import printable

_MAGIC = b"\x93NUMPY"
_IMAGES = re.compile(r"(?:(?P<split>\w+)_)?images|x(?:_(?P<part>\w+))?")
_KIND = re.compile(r"[<>|=][buif][1248]")
_CODES = {"u1": "B", "i1": "b", "b1": "?", "u2": "H", "i2": "h", "u4": "I", "i4": "i",
          "u8": "Q", "i8": "q"}  # fmt: skip
_MOST_LABEL_BYTES = 2**27
_CHUNK = 2**14
_RESUMES = 64
"""Places of a packed array from which it is unpacked: a row costs a 64th of it at most."""


class _Array(NamedTuple):
    """An array in the file.

    Attributes:
        kind: ``|u1``; ``shape``: of all of it, rows first.
        begin: byte at which its member's data begin; ``packed``: their number.
        head: bytes before the rows, once unpacked.
    """

    kind: str
    shape: tuple[int, ...]
    begin: int
    packed: int
    stored: bool
    head: int

    @property
    def row(self) -> int:
        """Bytes of a row."""
        return prod(self.shape[1:]) * int(self.kind[2:])


class Npz(Zip):
    """A file of arrays, of which each row of ``images`` is an image, a ``.npy`` file of its own.

    >>> from pathlib import Path
    >>> Npz(Path("/data/pathmnist.npz"), b"test").identity()
    Traceback (most recent call last):
    FileNotFoundError: [Errno 2] No such file or directory: '/data/pathmnist.npz'
    """

    endings = (b".npz",)
    _resumes: dict[int, list[tuple[int, int, zlib._Decompress]]]

    def members(self, descriptor: int, size: int, *, sizes: bool) -> Iterator[Member]:
        """The rows of its arrays of images: ``test/00017.npy``, or ``00017.npy``."""
        arrays: dict[str, tuple[Member, _Array]] = {}
        for member in super().members(descriptor, size, sizes=sizes):
            name = member.name.decode("utf-8", "replace").removesuffix(".npy")
            if not member.odd and (array := self._array(descriptor, member)):
                arrays[name] = member, array
        self._arrays = {array.begin: array for _, array in arrays.values()}
        self._resumes, self._resuming = {}, threading.Lock()
        found = False
        for name, (member, array) in arrays.items():
            matched = _IMAGES.fullmatch(name)
            if matched is None or len(array.shape) not in (3, 4) or not array.row:
                continue
            found = True
            split = matched["split"] or matched["part"] or ""
            beside = re.sub("images$", "labels", name) if "images" in name else f"y{name[1:]}"
            labels = self._labels(descriptor, *arrays[beside]) if sizes and beside in arrays else []
            if labels and len(labels) != array.shape[0]:
                raise self.refused(f"has {array.shape[0]:,} {name} and {len(labels):,} {beside}")
            above = f"{split}/" if split else ""
            if sizes and _checksum(descriptor, array) != member.place[3]:
                raise self.refused(f"is damaged: {name} do not fit their checksum")
            length = len(_npy_head(array)) + array.row
            for row in range(array.shape[0]):
                label = str(labels[row]) if labels else ""
                yield Member(f"{above}{row:05}.npy".encode(), length, (array.begin, row), label)
        if not found:
            known = ", ".join(printable(name, 20) for name in arrays) or "no array"
            raise self.refused(
                f"has no array of images, but {known}",
                "it reads images [N, H, W] or [N, H, W, C] and labels [N], test_images, x_test",
            )

    def content(self, descriptor: int, size: int, place: tuple[int, ...]) -> bytes:
        """A row as a ``.npy`` file."""
        array, row = self._arrays.get(place[0]), place[1]
        if array is None:
            raise ImageUnreadable("changed", "its array has gone")
        first = array.head + row * array.row
        if array.stored:
            data = read_at(descriptor, array.row, array.begin + first)
        else:
            data = self._unpacked(descriptor, array, first)
        if len(data) != array.row:
            raise ImageUnreadable("truncated", f"{len(data)} bytes of {array.row}")
        return _npy_head(array) + data

    def _array(self, descriptor: int, member: Member) -> _Array | None:
        """The array of a member; ``None`` where it is none that is read."""
        try:
            begin = self.data_of(descriptor, member.place)
        except ImageUnreadable:
            return None
        _, packed, method, _ = member.place
        stored = method == STORED
        head = read_at(descriptor, min(packed, _CHUNK), begin)
        try:
            head = head if stored else zlib.decompressobj(-15).decompress(head, _CHUNK)
        except zlib.error:
            return None
        if not head.startswith(_MAGIC) or len(head) < 12:
            return None
        wide = head[6] > 1
        (length,) = struct.unpack_from("<I" if wide else "<H", head, 8)
        begins = (12 if wide else 10) + length
        try:
            told = ast.literal_eval(head[12 if wide else 10 : begins].decode("latin-1"))
            kind, shape, ordered = told["descr"], told["shape"], not told["fortran_order"]
        except (ValueError, SyntaxError, TypeError, KeyError, RecursionError, MemoryError):
            return None
        numbers = isinstance(shape, tuple) and all(type(n) is int and n >= 0 for n in shape)
        if not (numbers and shape and ordered and isinstance(kind, str) and _KIND.fullmatch(kind)):
            return None
        found = _Array(kind, shape, begin, packed, stored, begins)
        if begins + found.row * shape[0] != member.size:
            raise self.refused(f"is damaged: {printable(member.name)} is not of its size")
        return found

    def _labels(self, descriptor: int, member: Member, array: _Array) -> list[int]:
        """Class indices, ``[N]`` or ``[N, 1]``; none where an image has several, or fractions."""
        code = _CODES.get(array.kind[1:])
        if code is None or prod(array.shape[1:]) != 1 or member.size > _MOST_LABEL_BYTES:
            return []
        data = super().content(descriptor, member.size, member.place)
        order = ">" if array.kind[0] == ">" else "<"
        return list(struct.unpack_from(f"{order}{array.shape[0]}{code}", data, array.head))

    def _unpacked(self, descriptor: int, array: _Array, first: int) -> bytes:
        """A row of a deflated array, from the last known place before it on."""
        with self._resuming:
            if array.begin not in self._resumes:
                self._resumes[array.begin] = list(_resumes(descriptor, array))
            known = self._resumes[array.begin]
        packed, unpacked, state = next(one for one in reversed(known) if one[1] <= first)
        state, parts, wanted = state.copy(), b"", first + array.row
        while unpacked < wanted and packed < array.packed:
            data = read_at(descriptor, min(_CHUNK, array.packed - packed), array.begin + packed)
            packed += len(data)
            try:
                made = state.decompress(data)
            except zlib.error as error:
                raise ImageUnreadable("damaged", printable(error, 100)) from error
            parts += made[max(0, first - unpacked) : wanted - unpacked]
            unpacked += len(made)
            if not data:
                break
        return parts


def _resumes(descriptor: int, array: _Array) -> Iterator[tuple[int, int, zlib._Decompress]]:
    """Places of a packed array, in packed and unpacked bytes, with the state of unpacking there."""
    state, packed, unpacked, last = zlib.decompressobj(-15), 0, 0, 0
    step = max(2**20, (array.head + array.row * array.shape[0]) // _RESUMES)
    yield 0, 0, state.copy()
    while packed < array.packed:
        data = read_at(descriptor, min(_CHUNK, array.packed - packed), array.begin + packed)
        packed += len(data)
        try:
            unpacked += len(state.decompress(data))
        except zlib.error:
            return  # who asks for a row behind this place is told
        if not data:
            return
        if unpacked - last >= step:
            yield packed, unpacked, state.copy()
            last = unpacked


def _checksum(descriptor: int, array: _Array) -> int:
    """That of the whole member, as far as it can be read; a row by itself has none."""
    state, place, found = zlib.decompressobj(-15), 0, 0
    while data := read_at(descriptor, min(_CHUNK, array.packed - place), array.begin + place):
        place += len(data)
        try:
            found = zlib.crc32(data if array.stored else state.decompress(data), found)
        except zlib.error:
            break
    return found


def _npy_head(array: _Array) -> bytes:
    """What stands before the values in a ``.npy`` file of one row."""
    text = f"{{'descr': {array.kind!r}, 'fortran_order': False, 'shape': {array.shape[1:]!r}, }}"
    return _MAGIC + b"\x01\0" + struct.pack("<H", 118) + text.ljust(117).encode() + b"\n"
