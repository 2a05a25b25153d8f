"""Whose run it is: one POSIX lock, held for life by the driver. The kernel frees it at death, and names the holder meanwhile."""

from __future__ import annotations

import fcntl
import os
import struct
from contextlib import suppress
from pathlib import Path

from evaluator.errors import TryAgain, UsageError
from evaluator.text import printable

_FLOCK = "hhqqi"  # struct flock on 64-bit Linux: l_type, l_whence, l_start, l_len, l_pid

_NOTE_BYTES = 4096
"""Taken from the disk together with the lock, so that a note can be written when nothing else can."""


def lock_path(database: Path) -> Path:
    """``NAME.db.lock`` beside the run's file."""
    return database.with_name(f"{database.name}.lock")


class RunLock:
    """The right to write one run. Held until ``release`` or the death of the process."""

    def __init__(self, database: Path) -> None:
        """Take the lock.

        Raises:
            TryAgain: another driver holds it; the message names its pid.
            UsageError: the lock file cannot be made beside the database.
        """
        self._path = lock_path(database)
        self._descriptor = _locked(self._path, database)
        while not _is_current(self._descriptor, self._path):  # its former holder has removed the file meanwhile
            os.close(self._descriptor)
            self._descriptor = _locked(self._path, database)
        with suppress(OSError):
            os.posix_fallocate(self._descriptor, 0, _NOTE_BYTES)
        self.note("")
        os.utime(self._descriptor)

    def note(self, text: str) -> None:
        """Leave a line for whoever looks at the run from outside: why it is paused, empty where it is not.

        It is written in place, over room that was taken with the lock: a disk that is full keeps nobody from reading why.
        """
        taken = os.fstat(self._descriptor)
        with suppress(OSError):
            os.pwrite(self._descriptor, text.encode("utf-8", "replace")[:_NOTE_BYTES].ljust(_NOTE_BYTES, b"\0"), 0)
            os.utime(self._descriptor, ns=(taken.st_atime_ns, taken.st_mtime_ns))  # when it was taken is when the run was started

    def release(self, *, remove: bool = False) -> None:
        """Give the lock back; ``remove`` takes the lock file away too, where the run itself is gone."""
        if remove:
            self._path.unlink(missing_ok=True)
        os.close(self._descriptor)


def _locked(path: Path, database: Path) -> int:
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        why = f"cannot write beside {printable(database)}: {error.strerror}"
        raise UsageError(why, "choose another place: --db PATH") from error
    try:
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        holder = _holder(descriptor)
        os.close(descriptor)
        raise TryAgain(
            f"already running, pid {holder}" if holder else "already running", f"camtui status {printable(database.stem)}"
        ) from error
    return descriptor


def _is_current(descriptor: int, path: Path) -> bool:
    """Whether the locked file is the one that others would open by its name."""
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path))
    except FileNotFoundError:
        return False


def lock_holder(database: Path) -> int | None:
    """The pid of the driver that holds this run, ``None`` when nobody does. Must not be asked by the driver itself."""
    try:
        descriptor = os.open(lock_path(database), os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        return _holder(descriptor)
    finally:
        os.close(descriptor)


def lock_note(database: Path) -> str:
    """What the holder of the lock has to say, empty where there is nothing."""
    try:
        with open(lock_path(database), "rb") as file:
            return file.read(_NOTE_BYTES).rstrip(b"\0").decode("utf-8", "replace")
    except OSError:
        return ""


def _holder(descriptor: int) -> int | None:
    question = struct.pack(_FLOCK, fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
    kind, _, _, _, pid = struct.unpack(_FLOCK, fcntl.fcntl(descriptor, fcntl.F_GETLK, question))
    return int(pid) if kind != fcntl.F_UNLCK else None
