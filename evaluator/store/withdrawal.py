"""Taking back a request whose run never got under way: the file is again what it was before.

Before the hand-off a driver may change the run, its backbones, cells, stages and workers, labels of
images, and forget failures; it does not touch rows, sums and measurements. What it may change is
copied into temporary tables of the writer's own connection, checksums included.
"""

from __future__ import annotations

import sqlite3

from evaluator.errors import UsageError
from evaluator.store.disk_space import full_words, is_full, sqlite_temporary_folder
from evaluator.store.writable import WritableFile
from evaluator.text import printable

_TABLES = ("run", "backbones", "cells", "stages", "looks", "workers")
"""Small tables with an ``id``, of which every column is remembered."""


def remember(file: WritableFile, *, failures: bool) -> None:
    """Copy what a request may change; within the transaction that makes the first change.

    Args:
        failures: whether the request forgets the failures.

    Raises:
        UsageError: the folder of temporary files is full.
    """
    try:
        _copy(file, failures=failures)
    except sqlite3.OperationalError as error:
        if not is_full(error):
            raise
        raise UsageError(
            f"no room for temporary files in {printable(sqlite_temporary_folder())}: "
            f"{full_words()}",
            "make room there, or name another folder: SQLITE_TMPDIR=FOLDER",
        ) from error


def _copy(file: WritableFile, *, failures: bool) -> None:
    forget(file)
    for table in _TABLES:
        file.execute(f"CREATE TEMP TABLE before_{table} AS SELECT * FROM main.{table}")
    file.execute(
        "CREATE TEMP TABLE before_images (id INTEGER PRIMARY KEY, label INTEGER, checksum BLOB)"
    )
    file.execute("INSERT INTO temp.before_images SELECT id, label, checksum FROM main.images")
    if failures:
        file.execute("CREATE TEMP TABLE before_failures AS SELECT * FROM main.failures")


def forget(file: WritableFile) -> None:
    """Drop the copies."""
    for table in (*_TABLES, "images", "failures"):
        file.execute(f"DROP TABLE IF EXISTS temp.before_{table}")


def restore(file: WritableFile) -> None:
    """Bring everything back that was remembered; nothing where nothing was."""
    remembered = {name for (name,) in file.execute("SELECT name FROM temp.sqlite_schema")}
    if "before_run" not in remembered:
        return
    with file.transaction():
        file.execute("PRAGMA defer_foreign_keys=ON")
        file.execute("DELETE FROM images WHERE id NOT IN (SELECT id FROM temp.before_images)")
        _restore_columns(file, "images", ["label"])
        for table in _TABLES:
            _restore_table(file, table)
        if "before_failures" in remembered:
            file.execute("INSERT OR IGNORE INTO failures SELECT * FROM temp.before_failures")
            file.execute(
                "UPDATE failures AS now SET checksum = was.checksum FROM temp.before_failures AS "
                "was WHERE (now.cell_id, now.image_id, now.metric) = (was.cell_id, was.image_id, "
                "was.metric) AND now.checksum IS NOT was.checksum"
            )
        forget(file)


def _restore_table(file: WritableFile, table: str) -> None:
    columns = [name for (name,) in file.execute("SELECT name FROM pragma_table_info(?)", (table,))]
    file.execute(f"DELETE FROM {table} WHERE id NOT IN (SELECT id FROM temp.before_{table})")
    file.execute(f"INSERT OR IGNORE INTO {table} SELECT * FROM temp.before_{table}")
    _restore_columns(file, table, [name for name in columns if name not in ("id", "checksum")])


def _restore_columns(file: WritableFile, table: str, columns: list[str]) -> None:
    """Restore columns where they differ, then the checksums, which a change has made anew."""
    for names in (columns, ["checksum"]):
        now, was = (", ".join(f"{side}.{name}" for name in names) for side in ("now", "was"))
        values = ", ".join(f"{name} = was.{name}" for name in names)
        file.execute(
            f"UPDATE {table} AS now SET {values} FROM temp.before_{table} AS was "
            f"WHERE now.id = was.id AND ({now}) IS NOT ({was})"
        )
