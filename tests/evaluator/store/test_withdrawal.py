"""A request that is withdrawn leaves no trace in the run's file but events."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from evaluator.errors import UsageError
from evaluator.records import Failure, Look, Stage, WorkerState
from evaluator.store.reader import RunReader
from evaluator.store.writer import RunWriter
from tests.evaluator.store.runs import begun, manifest, plan, result, row
from tests.evaluator.store.test_cell_writer import LOADED

BIGGER = {"backbones": ["resnet18", "vgg16"], "methods": ["gradcam", "fakecam", "scorecam"]}


def dump(path: Path) -> dict[str, list[Any]]:
    """Every record of every table but events."""
    with closing(sqlite3.connect(path)) as connection:
        names = [
            n for (n,) in connection.execute("SELECT name FROM sqlite_schema WHERE sql NOT NULL")
        ]
        tables = [name for name in names if name not in ("events", "results_by_adcc")]
        return {
            name: connection.execute(f"SELECT * FROM {name} ORDER BY 1, 2, 3").fetchall()
            for name in tables
        }


def temporary_tables(writer: RunWriter) -> list[str]:
    query = "SELECT name FROM temp.sqlite_schema WHERE type = 'table'"
    return [name for (name,) in writer.execute(query)]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A run with rows, failures, stages, a look, a worker and labels."""
    path = tmp_path / "run.db"
    with begun(path) as writer:
        writer.cells.set_backbone(0, LOADED)
        writer.cells.describe(1, identity="one", applicable=True, note="")
        writer.set_labels([(0, 5)])
        failures = (Failure(2, 0, "", "missing", "gone"), Failure(2, 1, "", "missing", "gone"))
        writer.rows.commit(replace(result(row(1, 0), row(1, 1)), failures=failures))
        writer.set_stages([Stage(1, "rows", "resnet18", (1, 2), (), 4, 2, 3.5, 2, 7.0)])
        writer.set_look(Look("ci:1", 2, None, None, {}, ()))
        writer.add_versions({"torch": "2.0"})
        writer.heartbeat([WorkerState(1, "cpu", 4711, "idle", 1.0, 0)])
        writer.set_state("complete")
    return path


def change_everything(writer: RunWriter) -> None:
    """What a driver may store before the hand-off."""
    writer.begin(
        "small",
        plan(**BIGGER),
        manifest(labels=[5, 6, 7, 8]),
        versions={"camtui": "99"},
        retry_failed=True,
    )
    writer.set_stages([Stage(1, "other", "vgg16", (3,), (), 4, 0, 0.0, 0, 7.0)])
    writer.add_versions({"torch": "99"})
    writer.cells.set_backbone(1, LOADED)
    writer.cells.describe(2, identity="two", applicable=False, note="never")
    writer.replace_labels([(0, None), (1, 9)])
    writer.set_look(None)
    writer.heartbeat([WorkerState(2, "cuda:0", 4712, "idle", 2.0, 0)])
    writer.event("error", "vgg16 cannot be loaded")


def test_everything_is_as_it_was(path: Path) -> None:
    before = dump(path)
    assert before["failures"]
    writer = RunWriter(path)
    change_everything(writer)
    changed = dump(path)
    assert {name for name, records in changed.items() if records != before[name]} == {
        "run", "backbones", "cells", "images", "stages", "looks", "workers", "failures",
    }  # fmt: skip
    writer.withdraw()
    assert dump(path) == before
    writer.close()
    with RunReader(path) as reader:
        assert list(reader.checks.damaged_records()) == []
        assert [event.text for event in reader.events()] == ["vgg16 cannot be loaded"]


def test_a_second_withdrawal_changes_nothing(path: Path) -> None:
    writer = RunWriter(path)
    change_everything(writer)
    writer.withdraw()
    writer.set_state("stopped")
    before = dump(path)
    writer.withdraw()
    assert dump(path) == before
    writer.close()


def test_images_that_were_added_go(tmp_path: Path) -> None:
    writer = RunWriter(tmp_path / "run.db")
    writer.begin("small", plan(limit=2), manifest(2))
    before = dump(tmp_path / "run.db")
    writer.begin("small", plan(limit=4), manifest(4))
    writer.withdraw()
    assert dump(tmp_path / "run.db") == before
    writer.close()


def test_damage_is_not_sealed_by_a_withdrawal(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE failures SET detail = 'other' WHERE image_id = 0")
        connection.execute("UPDATE cells SET note = 'other' WHERE id = 2")
        connection.execute("UPDATE images SET label = 4 WHERE id = 0")
        connection.commit()
    before = dump(path)
    writer = RunWriter(path)
    change_everything(writer)
    writer.withdraw()
    writer.close()
    assert dump(path) == before
    with RunReader(path) as reader:
        assert len(list(reader.checks.damaged_records())) == 3


def test_of_a_run_that_is_new_nothing_is_left(path: Path) -> None:
    RunWriter(path).close()
    before = dump(path)
    with begun(path, **BIGGER) as writer:
        writer.set_labels([(0, 5)])
        writer.set_stages([Stage(1, "rows", "resnet18", (1, 2), (), 4, 0, 0.0, 0, 7.0)])
        assert dump(path) != before
        writer.withdraw()
        assert dump(path) == before
        writer.begin("small", plan(), manifest())
    with RunReader(path) as reader:
        assert reader.info().image_count == 4
        assert list(reader.checks.damaged_records()) == []


def test_a_request_that_stands_needs_no_copies(path: Path) -> None:
    """Their room in SQLite's temporary file is free again, and nothing can be withdrawn."""
    writer = RunWriter(path)
    pages = writer.execute("PRAGMA temp.page_count").fetchone()
    change_everything(writer)
    assert writer.execute("PRAGMA temp.page_count").fetchone() > pages
    after = dump(path)
    writer.confirm()
    assert temporary_tables(writer) == []
    assert writer.execute("PRAGMA temp.page_count").fetchone() == pages
    writer.withdraw()
    assert dump(path) == after
    writer.close()


def test_a_full_folder_of_temporary_files_is_named(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SQLITE_TMPDIR", str(tmp_path))
    before = dump(path)
    writer = RunWriter(path)
    writer.execute("PRAGMA temp.max_page_count=1")
    with pytest.raises(UsageError, match="no room for temporary files in") as caught:
        writer.begin("small", plan(**BIGGER), manifest())
    writer.close()
    assert str(tmp_path) in caught.value.message
    assert caught.value.hint.endswith("SQLITE_TMPDIR=FOLDER")
    assert dump(path) == before
