"""The status of a run: state, progress by cost, time left, advice; the headline as it converged."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from random import Random
from statistics import fmean, stdev

import pytest

from camtui.status import (
    convergence,
    curve_of,
    images_per_second,
    read_status,
    running_means,
    seconds_left,
    share_done,
    under_way,
)
from evaluator.images import find_images
from evaluator.records import RunState, Stage, UnitResult, WorkerState
from evaluator.store.files import RunLock
from evaluator.store.reader import ConvergencePoint, RunReader
from evaluator.store.writer import RunWriter
from tests.evaluator.execution.support import Run, camtui, make_data, make_plan
from tests.fake_session import fake_row
from tests.synthetic import make_run


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


DONE = Stage(1, "cheap", "any", (1,), (), 10, 10, 2.0, 10, 5.0)
HALF = Stage(2, "dear", "any", (2,), (), 10, 5, 50.0, 5, 100.0)
UNTIMED = Stage(3, "dear", "any", (3,), (), 10, 0, 0.0, 0, 100.0)
WITHOUT_CELLS = Stage(4, "later", "any", (), (), 10, 0, 0.0, 0, 1000.0)


def test_nothing_planned_is_neither_done_nor_about_to_be() -> None:
    assert (share_done([]), seconds_left([], 1), under_way([])) == (0.0, None, None)


def test_all_done_is_no_time() -> None:
    assert (share_done([DONE]), seconds_left([DONE], 1), under_way([DONE])) == (1.0, 0.0, None)


def test_a_timed_stage_goes_by_its_images_and_another_by_its_forwards() -> None:
    assert share_done([DONE, HALF]) == pytest.approx((50 + 500) / 1050)
    assert seconds_left([DONE, HALF], 1) == pytest.approx(5 * 10.0)
    assert seconds_left([DONE, UNTIMED], 1) == pytest.approx(10 * 100 * 2.0 / 50)
    assert seconds_left([DONE, HALF], 4) == pytest.approx(12.5), "workers share the images"
    assert seconds_left([UNTIMED], 1) is None, "a guess would be off by any factor"


def test_a_stage_without_a_method_that_applies_is_not_waited_for() -> None:
    assert under_way([DONE, WITHOUT_CELLS, HALF]) is HALF
    assert seconds_left([DONE, WITHOUT_CELLS], 1) == 0.0


def test_the_rate_is_that_of_all_workers() -> None:
    assert images_per_second(HALF, 1) == pytest.approx(0.1)
    assert images_per_second(HALF, 2) == pytest.approx(0.2)
    assert images_per_second(UNTIMED, 2) is None


@pytest.mark.parametrize("seed", range(5))
def test_the_eta_is_near_the_truth_from_a_tenth_of_the_way(seed: int) -> None:
    """A run replayed unit by unit: two backbones, a method of 5 forwards and one of 100, units that
    vary by 10 %.
    """
    random, images, unit = Random(seed), 400, 16
    costs = [
        5 * 0.03,
        100 * 0.02,
        5 * 0.03,
        100 * 0.02,
    ]  # seconds an image; a backward pass is dearer than its forwards say
    stages = [
        Stage(n, f"{n}", "any", (n,), (), images, 0, 0.0, 0, (5.0, 100.0)[n % 2]) for n in range(4)
    ]
    takes = [
        [unit * cost * random.uniform(0.9, 1.1) for _ in range(images // unit)] for cost in costs
    ]
    left = sum(map(sum, takes))
    for place, units in enumerate(takes):
        for seconds in units:
            stage = stages[place]
            stages[place] = replace(
                stage,
                done=stage.done + unit,
                seconds=stage.seconds + seconds,
                timed_images=stage.timed_images + unit,
            )
            left -= seconds
            if share_done(stages) >= 0.1 and left > 1:
                assert seconds_left(stages, 1) == pytest.approx(left, rel=0.15), (
                    place,
                    stages[place].done,
                )


def test_it_ends_in_the_headline_of_the_cell(tmp_path: Path) -> None:
    run = make_run(
        tmp_path / "run.db", images=300, methods=("gradcam",), backbones=("resnet18",), curves=False
    )
    with RunReader(run) as reader:
        (summary,) = reader.averages.summaries()
        curve = convergence(reader.averages.convergence(1), summary.means["average_drop"].n)
    last, headline = curve[-1], summary.means["average_drop"]
    assert last.n == headline.n
    assert 100 < len(curve) <= 150
    widths = [mean.half_width or 0 for mean in curve]
    assert widths[-1] < widths[len(widths) // 10], "the band narrows"


def test_against_every_prefix() -> None:
    points = [
        ConvergencePoint(0.1 * (i % 5), 0.9 - 0.05 * (i % 3), 0.3 + 0.02 * (i % 7))
        for i in range(20)
    ]
    for mean in convergence(points, 20, steps=20):
        first = points[: mean.n]
        parts = [
            1 - sum(p.average_drop for p in first) / mean.n,
            sum(p.coherency for p in first) / mean.n,
        ]
        parts.append(1 - sum(p.complexity for p in first) / mean.n)
        assert mean.value == pytest.approx(3 / sum(1 / part for part in parts), abs=1e-12)


def test_nothing_and_one() -> None:
    assert convergence([], 0) == []
    (only,) = convergence([ConvergencePoint(0.1, 0.9, 0.3)], 1)
    assert only.n == 1
    assert only.se is None


@pytest.mark.parametrize("steps", [1, 7, 20])
def test_a_running_mean_is_that_of_the_first_values(steps: int) -> None:
    values = [0.1 * (place * 7 % 11) for place in range(20)]
    found = running_means(values, 20, steps)
    assert found[-1].n == 20
    for mean in found:
        first = values[: mean.n]
        assert mean.value == pytest.approx(fmean(first))
        expected = stdev(first) / mean.n**0.5 if mean.n > 1 else None
        assert mean.se == (None if expected is None else pytest.approx(expected))
    assert running_means([], 0) == []


def test_the_curve_of_every_metric_ends_in_its_average(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run.db", images=30, methods=("gradcam",), backbones=("resnet18",))
    with RunReader(run) as reader:
        (summary,) = reader.averages.summaries()
        for metric, mean in summary.means.items():
            last = curve_of(reader, 1, metric, mean.n)[-1]
            assert (last.n, last.value, last.se) == pytest.approx((mean.n, mean.value, mean.se))
        assert curve_of(reader, 1, "arcc", 30) == []
