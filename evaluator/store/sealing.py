"""Sealed tables: those whose records have a checksum, kept by temporary triggers.

Rows and measurements get theirs from ``row_writer``. The triggers belong to the writer's
connection. They are no part of the file, which holds no code; whatever writes through that
connection cannot forget them.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from typing import NamedTuple

from evaluator.plan import todays_names
from evaluator.store.checksums import record_checksum

BY_THEMSELVES = ("results", "measurements")
"""Tables whose checksums are computed with their records: they are many, and depend on what their
cell and image are.
"""


class SealedTable(NamedTuple):
    """A table whose records have checksums of their own columns."""

    name: str
    columns: tuple[str, ...]
    key: tuple[str, ...]

    def expression(self, prefix: str = "", changed: Mapping[str, str] | None = None) -> str:
        """The checksum in SQL, where ``record_checksum`` is a function of the connection.

        Args:
            changed: SQL for columns of which another value is meant than the stored one.
        """
        values = {column: f"{prefix}{column}" for column in self.columns} | dict(changed or {})
        pairs = ", ".join(f"'{column}', {value}" for column, value in values.items())
        return f"record_checksum({pairs})"


def sealed_tables(connection: sqlite3.Connection) -> list[SealedTable]:
    """Every table of the file with a column for checksums, rows and measurements aside."""
    names = [
        name
        for (name,) in connection.execute(
            "SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name"
        )
    ]
    tables = []
    for name in names:
        found = connection.execute(
            "SELECT name, pk FROM pragma_table_info(?) ORDER BY cid", (name,)
        ).fetchall()
        columns = tuple(column for column, _ in found if column != "checksum")
        if len(columns) < len(found) and name not in BY_THEMSELVES:
            tables.append(
                SealedTable(name, columns, tuple(column for column, place in found if place))
            )
    return tables


def add_function(connection: sqlite3.Connection) -> None:
    """Make ``record_checksum`` known to a connection."""
    connection.create_function("record_checksum", -1, record_checksum, deterministic=True)


_NAMING_METHODS = {"cells": ("method", "note"), "looks": ("verdicts",)}
"""Tables with columns that name methods. Events tell what was said when it was said."""


def name_anew(connection: sqlite3.Connection) -> None:
    """Bring the methods in a file of an earlier version to their names of today.

    A record that was not what had been written is none afterwards either.
    """
    add_function(connection)
    connection.create_function("todays_names", 1, todays_names, deterministic=True)
    for table in sealed_tables(connection):
        changed = {name: f"todays_names({name})" for name in _NAMING_METHODS.get(table.name, ())}
        if not changed:
            continue
        values = ", ".join(f"{name} = {value}" for name, value in changed.items())
        differs = " OR ".join(f"{name} IS NOT {value}" for name, value in changed.items())
        connection.execute(
            f"UPDATE {table.name} SET {values}, checksum = CASE WHEN checksum = "
            f"{table.expression()} THEN {table.expression(changed=changed)} ELSE checksum END "
            f"WHERE {differs}"
        )


def keep_sealed(connection: sqlite3.Connection) -> None:
    """From now on every record that this connection inserts or changes gets its checksum."""
    add_function(connection)
    for table in sealed_tables(connection):
        here = " AND ".join(f"{column} = NEW.{column}" for column in table.key)
        seal = f"UPDATE {table.name} SET checksum = {table.expression('NEW.')} WHERE {here}"
        for moment in ("INSERT", f"UPDATE OF {', '.join(table.columns)}"):
            trigger = f"seal_{moment[:6].lower()}_{table.name}"
            connection.execute(
                f"CREATE TEMP TRIGGER {trigger} AFTER {moment} ON main.{table.name} BEGIN "
                f"{seal}; END"
            )
