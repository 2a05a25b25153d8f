"""One file that holds many images: its members found once, checked, and read in place."""

from __future__ import annotations

import json
import os
import stat
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import ClassVar, NamedTuple

from evaluator.errors import ImageUnreadable, UsageError
from evaluator.sources.base import MOST_BYTES, Entry, is_hidden, kind_of
from evaluator.text import printable

MOST_MEMBERS = 2_000_000
"""Of one archive; ImageNet's training set has 1.3 million."""

_MOST_LABEL_BYTES = 2**16
_LABEL_KEYS = ("label", "cls", "class", "class_index", "class_id", "target", "wnid", "synset")


class Member(NamedTuple):
    """One member, as its archive tells.

    Attributes:
        name: its path as it is written there.
        size: in bytes, unpacked; below 0 where it is not known yet.
        place: what ``Archive.content`` finds it by.
        label: of its class, as text.
        odd: why it is not read (``a link, not a file``); empty where it is.
    """

    name: bytes
    size: int
    place: tuple[int, ...]
    label: str = ""
    odd: str = ""


class _Index(NamedTuple):
    """The images of an archive as it is now.

    Attributes:
        members: path → size, then what ``content`` finds it by.
        said: path → label; ``beside``: members that hold one; both only until they are handed on.
    """

    identity: tuple[int, ...]
    members: dict[bytes, tuple[int, ...]]
    said: dict[bytes, str]
    beside: dict[bytes, tuple[int, ...]]


