"""Workers of this machine: their shares of its cores and GPUs, and the slot of each."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Generic, NamedTuple, TypeVar

from evaluator.interfaces import DeviceFigures, Done, Error, ExecutorEvent, Figures, Ready, Started
from evaluator.records import Unit, WorkerState


class CpuShare(NamedTuple):
    """Threads of one worker.

    Attributes:
        threads: that compute on the CPU, ``None`` for torch's default.
        loaders: that decode images and draw noise.
    """

    threads: int | None
    loaders: int


def share_of(device: str, devices: Sequence[str], cores: float) -> CpuShare:
    """The share of a worker on a device.

    A worker on a GPU gains nothing from a second computing thread, and each of its loaders would
    have as many computing threads of its own; so one core is for its main thread, and the others
    decode. On a CPU two loaders are enough to be ahead.

    Args:
        device: of the worker.
        devices: of every worker of the machine.
        cores: of the machine.
    """
    if device.startswith("cuda"):
        return CpuShare(1, max(1, int(cores // max(1, len(devices))) - 1))
    on_cpu = sum(one == "cpu" for one in devices)
    return CpuShare(max(1, int(cores // on_cpu)) if on_cpu > 1 else None, 2)


def visible_gpus(present: int, listed: str | None) -> tuple[str, ...]:
    """The GPUs that CUDA shows, in its order, each as it is named in ``CUDA_VISIBLE_DEVICES``.

    The list ends at the first entry that is no device, so that ``0,-1,1`` is GPU 0 alone; a device
    that is named twice makes the whole list void; UUIDs (``GPU-…``, ``MIG-…``) and numbers do not
    mix.

    Args:
        present: GPUs of the machine.
        listed: the variable's value, ``None`` where it is not set.
    """
    if listed is None:
        return tuple(str(number) for number in range(present))
    entries = [entry.strip() for entry in listed.split(",")]
    for prefix in ("GPU-", "MIG-"):
        if entries[0].startswith(prefix):
            return _unique(_until_refused(entries, prefix))
    numbers: list[str] = []
    for entry in entries:
        match = re.match(r"\+?\d+", entry)
        if match is None or int(match[0]) >= present:
            break
        numbers.append(str(int(match[0])))
    return _unique(numbers)


def _until_refused(entries: list[str], prefix: str) -> list[str]:
    kept: list[str] = []
    for entry in entries:
        if not entry.startswith(prefix):
            break
        kept.append(entry)
    return kept


def _unique(names: list[str]) -> tuple[str, ...]:
    return tuple(names) if len(set(names)) == len(names) else ()


QUEUED = 2
"""Units that a worker holds: one is computed while the images of the next are decoded."""

DEATHS_OF_A_DEVICE = 3
"""Deaths in a row that no image explains, at which the device is taken to have failed."""

_BACK_OFF = (0.0, 0.5, 1.0, 2.0, 5.0, 10.0)
"""Seconds before the n-th restart in a row without a finished unit; 1 at most where the process
had begun a unit.
"""


class Held(NamedTuple):
    """A unit that a worker holds, and its timeout in seconds, asked while it is computed."""

    unit: Unit
    timeout: Callable[[], float]


class Detached(NamedTuple):
    """The units of a process that is gone, and the one it was computing."""

    units: tuple[int, ...]
    running: int | None


@dataclass
class WorkerSlot:
    """The state of one worker.

    Attributes:
        id: number of the slot.
        device: as people read it.
        pid: of the process in this slot, 0 while there is none.
        units: that the worker holds, by id, in order.
        running: the unit that is being computed.
        backbone: position of the one that is loaded.
        since: time of the worker's last event, on the monotonic clock.
        restart_at: time at which a process may be started again.
        restarts: processes after the first.
        deaths_in_a_row: without a finished unit between them.
        end_reason: why the process is about to be ended; empty as a rule.
        ended: no process will be started in this slot again.
        begun: the process in this slot has begun a unit.
        startup_failures: deaths in a row before a unit was begun.
        lost: ids of images in the units that were lost since one was finished.
        common_images: ids of images that were in all of those units.
        figures: the device's latest.
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
        """The state in one word, for people."""
        if not self.pid:
            return "ended" if self.ended else "restarting"
        if self.running is not None:
            return "computing"
        return "loading" if self.units or self.backbone is None else "idle"

    @property
    def free(self) -> int:
        """Number of units that it could take now."""
        return QUEUED - len(self.units) if self.pid else 0

    @property
    def backbone_after(self) -> int | None:
        """The backbone that is loaded once everything the worker holds is done."""
        last = next(reversed(self.units.values()), None)
        return last.unit.backbone if last else self.backbone

    def attach(self, pid: int) -> None:
        """Put a new process into this slot."""
        self.pid = pid
        self.running = self.backbone = None
        self.since = time.monotonic()
        self.end_reason = ""
        self.begun = False

    def take(self, unit: Unit, timeout: Callable[[], float]) -> None:
        """Give the worker a unit."""
        if not self.units:
            self.since = time.monotonic()
        self.units[unit.id] = Held(unit, timeout)

    def track(self, event: ExecutorEvent) -> ExecutorEvent:
        """Follow the worker's state by an event of it; returns the event."""
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
        """Whether the GPU is taken to have failed.

        It is if process after process died before it began a unit, or in units that have no image
        in common. A CPU never is: it is that of every worker of its machine.
        """
        no_image = bool(self.lost) and not self.common_images
        deaths = max(self.startup_failures, self.deaths_in_a_row if no_image else 0)
        return deaths >= DEATHS_OF_A_DEVICE and "cuda" in self.device

    def deaths(self, reason: str) -> str:
        """The deaths in a row in words, with the reason of the latest."""
        return f"{self.device} has lost its worker {self.deaths_in_a_row} times in a row ({reason})"

    def overdue(self, load_seconds: float) -> str:
        """The timeout that the worker has exceeded, in words; empty while it has not.

        Args:
            load_seconds: the timeout while it computes nothing.
        """
        limit = load_seconds if self.units else float("inf")
        if self.running is not None and self.running in self.units:
            limit = self.units[self.running].timeout()
        return f"no progress for {limit:.0f} s" if time.monotonic() - self.since > limit else ""

    def detach(self) -> Detached:
        """Take a process that is gone out of the slot; the next may come after a growing pause."""
        units = tuple(self.units)
        running = self.running if self.running in self.units else None
        if running is not None:
            self._record_loss(self.units[running].unit)
        self.startup_failures += not self.begun
        self.units.clear()
        self.pid = 0
        self.running = self.backbone = None
        pause = _BACK_OFF[min(self.deaths_in_a_row, len(_BACK_OFF) - 1)]
        self.restart_at = time.monotonic() + (min(pause, 1.0) if self.begun else pause)
        self.deaths_in_a_row += 1
        return Detached(units, running)

    def record(self) -> WorkerState:
        """The state as it is stored."""
        return WorkerState(
            id=self.id,
            device=self.device,
            pid=self.pid,
            state=self.state,
            heartbeat=time.time(),
            restarts=self.restarts,
            **self.figures._asdict(),
        )


SlotT = TypeVar("SlotT", bound=WorkerSlot)


class SlotExecutor(Generic[SlotT]):
    """The part of ``interfaces.Executor`` that follows from the slots of its workers."""

    def __init__(self, workers: Iterable[SlotT] = ()) -> None:
        self._workers = list(workers)

    def capacity(self) -> int:
        """Number of units that could be submitted now."""
        return sum(worker.free for worker in self._workers)

    def takes(self, unit: Unit) -> bool:
        """Whether a free worker suits a unit; one lost on a device is tried on another first."""
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
    """Whether a unit may be tried here: not where one of its images was lost, but not elsewhere.

    Otherwise a broken GPU would make failures of all images.
    """
    images = {image.id for image in unit.images}
    if slot.lost.isdisjoint(images):
        return True
    return not any(
        other.device != slot.device and not other.ended and other.lost.isdisjoint(images)
        for other in worker_slots
    )


def best_for(unit: Unit, worker_slots: Sequence[SlotT]) -> SlotT:
    """The free worker that suits a unit best: its backbone loaded, few units waiting.

    At least one must be free.
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
