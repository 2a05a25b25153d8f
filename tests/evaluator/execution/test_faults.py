"""The table of faults, row by row: workers and drivers are killed, hang, run out of disk; nothing
is lost or doubled.
"""

from __future__ import annotations

import os
import pty
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from evaluator.errors import CamtuiError
from evaluator.store.files import lock_holder, lock_note
from evaluator.store.reader import RunReader
from tests.evaluator.execution.conftest import NewRun
from tests.evaluator.execution.support import (
    PATIENCE,
    Run,
    check,
    complete,
    kill,
    take_terminal,
    wait_until_gone,
    workers_of,
)

Knobs = Callable[..., None]

CRASH_POINTS = (
    "after-lock",
    "after-schema",
    "before-handoff",
    "after-handoff",
    "before-commit",
    "before-commit:7",
    "after-commit",
    "after-commit:9",
    "before-state",
)


def test_workers_that_are_killed_at_random(new_run: NewRun, knobs: Knobs) -> None:
    kill_workers(new_run(120), knobs, kills=5)


def kill_workers(run: Run, knobs: Knobs, kills: int, seed: int = 0) -> None:
    """SIGKILL random workers of one run so many times; it must end complete all the same.

    Until they are killed no worker computes more than two units: the run is not over too soon.
    """
    gate = run.db.with_name("gate")
    gate.touch()
    knobs(seconds=0.02, gate=str(gate), free=2)
    chance = random.Random(seed)
    run.settings = replace(run.settings, devices=("cpu", "cpu"))
    driver = run.launch().pid
    done = 0
    while done < kills:
        time.sleep(chance.uniform(0.02, 0.4))
        workers = workers_of(driver)
        if workers:
            kill(chance.choice(workers))
            done += 1
    assert lock_holder(run.db) == driver
    gate.unlink()
    status = run.wait(600)
    assert status.state == "complete", f"{status}\n{run.log()}"
    check(run)
    wait_until_gone(driver)
    with RunReader(run.db) as reader:
        assert reader.failure_count() == 0


def test_drivers_that_are_killed_at_random(new_run: NewRun, knobs: Knobs) -> None:
    kill_drivers(new_run(60), knobs, kills=4)


def kill_drivers(run: Run, knobs: Knobs, kills: int, seed: int = 0) -> None:
    """SIGKILL the driver so many times, each time going on with the run; workers must follow it
    into death.
    """
    knobs(seconds=0.02)
    chance = random.Random(seed)
    for _ in range(kills):
        driver = run.launch().pid
        time.sleep(chance.uniform(0.0, 0.25))
        kill(driver)
        wait_until_gone(driver)
        assert run.status().state in ("crashed", "complete")
        check(run, complete=False)
    run.launch()
    assert run.wait(600).state == "complete"
    check(run)


@pytest.mark.parametrize("point", CRASH_POINTS)
def test_a_driver_killed_at_a_crash_point(
    new_run: NewRun, monkeypatch: pytest.MonkeyPatch, point: str
) -> None:
    run = new_run(30, metrics=("deletion",), bad=1)
    monkeypatch.setenv("CAMTUI_CRASH_AT", point)
    with suppress(CamtuiError):
        run.launch()
    run.wait_for_lock()
    if run.db.exists() and run.db.stat().st_size:
        assert run.status().state == "crashed"
        check(run, complete=False)
    monkeypatch.delenv("CAMTUI_CRASH_AT")
    complete(run)


def test_a_poison_image_is_found_and_costs_one_pair(new_run: NewRun, knobs: Knobs) -> None:
    knobs(kills=[13], kills_method="gradcampp")
    run = new_run(32, methods=("gradcam", "gradcampp"))
    run.launch()
    assert run.wait().state == "complete"
    check(run)
    with RunReader(run.db) as reader:
        (failure,) = reader.failures()
        assert (failure.image, failure.reason, failure.detail) == (
            13,
            "kills-worker",
            "the worker that computed it was lost each time: signal 9",
        )
        assert {cell.id: cell.method for cell in reader.cells()}[failure.cell] == "gradcampp"
        assert any("restarted (signal 9)" in event.text for event in reader.events())


