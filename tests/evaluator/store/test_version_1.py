"""A run of the first schema, kept as SQL in ``tests/data``: whatever the schema is now, it is read, gone on with, and right.

Made by the fake evaluator over six images, one of them bad, with two methods and deletion.
"""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from camtui.status import read_status
from evaluator.store import audit, schema
from evaluator.store.reader import RunReader
from evaluator.store.writer import RunWriter
from tests.evaluator.execution.support import ROOT, Run, check, make_data
from tests.evaluator.store.runs import raw

KEPT = ROOT / "tests" / "data" / "version1.sql"


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """The kept run as a file, its data folder beside it."""
    data = make_data(tmp_path / "data", 6, bad=1)
    path = tmp_path / "old.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(KEPT.read_text())
        connection.execute("UPDATE run SET plan = json_set(plan, '$.data', ?)", (str(data),))
        connection.commit()
    return path


def test_it_is_a_file_of_version_1(old: Path) -> None:
    assert raw(old, "PRAGMA user_version") == [(1,)]
    assert raw(old, "PRAGMA application_id") == [(schema.APPLICATION_ID,)]


def test_it_is_read_as_it_is(old: Path) -> None:
    before = old.read_bytes()
    with RunReader(old) as reader:
        status = read_status(reader, old)
        assert audit.audit(reader) == []
        assert [summary.n for summary in reader.summaries()] == [5, 5]
    assert (status.state, status.images, status.failures) == ("complete", 6, 2)
    assert old.read_bytes() == before


def test_it_is_copied_before_it_is_changed(old: Path) -> None:
    RunWriter(old).close()
    assert raw(old, "PRAGMA user_version") == [(schema.SCHEMA_VERSION,)]
    backup = old.with_name("old.db.v1")
    assert backup.exists() == (schema.SCHEMA_VERSION > 1)
    assert not backup.exists() or raw(backup, "SELECT count(*) FROM results") == [(10,)]


def test_it_goes_on_with_another_method(old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("CAMTUI_FAKE", json.dumps({}))
    with RunReader(old) as reader:
        plan = reader.plan()
        before = list(reader.every_row())
    run = Run(old, replace(plan, methods=(*plan.methods, "gradcampp")))
    run.launch()
    assert run.wait().state == "complete"
    check(run)
    with RunReader(old) as reader:
        assert [row for row in reader.every_row() if row.cell in (1, 2)] == before
        assert [summary.n for summary in reader.summaries()] == [5, 5, 5]


def test_its_records_get_checksums_on_request(old: Path) -> None:
    RunWriter(old).close()
    with RunReader(old) as reader:
        assert audit.audit(reader) == []
        assert "an older camtui began" in audit.remark(reader)
        rows = sum(1 for _ in reader.every_row()) + sum(1 for _ in reader.every_measurement())
    assert audit.seal(old) == rows
    with RunReader(old) as reader:
        assert audit.audit(reader) == []
        assert audit.remark(reader) == ""
    assert raw(old, "SELECT count(*) FROM results WHERE checksum IS NULL") == [(0,)]
    raw(old, "UPDATE results SET coherency = 1 WHERE cell_id = 1 AND image_id = (SELECT min(image_id) FROM results)")
    with RunReader(old) as reader:
        assert len(audit.audit(reader)) > 1


def test_it_is_read_without_checksums_before_it_is_changed(old: Path) -> None:
    with RunReader(old) as reader:
        maps, damaged = reader.stored_maps([1, 2], 0, 5)
        assert len(maps) == 10
        assert not damaged
        assert reader.image(0).content is None
