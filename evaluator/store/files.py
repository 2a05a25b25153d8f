"""The files of a run: its database, those beside it, its lock; what may be opened, and where.

A folder of runs may have been received from somebody. No link is followed there when something is
written, nothing is written into a file that others know by another name, and nothing is taken for
ours because of what it is called.
"""

from __future__ import annotations

import fcntl
import os
import re
import sqlite3
import stat
import struct
from contextlib import closing, suppress
from pathlib import Path
from secrets import token_hex
from urllib.parse import quote

from evaluator.errors import StoreError, TryAgain, UsageError
from evaluator.store.schema import APPLICATION_ID, SCHEMA_VERSION
from evaluator.text import printable

_NETWORK = {
    "nfs", "nfs4", "cifs", "smb3", "smbfs", "lustre", "gpfs", "beegfs", "ceph", "glusterfs", "afs",
    "orangefs", "pvfs2", "fuse.sshfs", "fuse.glusterfs", "fuse.ceph", "fuse.s3fs", "fuse.gcsfuse",
    "fuse.rclone", "fuse.juicefs",
}  # fmt: skip
"""File systems on which several machines write, or whose locks and shared memory are not to be
trusted.
"""

MOUNTS = Path("/proc/self/mounts")


def refuse_network(database: Path, mounts: Path | None = None) -> None:
    """Refuse a place that other machines can write to.

    Raises:
        UsageError: the folder is on a network file system.
    """
    kind = file_system(database.parent, mounts or MOUNTS)
    if kind in _NETWORK:
        raise UsageError(
            f"{printable(database.parent)} is on a network file system ({kind}), where a run's "
            "database can be damaged",
            "keep it on a local disk: --db /var/tmp/NAME.db",
        )


def file_system(folder: Path, mounts: Path) -> str:
    """The kind of file system a folder is on, empty where it cannot be told."""
    try:
        lines = mounts.read_text("utf-8", "surrogateescape").splitlines()
    except OSError:
        return ""
    place = os.path.realpath(folder)
    best, kind = "", ""
    for line in lines:
        fields = line.split(" ")
        if len(fields) < 3:
            continue
        point = _unescaped(fields[1])
        inside = place == point or place.startswith(point.rstrip("/") + "/")
        if inside and len(point) >= len(
            best
        ):  # the later of two mounts on one point hides the earlier
            best, kind = point, fields[2]
    return kind


def _unescaped(text: str) -> str:
    r"""Spaces and the like stand as ``\040`` in the table of mounts."""
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), text)


_ADDED_LATER = {"run": ("born", "log", "worked", "resumed"), "looks": ("decided",)}
"""Columns that version 2 did not have from the beginning."""


def refuse_foreign(connection: sqlite3.Connection, path: Path, hint: str) -> None:
    """Refuse whatever is no run of ours.

    Args:
        connection: the open file.
        path: its name, for the message.
        hint: what to type where it is something else.

    Raises:
        StoreError: another program's database, a newer camtui's, or one that holds code.
    """
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if application != APPLICATION_ID:
        if not connection.execute("SELECT 1 FROM sqlite_schema").fetchone():
            raise StoreError(
                f"{printable(path)} is an empty database: was a run copied while it ran, "
                f"without its {printable(path.name)}-wal?",
                f"copy it again, which brings all of it: camtui copy RUN {printable(path.name)}",
            )
        raise StoreError(f"{printable(path)} is a database, but not a run of camtui", hint)
    if version > SCHEMA_VERSION:
        newer = f"{printable(path)} is of version {version}; this camtui knows {SCHEMA_VERSION}"
        raise StoreError(newer, "pip install --upgrade camtui")
    if connection.execute(
        "SELECT 1 FROM sqlite_schema WHERE type IN ('view', 'trigger')"
    ).fetchone():
        raise StoreError(
            f"{printable(path)} holds code (views or triggers), which no run of camtui does", hint
        )
    if version > 1 and (lacking := _lacking_columns(connection)):
        raise StoreError(
            f"{printable(path)} lacks the column {lacking[0]}:"
            " it was begun by a camtui under development, or is damaged",
            "begin it anew under another name: camtui run --name NAME",
        )


