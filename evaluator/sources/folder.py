"""A folder of images: its walk, links of which some are followed, and its files."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path, PosixPath

from evaluator.errors import ImageUnreadable
from evaluator.sources.base import MOST_BYTES, Entry, is_hidden, kind_of
from evaluator.text import printable

_NO_SUCH_FILE = (
    errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG, errno.ENXIO, errno.EINVAL,
)  # fmt: skip
"""Of a path that leads to no file; what else keeps one from being opened (a stale handle, a disk
that does not answer) may pass.
"""


class Folder:
    """The files below a folder.

    >>> Folder(Path("/proc/self/fdinfo")).open(Entry(b"../../1/environ", None))
    Traceback (most recent call last):
    evaluator.errors.ImageUnreadable: a path that leaves the data folder
    """

    names: tuple[str, ...] = ()

    def __init__(self, root: Path) -> None:
        """Nothing is read yet.

        Args:
            root: a ``FollowedFolder``, or one whose links are followed where they can be trusted.
        """
        self._root = root

    def identity(self) -> tuple[int, ...]:
        """Device and inode, where it can be looked into."""
        status = os.stat(self._root)
        with os.scandir(self._root):
            pass
        return status.st_dev, status.st_ino

    def entries(self) -> Iterator[Entry]:
        """Every entry that is named like an image; one that cannot be read becomes a failure later.

        Folders that cannot be looked into, and links to folders that are not followed
        (``distrust``; those that lead round), are entries of their own, but for hidden ones.
        """
        root = self._root
        base = os.fsencode(root)
        pending, read = [(b"", False, False)], -1
        followed: list[bytes] = []
        while pending:
            folder, hidden_folder, linked = pending.pop()
            read += 1
            try:
                found = sorted(os.scandir(os.path.join(base, folder)), key=lambda one: one.name)
            except OSError as error:
                if not hidden_folder:
                    yield Entry(folder, 0, kind="folder", why=error.strerror or str(error))
                continue
            for place, entry in enumerate(found):
                path = os.path.join(folder, entry.name)
                hidden = hidden_folder or is_hidden(entry.name)
                kind = kind_of(entry.name)
                if kind == "image":
                    share = (read + place / len(found)) / (read + 1 + len(pending))
                    yield Entry(path, _size(entry), "", kind, hidden, linked, share=share)
                elif entry.is_dir(follow_symlinks=False):
                    pending.append((path, hidden, linked))
                elif kind == "array":
                    yield Entry(path, _size(entry), "", kind, hidden, linked)
                elif hidden:
                    continue
                elif kind == "other":
                    yield Entry(path, 0, "", kind)
                elif _is_folder(entry):
                    if why := _not_followed(root, path, followed):
                        yield Entry(path, 0, kind="folder", why=why)
                    else:
                        pending.append((path, hidden, True))

    def open(self, entry: Entry) -> bytes:
        """The bytes of an image's file, which is judged once it is open.

        By its name it may be another file a moment later.
        """
        root, path, expected_size = self._root, entry.path, entry.size
        try:
            resolved = os.path.realpath(os.path.join(os.fsencode(root), path), strict=True)
            base = os.path.realpath(os.fsencode(root))
            if not is_within(resolved, base):
                if why := distrust(root, path):
                    raise ImageUnreadable("outside-root", why)
                _check(os.stat(resolved), expected_size, link=True)
            descriptor = os.open(
                resolved, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
            )  # a pipe must not make it wait
        except PermissionError as error:
            raise ImageUnreadable("permission", "no permission to read it") from error
        except (OSError, ValueError) as error:  # ValueError: a zero byte in the path
            there = isinstance(error, OSError) and error.errno not in _NO_SUCH_FILE
            told = _link_text(os.path.join(os.fsencode(root), path), error)
            raise ImageUnreadable(
                "io-error" if there else "missing",
                told or printable(getattr(error, "strerror", None) or error),
            ) from error
        try:
            _check(os.fstat(descriptor), expected_size)
            with open(descriptor, "rb", buffering=0, closefd=False) as file:
                data = file.readall()
        except OSError as error:
            raise ImageUnreadable("io-error", printable(error.strerror or error)) from error
        finally:
            os.close(descriptor)
        if expected_size is not None and len(data) != expected_size:
            raise ImageUnreadable("changed", f"{len(data)} bytes, the manifest has {expected_size}")
        return data


def is_within(path: bytes, folder: bytes) -> bool:
    """Whether a path lies in a folder, or is it; both with links resolved."""
    return os.path.commonpath([path, folder]) == folder


def _link_text(place: bytes, error: OSError | ValueError) -> str:
    """What is wrong with a link; empty where the name is none."""
    if not isinstance(error, OSError) or b"\0" in place or not os.path.islink(place):
        return ""
    if error.errno == errno.ELOOP:
        return "a link that leads round in a circle"
    if error.errno == errno.ENOENT:
        return f"a link to nothing: {printable(os.readlink(place), 120)}"
    return ""


def _check(status: os.stat_result, expected_size: int | None, *, link: bool = False) -> None:
    if not stat.S_ISREG(status.st_mode):
        to = "a link to what is " if link else ""
        raise ImageUnreadable("not-a-file", f"{to}not a regular file")
    if expected_size is not None and status.st_size != expected_size:
        raise ImageUnreadable(
            "changed", f"{status.st_size} bytes, the manifest has {expected_size}"
        )
    if status.st_size > MOST_BYTES:
        raise ImageUnreadable("too-large", f"{status.st_size} bytes, at most {MOST_BYTES}")


class FollowedFolder(PosixPath):
    """A data folder whose links are followed wherever they lead (``--follow-links``).

    >>> FollowedFolder("/data/val").name
    'val'
    """


def data_folder(path: str, *, follow_links: bool) -> Path:
    """A data folder by its path."""
    return FollowedFolder(path) if follow_links else Path(path)


def is_written_by_others(status: os.stat_result) -> bool:
    """Whether users besides the owner may write a file; a group of this user alone is none."""
    group = status.st_mode & stat.S_IWGRP and not _is_private(status.st_gid)
    return bool(group or status.st_mode & stat.S_IWOTH)


def _is_private(gid: int) -> bool:
    """Whether a group is this user's alone, as useradd makes them: same name, no others."""
    import grp
    import pwd

    try:
        group, user = grp.getgrgid(gid), pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return False
    return group.gr_name == user and set(group.gr_mem) <= {user}