@pytest.mark.long
def test_a_method_that_ends_every_worker_is_given_up_and_the_others_go_on(
    new_run: NewRun, knobs: Knobs
) -> None:
    knobs(kills=list(range(48)), kills_method="gradcampp")
    run = new_run(48, methods=("gradcam", "gradcampp"))
    run.launch()
    status = run.wait()
    assert status.state == "failed"
    assert "gradcampp" in status.message
    check(run, complete=False)
    with RunReader(run.db) as reader:
        kept, lost = reader.averages.summaries()
        assert (kept.n, kept.failed, lost.n, lost.failed) == (48, 0, 0, 48)
        details = [failure.detail for failure in reader.failures()]
        assert sum("was lost each time" in detail for detail in details) == 3
        assert sum("is not tried again in this session" in detail for detail in details) == 45
        texts = [event.text for event in reader.events()]
    told = "resnet50: gradcampp has lost its worker on 3 images (signal 9), and is not tried again"
    assert texts.count(told) == 1
    assert sum("restarted" in text for text in texts) < 20


def test_an_image_that_raises_costs_one_pair_for_each_method(new_run: NewRun, knobs: Knobs) -> None:
    knobs(raises=[5])
    run = new_run(20)
    complete(run)
    with RunReader(run.db) as reader:
        assert {(failure.image, failure.detail) for failure in reader.failures()} == {
            (5, "ValueError: image 5 is cursed")
        }
        assert reader.failure_count() == 3


def test_a_sticky_device_error_replaces_the_process(new_run: NewRun, knobs: Knobs) -> None:
    knobs(sticky=[3], kills_method="scorecam")
    run = new_run(6)
    complete(run)
    with RunReader(run.db) as reader:
        (failure,) = reader.failures()
        assert "device-side assert" in failure.detail
        assert any("restarted (replaced)" in event.text for event in reader.events())


def test_a_value_that_is_no_fraction_is_never_stored(new_run: NewRun, knobs: Knobs) -> None:
    knobs(nan=[2])
    run = new_run(5)
    assert run.end().state == "complete"
    with RunReader(run.db) as reader:
        assert {(f.image, f.reason) for f in reader.failures()} == {(2, "not-finite")}


def test_an_error_of_the_driver_that_nobody_foresaw_is_told_and_the_run_goes_on(
    new_run: NewRun, knobs: Knobs
) -> None:
    knobs(huge=[2])
    run = new_run(5)
    run.launch()
    status = run.wait()
    assert status.state == "failed"
    assert status.message == "error: argument out of range"
    assert "failed: error: argument out of range" in run.events()
    assert "Traceback" in run.log()
    knobs()
    run.launch(plan=None)
    assert run.wait().state == "complete"
    check(run)


@pytest.mark.long
def test_a_hanging_worker_is_replaced(new_run: NewRun, knobs: Knobs) -> None:
    knobs(hangs=[1], kills_method="scorecam")
    run = new_run(3)
    run.settings = replace(run.settings, hang_seconds=0.5, devices=("cpu", "cpu"))
    run.plan = replace(run.plan, methods=("gradcam", "scorecam"))
    run.launch()
    assert run.wait().state == "complete"
    check(run)
    with RunReader(run.db) as reader:
        (failure,) = reader.failures()
        assert (failure.image, failure.reason) == (1, "hangs")
        assert any("no progress for" in event.text for event in reader.events())


def test_workers_that_always_die_end_the_run(
    new_run: NewRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = new_run(3)
    run.settings = replace(
        run.settings, session="tests.evaluator.execution.test_faults:die_at_once"
    )
    with pytest.raises(CamtuiError, match="workers die before they compute anything") as caught:
        run.launch()
    assert not run.db.exists()
    assert caught.value.hint == f"see {run.request().log}"
    assert "restarted (exit code 3)" in run.log()


def die_at_once(_settings: object) -> None:
    os._exit(3)


def test_a_full_disk_pauses_the_run(new_run: NewRun, knobs: Knobs, tmp_path: Path) -> None:
    """The file may not grow beyond what it has; later it may. The driver is a process of its own,
    with its limit in a file.
    """
    knobs(seconds=0.005)
    run = new_run(200)
    limit = tmp_path / "pages"
    limit.write_text("32")
    environment = {**os.environ, "CAMTUI_TEST_PAGES": str(limit)}
    command = [
        sys.executable,
        "-m",
        "tests.evaluator.execution.small_disk",
        run.request().to_json(),
    ]
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE) as driver:
        while driver.poll() is None and not lock_note(run.db):
            time.sleep(0.02)
        assert driver.poll() is None
        assert run.count_rows() < 600
        time.sleep(0.5)
        assert run.status().state == "paused"
        assert "disk full, needs" in run.status().message
        limit.write_text("100000")
        _, errors = driver.communicate(timeout=PATIENCE)
    assert driver.returncode == 0, errors
    assert b"goes on after a pause" in errors
    assert run.status().state == "complete"
    check(run)


