"""One place for a worker: the process in it changes, the number stays.

What executors of every kind keep of a worker.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Generic, NamedTuple, TypeVar

from evaluator.interfaces import DeviceFigures, Done, Error, ExecutorEvent, Figures, Ready, Started
from evaluator.records import Unit, WorkerState

QUEUED = 2
"""Units that a worker holds: one is computed while the images of the next are decoded."""

DEATHS_OF_A_DEVICE = 3
"""So many deaths of its workers in a row, for which no image can be to blame: the device is."""

_BACK_OFF = (0.0, 0.5, 1.0, 2.0, 5.0, 10.0)
"""Seconds before the n-th restart in a row without a finished unit."""


class Held(NamedTuple):
    """A unit that a worker holds, and how long it may take."""

    unit: Unit
    timeout: Callable[[], float]


class Detached(NamedTuple):
    """What was with a worker that is gone: its units, and the one it was computing."""

    units: tuple[int, ...]
    running: int | None


@dataclass
class WorkerSlot:
    """What is known of one worker.

    Attributes:
        device: as people read it. pid: of the process in this place, 0 while there is none.
        running: the unit that is being computed. backbone: the one that is loaded. since: when the
        worker was last heard of, on the monotonic clock. blame: why it is about to be ended. ended:
        nobody will come to this place again. begun: whether the process in this place has begun a
        unit; ``startup_failures``: deaths in a row before any was begun. lost: images of the units that were
        lost since one was finished; ``bisection``: those that were in all of them.
    """

    id: int
    device: str
    pid: int = 0
    units: dict[int, Held] = field(default_factory=dict)
    running: int | None = None
    backbone: int | None = None
    since: float = 0.0
    restart_at: float = 0.0
    restarts: int = 0
    deaths_in_a_row: int = 0
    end_reason: str = ""
    ended: bool = False
    begun: bool = False
    startup_failures: int = 0
    lost: frozenset[int] = frozenset()
    common_images: frozenset[int] = frozenset()
    figures: DeviceFigures = field(default_factory=DeviceFigures)

    @property
    def state(self) -> str:
        """One word for people."""
        if not self.pid:
            return "ended" if self.ended else "restarting"
        if self.running is not None:
            return "computing"
        return "loading" if self.units or self.backbone is None else "idle"

    @property
    def free(self) -> int:
        """How many units it could take now."""
        return QUEUED - len(self.units) if self.pid else 0

    @property
    def backbone_after(self) -> int | None:
        """The backbone that is loaded once everything the worker holds is done."""
        last = next(reversed(self.units.values()), None)
        return last.unit.backbone if last else self.backbone

    def attach(self, pid: int) -> None:
        """A process has come that knows nothing yet."""
        self.pid = pid
        self.running = self.backbone = None
        self.since = time.monotonic()
        self.end_reason = ""
        self.begun = False

    def take(self, unit: Unit, timeout: Callable[[], float]) -> None:
        """The worker holds one unit more."""
        if not self.units:
            self.since = time.monotonic()
        self.units[unit.id] = Held(unit, timeout)

    def track(self, event: ExecutorEvent) -> ExecutorEvent:
        """Keep track of what the worker is about."""
        if isinstance(event, Figures):
            self.figures = event.figures
            return event
        self.since = time.monotonic()
        if isinstance(event, Ready):
            self.backbone = event.position
        elif isinstance(event, Started):
            self.running = event.unit
            self.begun, self.startup_failures = True, 0
        elif isinstance(event, Done):
            self.units.pop(event.unit, None)
            self.running = None
            self.deaths_in_a_row = 0
            self.lost = self.common_images = frozenset()
        elif isinstance(event, Error):
            held = self.units.pop(event.unit, None)
            self.running = None
            if event.fatal and held is not None:
                self._record_loss(held.unit)
        return event

    def _record_loss(self, unit: Unit) -> None:
        images = frozenset(image.id for image in unit.images)
        self.common_images = self.common_images & images if self.lost else images
        self.lost |= images

    @property
    def device_fails(self) -> bool:
        """Whether the GPU is to blame for the latest deaths.

        None of its workers came to a unit, or no image was in all units.

        Of a CPU that is never said: it is the same for every worker of its machine.
        """
        innocent = bool(self.lost) and not self.common_images
        many = self.startup_failures >= DEATHS_OF_A_DEVICE or (
            innocent and self.deaths_in_a_row >= DEATHS_OF_A_DEVICE
        )
        return many and "cuda" in self.device

    def overdue(self, load_seconds: float) -> str:
        """That the worker has been silent for longer than what it does may take, in words.

        Empty while it has not.
        """
        limit = load_seconds if self.units else float("inf")
        if self.running is not None and self.running in self.units:
            limit = self.units[self.running].timeout()
        return f"no progress for {limit:.0f} s" if time.monotonic() - self.since > limit else ""

    def detach(self) -> Detached:
        """The process is gone: another one may come a little later.

        The later the more often this happens.
        """
        units = tuple(self.units)
        running = self.running if self.running in self.units else None
        if running is not None:
            self._record_loss(self.units[running].unit)
        self.startup_failures += not self.begun
        self.units.clear()
        self.pid = 0
        self.running = self.backbone = None
        self.restart_at = (
            time.monotonic() + _BACK_OFF[min(self.deaths_in_a_row, len(_BACK_OFF) - 1)]
        )
        self.deaths_in_a_row += 1
        return Detached(units, running)

    def record(self) -> WorkerState:
        """As it is stored."""
        return WorkerState(
            self.id, self.device, self.pid, self.state, time.time(), self.restarts, *self.figures
        )


SlotT = TypeVar("SlotT", bound=WorkerSlot)


class SlotExecutor(Generic[SlotT]):
    """What is the same for executors of every kind.

    They are as free, and as well, as their workers.
    """

    def __init__(self, workers: Iterable[SlotT] = ()) -> None:
        self._workers = list(workers)

    def capacity(self) -> int:
        """How many units could be submitted now."""
        return sum(worker.free for worker in self._workers)

    def takes(self, unit: Unit) -> bool:
        """Whether a worker that is free should have this unit.

        What one device has lost is tried on another first.
        """
        return any(
            slot.free > 0 and _should_have(slot, unit, self._workers) for slot in self._workers
        )

    def workers(self) -> Sequence[WorkerState]:
        """Every worker as it is now."""
        return [worker.record() for worker in self._workers]


def another_device(slot: WorkerSlot, worker_slots: Sequence[WorkerSlot]) -> bool:
    """Whether there is a worker left on another device than this one's."""
    return any(other.device != slot.device and not other.ended for other in worker_slots)


def _should_have(slot: WorkerSlot, unit: Unit, worker_slots: Sequence[WorkerSlot]) -> bool:
    """Not a slot that has lost an image of the unit while another device has not.

    Else a broken GPU would condemn them all.
    """
    images = {image.id for image in unit.images}
    if slot.lost.isdisjoint(images):
        return True
    return not any(
        other.device != slot.device and not other.ended and other.lost.isdisjoint(images)
        for other in worker_slots
    )


def best_for(unit: Unit, worker_slots: Sequence[SlotT]) -> SlotT:
    """The worker that suits a unit best: its backbone loaded, few units waiting.

    One of them must be free.
    """
    free = [slot for slot in worker_slots if slot.free > 0]
    suited = [slot for slot in free if _should_have(slot, unit, worker_slots)] or free
    return min(
        suited,
        key=lambda slot: (
            slot.backbone_after not in (unit.backbone, None),
            len(slot.units),
            slot.id,
        ),
    )