def distrust(root: Path, path: bytes) -> str:
    """Why a path that leads out of the data folder is not followed, in words; empty where it is.

    Links are followed that this user has made, in folders that nobody else may write, to files and
    folders of this user; with ``--follow-links`` every link.
    """
    parts = path.split(b"/")
    if not {b"", b".", b".."}.isdisjoint(parts):
        return "a path that leaves the data folder"
    if isinstance(root, FollowedFolder):
        return ""
    folder = os.path.realpath(os.fsencode(root))
    for name in parts:
        holder = os.stat(folder)
        folder = os.path.join(folder, name)
        if not os.path.islink(folder):
            continue
        if holder.st_uid != os.geteuid():
            return f"a link in a folder of another user{_FOLLOW}"
        if is_written_by_others(holder):
            return f"a link in a folder that others can write{_FOLLOW}"
    if os.stat(folder).st_uid != os.geteuid():
        return f"a link to what belongs to another user{_FOLLOW}"
    return ""


_FOLLOW = ", which is not followed without --follow-links"


def _not_followed(root: Path, path: bytes, followed: list[bytes]) -> str:
    """Why a link to a folder is not followed; one that is, is added to ``followed``."""
    base = os.path.realpath(os.fsencode(root))
    target = os.path.realpath(os.path.join(base, path))
    if is_within(base, target):
        return "a link that leads round in a circle"
    if is_within(target, base) and not any(
        map(is_hidden, os.path.relpath(target, base).split(b"/"))
    ):
        return "a link to a folder of the same data"
    if any(is_within(target, other) for other in followed):
        return "a link to a folder that another link leads to"
    try:
        if why := distrust(root, path):
            return why
    except OSError as error:
        return f"a link to a folder: {error.strerror}"
    followed.append(target)
    return ""


def _is_folder(entry: os.DirEntry[bytes]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that leads round in a circle
        return False


def _size(entry: os.DirEntry[bytes]) -> int:
    try:
        return entry.stat().st_size
    except OSError:
        return 0