def test_a_terminal_that_hangs_up_does_not_end_the_run(new_run: NewRun, knobs: Knobs) -> None:
    """``camtui run`` in a real pseudo-terminal that is closed while it follows."""
    run = new_run(20)
    closed = run.db.with_name("closed")
    closed.touch()
    knobs(gate=str(closed))
    ours, theirs = pty.openpty()
    code = (
        "import sys, time; from evaluator.execution.request import RunRequest; import camtui.launch"
    )
    code += "; camtui.launch.launch(RunRequest.from_json(sys.argv[1]))"
    code += "; print('under way', flush=True); time.sleep(60)"
    starter = subprocess.Popen(
        [sys.executable, "-c", code, run.request().to_json()],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
        preexec_fn=take_terminal,
    )
    os.close(theirs)
    assert b"under way" in os.read(ours, 100)
    os.close(ours)  # the terminal is gone: SIGHUP to everything in its session
    assert starter.wait(PATIENCE) == -signal.SIGHUP
    assert lock_holder(run.db) is not None
    closed.unlink()
    assert run.wait().state == "complete"
    check(run)


@pytest.mark.parametrize("seconds", [0.05, 0.3, 0.8])
def test_a_launcher_killed_in_the_hand_off_leaves_a_run_or_nothing(
    new_run: NewRun, knobs: Knobs, seconds: float
) -> None:
    knobs(load_seconds=0.5)
    run = new_run(10)
    code = "import sys; from evaluator.execution.request import RunRequest; import camtui.launch"
    code += "; camtui.launch.launch(RunRequest.from_json(sys.argv[1]))"
    starter = subprocess.Popen([sys.executable, "-c", code, run.request().to_json()])
    threading.Event().wait(seconds)
    starter.kill()
    starter.wait()
    time.sleep(0.5)
    run.wait_for_lock()
    if run.db.exists():
        assert run.status().state == "complete"
        check(run)


def test_a_clock_that_jumps_an_hour_back_and_two_forward(
    new_run: NewRun, knobs: Knobs, tmp_path: Path
) -> None:
    """No worker is taken for hanging, nothing is lost, and no time is negative."""
    gate, clock, next_clock = tmp_path / "gate", tmp_path / "clock", tmp_path / "next"
    gate.touch()
    knobs(gate=str(gate))
    run = new_run(3, methods=("gradcam",))
    clock.write_text("0")
    environment = {**os.environ, "CAMTUI_TEST_CLOCK": str(clock)}
    command = [sys.executable, "-m", "tests.evaluator.execution.jumping_clock"]
    with subprocess.Popen(
        [*command, run.request().to_json()], env=environment, stdout=subprocess.PIPE
    ) as driver:
        try:
            assert driver.stdout is not None
            assert b"found" in driver.stdout.readline()
            assert b"pid" in driver.stdout.readline()
            for seconds in (-3600, 3600):
                next_clock.write_text(str(seconds))
                next_clock.replace(clock)
                beats: set[float] = set()
                end = time.monotonic() + PATIENCE
                with RunReader(run.db) as reader:
                    while len(beats) < 3:  # the driver has looked after its worker in between
                        assert time.monotonic() < end
                        beat = reader.info().heartbeat or 0.0
                        beats |= {beat} if abs(beat - time.time() - seconds) < 600 else set()
                        time.sleep(0.02)
                assert run.status().state == "running"
                assert run.status().elapsed_seconds >= 0
                assert run.status().restarts == 0
            gate.unlink()
            assert driver.wait(PATIENCE) == 0
        finally:
            driver.kill()
    status = run.status()
    assert (status.state, status.failures, status.restarts) == ("complete", 0, 0)
    assert status.elapsed_seconds >= 0
    check(run)
