"""The executors' contract, one suite for all of them: every unit ends in Done, Error or WorkerLost;
nobody outlives ``close``.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from evaluator.backbones import BackboneSpec
from evaluator.execution.local import LocalExecutor
from evaluator.execution.workers import QUEUED, WorkerSlot
from evaluator.interfaces import (
    Done,
    Error,
    Executor,
    ExecutorEvent,
    Figures,
    Ready,
    SessionSettings,
    Started,
    WorkerLost,
)
from evaluator.records import ImageRef, Unit
from tests.evaluator.execution.support import PATIENCE, kill, make_plan
from tests.fake_executor import FakeExecutor
from tests.fake_session import DOTTED, FakeSession, read_knobs

Knobs = Callable[..., None]
Make = Callable[[int], Executor]


class Kind(NamedTuple):
    """One sort of executor, and what differs between them by nature."""

    open: Callable[[SessionSettings, int], Executor]
    die: Callable[[Executor, int], None]
    death: str


def _local(settings: SessionSettings, workers: int) -> Executor:
    return LocalExecutor(settings, ("cpu",) * workers, DOTTED)


def _fake(settings: SessionSettings, workers: int) -> Executor:
    knobs = dict[str, Any]()

    def open_instant(settings: SessionSettings) -> FakeSession:
        knobs.update(read_knobs(Path(settings.root)))
        return FakeSession(
            settings,
            {name: value for name, value in knobs.items() if name not in ("seconds", "hangs")},
        )

    def cost(unit: Unit) -> float:
        stuck = any(image.id in knobs.get("hangs", ()) for image in unit.images)
        return float("inf") if stuck else len(unit.images) * float(knobs.get("seconds", 0))

    return FakeExecutor(settings, workers, open_instant, cost)


def _die(executor: Executor, worker: int) -> None:
    assert isinstance(executor, FakeExecutor)
    executor.die(worker, "signal 9")


def _kill(executor: Executor, worker: int) -> None:
    kill(executor.workers()[worker - 1].pid)


@pytest.fixture(params=["fake", "local", pytest.param("ray", marks=pytest.mark.ray)])
def kind(request: pytest.FixtureRequest) -> Kind:
    match request.param:
        case "fake":
            return Kind(_fake, _die, "signal 9")
        case "local":
            return Kind(_local, _kill, "signal 9")
        case _:
            return Kind(request.getfixturevalue("ray_executors"), _kill, "its process died")


@pytest.fixture
def make(kind: Kind, tmp_path: Path) -> Iterator[Make]:
    """An executor of so many workers, started; closed at the end."""
    opened: list[Executor] = []

    def start(workers: int) -> Executor:
        plan = make_plan(tmp_path, backbones=(BackboneSpec("resnet50"), BackboneSpec("vgg16")))
        executor = kind.open(SessionSettings(plan, str(tmp_path)), workers)
        opened.append(executor)
        executor.start()
        return executor

    yield start
    for executor in opened:
        executor.close()
        assert not any(worker.pid for worker in executor.workers())


def unit(number: int, backbone: int = 0, images: int = 1) -> Unit:
    refs = tuple(ImageRef(n, b"%d.jpg" % n, 1, None) for n in range(images))
    return Unit(number, 1, backbone, (1,), ("gradcam",), refs)


def submit(executor: Executor, *units: Unit, timeout: float = 60.0) -> None:
    for one in units:
        executor.submit(one, lambda: timeout)


def until(
    executor: Executor, count: int, kinds: tuple[type[ExecutorEvent], ...] = (Done,)
) -> list[ExecutorEvent]:
    """Every event until so many of these kinds have come."""
    seen: list[ExecutorEvent] = []
    limit = time.monotonic() + PATIENCE
    while sum(isinstance(event, kinds) for event in seen) < count:
        assert time.monotonic() < limit, seen
        seen += executor.poll(0.1)
    return seen


def test_a_unit_is_loaded_begun_and_done_in_this_order(make: Make) -> None:
    executor = make(1)
    assert executor.capacity() == QUEUED
    submit(executor, unit(1))
    assert executor.capacity() == QUEUED - 1
    events = [event for event in until(executor, 1) if not isinstance(event, Figures)]
    assert [type(event) for event in events] == [Ready, Ready, Started, Done]
    assert isinstance(events[1], Ready)
    assert events[1].loaded is not None
    assert events[1].loaded.key == "resnet50"
    assert isinstance(events[3], Done)
    assert len(events[3].result.rows) == 1
    assert executor.capacity() == QUEUED


def test_units_go_where_their_backbone_is_loaded(make: Make) -> None:
    executor = make(2)
    submit(executor, unit(1, backbone=0), unit(2, backbone=1))
    first = {event.unit: event.worker for event in until(executor, 2) if isinstance(event, Done)}
    assert first[1] != first[2]
    submit(executor, unit(3, backbone=1), unit(4, backbone=0))
    second = until(executor, 2)
    assert {event.unit: event.worker for event in second if isinstance(event, Done)} == {
        3: first[2],
        4: first[1],
    }
    assert not any(isinstance(event, Ready) for event in second)


def test_a_death_brings_back_the_units_and_names_the_one_that_was_computed(
    kind: Kind, make: Make, knobs: Knobs
) -> None:
    knobs(seconds=60)
    executor = make(1)
    submit(executor, unit(1), unit(2))
    until(executor, 1, (Started,))
    (worker,) = executor.workers()
    assert (worker.state, worker.device.rpartition(":")[2]) == ("computing", "cpu")
    kind.die(executor, 1)
    (lost,) = [
        event for event in until(executor, 1, (WorkerLost,)) if isinstance(event, WorkerLost)
    ]
    assert lost == WorkerLost(1, kind.death, 1, (1, 2))
    assert executor.capacity() == 0
    knobs()
    until(executor, 1, (Ready,))
    submit(executor, unit(3))
    until(executor, 1)
    (worker,) = executor.workers()
    assert worker.restarts == 1


def test_killing_a_worker_is_a_loss_like_any_other(make: Make, knobs: Knobs) -> None:
    knobs(seconds=60)
    executor = make(1)
    submit(executor, unit(1))
    until(executor, 1, (Started,))
    executor.kill(1)
    told = [event for event in executor.poll(0) if not isinstance(event, Figures)]
    assert told == [WorkerLost(1, "replaced", 1, (1,))]


def test_patience_ends(make: Make, knobs: Knobs) -> None:
    knobs(hangs=[0])
    executor = make(1)
    submit(executor, unit(1), timeout=0.3)
    (lost,) = [
        event for event in until(executor, 1, (WorkerLost,)) if isinstance(event, WorkerLost)
    ]
    assert (lost.reason, lost.running) == ("no progress for 0 s", 1)


def test_errors_say_what_failed(make: Make, knobs: Knobs) -> None:
    knobs(raises=[0], unavailable=["vgg16"])
    executor = make(1)
    submit(executor, unit(1), unit(2, backbone=1))
    computing, loading = [
        event for event in until(executor, 2, (Error,)) if isinstance(event, Error)
    ]
    assert (computing.unit, computing.message, computing.loading) == (
        1,
        "ValueError: image 0 is cursed",
        False,
    )
    assert (loading.unit, loading.kind, loading.hint, loading.loading) == (
        2,
        "weights",
        "put them there",
        True,
    )
    assert executor.capacity() == QUEUED


def test_workers_end_with_their_pipe(make: Make, knobs: Knobs) -> None:
    knobs(seconds=60)
    executor = make(2)
    submit(executor, unit(1), unit(2))
    until(executor, 2, (Started,))
    pids = [worker.pid for worker in executor.workers()]
    executor.close()
    assert {worker.state for worker in executor.workers()} == {"ended"}
    limit = time.monotonic() + PATIENCE
    while any(
        os.path.exists(f"/proc/{pid}") for pid in pids
    ):  # Ray's processes end a moment after their actors
        assert time.monotonic() < limit
        time.sleep(0.02)


def test_figures_arrive(make: Make) -> None:
    executor = make(1)
    until(executor, 1, (Figures,))
    (worker,) = executor.workers()
    assert (worker.utilisation, worker.memory_used, worker.memory_total) == (50.0, 1, 2)


def test_what_is_no_news_of_a_unit_changes_nothing_but_when_the_worker_was_heard_of() -> None:
    slot = WorkerSlot(1, "cpu", pid=7, running=3, backbone=0)
    lost = WorkerLost(1, "signal 9", 3, (3,))
    assert slot.track(lost) is lost
    assert (slot.running, slot.backbone, slot.units) == (3, 0, {})
    assert slot.since > 0