def _lacking_columns(connection: sqlite3.Connection) -> list[str]:
    """Columns of ``_ADDED_LATER`` that a run lacks; none where it has no table ``run``."""
    if not connection.execute("SELECT 1 FROM pragma_table_info('run')").fetchone():
        return []
    lacking = []
    for table, columns in _ADDED_LATER.items():
        found = connection.execute("SELECT name FROM pragma_table_info(?)", (table,)).fetchall()
        lacking += [f"{table}.{column}" for column in columns if (column,) not in found]
    return lacking


_ELSEWHERE = "choose another place: --db PATH"
_LINE = re.compile(rb"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d (info|warning|error) ")
"""The beginning of a log."""


def real(database: Path) -> Path:
    """A database's own path, links resolved: a file and a link to it have one lock, one log."""
    return Path(os.path.realpath(database))


def temporary_beside(place: Path) -> Path:
    """A name for a file or folder that is written here first and then renamed to its place.

    It is random: another process, in another container too, may have the same number, and what a
    killed one has left blocks nobody.
    """
    return place.with_name(f".camtui-{token_hex(8)}.tmp")


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


def open_log(database: Path) -> int:
    """A run's log, open to be written at its end; a new one gets no line yet.

    Raises:
        UsageError: as ``open_own``, or there is a file of that name which is no log.
    """
    log = log_path(database)
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    descriptor = open_own(log, flags, owner=_owner(database))
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
    """Whether a file is a run of camtui by its first bytes, however damaged the rest may be.

    SQLite looks, so that the locks stay which this process has on a run that it shows; only a file
    that SQLite cannot open is read here.
    """
    place = real(database)
    if why_unreadable(place) or place.is_symlink():
        return False
    uri = f"file:{quote(os.fsencode(place.absolute()))}?mode=ro&immutable=1"
    try:
        with closing(sqlite3.connect(uri, uri=True)) as connection:
            (application,) = connection.execute("PRAGMA application_id").fetchone()
    except sqlite3.Error:
        return _begins_like_a_run(place)
    return bool(application == APPLICATION_ID)


def _begins_like_a_run(path: Path) -> bool:
    descriptor = open_to_read(path)
    if descriptor is None:
        return False
    try:
        head = os.read(descriptor, 72)
    finally:
        os.close(descriptor)
    return head.startswith(b"SQLite format 3\0") and head[68:72] == APPLICATION_ID.to_bytes(
        4, "big"
    )


_KINDS = (
    (stat.S_ISDIR, "a directory"),
    (stat.S_ISFIFO, "a FIFO"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


def why_unreadable(database: Path) -> str:
    """Why a file cannot be read as a run, in a few words: ``permission denied``, ``a FIFO``.

    Empty where it can, as far as one sees without opening it: closing it would give up the locks
    that this process has on it.
    """
    try:
        status = os.stat(database)
    except OSError as error:
        if isinstance(error, FileNotFoundError) and os.path.islink(database):
            return "a link to nothing"
        return (error.strerror or str(error)).lower()
    for is_kind, words in _KINDS:
        if is_kind(status.st_mode):
            return words
    if not os.access(database, os.R_OK, effective_ids=True):
        return "permission denied"
    return "" if status.st_size else "empty"


def copy_database(source: sqlite3.Connection, target: Path) -> None:
    """Copy everything that is committed into a new file, which needs no other file beside it.

    Raises:
        UsageError: there is a file of that name, or it cannot be written.
    """
    if os.path.lexists(target):
        raise UsageError(f"{printable(target)} exists", "choose another name")
    os.close(open_own(target, os.O_RDWR | os.O_CREAT | os.O_EXCL))
    try:
        with closing(sqlite3.connect(target, isolation_level=None)) as copy:
            source.backup(copy)
            copy.execute("PRAGMA journal_mode=DELETE")
    except sqlite3.Error as error:
        for ending in ("", "-journal", "-wal", "-shm"):  # SQLite leaves them on a full disk
            target.with_name(target.name + ending).unlink(missing_ok=True)
        raise UsageError(
            f"cannot copy to {printable(target)}: {printable(error)}", "choose another place"
        ) from error


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
