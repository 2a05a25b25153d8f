"""The status of a run: the state that counts, progress by cost, an ETA that knows the price of a
stage, advice.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from camtui.status import read_status
from evaluator.images import find_images
from evaluator.records import RunState, Stage, UnitResult, WorkerState
from evaluator.store.files import RunLock
from evaluator.store.reader import RunReader
from evaluator.store.writer import RunWriter
from tests.evaluator.execution.support import Run, camtui, make_data, make_plan
from tests.fake_session import fake_row


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Ten images, a cheap stage of 5 forwards and an expensive one of 100; nothing done."""
    made = Run(
        tmp_path / "run.db",
        make_plan(make_data(tmp_path / "data", 10), methods=("gradcam", "scorecam")),
    )
    with_writer(
        made,
        lambda writer: writer.begin("run", made.plan, find_images(Path(made.plan.data), seed=0)),
    )
    stages = [
        Stage(1, "cheap", "resnet50", (1,), (), 10, 0, 0, 0, 5.0),
        Stage(2, "dear", "resnet50", (2,), (), 10, 0, 0, 0, 100.0),
    ]
    with_writer(made, lambda writer: writer.set_stages(stages))
    return made


def with_writer(run: Run, write: object) -> None:
    writer = RunWriter(run.db)
    assert callable(write)
    write(writer)
    writer.close()


def commit(run: Run, cell: int, images: range, seconds: float) -> None:
    method = {1: "gradcam", 2: "scorecam"}[cell]
    rows = tuple(fake_row(cell, "resnet50", method, image) for image in images)
    with_writer(
        run,
        lambda w: w.rows.commit(
            UnitResult(rows=rows, seconds=seconds), stage=cell, images=len(images)
        ),
    )


def alive(run: Run, state: RunState = "running", workers: int = 1) -> None:
    with_writer(run, lambda writer: writer.set_state(state))
    states = [WorkerState(n, "cpu", 1, "computing", 0.0, n) for n in range(workers)]
    with_writer(run, lambda writer: writer.heartbeat(states))


def test_a_run_that_has_no_stages_yet_has_no_eta_and_nothing_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("camtui.status.lock_holder", lambda path: 42)
    made = Run(tmp_path / "run.db", make_plan(make_data(tmp_path / "data", 10)))
    with_writer(
        made,
        lambda writer: writer.begin("run", made.plan, find_images(Path(made.plan.data), seed=0)),
    )
    status = made.status()
    assert (status.state, status.eta_seconds, status.done, status.progress) == (
        "starting",
        None,
        0,
        0.0,
    )


def test_progress_is_by_cost_and_the_eta_by_stage(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("camtui.status.lock_holder", lambda path: 42)
    alive(run)
    assert (
        run.status().eta_seconds is None
    )  # nothing was timed, and a guess would be off by any factor
    commit(run, 1, range(10), 1.0)  # 0.1 s an image of 5 forwards: 0.02 s a forward
    status = run.status()
    assert status.progress == pytest.approx(50 / 1050)
    assert (status.stage, status.stage_number, status.stages, status.done) == ("dear", 2, 2, 0)
    assert status.eta_seconds == pytest.approx(10 * 100 * 0.02)
    assert status.images_per_second is None
    commit(run, 2, range(5), 50.0)
    status = run.status()
    assert status.progress == pytest.approx((50 + 500) / 1050)
    assert status.eta_seconds == pytest.approx(5 * 10.0)
    assert status.images_per_second == pytest.approx(0.1)
    alive(run, workers=2)
    assert run.status().eta_seconds == pytest.approx(25.0)
    assert run.status().images_per_second == pytest.approx(0.2)
    assert run.status().restarts == 1


def test_a_run_without_a_driver_has_crashed(run: Run) -> None:
    alive(run)
    status = run.status()
    assert (status.state, status.pid, status.eta_seconds, status.live) == (
        "crashed",
        None,
        None,
        False,
    )
    assert (status.advice, status.check_code, status.exit_code) == (f"camtui resume {run.db}", 1, 1)


@pytest.mark.parametrize(
    ("state", "check", "code"), [("complete", 0, 0), ("stopped", 3, 143), ("failed", 1, 1)]
)
def test_how_it_ended(run: Run, state: RunState, check: int, code: int) -> None:
    with_writer(run, lambda writer: writer.set_state(state))
    status = run.status()
    assert (status.state, status.check_code, status.exit_code) == (state, check, code)
    assert (
        replace(status, state="failed", message="9 failures, above --max-failures 1%").exit_code
        == 5
    )


def test_a_driver_that_is_silent_is_reported(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("camtui.status.lock_holder", lambda path: 42)
    alive(run)
    monkeypatch.setattr("camtui.status.SILENCE_SECONDS", -1.0)
    assert "silent" in run.status().advice


def test_failed_rows_count_as_done_in_curve_stages(run: Run) -> None:
    from evaluator.records import Failure

    stage = Stage(1, "curves", "resnet50", (1,), ("deletion",), 10, 0, 0, 0, 54.0)
    with_writer(run, lambda writer: writer.set_stages([stage]))
    with_writer(
        run,
        lambda writer: writer.rows.commit(
            UnitResult(failures=(Failure(1, 0, "", "bad", ""), Failure(1, 1, "", "bad", "")))
        ),
    )
    with RunReader(run.db) as reader:
        assert reader.stages()[0].done == 2


def test_reading_the_status_does_not_take_the_lock(run: Run) -> None:
    lock = RunLock(run.db)
    result = camtui("status", str(run.db), "--json")
    lock.release()
    assert result.returncode == 0
    assert '"state": "starting"' in result.stdout
    assert read_status(RunReader(run.db), run.db).state == "crashed"
