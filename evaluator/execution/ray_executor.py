"""Workers on the nodes of a Ray cluster: one actor each, restarted when its process dies.

A worker whose node cannot do the work is left out. Results are what the actors' calls return,
inline and owned by this process; nothing is kept in Ray. Ray restarts an actor's process, and never
its calls: the driver must see every death.
"""

from __future__ import annotations

import queue
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

from evaluator.errors import Mismatch, UsageError
from evaluator.execution.ray_actor import CONCURRENT, Place, sample_of, without_maps
from evaluator.execution.ray_cluster import Cluster, Share, connect
from evaluator.execution.workers import SlotExecutor, WorkerSlot, another_device, best_for, share_of
from evaluator.interfaces import (
    BLIND,
    Done,
    Error,
    ExecutorEvent,
    Figures,
    LeftOut,
    Ready,
    SessionSettings,
    Started,
    WorkerLost,
)
from evaluator.records import ImageRef, Unit
from evaluator.sources.folder import data_folder

if TYPE_CHECKING:
    from evaluator.execution.request import DriverSettings, RaySettings

_CONCURRENT_CALLS = ("prefetch", "figures")


@dataclass(kw_only=True)
class RayWorkerSlot(WorkerSlot):
    """A slot for an actor's process.

    Attributes:
        actor: Ray's handle, which outlives its process.
        node: Ray's id of the node that the process is or was on.
        epoch: number of the process; answers to calls of an earlier one are ignored.
        locating: asked where it is, no answer yet.
        former: ``(node, pid)`` of the process that was ended, which may still answer for a moment.
        tries: attempts in a row at which its node could not do the work.
        saw: monotonic time when its node has last seen the images.
        blind_since: monotonic time from which it does not see them, 0 while it does.
        asked: monotonic time of the last call for its figures.
    """

    actor: Any
    node: str = ""
    epoch: int = 0
    locating: bool = False
    former: tuple[str, int] = ("", 0)
    tries: int = 0
    saw: float = 0.0
    blind_since: float = 0.0
    asked: float = 0.0

    def sees(self) -> None:
        """Its node sees the images now."""
        self.saw, self.blind_since = time.monotonic(), 0.0


class Answer(NamedTuple):
    """The answer to a call: a future, and the method that takes its result.

    Attributes:
        concurrent: of a call that does not wait for a computation.
    """

    worker: RayWorkerSlot
    epoch: int
    then: Callable[[RayWorkerSlot, Any], None]
    future: Future[Any]
    concurrent: bool


class ActorCalls:
    """Calls that are under way, and the answers that have come."""

    def __init__(self) -> None:
        self._answers: queue.SimpleQueue[Answer] = queue.SimpleQueue()

    def call(
        self,
        worker: RayWorkerSlot,
        then: Callable[[RayWorkerSlot, Any], None],
        method: str,
        *arguments: Any,
    ) -> None:
        """Call a method of the worker's actor; ``then`` takes what it returns."""
        epoch, concurrent = worker.epoch, method in _CONCURRENT_CALLS
        function = getattr(worker.actor, method)
        if concurrent:
            function = function.options(concurrency_group=CONCURRENT)
        future = function.remote(*arguments).future()
        future.add_done_callback(
            lambda done: self._answers.put(Answer(worker, epoch, then, done, concurrent))
        )

    def answers(self, timeout: float) -> Iterator[Answer]:
        """Yield every answer that has come; wait at most ``timeout`` seconds for the first."""
        with suppress(queue.Empty):
            yield self._answers.get(timeout=timeout) if timeout > 0 else self._answers.get_nowait()
            while True:
                yield self._answers.get_nowait()


_FAULTS_OF_A_NODE = (BLIND, "weights")

TRIES = 3
"""Attempts of a worker on a node that cannot see the images or the weights."""

_RETRY_SECONDS = (0.5, 2.0)
"""Before the second try, and before the third: a network file system may come back."""

_LOCATING_SECONDS = 30.0
"""Longest wait of ``start`` for the actors' processes; those that come later join in."""

_AGAIN_SECONDS = 0.2
"""Between two questions to an actor whose process is being restarted."""