class Archive(ABC):
    """An archive: a subclass lists the members of its format, and reads one.

    It is read again where it has become another file. A file of this folder with a subclass is a
    kind of source.

    Attributes:
        endings: of its files' names, in lower case.
    """

    endings: ClassVar[tuple[bytes, ...]]

    def __init__(self, file: Path, inner: bytes = b"") -> None:
        """Nothing is read yet.

        Args:
            file: the archive.
            inner: the folder in it that is the root, the whole archive where it is empty.
        """
        self.file = file
        self.names: tuple[str, ...] = ()
        self._inner = inner
        self._index: _Index | None = None
        self._lock = threading.Lock()

    @abstractmethod
    def members(self, descriptor: int, size: int, *, sizes: bool) -> Iterator[Member]:
        """Every member of an open file of that many bytes.

        Args:
            sizes: whether the sizes are of interest, where they are dear.

        Raises:
            UsageError: it is no such archive, or it has been cut.
        """

    @abstractmethod
    def content(self, descriptor: int, size: int, place: tuple[int, ...]) -> bytes:
        """The content of a member; for an archive that has changed meanwhile anything, or less.

        Raises:
            ImageUnreadable: it is damaged.
        """

    def identity(self) -> tuple[int, ...]:
        """Device, inode, size and time of the last change."""
        return _identity(os.stat(self.file))

    def entries(self) -> Iterator[Entry]:
        """Its images, each with the label that ``NAME.cls`` or ``NAME.json`` beside it gives."""
        with self._opened(sizes=True) as (descriptor, index):
            for path, (size, *_) in index.members.items():
                hidden = any(map(is_hidden, path.split(b"/")))
                kind = kind_of(path)
                assert kind is not None
                label = index.said.get(path, "")
                if not (label or hidden):
                    label = _label_beside(path, index.beside, partial(self.content, descriptor))
                yield Entry(path, size, label, kind, hidden)
            index.said.clear()
            index.beside.clear()

    def knows(self, path: bytes) -> bool:
        """Whether it held an image of that path when it was last looked at."""
        return self._index is not None and path in self._index.members

    def open(self, entry: Entry) -> bytes:
        """The content of a member, of the archive as it is now."""
        try:
            with self._opened() as (descriptor, index):
                return self._content(descriptor, index, entry)
        except OSError as error:
            reason = "permission" if isinstance(error, PermissionError) else "io-error"
            reason = "missing" if isinstance(error, FileNotFoundError) else reason
            raise ImageUnreadable(reason, printable(error.strerror or error)) from error
        except UsageError as error:
            raise ImageUnreadable("io-error", error.message) from error

    def _content(self, descriptor: int, index: _Index, entry: Entry) -> bytes:
        member = index.members.get(entry.path)
        if member is None:
            raise ImageUnreadable("missing", f"no such member of {printable(self.file.name)}")
        size, place = member[0], member[1:]
        if size > MOST_BYTES:
            raise ImageUnreadable("too-large", f"{size} bytes, at most {MOST_BYTES}")
        if size < 0:
            size = -1 if entry.size is None else entry.size
        elif entry.size not in (None, size):
            raise ImageUnreadable("changed", f"{size} bytes, the manifest has {entry.size}")
        data = self.content(descriptor, size, place)
        if size >= 0 and len(data) != size:
            raise ImageUnreadable("changed", f"{len(data)} bytes, {size} expected")
        return data

    def refused(self, why: str, hint: str = "") -> UsageError:
        """The error of an archive that is not read."""
        return UsageError(
            f"{printable(self.file)} {why}", hint or "make it anew from the folder of images"
        )

    @contextmanager
    def _opened(self, *, sizes: bool = False) -> Iterator[tuple[int, _Index]]:
        """The file that is there now, and its index; no descriptor stays open.

        Raises:
            OSError: none can be opened. UsageError: it is not as it should be.
        """
        descriptor = os.open(self.file, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        try:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise self.refused("is not a regular file")
            with self._lock:
                known = self._index
                if known is None or known.identity != _identity(status) or sizes:
                    known = self._index = self._read(descriptor, status, sizes=sizes)
            yield descriptor, known
        finally:
            os.close(descriptor)

    def _read(self, descriptor: int, status: os.stat_result, *, sizes: bool) -> _Index:
        index = _Index(_identity(status), {}, {}, {})
        for count, member in enumerate(self.members(descriptor, status.st_size, sizes=sizes), 1):
            if count > MOST_MEMBERS:
                raise self.refused(f"has more than {MOST_MEMBERS:,} members", "split it into parts")
            path = self._path(member.name)
            if path is None:
                continue
            place = (member.size, *member.place)
            if sizes and path.endswith(tuple(_READERS)) and not member.odd:
                index.beside[path] = place
            if kind_of(path) not in ("image", "array"):
                continue
            if member.odd and not any(map(is_hidden, path.split(b"/"))):
                raise self.refused(f"has the member {printable(path, 80)}, which is {member.odd}")
            if path in index.members:
                raise self.refused(
                    f"has the member {printable(path, 80)} twice", "each image has its own name"
                )
            index.members[path] = place
            if sizes and member.label:
                index.said[path] = member.label
        return index

    def _path(self, name: bytes) -> bytes | None:
        """The path of a member below the root; ``None`` where it is not below it.

        Raises:
            UsageError: it leads out of the archive.
        """
        parts = [part for part in name.split(b"/") if part not in (b"", b".")]
        if name.startswith((b"/", b"\\")) or b".." in parts or b"\0" in name:
            raise self.refused(
                f"has the member {printable(name, 80)}, whose path leads out of it",
                "nothing was read; make it anew from a folder: tar -cf NEW.tar -C FOLDER .",
            )
        path = b"/".join(parts)
        if not self._inner:
            return path
        return (
            path.removeprefix(self._inner + b"/") if path.startswith(self._inner + b"/") else None
        )


def _label_beside(
    path: bytes,
    beside: dict[bytes, tuple[int, ...]],
    content: Callable[[int, tuple[int, ...]], bytes],
) -> str:
    """What the member of an image's name, but for the ending, says of its class."""
    stem = os.path.splitext(path)[0]
    for ending, read in _READERS.items():
        size, *place = beside.get(stem + ending, (-1,))
        if 0 <= size <= _MOST_LABEL_BYTES:
            with suppress(ImageUnreadable):
                if label := read(content(size, tuple(place))):
                    return label
    return ""


def _identity(status: os.stat_result) -> tuple[int, ...]:
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


def _label_in_json(data: bytes) -> str:
    """The first of the usual keys that holds a whole number or a text."""
    try:
        found = json.loads(data)
    except (ValueError, RecursionError):
        return ""
    if not isinstance(found, dict):
        return ""
    given = (found.get(key) for key in _LABEL_KEYS)
    return next((str(one) for one in given if type(one) in (int, str)), "")


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace").strip()


_READERS: dict[bytes, Callable[[bytes], str]] = {b".cls": _text, b".json": _label_in_json}
"""Endings of members that label the image of their name, as WebDataset has them."""


def read_at(descriptor: int, count: int, place: int) -> bytes:
    """So many bytes from a place on; fewer where the file ends."""
    parts = []
    while count > 0 and (part := os.pread(descriptor, min(count, 2**26), place)):
        parts.append(part)
        count -= len(part)
        place += len(part)
    return parts[0] if len(parts) == 1 else b"".join(parts)
