"""Where images come from: folders, and files that hold many, each behind one protocol.

``folder`` the files of a folder  ·  ``archive`` what is common to files of many images  ·  ``tar``
``zip`` ``parquet`` ``npz`` one format each; a new file here is a new kind of source. Whoever wants
the bytes of an image asks ``read_image``.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from functools import cache, lru_cache
from importlib import import_module
from inspect import getmembers, isclass
from pathlib import Path
from pkgutil import iter_modules
from typing import NamedTuple

from evaluator.errors import ImageUnreadable, UsageError
from evaluator.sources.archive import Archive
from evaluator.sources.base import Entry, Source, is_hidden
from evaluator.sources.folder import Folder
from evaluator.text import printable


@cache
def kinds() -> dict[bytes, type[Archive]]:
    """Ending of a file's name → what reads it."""
    found: dict[bytes, type[Archive]] = {}
    for info in iter_modules(__path__):
        module = import_module(f"{__name__}.{info.name}")
        for _, member in getmembers(module, isclass):
            if issubclass(member, Archive) and hasattr(member, "endings"):
                found |= dict.fromkeys(member.endings, member)
    return found


def read_image(root: Path, path: bytes, expected_size: int | None = None) -> bytes:
    """The content of an image below a data folder, or in a file of many.

    Raises:
        ImageUnreadable: there is no such file or member, or it has another size.
    """
    try:
        source = source_at(root)
    except UsageError as error:
        raise ImageUnreadable("missing", error.message) from error
    return source.open(Entry(path, expected_size))


def source_at(root: Path) -> Source:
    """What is at a place: a folder, a file of many images, a folder in one, or several such.

    Example:
        ``/data/val``, ``/data/val.tar``, ``/data/all.zip/val``, ``/data/val-{000..049}.tar``,
        ``/data/validation-*.parquet``

    Raises:
        UsageError: no file has a name like that.
    """
    if os.path.isdir(root):
        return Folder(root)
    found = split_place(root)
    if found is None:
        return Folder(root)
    opened = [_opened(kind_at(file), file, found.inner) for file in matching(found.file)]
    return opened[0] if len(opened) == 1 else Several(opened)


def there_is(root: Path) -> bool:
    """Whether there is a folder, or every file of many images, at a place."""
    if root.is_dir():
        return True
    try:
        return (place := split_place(root)) is not None and all(
            file.is_file() for file in matching(place.file)
        )
    except UsageError:
        return False


class Place(NamedTuple):
    """A file of many images, or a pattern of such, and the folder in it."""

    file: Path
    inner: bytes


def split_place(root: Path) -> Place | None:
    """The first part of a path that is named like a file of many images, and what is behind it."""
    for above in [*reversed(root.parents), root]:
        ending = os.fsencode(above.name.lower())
        if any(map(ending.endswith, kinds())) and not above.is_dir():
            inner = root.relative_to(above)
            return Place(Path(above), os.fsencode(inner) if inner.name else b"")
    return None


def kind_at(file: Path) -> type[Archive]:
    """What reads a file of that name."""
    name = os.fsencode(file.name.lower())
    return next(kind for ending, kind in kinds().items() if name.endswith(ending))


@lru_cache(maxsize=1024)
def _opened(kind: type[Archive], file: Path, inner: bytes) -> Archive:
    return kind(file, inner)


def plain_stem(name: str) -> str:
    """The name of a folder or a file of many, without its ending and the numbers of shards.

    >>> plain_stem("val-{000..049}.tar"), plain_stem("validation-*.parquet"), plain_stem("val")
    ('val', 'validation', 'val')
    """
    ending = next((one for one in kinds() if os.fsencode(name.lower()).endswith(one)), b"")
    stem = name[: len(name) - len(ending)]
    return re.split(r"[{*?]", stem)[0].rstrip("-_.") or stem if ending else name


_RANGE = re.compile(r"\{(\d+)\.\.(\d+)\}")
_MOST_FILES = 100_000


def matching(file: Path) -> list[Path]:
    """The files of a pattern, sorted: ``{000..049}`` counts, ``*`` and ``?`` are what is there.

    Raises:
        UsageError: there is none.
    """
    if os.path.lexists(file):
        return [file]
    if matched := _RANGE.search(file.name):
        first, last = int(matched[1]), int(matched[2])
        if not 0 <= last - first < _MOST_FILES:
            raise UsageError(
                f"{printable(file)} counts from {first} to {last}", "for example val-{000..049}.tar"
            )
        head, tail = file.name[: matched.start()], file.name[matched.end() :]
        width = len(matched[1])
        return [file.with_name(f"{head}{n:0{width}}{tail}") for n in range(first, last + 1)]
    if {"*", "?"}.isdisjoint(file.name):
        return [file]
    try:
        names = sorted(os.listdir(file.parent))
    except OSError:
        names = []
    found = [
        file.with_name(name)
        for name in names
        if fnmatchcase(name, file.name) and not is_hidden(os.fsencode(name))
    ]
    if not found:
        raise UsageError(f"no file is named like {printable(file)}", "camtui run --data DIR")
    return found


class Several:
    """The images of several archives, as of one.

    >>> Several([]).identity()
    ()
    """

    def __init__(self, sources: Sequence[Archive]) -> None:
        """Nothing is read yet."""
        self._sources = sources
        self.names: tuple[str, ...] = ()

    def identity(self) -> tuple[int, ...]:
        """Those of all."""
        return tuple(number for source in self._sources for number in source.identity())

    def entries(self) -> Iterator[Entry]:
        """The images of all; none may be in two."""
        seen: dict[bytes, Archive] = {}
        for source in self._sources:
            for entry in source.entries():
                if (other := seen.setdefault(entry.path, source)) is not source:
                    raise source.refused(
                        f"and {printable(other.file.name)} both have the member "
                        f"{printable(entry.path, 80)}",
                        "each image has its own name",
                    )
                yield entry
            self.names = self.names or source.names

    def open(self, entry: Entry) -> bytes:
        """The content of a member of the archive that has it."""
        known = [source for source in self._sources if source.knows(entry.path)]
        lost: ImageUnreadable | None = None
        for source in known or self._sources:
            try:
                return source.open(entry)
            except ImageUnreadable as error:
                lost = error if lost is None or error.reason != "missing" else lost
        raise lost or ImageUnreadable("missing", "no archive is there")