_FIGURES_SECONDS = 2.0
_FIGURES_A_SECOND = 50.0
"""Workers are asked for their figures every two seconds, or less often: at most fifty a second."""


def ray_executor(
    ray: RaySettings, session: SessionSettings, settings: DriverSettings, images: Sequence[ImageRef]
) -> RayExecutor:
    """The executor that a driver's settings ask for; nothing is started yet."""
    cuda = settings.on_cuda
    # Ray shows an actor its own GPU and no other
    place = replace(session, device="cuda:0" if cuda else "cpu")
    sample = sample_of(data_folder(session.root, follow_links=session.plan.follow_links), images)

    def arguments(
        number: int, share: Share
    ) -> tuple[int, SessionSettings, str, Sequence[ImageRef]]:
        cpu = share_of(place.device, [place.device], share.cores)
        mine = replace(place, loaders=cpu.loaders, threads=cpu.threads if cuda else place.threads)
        return number, mine, settings.session, sample

    def connected() -> Cluster:
        return connect(ray, cuda=cuda, make=arguments)

    return RayExecutor(connected, load_seconds=settings.load_seconds)


class RayExecutor(SlotExecutor[RayWorkerSlot]):
    """``interfaces.Executor`` over the actors of a Ray cluster."""

    def __init__(self, connect: Callable[[], Cluster], *, load_seconds: float = 900.0) -> None:
        """Not connected yet.

        Args:
            connect: start or join a cluster; it is closed with the executor.
            load_seconds: timeout of a worker that loads a backbone.
        """
        super().__init__()
        self._connect = connect
        self._load_seconds = load_seconds
        self._cluster: Cluster | None = None
        self._calls = ActorCalls()
        self._events: list[ExecutorEvent] = []
        self._weights: dict[int, str] = {}
        self._delivered = False

    def start(self) -> None:
        """Start the workers; returns when their processes are there, or after a while."""
        self._cluster = self._connect()
        for number in range(1, self._cluster.workers + 1):
            self._workers.append(
                RayWorkerSlot(id=number, device="", actor=self._cluster.create_actor(number))
            )
        limit = time.monotonic() + _LOCATING_SECONDS
        while (
            not all(worker.pid or worker.tries for worker in self._workers)
            and time.monotonic() < limit
        ):
            self._locate_actors()
            self._process_answers(0.1)

    def submit(self, unit: Unit, timeout: Callable[[], float]) -> None:
        """Hand a unit to the worker that suits it best: its backbone loaded, few units waiting."""
        worker = best_for(unit, self._workers)
        loaded = worker.backbone_after
        worker.take(unit, timeout)
        self._send(worker, unit, loaded)

    def poll(self, timeout: float) -> Sequence[ExecutorEvent]:
        """Return the events since the last call; wait at most ``timeout`` seconds for one."""
        self._locate_actors()
        self._ask_figures()
        self._process_answers(0.0 if self._events else timeout)
        self._end_hanging()
        events, self._events = self._events, []
        return events

    def kill(self, worker: int) -> None:
        """End a worker at once; it is started again and its units come back as ``WorkerLost``."""
        one = self._workers[worker - 1]
        if one.pid:
            self._end(one, one.end_reason or "replaced")

    def close(self) -> None:
        """End every actor, and the cluster where it is ours."""
        cluster, self._cluster = self._cluster, None
        for worker in self._workers:
            worker.ended = True
            worker.epoch += 1
            worker.detach()
        if cluster is not None:
            cluster.close([worker.actor for worker in self._workers])

    # -- answers of actors

    def _process_answers(self, timeout: float) -> None:
        """Process every answer that has come; waits for the first."""
        for answer in self._calls.answers(timeout):
            self._process_answer(answer)

    def _process_answer(self, answer: Answer) -> None:
        error, worker = answer.future.exception(), answer.worker
        if answer.epoch != worker.epoch:
            return
        if error is None:
            answer.then(worker, answer.future.result())
        elif worker.locating:
            self._not_located(worker, error)
        elif not self._raised(error):
            self._lost_process(worker, self._cause(worker))
        elif not answer.concurrent:  # the process lives, and in a state that nobody knows
            self._end(worker, self._words(error))

    def _raised(self, error: BaseException) -> bool:
        """Whether the call itself raised, in a process that lives."""
        assert self._cluster is not None
        return self._cluster.is_raised(error)

    def _words(self, error: BaseException) -> str:
        assert self._cluster is not None
        return self._cluster.words(error)

    # -- a process comes

    def _locate_actors(self) -> None:
        """Ask each actor without a known process where it is, as soon as it is due."""
        now = time.monotonic()
        for worker in self._workers:
            if not (worker.pid or worker.locating or worker.ended) and now >= worker.restart_at:
                worker.locating = True
                self._calls.call(worker, self._located, "place")

    def _located(self, worker: RayWorkerSlot, place: Place) -> None:
        worker.locating = False
        if (place.node, place.pid) == worker.former:
            worker.restart_at = time.monotonic() + _AGAIN_SECONDS
            return
        worker.node, worker.device = place.node, f"{place.name}:{place.device}"
        if place.unseen:
            self._node_failed(
                worker,
                Error(worker.id, 0, BLIND, place.unseen, hint="mount it there", loading=True),
            )
            return
        worker.sees()
        worker.restarts += worker.former[1] != 0
        worker.attach(place.pid)
        self._calls.call(worker, self._answered, "open")
        self._send_again(worker)

    def _not_located(self, worker: RayWorkerSlot, error: BaseException) -> None:
        """Ask again later: the process is being started, or this node cannot start it at all."""
        assert self._cluster is not None
        worker.locating = False
        worker.restart_at = time.monotonic() + _AGAIN_SECONDS
        if self._cluster.is_dead(error):
            worker.actor = self._cluster.create_actor(worker.id)
        if self._cluster.is_dead(error) or self._cluster.is_raised(error):
            self._node_failed(
                worker, Error(worker.id, 0, "error", self._cluster.words(error), loading=True)
            )

    # -- units

    def _send(self, worker: RayWorkerSlot, unit: Unit, loaded: int | None) -> None:
        """Call for everything that a unit needs.

        Args:
            worker: to carry it out.
            unit: the unit.
            loaded: the backbone that will be loaded when the unit's turn comes.
        """
        if unit.backbone != loaded:
            self._calls.call(worker, self._answered, "load", without_maps(unit))
        if unit.images and len(worker.units) > 1:
            self._calls.call(worker, _ignore, "prefetch", without_maps(unit))
        self._calls.call(worker, self._answered, "compute", unit)
        self._begin_next(worker)

    def _send_again(self, worker: RayWorkerSlot) -> None:
        """Call anew for every unit that the worker holds."""
        loaded = None
        for held in worker.units.values():
            self._send(worker, held.unit, loaded)
            loaded = held.unit.backbone

    def _answered(self, worker: RayWorkerSlot, event: Ready | Done | Error) -> None:
        if isinstance(event, Error) and event.loading:
            self._node_failed(worker, event)
            return
        if (
            isinstance(event, Ready)
            and event.loaded is not None
            and (other := self._other_weights(worker, event))
        ):
            self._node_failed(worker, other)
            return
        if isinstance(event, Done) and event.result.rows:
            worker.tries = 0
            worker.sees()
            self._delivered = True
        self._events.append(worker.track(event))
        self._begin_next(worker)

    def _begin_next(self, worker: RayWorkerSlot) -> None:
        """Report the first unit as begun once its backbone is loaded: calls keep their order."""
        first = next(iter(worker.units.values()), None)
        if first is not None and worker.running is None and first.unit.backbone == worker.backbone:
            self._events.append(worker.track(Started(worker.id, first.unit.id)))

    def _other_weights(self, worker: RayWorkerSlot, event: Ready) -> Error | None:
        """An error where the weights are not those that the first worker found by the same name."""
        assert event.loaded is not None
        assert event.position is not None
        known = self._weights.setdefault(event.position, event.loaded.sha256)
        if known == event.loaded.sha256:
            return None
        what = (
            f"{worker.device}: the weights of {event.loaded.key} are not those of the other nodes"
        )
        return Error(worker.id, next(iter(worker.units)), "weights", what, loading=True)

    # -- what goes wrong

    def _node_failed(self, worker: RayWorkerSlot, error: Error) -> None:
        """Try again on a node that has failed, then leave it out if another could do the work.

        While a run is under way, a node that has lost the images is left out once another one still
        sees them; where several have lost them, the driver is told, and pauses.
        """
        worker.epoch += 1
        worker.tries += 1
        worker.running = worker.backbone = None
        blind = error.kind == BLIND and self._delivered
        if blind:
            worker.blind_since = worker.blind_since or time.monotonic()
        others = [
            other
            for other in self._workers
            if not other.ended and other.node not in ("", worker.node)
        ]
        unknown = blind and others and all(other.saw < worker.blind_since for other in others)
        if error.exit_code in (UsageError.exit_code, Mismatch.exit_code):
            self._report_error(worker, error)
        elif worker.tries < TRIES or (unknown and not any(other.blind_since for other in others)):
            worker.tries = min(worker.tries, TRIES - 1)
            worker.pid, worker.former = 0, ("", 0)
            worker.restart_at = time.monotonic() + _RETRY_SECONDS[worker.tries - 1]
        elif unknown:
            self._report_error(worker, error)
        elif any(_may_replace(worker, other, error) for other in self._workers):
            self._leave_out(worker, error.message, worker.detach().units)
        else:
            self._report_error(worker, error)

    def _report_error(self, worker: RayWorkerSlot, error: Error) -> None:
        """Pass an error on to the driver; the other units of the worker are tried all the same."""
        worker.tries = 0
        self._events.append(worker.track(error))
        if worker.pid:
            self._send_again(worker)
        else:
            worker.restart_at = time.monotonic() + _RETRY_SECONDS[-1]

    def _lost_process(self, worker: RayWorkerSlot, reason: str) -> None:
        """Give the units of a process that is gone back; Ray starts another one."""
        worker.epoch += 1
        worker.former = (worker.node, worker.pid)
        gone = worker.detach()
        if worker.device_fails and another_device(worker, self._workers):
            self._leave_out(worker, worker.deaths(reason), gone.units)
        else:
            self._events.append(WorkerLost(worker.id, reason, gone.running, gone.units))

    def _leave_out(self, worker: RayWorkerSlot, reason: str, units: tuple[int, ...]) -> None:
        worker.ended = True
        self._events.append(LeftOut(worker.id, reason, units))

    def _cause(self, worker: RayWorkerSlot) -> str:
        assert self._cluster is not None
        return "its process died" if self._cluster.is_alive(worker.node) else "its node died"

    def _end(self, worker: RayWorkerSlot, reason: str) -> None:
        assert self._cluster is not None
        self._cluster.restart(worker.actor)
        self._lost_process(worker, reason)

    def _end_hanging(self) -> None:
        for worker in self._workers:
            if worker.pid and (silence := worker.overdue(self._load_seconds)):
                self._end(worker, silence)

    # -- figures

    def _ask_figures(self) -> None:
        now = time.monotonic()
        pause = max(_FIGURES_SECONDS, len(self._workers) / _FIGURES_A_SECOND)
        for worker in self._workers:
            if worker.pid and now - worker.asked > pause:
                worker.asked = now
                self._calls.call(worker, self._told_figures, "figures")

    def _told_figures(self, worker: RayWorkerSlot, event: Figures | None) -> None:
        if event is not None:
            self._events.append(worker.track(event))


def _ignore(_worker: RayWorkerSlot, _answer: object) -> None:
    """Ignore an answer."""


def _may_replace(worker: RayWorkerSlot, other: RayWorkerSlot, error: Error) -> bool:
    """Whether another worker may do what this one cannot: another node, or another device of it."""
    if other is worker or other.ended:
        return False
    another = bool(other.node) and other.device != worker.device
    return (
        not other.node
        or other.node != worker.node
        or (error.kind not in _FAULTS_OF_A_NODE and another)
    )
