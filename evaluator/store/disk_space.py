"""Free disk space: whether it has run out, and how much the rest of a run will take."""

from __future__ import annotations

import os
import resource
import sqlite3
from contextlib import suppress
from pathlib import Path

from evaluator.store.files import beside
from evaluator.store.reader import RunReader

_PAIR_BYTES = 600
"""Of one (cell, image) in the file before any has been written: a row with its 7 × 7 map, its index
and its share of pages.
"""

_LOG_BYTES = 8 * 2**20
"""The write-ahead log beside the file: SQLite folds it in at 4 MB, later while somebody reads."""


def is_full(error: sqlite3.Error) -> bool:
    """Whether SQLite could not write: full disk or quota, or a limit on the file's size."""
    code: int = getattr(error, "sqlite_errorcode", 0)
    if code & 0xFF == sqlite3.SQLITE_FULL or code == sqlite3.SQLITE_IOERR_SHMSIZE:
        return True
    return code == sqlite3.SQLITE_IOERR_WRITE and file_size_limit() is not None


def file_size_limit() -> int | None:
    """The most bytes that a file of this process may have (``ulimit -f``), or ``None``."""
    limit, _ = resource.getrlimit(resource.RLIMIT_FSIZE)
    return None if limit == resource.RLIM_INFINITY else limit


def full_words() -> str:
    """Say what is full, for people."""
    limit = file_size_limit()
    return (
        "disk full"
        if limit is None
        else f"disk full, or the limit of {limit // 10**6} MB on a file's size reached (ulimit -f)"
    )


def sqlite_temporary_folder() -> str:
    """The folder in which SQLite keeps temporary tables, found as SQLite finds it."""
    named = (os.environ.get("SQLITE_TMPDIR"), os.environ.get("TMPDIR"))
    for folder in filter(None, (*named, "/var/tmp", "/usr/tmp", "/tmp")):
        if os.path.isdir(folder) and os.access(folder, os.W_OK | os.X_OK):
            return folder
    return "."


def bytes_needed(reader: RunReader, path: Path) -> int:
    """About how many bytes the run will yet write, by those of each (cell, image) so far."""
    stages = reader.stages()
    pairs_of = {stage.id: len(stage.cells) * max(1, len(stage.metrics)) for stage in stages}
    total = sum(stage.images * pairs_of[stage.id] for stage in stages)
    done = sum(stage.done * pairs_of[stage.id] for stage in stages)
    each = max(_PAIR_BYTES, _written(path) / done if done else 0)
    return round((total - done) * each) + _LOG_BYTES


def _written(path: Path) -> int:
    total = 0
    for file in (path, beside(path, "-wal")):
        with suppress(OSError):
            total += os.stat(file).st_size
    return total
