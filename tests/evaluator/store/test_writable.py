"""Opening a run's file for writing: what is made, what is refused, and how an older file becomes a
newer one.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from stat import S_IMODE

import pytest

from evaluator.errors import StoreError, UsageError
from evaluator.store import schema
from evaluator.store.reader import RunReader
from evaluator.store.writer import RunWriter
from tests.evaluator.store.runs import HOSTILE, begun, count, empty_run, raw, result, row


def test_a_new_file_is_ours_alone(path: Path) -> None:
    with begun(path):
        files = {file.name: S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}
    assert files == {"run.db": 0o600, "run.db-wal": 0o600, "run.db-shm": 0o600}
    assert [file.name for file in path.parent.iterdir()] == ["run.db"], "closing folds the log in"
    assert raw(path, "PRAGMA application_id") == [(schema.APPLICATION_ID,)]
    assert raw(path, "PRAGMA user_version") == [(schema.SCHEMA_VERSION,)]


@pytest.mark.parametrize("place", [".", "no/such/folder/run.db", "/proc/run.db"])
def test_a_place_that_cannot_be_written(tmp_path: Path, place: str) -> None:
    with pytest.raises(UsageError, match="cannot write") as caught:
        RunWriter(tmp_path / place)
    assert "--db" in caught.value.hint


@pytest.mark.parametrize(("make", "message"), HOSTILE)
def test_a_file_that_is_not_a_run_is_refused_and_left_alone(
    path: Path, make: Callable[[Path], None], message: str
) -> None:
    make(path)
    before = path.read_bytes()
    with pytest.raises(StoreError, match=message or "cannot be used as a run"):
        RunWriter(path)
    assert path.read_bytes() == before


# -- migration
# --------------------------------------------------------------------------------------------------

STEP = (
    "ALTER TABLE run ADD COLUMN mood TEXT NOT NULL DEFAULT 'calm';\n"
    "CREATE TABLE extra (id INTEGER PRIMARY KEY) STRICT;\n"
)


def newer_camtui(monkeypatch: pytest.MonkeyPatch, step: str = STEP) -> None:
    monkeypatch.setattr(schema, "MIGRATIONS", (*schema.MIGRATIONS, step))
    monkeypatch.setattr(schema, "SCHEMA_VERSION", schema.SCHEMA_VERSION + 1)


def test_an_older_file_is_copied_then_brought_up_to_date(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = schema.SCHEMA_VERSION
    with begun(path) as writer:
        writer.rows.commit(result(row(1, 0)))
    newer_camtui(monkeypatch)
    RunWriter(path).close()
    backup = path.with_name(f"run.db.v{old}")
    assert raw(path, "PRAGMA user_version") == [(old + 1,)]
    assert raw(path, "SELECT mood FROM run") == [("calm",)]
    assert count(path, "extra") == 0
    assert count(path, "results") == 1
    assert raw(backup, "PRAGMA user_version") == [(old,)]
    assert count(backup, "results") == 1
    assert S_IMODE(backup.stat().st_mode) == 0o600


@pytest.mark.parametrize(
    ("statement", "column"),
    [
        ("ALTER TABLE run DROP COLUMN worked", "run.worked"),
        ("ALTER TABLE run DROP COLUMN log", "run.log"),
        ("DROP TABLE looks", "looks.decided"),
    ],
)
def test_a_file_of_a_camtui_under_development_is_refused_in_a_sentence(
    path: Path, statement: str, column: str
) -> None:
    empty_run(path)
    raw(path, "PRAGMA user_version = 2")
    raw(path, statement)
    for opening in (RunReader, RunWriter):
        with pytest.raises(StoreError, match=f"lacks the column {column}") as caught:
            opening(path)
        assert "camtui run --name" in caught.value.hint


def test_a_copy_that_is_there_is_not_overwritten(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    empty_run(path)
    taken = path.with_name(f"run.db.v{schema.SCHEMA_VERSION}")
    taken.write_text("the user's own")
    newer_camtui(monkeypatch)
    RunWriter(path).close()
    assert taken.read_text() == "the user's own"
    second = path.with_name(f"{taken.name}-2")
    assert count(second, "images") == 4


def test_a_migration_that_fails_changes_nothing(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = schema.SCHEMA_VERSION
    empty_run(path)
    newer_camtui(monkeypatch, STEP + "CREATE TABLE run (again TEXT);\n")
    with pytest.raises(StoreError, match="already exists"):
        RunWriter(path)
    assert raw(path, "PRAGMA user_version") == [(old,)]
    assert "mood" not in {column for _, column, *_ in raw(path, "PRAGMA table_info(run)")}


def test_a_file_of_this_version_is_not_copied(path: Path) -> None:
    empty_run(path)
    RunWriter(path).close()
    assert [file.name for file in path.parent.iterdir()] == ["run.db"]
