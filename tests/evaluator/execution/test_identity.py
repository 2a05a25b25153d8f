"""Images, rows, the file, its lock and its log are checked to be what the run began with."""

from __future__ import annotations

import os
import re
import sqlite3
import subprocess
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from camtui.launch import launch
from evaluator.errors import UsageError
from evaluator.execution.run_log import LOGGER
from evaluator.store import audit
from evaluator.store.files import lock_path
from evaluator.store.reader import RunReader
from tests.evaluator.execution.conftest import NewRun
from tests.evaluator.execution.support import Run, camtui, complete, kill, wait_until_gone

Knobs = Callable[..., None]


def rewrite(run: Run, image: int) -> str:
    """Other bytes of the same size under an image's name."""
    with RunReader(run.db) as reader:
        file = Path(run.plan.data) / os.fsdecode(reader.images.get(image).path)
    file.write_bytes(b"y" * file.stat().st_size)
    return file.name


def test_an_image_that_was_replaced_is_a_failure_with_its_name(
    new_run: NewRun, knobs: Knobs
) -> None:
    knobs(contents=True)
    run = new_run(6, methods=("gradcam",))
    run.end()
    name = rewrite(run, 2)
    run.plan = replace(run.plan, methods=("gradcampp",))
    assert run.end().state == "complete"
    with RunReader(run.db) as reader:
        assert [(f.cell, f.image, f.reason) for f in reader.failures()] == [(2, 2, "changed")]
        assert name in reader.failures()[0].detail
        assert [problem.split(":")[0] for problem in audit.changed_images(reader)] == [name]
        assert audit.audit(reader) == []


def test_nothing_is_computed_from_a_row_that_was_changed(new_run: NewRun) -> None:
    run = new_run(6, methods=("gradcam",))
    run.end()
    with closing(sqlite3.connect(run.db)) as connection, connection:
        connection.execute("UPDATE results SET y = 1, o = 1, target = 0 WHERE image_id = 4")
    run.plan = replace(run.plan, metrics=(*run.plan.metrics, "deletion"))
    assert run.end().state == "complete"
    with RunReader(run.db) as reader:
        assert [(f.image, f.metric, f.reason) for f in reader.failures()] == [
            (4, "deletion", "damaged-row")
        ]
    assert audit.repair(run.db) == 1
    complete(run)


@pytest.mark.parametrize("what", ["database", "folder", "lock"])
def test_a_run_that_is_removed_while_it_runs_stops_with_words_and_keeps_a_copy(
    new_run: NewRun, knobs: Knobs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    gate = tmp_path / "gate"
    monkeypatch.setenv("TMPDIR", str(tmp_path / "spare"))
    (tmp_path / "spare").mkdir()
    run = new_run(40, methods=("gradcam",))
    run.db = tmp_path / "runs" / "run.db"
    run.db.parent.mkdir()
    gate.touch()
    knobs(gate=str(gate), free=1)
    handoff = run.launch()
    run.wait_for_rows(4)
    log = os.open(handoff.log, os.O_RDONLY)
    for file in (
        [*run.db.parent.glob("*.db*")]
        if what == "folder"
        else [run.db if what == "database" else lock_path(run.db)]
    ):
        file.unlink()
    if what == "folder":
        run.db.parent.rmdir()
    begun = time.monotonic()
    wait_until_gone(handoff.pid, 20.0)
    assert time.monotonic() - begun < 20
    said = os.read(log, 100_000).decode()
    os.close(log)
    if what == "lock":
        assert "its lock, was removed or replaced while it ran" in said
        assert run.status().state == "failed"
        return
    assert f"failed: {run.db} was removed or replaced while it ran" in said
    (kept,) = [*tmp_path.rglob("*-kept-*.db")]
    assert f"camtui resume {kept}" in said
    with RunReader(kept) as reader:
        assert len(list(reader.rows.every_row())) >= 4
        assert reader.info().state == "failed"
        assert audit.audit(reader) == []


@pytest.mark.parametrize("name", ["run.db.log", "run.db.lock"])
def test_no_driver_is_started_through_a_link(new_run: NewRun, tmp_path: Path, name: str) -> None:
    run = new_run(2)
    victim = tmp_path / "profile"
    victim.write_text("export PATH\n")
    (run.db.parent / name).symlink_to(victim)
    with pytest.raises(UsageError, match="is a link, which is not followed"):
        launch(run.request())
    assert victim.read_text() == "export PATH\n"
    assert not run.db.exists()


def test_a_name_in_the_log_is_no_command(capfd: pytest.CaptureFixture[str]) -> None:
    LOGGER.info("a folder is left out: /data/x`touch a`;$(touch b)|c&d>e<f")
    line = capfd.readouterr().err
    assert re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d info    a folder is left out: ", line)
    assert not set("`;$|&<>") & set(line)
    assert "/data/x\\x60touch a" in line


def test_two_links_to_one_run_are_one_run(new_run: NewRun, knobs: Knobs, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    gate.touch()
    knobs(gate=str(gate))
    run = new_run(4)
    run.launch()
    other = Run(tmp_path / "other.db", run.plan, run.settings)
    other.db.symlink_to(run.db)
    with pytest.raises(Exception, match="already running, pid"):
        other.launch()
    assert other.status().state == "running"
    lock_path(run.db).unlink()
    assert run.status().state == "running"
    gate.unlink()
    run.wait()


def test_the_number_of_a_dead_driver_that_is_given_out_again_is_left_alone(
    new_run: NewRun, knobs: Knobs
) -> None:
    run = new_run(40, methods=("gradcam",))
    knobs(gate=str(run.db.parent), free=1)  # which is there for ever
    driver = run.launch().pid
    run.wait_for_rows(2)
    kill(driver)
    wait_until_gone(driver)
    with subprocess.Popen(["sleep", "60"]) as other:
        with closing(sqlite3.connect(run.db)) as connection, connection:
            connection.execute("UPDATE run SET pid = ?", (other.pid,))
        assert (run.status().state, run.status().pid) == ("crashed", None)
        assert "is not running" in camtui("stop", str(run.db), "--now", "-y").stderr
        assert other.poll() is None
        other.kill()
