"""What every source of images has: entries, their bytes, and which names are images."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Literal, NamedTuple, Protocol

EXTENSIONS = (
    b".jpg", b".jpeg", b".png", b".ppm", b".bmp", b".pgm", b".tif", b".tiff", b".webp", b".gif",
)  # fmt: skip

OTHER_PICTURES = {
    b".jfif": "rename to .jpg", b".jpe": "rename to .jpg", b".jif": "rename to .jpg",
    **dict.fromkeys((
        b".avif", b".heic", b".heif", b".jp2", b".j2k", b".jpx", b".jxl", b".tga", b".psd", b".svg",
        b".exr", b".hdr", b".dng", b".cr2", b".cr3", b".nef", b".arw", b".dcm", b".ico", b".jps",
    ), "convert to .png"),
}  # fmt: skip
"""Endings of pictures that are not read, and what to do with such files."""

ARRAYS = (b".npy",)
"""What counts as an image in a source that has no others, beside which an array may be anything."""

SYSTEM_NAMES = frozenset({
    b"__macosx", b"@eadir", b"@recycle", b"@recently-snapshot", b"@tmp", b"#recycle", b"#snapshot",
    b"$recycle.bin", b"system volume information", b"lost+found", b"network trash folder",
    b"temporary items", b"thumbs.db", b"ehthumbs.db", b"desktop.ini",
})  # fmt: skip
"""What operating systems, file servers and archives lay into a folder by themselves, in lower case;
besides names that begin with a dot (``.ipynb_checkpoints``, ``.Trash-1000``, ``._x`` of macOS,
``.nfs…``) and editors' backups (``x~``).
"""

MOST_BYTES = 2**30
"""Of one image, which is read as a whole before it is decoded; the most pixels take 268 MB where
nothing is compressed.
"""

Kind = Literal["image", "array", "other", "folder"]


class Entry(NamedTuple):
    """One name in a source.

    Attributes:
        path: bytes below the root, ``/`` between folders.
        size: of its content in bytes; ``None`` where any will do.
        label: what the source says of its class, as text; empty where it says nothing.
        kind: ``image``; ``array``; ``other`` pictures, which are not read; a ``folder`` that is not
            looked into, with the reason in ``why``.
        hidden: whether it is a hidden or system file, or in such a folder.
        linked: whether it is behind a link to a folder.
        share: of the source that has been listed by then, 0 to 1; 0 where that is not known.
    """

    path: bytes
    size: int | None
    label: str = ""
    kind: Kind = "image"
    hidden: bool = False
    linked: bool = False
    why: str = ""
    share: float = 0.0


class Source(Protocol):
    """Where images lie: a folder, or a file that holds many; read in place, one at a time.

    Attributes:
        names: class names in the order of their indices, where the source has such.
    """

    names: tuple[str, ...]

    def entries(self) -> Iterator[Entry]:
        """Every name that is of interest, in any order.

        Raises:
            UsageError: it cannot be read, or holds what no honest source does.
        """
        ...

    def open(self, entry: Entry) -> bytes:
        """The content of an image, of which only path and size are looked at; from any thread.

        Raises:
            ImageUnreadable: it is not there, or has another size.
        """
        ...

    def identity(self) -> tuple[int, ...]:
        """What tells that something else has come into its place.

        Raises:
            OSError: nothing is there.
        """
        ...


def is_hidden(name: bytes) -> bool:
    """Whether a file or folder of that name is hidden, the system's, or an editor's backup."""
    return name.startswith(b".") or name.endswith(b"~") or name.lower() in SYSTEM_NAMES


def kind_of(name: bytes) -> Kind | None:
    """What a file is by its ending; ``None`` for what is of no interest."""
    lower = name.lower()
    if lower.endswith(EXTENSIONS):
        return "image"
    if lower.endswith(ARRAYS):
        return "array"
    return "other" if os.path.splitext(lower)[1] in OTHER_PICTURES else None
