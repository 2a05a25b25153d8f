"""Refusal of databases that are no run of ours, of an unknown version, or that hold code."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from evaluator.errors import StoreError
from evaluator.store.schema import APPLICATION_ID, SCHEMA_VERSION
from evaluator.text import printable

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
