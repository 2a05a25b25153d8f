"""Local workers whose device fails: it is said how, it is left out where there is another, and
nothing waits for ever.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from evaluator.errors import CamtuiError
from evaluator.execution import local
from evaluator.execution.local import LocalExecutor
from evaluator.execution.workers import DEATHS_OF_A_DEVICE, SlotExecutor, WorkerSlot, best_for
from evaluator.interfaces import (
    DeviceFigures,
    Done,
    Error,
    ExecutorEvent,
    Figures,
    LeftOut,
    SessionSettings,
    Started,
    WorkerLost,
)
from evaluator.records import ImageRef, Unit, UnitResult
from evaluator.store.reader import RunReader
from tests.evaluator.execution.conftest import NewRun
from tests.evaluator.execution.support import PATIENCE, check, make_plan
from tests.fake_session import DOTTED, FakeSession

HERE = "tests.evaluator.execution.test_local"
TOO_OLD = (
    "The NVIDIA driver on your system is too old (found version 11040). "
    "Please update your GPU driver"
)
TWO = ("cuda:0", "cuda:1")
Open = Callable[..., LocalExecutor]
Knobs = Callable[..., None]


def _bad_gpu() -> bool:
    return os.environ["CUDA_VISIBLE_DEVICES"] == "1"


class TooOld(FakeSession):
    """A session that opens, and at which CUDA does not start when it is asked for its device."""

    def versions(self) -> dict[str, str]:
        raise RuntimeError(f"{TOO_OLD}\nCUDA kernel errors might be reported later")


def all_too_old(settings: SessionSettings) -> FakeSession:
    return TooOld(settings)


def second_too_old(settings: SessionSettings) -> FakeSession:
    return TooOld(settings) if _bad_gpu() else FakeSession(settings)


class Deadly(FakeSession):
    def evaluate(self, unit: Unit) -> UnitResult:
        if unit.images:
            os._exit(7)
        return super().evaluate(unit)


def second_deadly(settings: SessionSettings) -> FakeSession:
    return Deadly(settings) if _bad_gpu() else FakeSession(settings)


def second_dies_at_once(settings: SessionSettings) -> FakeSession:
    if _bad_gpu():
        os._exit(3)
    return FakeSession(settings)


class Mute(FakeSession):
    """A session whose asides fail."""

    def figures(self) -> DeviceFigures:
        raise ValueError("no figures")

    def prefetch(self, unit: Unit) -> None:
        raise ValueError("no prefetch")


def mute(settings: SessionSettings) -> FakeSession:
    return Mute(settings)


@pytest.fixture
def opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Open]:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    executors: list[LocalExecutor] = []

    def start(session: str, devices: tuple[str, ...] = TWO) -> LocalExecutor:
        dotted = session if ":" in session else f"{HERE}:{session}"
        executors.append(
            LocalExecutor(SessionSettings(make_plan(tmp_path), str(tmp_path)), devices, dotted)
        )
        executors[-1].start()
        return executors[-1]

    yield start
    for executor in executors:
        executor.close()


def unit(number: int, *images: int) -> Unit:
    return Unit(
        number, 1, 0, (1,), ("gradcam",), tuple(ImageRef(n, b"%d.jpg" % n, 1, None) for n in images)
    )


def until(
    executor: LocalExecutor, kind: type[Any], count: int = 1, seconds: float = PATIENCE
) -> list[ExecutorEvent]:
    seen: list[ExecutorEvent] = []
    limit = time.monotonic() + seconds
    while sum(isinstance(event, kind) for event in seen) < count:
        assert time.monotonic() < limit, seen
        seen += executor.poll(0.1)
    return seen


def test_a_gpu_that_cannot_start_is_left_out_with_torchs_own_words(opened: Open) -> None:
    executor = opened("second_too_old")
    (left,) = [event for event in until(executor, LeftOut) if isinstance(event, LeftOut)]
    assert left == LeftOut(2, f"cuda:1 cannot be used: RuntimeError: {TOO_OLD}", ())
    executor.submit(unit(1, 0), lambda: 60.0)
    done = [event for event in until(executor, Done) if isinstance(event, Done)]
    assert [event.worker for event in done] == [1]
    assert [worker.state for worker in executor.workers()][1] == "ended"


def test_where_no_gpu_can_start_the_run_says_why_at_once(opened: Open) -> None:
    events = until(opened("all_too_old"), Error)
    errors = [event for event in events if isinstance(event, Error)]
    assert [error.message for error in errors] == [f"RuntimeError: {TOO_OLD}"]
    assert not any(isinstance(event, WorkerLost) for event in events)


def test_the_error_of_the_run_comes_first_also_where_all_fail_at_once(opened: Open) -> None:
    executor = opened("all_too_old")
    for worker in executor._workers:
        assert worker.process is not None
        worker.process.wait(60)
    assert [type(event) for event in executor.poll(1.0)] == [Error, LeftOut]


def test_a_whole_run_on_gpus_that_cannot_start(
    new_run: NewRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    run = new_run(3)
    run.settings = replace(run.settings, session=f"{HERE}:all_too_old", devices=TWO)
    with pytest.raises(
        CamtuiError, match="cannot start: RuntimeError: The NVIDIA driver on your system is too old"
    ):
        run.launch()
    assert not run.db.exists()


@pytest.mark.long
def test_a_run_goes_on_without_the_gpu_that_kills_its_workers(
    new_run: NewRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setenv("CAMTUI_FAKE", '{"seconds": 0.003}')
    run = new_run(2000, methods=("gradcam",))  # a unit of a GPU has 256 images
    run.settings = replace(run.settings, session=f"{HERE}:second_deadly", devices=TWO)
    run.launch()
    assert run.wait(60).state == "complete", run.log()
    check(run)
    with RunReader(run.db) as reader:
        assert reader.failure_count() == 0, "no image has failed"
        texts = [event.text for event in reader.events()]
    (left,) = [text for text in texts if "left out" in text]
    assert left.startswith("worker 2 is left out: cuda:1 has lost its worker")


def test_a_gpu_whose_workers_never_come_to_a_unit_is_left_out(opened: Open) -> None:
    executor = opened("second_dies_at_once")
    events = until(executor, LeftOut)
    assert sum(isinstance(event, WorkerLost) for event in events) == DEATHS_OF_A_DEVICE - 1
    (left,) = [event for event in events if isinstance(event, LeftOut)]
    assert left.reason == "cuda:1 has lost its worker 3 times in a row (exit code 3)"
    assert executor.capacity() > 0


class Undead(subprocess.Popen[bytes]):
    """A process that waits in the kernel for its device: no signal ends it."""

    released = False

    def kill(self) -> None:
        if self.released:
            super().kill()

    terminate = kill

    def wait(self, timeout: float | None = None) -> int:
        if self.released:
            return super().wait(timeout)
        assert timeout is not None, "waits for ever for a process that does not end"
        raise subprocess.TimeoutExpired(self.args, timeout)


@pytest.fixture
def unkillable(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    started: list[Undead] = []

    class Kept(Undead):
        def __init__(self, *arguments: Any, env: dict[str, str], **options: Any) -> None:
            super().__init__(*arguments, env=env, **options)  # type: ignore[call-overload]  # as it was called
            self.released = env["CUDA_VISIBLE_DEVICES"] != "1"
            started.append(self)

    monkeypatch.setattr(subprocess, "Popen", Kept)
    monkeypatch.setattr(local, "_GRACE", 0.1)
    yield
    for one in started:
        one.released = True
        one.kill()
        one.wait(10)


@pytest.mark.parametrize("how", ["hangs", "is killed"])
def test_a_process_that_cannot_be_ended_stops_nobody_else(
    unkillable: None, opened: Open, knobs: Knobs, how: str
) -> None:
    knobs(hangs=[1])
    executor = opened(DOTTED)
    executor.submit(unit(1, 0), lambda: 60.0)
    executor.submit(unit(2, 1), lambda: 0.3 if how == "hangs" else 60.0)
    seen = until(executor, Started, 2)
    begun = time.monotonic()
    if how == "is killed":
        executor.kill(2)
    seen += until(executor, LeftOut)
    assert time.monotonic() - begun < 10
    (left,) = [event for event in seen if isinstance(event, LeftOut)]
    assert (left.worker, left.units) == (2, (2,))
    assert "its process on cuda:1 cannot be ended" in left.reason
    executor.submit(unit(3, 0), lambda: 60.0)
    assert {event.worker for event in until(executor, Done) if isinstance(event, Done)} == {1}


def test_asides_that_fail_cost_nothing_but_themselves(opened: Open) -> None:
    executor = opened("mute", ("cpu",))
    executor.submit(unit(1, 0), lambda: 60.0)
    until(executor, Done)
    seen = executor.poll(2.5)
    assert not any(isinstance(event, Figures | WorkerLost) for event in seen)
    executor.submit(unit(2, 0), lambda: 60.0)
    until(executor, Done)


def test_a_worker_sees_its_own_gpu_as_cuda_counts(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    settings = SessionSettings(make_plan(tmp_path), str(tmp_path), "cuda:1")
    for listed, expected in ((None, "1"), ("3,2", "2"), ("GPU-a,GPU-b", "GPU-b")):
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
        if listed is not None:
            monkeypatch.setenv("CUDA_VISIBLE_DEVICES", listed)
        environment, device = local._environment(settings)
        assert (environment["CUDA_VISIBLE_DEVICES"], device) == (expected, "cuda:0")


def died(slot: WorkerSlot, number: int, *images: int) -> None:
    """The slot's process dies computing a unit of these images."""
    slot.attach(4711)
    slot.take(unit(number, *images), lambda: 60.0)
    slot.track(Started(slot.id, number))
    slot.detach()


