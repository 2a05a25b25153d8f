"""The locks of a run, which its driver holds for life.

The kernel frees them at its death, and names the holder meanwhile. There are two. A POSIX lock on
``NAME.db.lock`` answers at once who holds it, and the file has room for a note. The other is on the
database's own inode (``flock``, which SQLite does not use): it stays where it is when the lock file
is deleted, and when the database is opened by another name.
"""

from __future__ import annotations

import fcntl
import os
import struct
from contextlib import suppress
from pathlib import Path

from evaluator.errors import TryAgain, UsageError
from evaluator.store.files import beside, open_database, open_own, open_to_read, real
from evaluator.text import printable

_FLOCK = "hhqqi"  # struct flock on 64-bit Linux: l_type, l_whence, l_start, l_len, l_pid

_NOTE_BYTES = 4096
"""Taken from the disk together with the lock, so that a note can be written when nothing else can.
"""

LOCKS = Path("/proc/locks")


def lock_path(database: Path) -> Path:
    """``NAME.db.lock`` beside the run's file."""
    return beside(database, ".lock")


class RunLock:
    """The right to write one run. Held until ``release`` or the death of the process."""

    def __init__(self, database: Path) -> None:
        """Take the lock, and that of the database where there is one.

        Raises:
            TryAgain: another driver holds it; the message names its pid. UsageError: the lock file
            cannot be made beside the database, or is something else; the database has two names.
        """
        self._name = database
        self._place = real(database)
        self._path = lock_path(database)
        self._database = _locked_database(database) if os.path.lexists(database) else None
        try:
            self._descriptor = self._locked_current()
        except BaseException:
            self._let_go_of_database()
            raise
        with suppress(OSError):
            os.posix_fallocate(self._descriptor, 0, _NOTE_BYTES)
        self.note("")
        os.utime(self._descriptor)

    def _locked_current(self) -> int:
        descriptor = _locked(self._path, self._name)
        while not _is_current(
            descriptor, self._path
        ):  # its former holder has removed the file meanwhile
            os.close(descriptor)
            descriptor = _locked(self._path, self._name)
        return descriptor

    def hold_database(self) -> None:
        """Make a database that is new, empty, and lock it, before SQLite opens it."""
        if self._database is None:
            self._database = _locked_database(self._name, create=True)

    def lost_database(self) -> bool:
        """Whether the database that is held is not the one that others find by its name."""
        return self._database is not None and not _is_current(self._database, self._place)

    def problem(self) -> str:
        """Say which of the held files others no longer find by its name; empty as a rule."""
        if self.lost_database():
            return f"{printable(self._name)} was removed or replaced while it ran"
        if not _is_current(self._descriptor, self._path):
            return f"{printable(self._path)}, its lock, was removed or replaced while it ran"
        return ""

    def note(self, text: str) -> None:
        """Leave a line for whoever looks at the run: why it is paused, empty where it is not.

        It is written in place, over room that was taken with the lock: a disk that is full keeps
        nobody from reading why.
        """
        taken = os.fstat(self._descriptor)
        with suppress(OSError):
            os.pwrite(
                self._descriptor,
                text.encode("utf-8", "replace")[:_NOTE_BYTES].ljust(_NOTE_BYTES, b"\0"),
                0,
            )
            os.utime(
                self._descriptor, ns=(taken.st_atime_ns, taken.st_mtime_ns)
            )  # when it was taken is when the run was started

    def release(self, *, remove: bool = False) -> None:
        """Give the locks back; ``remove`` takes the lock file away too, the run being gone."""
        if remove and _is_current(self._descriptor, self._path):
            self._path.unlink(missing_ok=True)
        os.close(self._descriptor)
        self._let_go_of_database()

    def _let_go_of_database(self) -> None:
        if self._database is not None:
            os.close(self._database)
            self._database = None


def _locked_database(database: Path, *, create: bool = False) -> int:
    descriptor = open_database(database, create=create)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        raise _taken(lock_holder(database), database) from error
    return descriptor


def _locked(path: Path, database: Path) -> int:
    descriptor = open_own(path, os.O_RDWR | os.O_CREAT, owner=_owner(database))
    try:
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        holder = _holder(descriptor)
        os.close(descriptor)
        raise _taken(holder, database) from error
    if not _is_a_lock(descriptor):
        os.close(descriptor)
        raise UsageError(
            f"{printable(path)} is there, and is no lock of camtui",
            "move it away, or choose another place: --db PATH",
        )
    return descriptor


def _taken(holder: int | None, database: Path) -> TryAgain:
    why = f"already running, pid {holder}" if holder else "already running"
    return TryAgain(why, f"camtui status {printable(database.stem)}")


def _owner(database: Path) -> int | None:
    try:
        return os.stat(database).st_uid
    except OSError:
        return None


def _is_a_lock(descriptor: int) -> bool:
    """Whether a file holds nothing, or a note with zeros behind it."""
    size = os.fstat(descriptor).st_size
    return size == 0 or (
        size <= _NOTE_BYTES and os.pread(descriptor, _NOTE_BYTES, 0).endswith(b"\0")
    )


def _is_current(descriptor: int, path: Path) -> bool:
    """Whether the open file is the one that others would open by its name."""
    try:
        return os.path.samestat(os.fstat(descriptor), os.lstat(path))
    except OSError:
        return False


def lock_holder(database: Path) -> int | None:
    """The pid of the driver that holds this run, ``None`` when nobody does.

    Not to be asked by the driver itself.
    """
    descriptor = open_to_read(lock_path(database))
    if descriptor is None:
        return _database_holder(database)
    try:
        holder = _holder(descriptor)
    finally:
        os.close(descriptor)
    return (
        holder if holder is not None or not _has_two_names(database) else _database_holder(database)
    )


def _has_two_names(database: Path) -> bool:
    """Whether the file is known by another name, under which it may be running."""
    try:
        return os.stat(database).st_nlink > 1
    except OSError:
        return False


def _database_holder(database: Path) -> int | None:
    """The pid that has locked the database itself; for a lock file that is gone or another's."""
    try:
        status = os.stat(database)
        lines = LOCKS.read_text("ascii", "replace").splitlines()
    except OSError:
        return None
    place = f"{os.major(status.st_dev):02x}:{os.minor(status.st_dev):02x}:{status.st_ino}"
    for line in lines:
        fields = line.split()  # 1: FLOCK ADVISORY WRITE 1234 08:01:567 0 EOF
        if (
            len(fields) > 5
            and fields[1] == "FLOCK"
            and fields[5] == place
            and fields[4].isdecimal()
        ):
            return int(fields[4])
    return None


def lock_note(database: Path) -> str:
    """The note of the lock's holder, empty where there is none."""
    descriptor = open_to_read(lock_path(database))
    if descriptor is None:
        return ""
    with open(descriptor, "rb") as file:
        return file.read(_NOTE_BYTES).rstrip(b"\0").decode("utf-8", "replace")


def _holder(descriptor: int) -> int | None:
    question = struct.pack(_FLOCK, fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
    kind, _, _, _, pid = struct.unpack(_FLOCK, fcntl.fcntl(descriptor, fcntl.F_GETLK, question))
    return int(pid) if kind != fcntl.F_UNLCK else None
