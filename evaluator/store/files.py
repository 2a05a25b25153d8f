"""The files of a run: its database, and those beside it whose names are made from its own.

A folder of runs may have been received from somebody. No link is followed there when something is
written, nothing is written into a file that others know by another name, and nothing is taken for
ours because of what it is called.
"""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path

from evaluator.errors import UsageError
from evaluator.store.schema import APPLICATION_ID
from evaluator.text import printable

_ELSEWHERE = "choose another place: --db PATH"
_LINE = re.compile(rb"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d (info|warning|error) ")
"""The beginning of a log."""


def real(database: Path) -> Path:
    """A database's own path, links resolved: a file and a link to it have one lock, one log."""
    return Path(os.path.realpath(database))


def beside(database: Path, end: str) -> Path:
    """The file beside a database whose name is the database's with ``end`` behind it."""
    place = real(database)
    return place.with_name(place.name + end)


def log_path(database: Path) -> Path:
    """``NAME.db.log``: what a detached driver and its workers write."""
    return beside(database, ".log")


def known_log(database: Path) -> Path:
    """The log that there is: ``NAME.db.log``, or ``NAME.log`` where an older camtui wrote that."""
    log = log_path(database)
    old = real(database).with_suffix(".log")
    return old if not os.path.lexists(log) and _begins_like_a_log(old) else log


def open_own(path: Path, flags: int, *, owner: int | None = None) -> int:
    """Open a file beside a run for writing; made, with mode 0600, where ``flags`` say so.

    Args:
        owner: user id that it may have besides the one of this process: that of the run's database.

    Returns:
        A descriptor, closed in child processes.

    Raises:
        UsageError: a link, no regular file, somebody else's, or known by other names too.
    """
    try:
        descriptor = os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o600)
    except OSError as error:
        if path.is_symlink():
            raise UsageError(
                f"{printable(path)} is a link, which is not followed", f"remove it, or {_ELSEWHERE}"
            ) from error
        raise UsageError(f"cannot write {printable(path)}: {error.strerror}", _ELSEWHERE) from error
    if problem := _not_ours(os.fstat(descriptor), owner):
        os.close(descriptor)
        raise UsageError(
            f"{printable(path)} {problem}: it is not written to", f"remove it, or {_ELSEWHERE}"
        )
    return descriptor


def _not_ours(status: os.stat_result, owner: int | None) -> str:
    if not stat.S_ISREG(status.st_mode):
        return "is no regular file"
    if status.st_uid not in (os.geteuid(), owner):
        return "belongs to somebody else"
    if status.st_nlink != 1:
        return "has more than one name (hard links)"
    return ""


def open_database(database: Path, *, create: bool) -> int:
    """Open a run's database to hold on to its inode.

    The caller keeps the descriptor for as long as SQLite has the file open. Closing any descriptor
    of a file gives up all POSIX locks that this process has on it, SQLite's among them.

    Raises:
        UsageError: a link to nothing, no regular file, somebody else's, or known by another name,
            which is given.
    """
    if database.is_symlink() and not database.exists():
        raise UsageError(f"{printable(database)} is a link to nothing", _ELSEWHERE)
    place = real(database)
    flags = os.O_RDWR | (os.O_CREAT if create else 0)
    try:
        descriptor = os.open(place, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise UsageError(
            f"cannot write {printable(database)}: {error.strerror}", _ELSEWHERE
        ) from error
    status = os.fstat(descriptor)
    if stat.S_ISREG(status.st_mode) and status.st_nlink == 1:
        return descriptor
    os.close(descriptor)
    if not stat.S_ISREG(status.st_mode):
        raise UsageError(f"cannot write {printable(database)}: it is no regular file", _ELSEWHERE)
    other = _other_name(place, status)
    known = (
        f"is the same file as {printable(other)}"
        if other
        else f"has {status.st_nlink} names (hard links)"
    )
    hint = "a run has one name: cp makes a second run of it"
    raise UsageError(
        f"{printable(database)} {known}", f"{hint}; here: {printable(other)}" if other else hint
    )


def _other_name(place: Path, status: os.stat_result) -> Path | None:
    """Another name of a file in the same folder."""
    with os.scandir(place.parent) as entries:
        same = (
            entry.path
            for entry in entries
            if entry.name != place.name and entry.inode() == status.st_ino
        )
        found = next(same, None)
    return Path(found) if found else None


def open_log(log: Path, owner: int | None = None) -> int:
    """A run's log, open to be written at its end; a new one gets no line yet.

    Raises:
        UsageError: as ``open_own``, or there is a file of that name which is no log.
    """
    descriptor = open_own(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, owner=owner)
    if os.fstat(descriptor).st_size and not _begins_like_a_log(log):
        os.close(descriptor)
        raise UsageError(
            f"{printable(log)} is there, and is no log of camtui", f"move it away, or {_ELSEWHERE}"
        )
    return descriptor


def open_to_read(path: Path) -> int | None:
    """Open a regular file beside a run; ``None`` where there is none, also behind a link."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        return descriptor
    os.close(descriptor)
    return None


def _begins_like_a_log(path: Path) -> bool:
    descriptor = open_to_read(path)
    if descriptor is None:
        return False
    try:
        return bool(_LINE.match(os.read(descriptor, 64)))
    finally:
        os.close(descriptor)


def is_run(database: Path) -> bool:
    """Whether a file is a run of camtui by its first bytes, however damaged the rest may be."""
    descriptor = open_to_read(real(database))
    if descriptor is None:
        return False
    try:
        head = os.read(descriptor, 72)
    finally:
        os.close(descriptor)
    return head.startswith(b"SQLite format 3\0") and head[68:72] == APPLICATION_ID.to_bytes(
        4, "big"
    )
