"""Whether a database is a run of ours, of a version that this camtui knows.

And nothing but data.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path

from evaluator.errors import StoreError
from evaluator.store.schema import APPLICATION_ID, SCHEMA_VERSION
from evaluator.text import printable


def refuse_foreign(connection: sqlite3.Connection, path: Path, hint: str) -> int:
    """The version of a run of ours; refuse everything else.

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
    return int(version)
