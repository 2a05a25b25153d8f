"""The interfaces of execution: ``Session``, a worker on its device; ``Executor``, many workers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from evaluator.plan import RunPlan
from evaluator.records import ImageRef, LoadedBackbone, Unit, UnitResult, WorkerState

DEFAULT_SESSION = "evaluator.measuring.session:open_session"
"""``module:function`` that a worker calls with its settings."""


@dataclass(frozen=True, slots=True)
class SessionSettings:
    """Settings that a worker needs before its first unit.

    Attributes:
        root: the data folder; image paths are relative to it.
        device: ``cpu``, ``cuda`` or ``cuda:N``.
        batch_size: images in one forward, ``None`` to let the session choose.
        tuning: file with the batch sizes that suit this machine, searched for where it has none;
            empty for a default.
        threads: CPU threads for computing, ``None`` for the device's default.
        loaders: threads that decode images ahead.
        hang_seconds: without progress for so long a worker is taken to hang; half of it is what a
            method may take. 0: no limit.
        pictures: the first images of the data set: a network is tried on one when it is loaded.
        allowed: code that may be imported: the text of each reference → the hash of its source.
        layers: target layers that the run was begun with, by the backbone's position in the plan.
    """

    plan: RunPlan
    root: str
    device: str = "cpu"
    batch_size: int | None = None
    tuning: str = ""
    threads: int | None = None
    loaders: int = 2
    hang_seconds: float = 0.0
    pictures: tuple[ImageRef, ...] = ()
    allowed: Mapping[str, str] = field(default_factory=dict)
    layers: Mapping[int, str] = field(default_factory=dict)


class DeviceFigures(NamedTuple):
    """Figures of a device in percent, bytes, watts, °C; ``None`` where it tells none."""

    utilisation: float | None = None
    memory_used: int | None = None
    memory_total: int | None = None
    power: float | None = None
    temperature: float | None = None


class Session(Protocol):
    """One worker's hold on one device. Runs in the worker process; may import torch."""

    def versions(self) -> dict[str, str]:
        """torch, torchvision, device name, precision settings: recorded with the run."""

    def load(self, position: int) -> LoadedBackbone:
        """Load the plan's backbone at that position, replacing the one before.

        Raises:
            CamtuiError: weights not at hand, no such layer.
        """

    def prefetch(self, unit: Unit) -> None:
        """Begin decoding the unit's images; returns at once."""

    def evaluate(self, unit: Unit) -> UnitResult:
        """Evaluate a unit of the loaded backbone; an unreadable image becomes failures."""

    def confidences(self, images: Sequence[ImageRef]) -> dict[int, Sequence[float]]:
        """Confidence of the loaded backbone in every class, in [0, 1], by image id.

        Images that cannot be read are left out.
        """

    def figures(self) -> DeviceFigures:
        """Utilisation and memory now."""

    def close(self) -> None:
        """Give threads and memory back."""


OpenSession = Callable[[SessionSettings], Session]


class Ready(NamedTuple):
    """A worker has loaded a backbone, or has merely started (``loaded`` is ``None``).

    Attributes:
        disagreement: how its answers differ from those of the run's rows; empty where they agree.
    """

    worker: int
    position: int | None
    loaded: LoadedBackbone | None
    versions: dict[str, str]
    disagreement: str = ""


class Started(NamedTuple):
    """A worker has begun to compute a unit, the cause should it die now."""

    worker: int
    unit: int


class Done(NamedTuple):
    """A unit is finished."""

    worker: int
    unit: int
    result: UnitResult


BLIND = "blind"
"""The kind of an error of a worker that does not see the images on its machine."""


class Error(NamedTuple):
    """A unit raised; the worker lives.

    Attributes:
        kind: ``errors.CamtuiError.kind``, else ``error``, ``out-of-memory`` or ``BLIND``;
            ``exit_code`` to match.
        loading: the unit's backbone could not be loaded; the unit itself has not been tried.
        fatal: the device is of no use to this process any more: replace the worker.
    """

    worker: int
    unit: int
    kind: str
    message: str
    hint: str = ""
    exit_code: int = 1
    loading: bool = False
    fatal: bool = False


class WorkerLost(NamedTuple):
    """A worker died or was ended; its units come back, ``running`` the one it was computing."""

    worker: int
    reason: str
    running: int | None
    units: tuple[int, ...]


class LeftOut(NamedTuple):
    """A worker is given up because of its node; its units come back, the others go on."""

    worker: int
    reason: str
    units: tuple[int, ...]


class Figures(NamedTuple):
    """A worker's device figures, sent now and then."""

    worker: int
    figures: DeviceFigures


ExecutorEvent = Ready | Started | Done | Error | WorkerLost | LeftOut | Figures


class Executor(Protocol):
    """Carries units to workers; every submitted unit ends in an event at least once.

    The event is Done, Error, WorkerLost or LeftOut; units end in any order.
    """

    def start(self) -> None:
        """Start the workers."""

    def capacity(self) -> int:
        """Number of units that could be submitted now: a worker computes one and decodes one."""

    def takes(self, unit: Unit) -> bool:
        """Whether a lost unit could be submitted now: on another device than lost it, first."""

    def submit(self, unit: Unit, timeout: Callable[[], float]) -> None:
        """Hand a unit to the worker that suits it best.

        Args:
            timeout: asked while it is computed: after so many seconds the worker is taken to hang,
                and is replaced.
        """

    def poll(self, timeout: float) -> Sequence[ExecutorEvent]:
        """Events so far; waits at most ``timeout`` seconds for the first."""

    def kill(self, worker: int) -> None:
        """End a worker at once; it is started again and its units come back as ``WorkerLost``."""

    def workers(self) -> Sequence[WorkerState]:
        """Every worker as it is now."""

    def close(self) -> None:
        """End every worker; returns when none is left."""
