"""The driver's loop: hands out units, commits what comes back, and judges what does not."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from evaluator.errors import RunFailed, UnstableAnswer
from evaluator.execution.backbone_registration import BackboneRegistration
from evaluator.execution.bisection import Bisection
from evaluator.execution.checking import failed, pairs_of
from evaluator.execution.data_folder import DataFolder
from evaluator.execution.early_end import EarlyEnd
from evaluator.execution.failure_count import FailureCount
from evaluator.execution.interim_looks import Looks
from evaluator.execution.journal import Journal
from evaluator.execution.progress_record import ProgressRecord
from evaluator.execution.request import DriverSettings
from evaluator.execution.schedule import Schedule
from evaluator.execution.stages import plan_stages, with_timings
from evaluator.execution.startup_failures import StartupFailures
from evaluator.execution.stopping import StopRequest
from evaluator.execution.unit_timeouts import UnitTimeouts
from evaluator.images import Manifest
from evaluator.interfaces import (
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

POLL_SECONDS = 0.25


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
        """
        cuda = any(device.startswith("cuda") for device in settings.devices)
        stages = plan_stages(plan, reader.cells(), reader.backbones(), cuda=cuda)
        images = reader.info().image_count
        self._reader = reader
        self._journal = journal
        self._executor = executor
        self._stop = stop
        self._hand_off = hand_off
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
        self._executor.start()
        while not self._is_over():
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
        unit = self._schedule.next_unit(self._registration.loaded, self._executor.takes)
        return unit or self._registration.next_probe()

    # -- what comes back

    def _handle(self, event: ExecutorEvent) -> None:
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

    def _ready(self, event: Ready) -> None:
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
        self._failures.add(result)
        self._progress.begin_stage(unit.stage)
        self._early_end.look()

    def _error(self, event: Error) -> None:
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
        for unit in filter(None, map(self._schedule.finish, event.units)):
            if unit.id != event.running:
                self._retry(unit)
                continue
            kind = "hangs" if event.reason.startswith("no progress") else "kills-worker"
            detail = f"the worker that computed it was lost each time: {event.reason}"
            self._unit_failed(unit, kind, detail)
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

    def _unit_failed(self, unit: Unit, reason: str, detail: str, *, certain: bool = False) -> None:
        """Try a unit again, whole or in halves; store the failure of one that cannot be halved."""
        if not unit.images or self._data.is_gone():
            self._retry(unit)
        elif not self._bisection.narrow(unit, certain=certain):
            self._store(unit, failed(unit, reason, detail), images=0)
            self._journal.event(
                "error", f"image {unit.images[0].id}, {unit.methods[0]}: {reason} ({detail})"
            )

    def _retry(self, unit: Unit) -> None:
        if unit.images:
            self._bisection.retry(unit)
        else:
            self._registration.retry_probe(unit.backbone)
