"""The tables: every record has its columns, migrations and version agree, values of the wrong kind
are refused.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import fields
from math import nextafter
from pathlib import Path

import pytest

from evaluator.records import Failure, Measurement, Row, WorkerState
from evaluator.store import schema
from tests.evaluator.store.runs import empty_run, raw


@pytest.fixture
def path(tmp_path: Path) -> Path:
    empty_run(tmp_path / "run.db")
    return tmp_path / "run.db"


def test_there_is_one_migration_for_every_version() -> None:
    assert len(schema.MIGRATIONS) == schema.SCHEMA_VERSION


@pytest.mark.parametrize(
    ("table", "names", "extra"),
    [
        ("results", Row._fields, set()),
        ("measurements", Measurement._fields, set()),
        ("failures", [field.name for field in fields(Failure)], {"time"}),
        ("workers", [field.name for field in fields(WorkerState)], set()),
    ],
)
def test_a_record_s_fields_are_its_table_s_columns(
    path: Path, table: str, names: Sequence[str], extra: set[str]
) -> None:
    columns = {name for _, name, *_ in raw(path, f"PRAGMA table_info({table})")}
    named = {"cell": "cell_id", "image": "image_id"}
    assert columns - extra - {"checksum"} == {named.get(name, name) for name in names}


def test_every_table_is_strict(path: Path) -> None:
    for _, name, kind, _, _, strict in raw(path, "PRAGMA table_list"):
        assert strict or kind != "table" or name.startswith("sqlite_"), (
            f"{name} takes values of any kind"
        )


def test_a_word_is_no_number(path: Path) -> None:
    with (
        closing(sqlite3.connect(path)) as connection,
        pytest.raises(sqlite3.IntegrityError, match="cannot store TEXT"),
    ):
        connection.execute("UPDATE images SET size = 'big'")


def test_there_is_one_run_in_a_file(path: Path) -> None:
    with (
        closing(sqlite3.connect(path)) as connection,
        pytest.raises(sqlite3.IntegrityError, match="CHECK"),
    ):
        connection.execute("UPDATE run SET id = 2")


def test_the_statements_of_a_migration_are_split_where_they_end() -> None:
    """The writer splits at a semicolon that ends a line; one inside a comment would cut a statement
    in two.
    """
    for script in schema.MIGRATIONS:
        for statement in script.split(";\n"):
            assert sqlite3.complete_statement(statement + ";") or not statement.strip()


@pytest.mark.parametrize(("low", "high"), [(0.0, 1.0), (-0.5, 0.5), (-1.0, 1.0)])
def test_the_edge_of_a_bin_is_the_first_number_in_it(low: float, high: float) -> None:
    for place in range(1, schema.HISTOGRAM_BINS):
        edge = schema.least_of_bin(place, low, high)
        assert schema.histogram_bin(edge, low, high) == place
        assert schema.histogram_bin(nextafter(edge, low - 1), low, high) == place - 1
    assert schema.histogram_bin(low, low, high) == 0
    assert schema.histogram_bin(high, low, high) == schema.HISTOGRAM_BINS - 1
