"""An executor without processes: its workers are entries in a calendar, so that hundreds cost
nothing but their results.
"""

from __future__ import annotations

import heapq
import time
from collections.abc import Callable, Sequence
from itertools import count

from evaluator.errors import CamtuiError
from evaluator.execution.worker import as_event, evaluated
from evaluator.execution.workers import SlotExecutor, WorkerSlot, best_for
from evaluator.interfaces import (
    Done,
    ExecutorEvent,
    Figures,
    OpenSession,
    Ready,
    Session,
    SessionSettings,
    Started,
    WorkerLost,
)
from evaluator.records import Unit

FIGURES_SECONDS = 2.0
_NO_PID = 10**8
"""Above every number that Linux gives to a process."""

_RESTART_SECONDS = 0.05


class FakeExecutor(SlotExecutor[WorkerSlot]):
    """``interfaces.Executor`` in one process: a unit is begun at its time, and is done ``cost``
    seconds later.
    """

    def __init__(
        self,
        settings: SessionSettings,
        workers: int,
        open_session: OpenSession,
        cost: Callable[[Unit], float],
    ) -> None:
        """``cost`` of a unit may be infinite: then its worker hangs."""
        super().__init__(WorkerSlot(number, "cpu") for number in range(1, workers + 1))
        self._settings = settings
        self._open_session = open_session
        self._cost = cost
        self._sessions: dict[int, Session] = {}
        self._lives = [0] * (workers + 1)
        self._calendar: list[tuple[float, int, int, int, Callable[[], None]]] = []
        self._turn = count()
        self._events: list[ExecutorEvent] = []
        self._load_seconds = 900.0
        self._now = time.monotonic()
        """The time of what is being done: a worker goes on when its unit is done, not when the
        driver comes to look.
        """

    def start(self) -> None:
        for slot in self._workers:
            self._come(slot)

    def submit(self, unit: Unit, timeout: Callable[[], float]) -> None:
        slot = best_for(unit, self._workers)
        slot.take(unit, timeout)
        self._now = time.monotonic()
        if len(slot.units) == 1:
            self._at(slot, 0.0, lambda: self._begin(slot))

    def poll(self, timeout: float) -> Sequence[ExecutorEvent]:
        limit = time.monotonic() + timeout
        self._turn_pages()
        while not self._events and (left := limit - time.monotonic()) > 0:
            next_entry = self._calendar[0][0] - time.monotonic() if self._calendar else left
            time.sleep(max(0.0, min(left, next_entry)))
            self._turn_pages()
        events, self._events = self._events, []
        return events

    def _turn_pages(self) -> None:
        while self._calendar and self._calendar[0][0] <= time.monotonic():
            self._now, _, worker, life, action = heapq.heappop(self._calendar)
            if life == self._lives[worker]:
                action()
        self._now = time.monotonic()
        for slot in self._workers:
            if slot.running is not None and (silence := slot.overdue(self._load_seconds)):
                self.die(slot.id, silence)

    def kill(self, worker: int) -> None:
        if self._workers[worker - 1].pid:
            self.die(worker, "replaced")

    def die(self, worker: int, reason: str) -> None:
        """What a signal does to a process."""
        self._now = time.monotonic()
        slot = self._workers[worker - 1]
        self._lives[worker] += 1
        gone = slot.detach()
        self._events.append(WorkerLost(worker, reason, gone.running, gone.units))
        self._at(slot, _RESTART_SECONDS, lambda: self._come(slot))
        slot.restarts += 1

    def close(self) -> None:
        for slot in self._workers:
            self._lives[slot.id] += 1
            slot.ended = True
            slot.detach()

    def _at(self, slot: WorkerSlot, seconds: float, action: Callable[[], None]) -> None:
        if seconds < float("inf"):
            entry = (self._now + seconds, next(self._turn), slot.id, self._lives[slot.id], action)
            heapq.heappush(self._calendar, entry)

    def _tell(self, slot: WorkerSlot, event: ExecutorEvent) -> None:
        self._events.append(slot.track(event))

    def _come(self, slot: WorkerSlot) -> None:
        slot.attach(_NO_PID + slot.id)
        session = self._sessions[slot.id] = self._open_session(self._settings)
        self._tell(slot, Ready(slot.id, None, None, session.versions()))
        self._at(slot, 0.0, lambda: self._say_figures(slot))

    def _say_figures(self, slot: WorkerSlot) -> None:
        self._tell(slot, Figures(slot.id, self._sessions[slot.id].figures()))
        self._at(slot, FIGURES_SECONDS, lambda: self._say_figures(slot))

    def _begin(self, slot: WorkerSlot) -> None:
        held = next(iter(slot.units.values()), None)
        if held is None:
            return
        unit, session = held.unit, self._sessions[slot.id]
        if slot.backbone != unit.backbone:
            try:
                self._tell(
                    slot,
                    Ready(slot.id, unit.backbone, session.load(unit.backbone), session.versions()),
                )
            except CamtuiError as error:
                self._tell(slot, as_event(error, slot.id, unit.id, loading=True))
                self._begin(slot)
                return
        self._tell(slot, Started(slot.id, unit.id))
        self._at(slot, self._cost(unit), lambda: self._finish(slot, unit))

    def _finish(self, slot: WorkerSlot, unit: Unit) -> None:
        try:
            self._tell(slot, Done(slot.id, unit.id, evaluated(unit, self._sessions[slot.id])))
        except Exception as error:
            self._tell(slot, as_event(error, slot.id, unit.id, loading=False))
        self._begin(slot)
