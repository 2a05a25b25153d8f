"""The driver's loop: hands out units, commits what comes back, and judges what does not."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import FrameType

from evaluator.errors import DATA_GONE, RunFailed, UnstableAnswer
from evaluator.execution.failures import (
    Bisection,
    DataFolder,
    Deaths,
    FailureCount,
    StartupFailures,
    halves,
)
from evaluator.execution.journal import Journal
from evaluator.execution.looks import EarlyEnd, Looks
from evaluator.execution.registration import BackboneRegistration
from evaluator.execution.request import DriverSettings
from evaluator.execution.schedule import Schedule
from evaluator.execution.stages import StagePlan, plan_stages, with_timings
from evaluator.execution.worker import failed, pairs_of
from evaluator.images import Manifest
from evaluator.interfaces import (
    BLIND,
    Done,
    Error,
    Executor,
    ExecutorEvent,
    Figures,
    LeftOut,
    Ready,
    Started,
    WorkerLost,
)
from evaluator.plan import RunPlan
from evaluator.records import Unit, UnitResult
from evaluator.store.reader import RunReader


class StopRequest:
    """The signals so far, which ask for a graceful end or for an end at once."""

    def __init__(self) -> None:
        self.signals: list[int] = []

    @property
    def gracefully(self) -> bool:
        """Whether to finish the units in flight and to begin nothing new."""
        return bool(self.signals)

    @property
    def at_once(self) -> bool:
        """Whether to end now; units in flight are computed again another time."""
        return len(self.signals) > 1

    def __call__(self, number: int, _frame: FrameType | None = None) -> None:
        """Handle a signal."""
        self.signals.append(number)


@contextmanager
def signals_to(stop: StopRequest) -> Iterator[None]:
    """Let SIGTERM and SIGINT ask for an end, and ignore the hang-up of a terminal."""
    former = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
    former[signal.SIGHUP] = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        yield
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)


_UNMEASURED = {"cpu": 0.2, "cuda": 0.05}
"""Seconds of a forward before any has been timed."""

_TIMES = 10
"""Multiple of what a unit should take."""

_NEWEST = 0.2
"""Weight of the newest unit in the running average of the seconds of a forward."""


class UnitTimeouts:
    """Timeouts of units, by the running average of the seconds that a forward takes."""

    def __init__(
        self, stages: Mapping[int, StagePlan], least_seconds: float, *, cuda: bool
    ) -> None:
        """Nothing is timed yet.

        Args:
            stages: of the schedule, which replaces some of them later.
            least_seconds: no timeout is shorter.
            cuda: the kind of device.
        """
        self._stages = stages
        self._least_seconds = least_seconds
        self._seconds_per_forward = _UNMEASURED["cuda" if cuda else "cpu"]
        self._timed = False

    def measure(self, result: UnitResult) -> None:
        """Take a finished unit into the average."""
        if not result.forwards:
            return
        measured = result.seconds / result.forwards
        if self._timed:
            measured = (1 - _NEWEST) * self._seconds_per_forward + _NEWEST * measured
        self._seconds_per_forward = measured
        self._timed = True

    def timeout(self, unit: Unit) -> float:
        """Seconds: ten times what the unit should take, and never less than the least."""
        stage = self._stages.get(unit.stage)
        forwards = stage.forwards_per_image * len(unit.images) if stage else 0.0
        return max(self._least_seconds, _TIMES * forwards * self._seconds_per_forward)


HEARTBEAT_SECONDS = 2.0


class ProgressRecord:
    """The progress of one session."""

    def __init__(
        self, schedule: Schedule, executor: Executor, journal: Journal, early_end: EarlyEnd
    ) -> None:
        self._schedule = schedule
        self._executor = executor
        self._journal = journal
        self._early_end = early_end
        self._stages_under_way: set[int] = set()
        self._next_heartbeat = 0.0

    def begin_stage(self, stage: int) -> None:
        """Remember a stage of which something is computed, so that its end is recorded."""
        self._stages_under_way.add(stage)

    def record(self, *, stopping: bool, handed_off: bool) -> None:
        """Record the stages that have ended, that the run is stopping, and the heartbeat.

        Raises:
            RunFailed: the run's file, or its lock, was removed or replaced.
        """
        if stopping and not self._journal.stopping:
            self._journal.state("stopping")
            self._journal.event("info", "stopping: what is in flight is finished first")
        for stage in filter(self._schedule.ended, tuple(self._stages_under_way)):
            self._stages_under_way.remove(stage)
            self._journal.event("info", f"finished: {self._schedule.stages[stage].title}")
        if time.monotonic() >= self._next_heartbeat:
            self._next_heartbeat = time.monotonic() + HEARTBEAT_SECONDS
            self._journal.check_file()
            self._journal.heartbeat(self._executor.workers())
            if handed_off:
                self._journal.retry(self._early_end.write)


POLL_SECONDS = 0.25


_SPARED = 64
"""Units of nothing but what was given up that are answered between two looks at the workers."""


class Loop:
    """One session of a run, from its first unit to its last."""

    def __init__(
        self,
        *,
        plan: RunPlan,
        manifest: Manifest,
        settings: DriverSettings,
        reader: RunReader,
        journal: Journal,
        executor: Executor,
        stop: StopRequest,
        hand_off: Callable[[], None],
        run_reference: str,
        progress: Callable[[str, str], None] = lambda _step, _text: None,
    ) -> None:
        """Nothing is started yet.

        Args:
            plan: as it is stored.
            manifest: the run's images.
            settings: how the run is carried out.
            reader: of the run's file.
            journal: to the run's file.
            executor: reaches the workers.
            stop: what signals ask for.
            hand_off: called once, when a backbone is loaded or nothing is to do.
            run_reference: names the run in hints.
            progress: called before the hand-off with what is being done, ``worker`` or ``network``,
                and words about it.
        """
        cuda = settings.on_cuda
        cells, images = reader.cells(), reader.info().image_count
        stages = plan_stages(plan, cells, reader.backbones(), cuda=cuda)
        self._reader = reader
        self._journal = journal
        self._executor = executor
        self._stop = stop
        self._hand_off = hand_off
        self._before_hand_off = progress
        self._backbones = [spec.name for spec in plan.backbones]
        self._logs_hint = f"camtui logs {run_reference}"
        self._schedule = Schedule(reader, stages, images, in_rounds=plan.rule is not None)
        self._early_end = EarlyEnd(
            Looks(plan, reader, images=images), self._schedule, reader, journal
        )
        self._registration = BackboneRegistration(
            plan=plan,
            manifest=manifest,
            reader=reader,
            journal=journal,
            schedule=self._schedule,
            early_end=self._early_end,
            cuda=cuda,
        )
        self._bisection = Bisection(self._schedule.requeue)
        self._deaths = Deaths(plan, cells)
        self._data = DataFolder(
            manifest.root,
            manifest.images,
            reader,
            journal,
            settings.retry_seconds,
            truth=Path(plan.truth) if plan.truth else None,
        )
        self._failures = FailureCount(
            settings.failure_limit, plan, reader, f"camtui errors {run_reference}"
        )
        self._startup_failures = StartupFailures(self._logs_hint)
        self._timeouts = UnitTimeouts(self._schedule.stages, settings.hang_seconds, cuda=cuda)
        self._progress = ProgressRecord(self._schedule, executor, journal, self._early_end)
        self._handed_off = False
        self._blind: set[int] = set()

    @property
    def labelling(self) -> str:
        """A sentence on the images that have a label; empty until a backbone is loaded."""
        return self._registration.labelling

    @property
    def conclusion(self) -> str:
        """The reason why a run that has ended is complete; empty without a rule."""
        return self._early_end.conclusion

    def run(self) -> None:
        """Compute everything that is pending; returns when that is done, or was stopped.

        Raises:
            ThresholdPassed: more failures than allowed.
            CamtuiError: why the run cannot go on.
        """
        images = self._reader.info().image_count
        stages = with_timings(
            (stage.record(images) for stage in self._schedule.stages.values()),
            self._reader.stages(),
        )
        self._journal.retry(lambda: self._journal.writer.set_stages(stages))
        if not self._registration.outstanding:
            self._begin()
            self._failures.check_values()
            return
        devices = ", ".join(dict.fromkeys(one.device for one in self._executor.workers()))
        self._tell("worker", f"starting on {devices}")
        self._executor.start()
        while not self._is_over():
            if not self._blind:
                self._data.look_again()
            self._hand_out()
            for event in self._executor.poll(POLL_SECONDS):
                self._handle(event)
            stopping = self._stop.gracefully and self._handed_off
            self._progress.record(stopping=stopping, handed_off=self._handed_off)
        self._journal.drain()
        self._journal.retry(self._early_end.write)
        self._conclude()

    def _begin(self) -> None:
        """Hand the run off: it is under way."""
        self._handed_off = True
        self._hand_off()
        self._journal.retry(self._early_end.write)

    def _is_over(self) -> bool:
        if self._stop.at_once or (self._stop.gracefully and not self._handed_off):
            return True
        if self._stop.gracefully or self._failures.exceeded:
            return not self._schedule.in_flight
        if self._registration.outstanding or self._schedule.busy:
            return False
        return all(map(self._schedule.ended, self._schedule.stages)) and not self._try_again()

    def _try_again(self) -> bool:
        """Forget the failures for want of a file that is there now; whether there are any.

        Asked when all is done and nothing is in flight.
        """
        pairs = [pair for unit in self._data.readable_again() for pair in pairs_of(unit)]
        if pairs:
            self._journal.retry(lambda: self._journal.writer.rows.forget_failures_of(pairs))
            self._failures.reload()
            self._schedule.reopen()
        return bool(pairs)

    def _conclude(self) -> None:
        """Raise what keeps a run that has ended by itself from being complete."""
        if self._stop.gracefully:
            return
        self._failures.check_limit()
        self._registration.raise_unavailable()
        self._failures.check_values()

    # -- handing out

    def _hand_out(self) -> None:
        """Submit units while a worker has room for one."""
        if self._stop.gracefully or self._failures.exceeded:
            return
        if self._journal.paused or self._data.trouble:
            return
        while self._executor.capacity() > 0:  # a worker may prove dead when it is handed a unit
            unit = self._next_unit()
            if unit is None:
                return
            self._executor.submit(unit, partial(self._timeouts.timeout, unit))

    def _next_unit(self) -> Unit | None:
        for _ in range(_SPARED):
            unit = self._schedule.next_unit(self._registration.loaded, self._executor.takes)
            if unit is None:
                return self._registration.next_probe()
            if left := self._spared(unit):
                self._schedule.in_flight[unit.id] = left
                return left
            self._schedule.finish(unit.id)
        return None

    def _spared(self, unit: Unit) -> Unit | None:
        """The part of a unit that is still tried; of what was given up failures are stored."""
        left, lost = self._deaths.spare(unit)
        for result in lost:
            self._store(unit, result, images=0)
        return left

    # -- what comes back

    def _handle(self, event: ExecutorEvent) -> None:
        started = isinstance(event, Ready) and event.position is None
        if started or isinstance(event, Done | LeftOut | WorkerLost):
            self._blind.discard(event.worker)
        match event:
            case Ready():
                self._ready(event)
            case Started():
                self._startup_failures.reset()
            case Done():
                self._done(event)
            case Error():
                self._error(event)
            case WorkerLost():
                self._worker_lost(event)
            case LeftOut():
                self._left_out(event)
            case Figures():
                pass  # the executor remembers them; the next heartbeat writes them

    def _tell(self, step: str, text: str) -> None:
        if not self._handed_off:
            self._before_hand_off(step, text)

    def _ready(self, event: Ready) -> None:
        position = self._schedule.needed_backbone(self._registration.loaded)
        if event.position is None and position is not None:
            network = self._backbones[position]
            self._tell("network", f"{network}: loading its weights, trying it on an image")
        if self._registration.register(event):
            self._failures.count_pairs()
            if not self._handed_off:
                self._begin()

    def _done(self, event: Done) -> None:
        unit = self._schedule.finish(event.unit)
        self._bisection.clear(event.unit)
        if unit is None or not unit.images:
            return
        for note in event.result.notes:
            self._journal.event("warning", f"worker {event.worker}: {note}")
        self._timeouts.measure(event.result)
        result, again = self._data.sift(unit, event.result)
        if again is not None:
            self._schedule.requeue([again])
        if again is None or len(again.images) < len(unit.images):
            self._store(unit, result, images=len(unit.images) - len(again.images if again else ()))

    def _store(self, unit: Unit, result: UnitResult, images: int) -> None:
        images = images if result.seconds else 0
        self._journal.deliver(result, stage=unit.stage, images=images)
        self._deaths.note(result)
        self._failures.add(result)
        self._progress.begin_stage(unit.stage)
        self._early_end.look()

    def _error(self, event: Error) -> None:
        if event.kind == BLIND and self._handed_off:
            self._blind.add(event.worker)
            self._data.pause(f"{DATA_GONE}: {event.message}")
            if unit := self._schedule.finish(event.unit):
                self._retry(unit)
            return
        if event.unit == 0:
            hint = event.hint or self._logs_hint
            raise RunFailed(f"worker {event.worker} cannot start: {event.message}", hint)
        unit = self._schedule.finish(event.unit)
        if unit is not None and event.loading and self._data.is_gone():
            self._retry(unit)  # what it is built from may be there too
        elif unit is not None and (event.loading or event.kind == UnstableAnswer.kind):
            self._registration.leave_out(unit.backbone, event, under_way=self._handed_off)
        elif unit is not None:
            self._unit_failed(unit, event.kind, event.message, certain=not event.fatal)
        if event.fatal:
            self._journal.event(
                "warning",
                f"worker {event.worker} has lost its device, its process is replaced: "
                f"{event.message}",
            )
            self._executor.kill(event.worker)

    def _worker_lost(self, event: WorkerLost) -> None:
        self._journal.event("warning", f"worker {event.worker} restarted ({event.reason})")
        self._tell("worker", f"starting again ({event.reason})")
        for unit in filter(None, map(self._schedule.finish, event.units)):
            if unit.id != event.running:
                self._retry(unit)
                continue
            kind = "hangs" if event.reason.startswith("no progress") else "kills-worker"
            detail = f"the worker that computed it was lost each time: {event.reason}"
            if unit.images and not self._data.is_gone():
                left = self._spared(unit)
                if left is not unit:
                    if left is not None:
                        self._retry(left)
                    continue
            self._unit_failed(unit, kind, detail, lost=True)
        if event.running:
            self._startup_failures.reset()
        else:
            self._startup_failures.add(event.reason, loaded_once=self._handed_off)

    def _left_out(self, event: LeftOut) -> None:
        self._journal.event("error", f"worker {event.worker} is left out: {event.reason}")
        for unit in filter(None, map(self._schedule.finish, event.units)):
            self._retry(unit)
        self._startup_failures.reset()
        workers = self._executor.workers()
        if workers and all(worker.state == "ended" for worker in workers):
            raise RunFailed(f"no worker is left: {event.reason}", self._logs_hint)

    def _unit_failed(
        self, unit: Unit, reason: str, detail: str, *, certain: bool = False, lost: bool = False
    ) -> None:
        """Try a unit again, whole or in halves; store the failure of one that cannot be halved.

        Args:
            certain: it would fail each time.
            lost: with its worker.
        """
        if not unit.images or self._data.is_gone():
            self._retry(unit)
        elif not self._bisection.narrow(
            unit, certain=certain, parts_of=self._deaths.parts if lost else halves
        ):
            self._store(unit, failed(unit, reason, detail), images=0)
            self._journal.event(
                "error", f"image {unit.images[0].id}, {unit.methods[0]}: {reason} ({detail})"
            )
            if lost and (told := self._deaths.record(unit, reason, detail)):
                backbone = self._schedule.stages[unit.stage].backbone_name
                self._journal.event("error", f"{backbone}: {told}")

    def _retry(self, unit: Unit) -> None:
        if unit.images:
            self._bisection.retry(unit)
        else:
            self._registration.retry_probe(unit.backbone)
