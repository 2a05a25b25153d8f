"""A run's file, open for reading and nothing else.

Never created, never written, never blocking the writer. It may be hostile.

Plain ``sqlite3``: importing sqlite-utils costs 100 ms, nearly as much as a whole
``camtui status`` may take.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote

from evaluator.errors import NotFound, StoreError
from evaluator.store.files import beside, refuse_foreign, why_unreadable
from evaluator.text import printable

DAMAGE = (
    sqlite3.Error,
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    ArithmeticError,
    RecursionError,
)
"""Exceptions of reading a damaged file: SQLite's own, and those of values of a wrong kind."""

_NO_FILE = ("no such file or directory", "not a directory")

CACHE_KIB = 32_000
"""A cell of 50 000 images with its maps fits: scanning it again takes half as long as with SQLite's
2 MB (no memory map: a file that is cut short under it would kill the process).
"""

SMALL_CACHE_KIB = 4_000
"""For connections that stay open for hours, as a display's: a cache fills as its file grows."""

_ADDED_COLUMNS = {
    "run": "1 AS born, NULL AS log, 0.0 AS worked, NULL AS resumed",
    "images": "NULL AS content",
    "results": "NULL AS checksum",
    "measurements": "NULL AS checksum",
}
"""Columns that version 1 lacks, as queries see them: temporary views stand before its tables.

``*`` comes first: where a driver brings the open file to a newer version, its own columns count.
"""


class ReadOnlyFile:
    """A connection that can only read, checked to be a run of ours.

    Attributes:
        path: the file.
        connection: SQLite's own.
    """

    def __init__(self, path: Path, *, cache_kib: int = CACHE_KIB) -> None:
        """Open an existing run.

        Args:
            path: of the file.
            cache_kib: most memory that SQLite may keep pages in.

        Raises:
            NotFound: no such file.
            StoreError: not a run of ours, or one from a newer camtui.
        """
        self.path = path
        self._cache_kib = cache_kib
        if not os.path.lexists(path) and why_unreadable(path) in _NO_FILE:
            raise NotFound(f"no such run file: {printable(path)}", "list the runs: camtui ls")
        self._refuse_unreadable()
        try:
            self.connection = self._open("mode=ro")
        except sqlite3.Error as error:
            raise self._not_opened(printable(error)) from error
        try:
            try:
                self._check()
            except sqlite3.OperationalError as error:
                self.close()
                self.connection = self._open_immutable(error)
                self._check()
        except DAMAGE as error:
            self.close()
            self._refuse_unreadable()
            raise StoreError(
                f"{printable(path)} is not a run of camtui: {printable(error)}",
                "list the runs: camtui ls",
            ) from error

    def _refuse_unreadable(self) -> None:
        why = why_unreadable(self.path)
        if why and why != "empty":
            raise self._not_opened(why)

    def _not_opened(self, why: str) -> StoreError:
        kind = why.startswith("a ")
        told = f"{printable(self.path)} is {why}, no run" if kind else ""
        hint = (
            f"its owner may let you read it: chmod +r {printable(self.path)}"
            if why == "permission denied"
            else "list the runs: camtui ls"
        )
        return StoreError(told or f"cannot read {printable(self.path)}: {why}", hint)

    def _open(self, how: str) -> sqlite3.Connection:
        uri = f"file:{quote(str(self.path.absolute()).encode('utf-8', 'surrogateescape'))}?{how}"
        connection = sqlite3.connect(
            uri, uri=True, timeout=5, isolation_level=None, check_same_thread=False
        )
        try:
            connection.execute("PRAGMA trusted_schema=OFF")
        except BaseException:
            connection.close()
            raise
        return connection

    def _open_immutable(self, error: sqlite3.OperationalError) -> sqlite3.Connection:
        """Open a finished run in a folder that cannot be written: nobody writes, SQLite is told."""
        log = beside(self.path, "-wal")
        if log.exists() and log.stat().st_size:
            raise StoreError(
                f"cannot read {printable(self.path)}: {printable(error)}",
                "copy it, with its -wal file, elsewhere",
            )
        return self._open("mode=ro&immutable=1")

    def _check(self) -> None:
        try:
            refuse_foreign(self.connection, self.path, "list the runs: camtui ls")
        except StoreError:
            self.close()
            raise
        self.connection.execute(f"PRAGMA cache_size=-{self._cache_kib}")
        for table, columns in _ADDED_COLUMNS.items() if self.version < 2 else ():
            view = f"CREATE TEMP VIEW {table} AS SELECT *, {columns} FROM main.{table}"
            self.connection.execute(view)
        self.connection.execute("PRAGMA query_only=ON")

    @property
    def version(self) -> int:
        """The version of its tables now: a driver may bring the open file to a newer one."""
        return int(self.one("PRAGMA user_version")[0])

    def stream(self, query: str, values: Sequence[Any] = ()) -> sqlite3.Cursor:
        """The records of a query, one by one."""
        return self.connection.execute(query, values)

    def first(self, query: str, values: Sequence[Any] = ()) -> tuple[Any, ...] | None:
        """The first record of a query, ``None`` where there is none."""
        row: tuple[Any, ...] | None = self.connection.execute(query, values).fetchone()
        return row

    def one(self, query: str, values: Sequence[Any] = ()) -> tuple[Any, ...]:
        """The one record of a query.

        Raises:
            StoreError: there is none: the run has not begun.
        """
        row = self.first(query, values)
        if row is None:
            raise StoreError(f"{printable(self.path)} holds no run yet", "camtui run starts one")
        return row

    def all(self, query: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Every record of a query."""
        return self.connection.execute(query, values).fetchall()

    def close(self) -> None:
        """Close the file."""
        self.connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @contextmanager
    def moment(self) -> Iterator[None]:
        """Answer everything that is asked within it from the file as it stood at one moment."""
        if self.connection.in_transaction:
            yield
            return
        self.connection.execute("BEGIN")
        try:
            yield
        finally:
            if self.connection.in_transaction:  # not where SQLite itself has given up on it
                self.connection.execute("ROLLBACK")