def test_a_device_has_not_failed_where_one_image_is_in_every_lost_unit() -> None:
    slot = WorkerSlot(1, "cuda:0")
    for number in range(10):
        died(slot, number, 5, number + 10)
    assert not slot.device_fails
    died(slot, 11, 1, 2)
    assert slot.device_fails
    slot.attach(4711)
    slot.track(Done(1, 12, UnitResult()))
    assert not slot.device_fails
    died(slot, 13, 1, 2)
    died(slot, 14, 3, 4)
    assert not slot.device_fails, "fewer than three"


def test_what_one_device_has_lost_is_tried_on_another_first() -> None:
    first, second = WorkerSlot(1, "cuda:0"), WorkerSlot(2, "cuda:1")
    executor = SlotExecutor([first, second])
    died(second, 1, 0, 1)
    second.attach(4711)
    assert not executor.takes(unit(2, 1)), "the first has no process now, but will have one"
    assert executor.takes(unit(2, 7))
    first.attach(4712)
    assert executor.takes(unit(2, 1))
    assert best_for(unit(2, 1), [first, second]) is first
    died(first, 2, 1)
    assert executor.takes(unit(3, 1)), "both have lost it"
    first.attach(4713)
    first.track(Done(1, 4, UnitResult()))
    first.ended = True
    assert executor.takes(unit(3, 1)), "there is no other device left"


def test_a_device_error_counts_as_a_death_of_its_unit() -> None:
    slot = WorkerSlot(1, "cuda:0")
    for number in range(3):
        slot.attach(4711)
        slot.take(unit(number, number), lambda: 60.0)
        slot.track(Started(1, number))
        slot.track(Error(1, number, "error", "CUDA error", fatal=True))
        slot.detach()
    assert slot.device_fails


def test_a_cpu_never_counts_as_failed() -> None:
    slot = WorkerSlot(1, "cpu")
    for number in range(10):
        died(slot, number, number)
    assert not slot.device_fails
