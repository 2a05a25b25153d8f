"""The Ray executor over actors of this process: what a failing call costs. Ray itself:
``test_ray.py``.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest

from evaluator.execution import ray_executor
from evaluator.execution.ray_actor import Place
from evaluator.execution.ray_executor import RayExecutor
from evaluator.interfaces import (
    BLIND,
    Done,
    Error,
    ExecutorEvent,
    Figures,
    LeftOut,
    Ready,
    SessionSettings,
    WorkerLost,
)
from evaluator.records import ImageRef, Unit
from tests.evaluator.execution.support import PATIENCE, make_plan
from tests.fake_session import FakeSession


class Raised(Exception):
    """A method of an actor raised; its process lives: Ray's ``RayTaskError``."""


class Actor:
    """An actor whose calls are carried out at once; those in ``fails`` raise."""

    def __init__(self, session: FakeSession, number: int, fails: set[str]) -> None:
        self._session = session
        self._number = number
        self.fails = fails
        self.blind = False
        self.pid = 1000 * number

    def __getattr__(self, name: str) -> Call:
        if name.startswith("do_"):
            raise AttributeError(name)
        return Call(self, name)

    def do_place(self) -> Place:
        node = f"node{self._number}" if "own-node" in self.fails else "node"
        unseen = f"{node} cannot see /data" if self.blind else ""
        return Place(node, "box", f"cuda:{self._number}", self.pid, unseen)

    def do_open(self) -> Ready | Error:
        if "cuda" in self.fails:
            return Error(
                self._number, 0, "error", "RuntimeError: the driver is too old", loading=True
            )
        return Ready(self._number, None, None, {})

    def do_load(self, unit: Unit) -> Ready:
        return Ready(self._number, unit.backbone, self._session.load(unit.backbone), {})

    def do_compute(self, unit: Unit) -> Done | Error:
        if self.blind:
            return Error(self._number, unit.id, BLIND, "cannot see /data", loading=True)
        return Done(self._number, unit.id, self._session.evaluate(unit))

    def do_prefetch(self, unit: Unit) -> None: ...

    def do_figures(self) -> Figures:
        return Figures(self._number, self._session.figures())


class Call:
    def __init__(self, actor: Actor, name: str) -> None:
        self._actor, self._name = actor, name
        self._future: Future[Any] = Future()

    def options(self, concurrency_group: str) -> Call:
        return self

    def remote(self, *arguments: Any) -> Call:
        if self._name in self._actor.fails:
            self._future.set_exception(Raised(f"{self._name} failed"))
        else:
            self._future.set_result(getattr(self._actor, f"do_{self._name}")(*arguments))
        return self

    def future(self) -> Future[Any]:
        return self._future


class Cluster:
    def __init__(self, make: Callable[[int], Actor], workers: int) -> None:
        self._make = make
        self.workers = workers
        self.actors: dict[int, Actor] = {}

    def create_actor(self, number: int) -> Actor:
        return self.actors.setdefault(number, self._make(number))

    def restart(self, actor: Actor) -> None:
        actor.pid += 1

    def is_dead(self, error: BaseException) -> bool:
        return False

    def is_raised(self, error: BaseException) -> bool:
        return isinstance(error, Raised)

    def is_alive(self, node: str) -> bool:
        return True

    def words(self, error: BaseException) -> str:
        return str(error)

    def close(self, actors: object) -> None: ...


def opened(tmp_path: Path, *fails: set[str]) -> tuple[RayExecutor, Cluster]:
    """An executor with one worker for each set of calls that fail on it."""
    settings = SessionSettings(make_plan(tmp_path), str(tmp_path))
    cluster = Cluster(
        lambda number: Actor(FakeSession(settings), number, fails[number - 1]), len(fails)
    )
    executor = RayExecutor(lambda: cluster)  # type: ignore[arg-type,return-value]  # a cluster without Ray
    executor.start()
    return executor, cluster


def unit(number: int) -> Unit:
    return Unit(number, 1, 0, (1,), ("gradcam",), (ImageRef(0, b"0.jpg", 1, None),))


def until(executor: RayExecutor, kind: type[ExecutorEvent]) -> list[ExecutorEvent]:
    seen: list[ExecutorEvent] = []
    limit = time.monotonic() + PATIENCE
    while not any(isinstance(event, kind) for event in seen):
        assert time.monotonic() < limit, seen
        seen += executor.poll(0.05)
    return seen


