"""A run's file, open for writing: made, checked to be ours, brought to this version."""

from __future__ import annotations

import os
import sqlite3
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import Any

from evaluator.errors import StoreError, UsageError
from evaluator.store import checksums, schema
from evaluator.store.disk_space import is_full
from evaluator.store.files import beside, open_own, real, refuse_foreign
from evaluator.text import printable


@contextmanager
def _hidden(*modules: str) -> Iterator[None]:
    """Let imports take modules that are not imported yet for ones that are not installed."""
    names = [name for name in modules if name not in sys.modules]
    sys.modules.update(dict.fromkeys(names))  # type: ignore[arg-type]  # None hides a module
    try:
        yield
    finally:
        for name in names:
            del sys.modules[name]


with _hidden("numpy", "pandas"):  # 80 MB and half of a start, for columns of their types
    from sqlite_utils import Database


class WritableFile:
    """The one connection that writes to a run. The caller holds ``files.RunLock``.

    Attributes:
        path: the file.
        connection: SQLite's own.
    """

    def __init__(self, path: Path) -> None:
        """Open the file, create it where there is none, and bring an older one to this version.

        Raises:
            UsageError: the folder cannot be written.
            StoreError: not a run of ours, or one from a newer camtui.
            sqlite3.OperationalError: the disk is full.
        """
        self.path = path
        self.connection = _connected(path)
        self._database = Database(self.connection, execute_plugins=False)
        try:
            self._prepare()
        except sqlite3.DatabaseError as error:
            self.close()
            if is_full(error):
                raise
            raise StoreError(
                f"{printable(path)} cannot be used as a run: {printable(error)}",
                "choose another --db",
            ) from error
        except BaseException:
            self.close()
            raise

    def _prepare(self) -> None:
        execute = self.connection.execute
        (version,) = execute("PRAGMA user_version").fetchone()
        if execute("SELECT count(*) FROM sqlite_schema").fetchone() != (0,):
            refuse_foreign(self.connection, self.path, "choose another --db")
        execute("PRAGMA trusted_schema=OFF")
        execute("PRAGMA journal_mode=WAL")
        execute("PRAGMA synchronous=FULL")
        execute("PRAGMA foreign_keys=ON")
        if 0 < version < schema.SCHEMA_VERSION:
            _back_up(self.connection, self.path, version)
        execute("PRAGMA temp.auto_vacuum=FULL")  # temporary tables that are dropped free their room
        with self.transaction():
            if version < schema.SCHEMA_VERSION:  # setting a number anew would change the file
                for script in schema.MIGRATIONS[version:]:
                    for statement in script.split(";\n"):
                        execute(statement)
                if 0 < version < schema.NAMED_ANEW_SINCE:
                    checksums.name_anew(self.connection)
                execute(f"PRAGMA application_id={schema.APPLICATION_ID}")
                execute(f"PRAGMA user_version={schema.SCHEMA_VERSION}")
        checksums.keep_sealed(self.connection)

    def execute(self, query: str, values: Sequence[Any] = ()) -> sqlite3.Cursor:
        """Run one statement."""
        return self.connection.execute(query, values)

    def executemany(self, query: str, values: Iterable[Sequence[Any]]) -> None:
        """Run one statement for each of some records."""
        self.connection.executemany(query, values)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """``BEGIN IMMEDIATE`` … ``COMMIT``: the write lock is taken before the first read."""
        self.execute("BEGIN IMMEDIATE")
        try:
            yield
            self.execute("COMMIT")
        finally:
            if self.connection.in_transaction:  # also where COMMIT itself found the disk full
                self.execute("ROLLBACK")

    def insert(self, table: str, records: Iterable[dict[str, Any]], **how: Any) -> None:
        """Insert records, which all have the same columns; ``how`` is sqlite-utils'."""
        self._database[table].insert_all(records, **how)  # type: ignore[union-attr]

    def fold_in(self) -> None:
        """Bring everything committed into the file itself.

        A copy without its write-ahead log is a run then, if not all of it.
        """
        with suppress(sqlite3.Error):
            self.connection.execute("PRAGMA wal_checkpoint(PASSIVE)")

    def close(self) -> None:
        """Fold the write-ahead log in, also where somebody still reads, and close the file."""
        with suppress(sqlite3.Error):  # a full disk, a reader that stays: the log stays too
            self.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        self.connection.close()


def _connected(path: Path) -> sqlite3.Connection:
    place = real(path)
    try:
        os.close(os.open(place, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600))
        return sqlite3.connect(place, timeout=10, isolation_level=None)
    except (OSError, sqlite3.Error) as error:
        raise UsageError(
            f"cannot write {printable(path)}: {printable(error)}",
            "choose another place: --db PATH",
        ) from error


def _back_up(connection: sqlite3.Connection, path: Path, version: int) -> None:
    """Copy the whole file before it is changed: ``NAME.db.v1``, or the next name that is free."""
    for number in count(1):
        target = beside(path, f".v{version}" if number == 1 else f".v{version}-{number}")
        if not os.path.lexists(target):
            break
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL
    os.close(open_own(target, flags, owner=os.stat(path).st_uid))
    with closing(sqlite3.connect(target)) as copy:
        connection.backup(copy)
