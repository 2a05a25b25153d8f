"""A whole copy of a run's file, also of one that is being written, or that has lost its name."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path

from evaluator.errors import UsageError
from evaluator.store.files import open_own
from evaluator.text import printable


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
        target.unlink(missing_ok=True)
        raise UsageError(
            f"cannot copy to {printable(target)}: {printable(error)}", "choose another place"
        ) from error