@pytest.mark.parametrize("call", ["figures", "prefetch"])
def test_a_failing_concurrent_call_never_loses_a_worker(tmp_path: Path, call: str) -> None:
    executor, _ = opened(tmp_path, {call})
    for number in (1, 2):
        executor.submit(unit(number), lambda: 60.0)
    seen: list[ExecutorEvent] = []
    while sum(isinstance(event, Done) for event in seen) < 2:
        seen += executor.poll(0.05)
    seen += [*executor.poll(0.05), *executor.poll(0.05)]
    assert not any(isinstance(event, WorkerLost) for event in seen)
    assert executor.workers()[0].state == "idle"


def test_a_call_that_raises_costs_the_process_and_the_worker_comes_back(tmp_path: Path) -> None:
    executor, cluster = opened(tmp_path, {"compute"})
    executor.submit(unit(1), lambda: 60.0)
    (lost,) = [event for event in until(executor, WorkerLost) if isinstance(event, WorkerLost)]
    assert (lost.reason, lost.units) == ("compute failed", (1,))
    cluster.actors[1].fails.clear()
    limit = time.monotonic() + PATIENCE
    while not executor.capacity():
        assert time.monotonic() < limit, "it is never placed again"
        executor.poll(0.05)
    executor.submit(unit(2), lambda: 60.0)
    until(executor, Done)


def test_a_gpu_that_cannot_start_is_left_out_and_its_neighbour_goes_on(tmp_path: Path) -> None:
    executor, _ = opened(tmp_path, set(), {"cuda"})
    (left,) = [event for event in until(executor, LeftOut) if isinstance(event, LeftOut)]
    assert (left.worker, left.reason) == (2, "RuntimeError: the driver is too old")
    executor.submit(unit(1), lambda: 60.0)
    assert [event.worker for event in until(executor, Done) if isinstance(event, Done)] == [1]


def test_an_error_of_the_only_gpu_is_the_drivers_to_judge(tmp_path: Path) -> None:
    executor, _ = opened(tmp_path, {"cuda"})
    assert "RuntimeError: the driver is too old" in [
        event.message for event in until(executor, Error) if isinstance(event, Error)
    ]


@pytest.fixture
def two_nodes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[RayExecutor, dict[int, Actor]]:
    """Workers on two nodes, each of which has computed something."""
    monkeypatch.setattr(ray_executor, "_RETRY_SECONDS", (0.01, 0.02))
    executor, cluster = opened(tmp_path, {"own-node"}, {"own-node"})
    for number in (1, 2):
        executor.submit(unit(number), lambda: 60.0)
    assert {event.unit for event in polled(executor, Done, 2) if isinstance(event, Done)} == {1, 2}
    return executor, cluster.actors


def polled(executor: RayExecutor, kind: type[ExecutorEvent], count: int) -> list[ExecutorEvent]:
    """The events until there are so many of a kind."""
    seen: list[ExecutorEvent] = []
    while sum(isinstance(event, kind) for event in seen) < count:
        seen += until(executor, kind)
    return seen


def test_images_that_several_nodes_have_lost_are_the_drivers_to_judge(
    two_nodes: tuple[RayExecutor, dict[int, Actor]],
) -> None:
    """No node is left out, and each goes on as soon as it sees them again."""
    executor, actors = two_nodes
    for actor in actors.values():
        actor.blind = True
    for number in (3, 4):
        executor.submit(unit(number), lambda: 60.0)
    lost = polled(executor, Error, 4)
    assert not any(isinstance(event, LeftOut) for event in lost)
    assert {event.kind for event in lost if isinstance(event, Error)} == {BLIND}
    told = {event.unit for event in lost if isinstance(event, Error) and event.unit}
    for actor in actors.values():
        actor.blind = False
    ready: set[int] = set()
    done = told
    while (ready, done) != ({1, 2}, {3, 4}):
        for event in until(executor, Ready | Done):  # type: ignore[arg-type]  # isinstance takes both
            ready |= {event.worker} if isinstance(event, Ready) else set()
            done |= {event.unit} if isinstance(event, Done) else set()
    assert all(worker.state != "ended" for worker in executor.workers())


def test_a_node_that_alone_has_lost_the_images_is_left_out_once_another_has_seen_them(
    two_nodes: tuple[RayExecutor, dict[int, Actor]],
) -> None:
    executor, actors = two_nodes
    actors[1].blind = True
    executor.submit(unit(3), lambda: 60.0)
    quiet = [event for _ in range(10) for event in executor.poll(0.02)]
    assert not any(isinstance(event, LeftOut | Error) for event in quiet), "the other may be blind"
    executor.submit(unit(4), lambda: 60.0)
    (left,) = [event for event in until(executor, LeftOut) if isinstance(event, LeftOut)]
    assert (left.worker, left.units) == (1, (3,))
