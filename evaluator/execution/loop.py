"""The driver's one loop: hand out units, commit what comes back, judge what does not.

Until nothing is left.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

from evaluator.errors import (
    BackboneUnavailable,
    CamtuiError,
    RunFailed,
    ThresholdPassed,
    UsageError,
)
from evaluator.execution.backbone_registration import BackboneRegistration
from evaluator.execution.bisection import Bisection, halves
from evaluator.execution.checking import failed
from evaluator.execution.early_end import EarlyEnd
from evaluator.execution.journal import Journal
from evaluator.execution.looks import Looks
from evaluator.execution.request import DriverSettings
from evaluator.execution.schedule import Schedule
from evaluator.execution.stages import plan_stages, with_timings
from evaluator.execution.stopping import StopRequest
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
from evaluator.records import NO_TRUTH, Unit, UnitResult
from evaluator.store.reader import RunReader
from evaluator.text import counted

HEARTBEAT_SECONDS = 2.0
POLL_SECONDS = 0.25

STARTUP_FAILURES = 5
"""Deaths of workers in a row, none of which had begun a unit: there is something wrong with the
machine, not with an image.

Four times as many once a backbone has been loaded: then the machine was able to, and may be again.
"""

_UNMEASURED = {"cpu": 0.2, "cuda": 0.05}
"""Seconds that a forward is granted before any has been timed."""


class Loop:
    """One session of a run. ``run`` returns when the run is complete or was stopped.

    And raises when it cannot go on.
    """

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
        """``hand_off`` is called once, when a backbone is loaded or nothing is to do.

        ``run_reference`` names the run in hints.
        """
        self._plan = plan
        self._manifest = manifest
        self._settings = settings
        self._reader = reader
        self._journal = journal
        self._executor = executor
        self._stop = stop
        self._hand_off = hand_off
        self._run_reference = run_reference
        self._cuda = any(device.startswith("cuda") for device in settings.devices)
        stages = plan_stages(plan, reader.cells(), reader.backbones(), cuda=self._cuda)
        images = reader.info().image_count
        self._schedule = Schedule(reader, stages, images, in_rounds=plan.rule is not None)
        self._early_end = EarlyEnd(
            Looks(plan, reader, images=images), self._schedule, reader, journal
        )
        self._registration = BackboneRegistration(
            plan, manifest, reader, journal, self._schedule, cuda=self._cuda
        )
        self._bisection = Bisection()
        self._loaded: set[int] = set()
        self._probed: set[int] = set()
        self._unavailable: dict[int, Error] = {}
        self._stages_under_way: set[int] = set()
        self._versions: dict[str, str] = {}
        self._failures = reader.failure_count()
        self._pairs = self._count_pairs()
        self._too_many = False
        self._startup_failures = 0
        self._seconds_per_forward = _UNMEASURED["cuda" if self._cuda else "cpu"]
        self._timed = False
        self._next_beat = 0.0
        self._handed_off = False
        self.labelling = ""
        """How many images have a label and how, in words; empty until a backbone is loaded."""

    def _count_pairs(self) -> int:
        return self._reader.info().image_count * sum(
            cell.applicable for cell in self._reader.cells()
        )

    def run(self) -> None:
        """Compute everything that is pending.

        Raises:
            ThresholdPassed: more failures than allowed.
            CamtuiError: why the run cannot go on.
        """
        images = self._reader.info().image_count
        stages = with_timings(
            (stage.record(images) for stage in self._schedule.stages.values()),
            self._reader.stages(),
        )
        self._retry(lambda: self._journal.writer.set_stages(stages))
        if self._schedule.needed_backbone(set()) is None:
            self._announce()
            return
        self._executor.start()
        while not self._over():
            self._hand_out()
            for event in self._executor.poll(POLL_SECONDS):
                self._handle(event)
            self._beat()
        self._journal.drain(lambda: self._stop.at_once)
        self._retry(self._early_end.write)
        self._conclude()

    def _over(self) -> bool:
        if self._stop.at_once or (self._stop.gracefully and not self._handed_off):
            return True
        if self._stop.gracefully or self._too_many:
            return not self._schedule.in_flight
        nothing_new = (
            self._schedule.needed_backbone(self._loaded) is None and not self._schedule.busy
        )
        return nothing_new and all(map(self._schedule.ended, self._schedule.stages))

    def _conclude(self) -> None:
        if self._stop.gracefully:
            return
        if self._too_many:
            many = f"{self._failures} failures, above --max-failures {self._settings.failure_limit}"
            raise ThresholdPassed(many, f"camtui errors {self._run_reference}")
        if self._unavailable:
            error = next(iter(self._unavailable.values()))
            raise _unavailable(error)
        if self._failures and not any(summary.n for summary in self._reader.averages.summaries()):
            nothing = f"nothing could be computed: {counted(self._failures, 'failure')}, no value"
            raise ThresholdPassed(nothing, f"camtui errors {self._run_reference}")

    @property
    def conclusion(self) -> str:
        """Why a run that has ended is complete, where that takes words."""
        return self._early_end.conclusion

    def _announce(self) -> None:
        self._handed_off = True
        self._hand_off()
        self._retry(self._early_end.write)

    def _beat(self) -> None:
        if self._stop.gracefully and self._handed_off:
            self._record_stopping()
        for stage in [stage for stage in self._stages_under_way if self._schedule.ended(stage)]:
            self._stages_under_way.remove(stage)
            self._journal.event("info", f"finished: {self._schedule.stages[stage].title}")
        if time.monotonic() >= self._next_beat:
            self._next_beat = time.monotonic() + HEARTBEAT_SECONDS
            self._journal.look()
            self._journal.heartbeat(self._executor.workers())
            if self._handed_off:
                self._retry(self._early_end.write)

    def _record_stopping(self) -> None:
        if not self._journal.stopping:
            self._journal.state("stopping")
            self._journal.event(
                "info", f"stopping: {len(self._schedule.in_flight)} units are in flight"
            )

    # -- handing out
    # ----------------------------------------------------------------------------------------------

    def _hand_out(self) -> None:
        if self._stop.gracefully or self._too_many or self._journal.paused:
            return
        while (
            self._executor.capacity() > 0
        ):  # asked each time: a worker may turn out to be dead when it is handed a unit
            unit = (
                self._schedule.next_unit(self._loaded, self._executor.takes) or self._next_probe()
            )
            if unit is None:
                return
            self._executor.submit(unit, partial(self._timeout, unit))

    def _next_probe(self) -> Unit | None:
        """The backbone that is needed next is loaded once before its units are cut.

        Only then is it known which cells apply.
        """
        position = self._schedule.needed_backbone(self._loaded)
        if position is None or position in self._probed:
            return None
        self._probed.add(position)
        return self._schedule.probe(position)

    def _timeout(self, unit: Unit) -> float:
        """Ten times what the unit should take, and never less than the limit for hanging."""
        stage = self._schedule.stages.get(unit.stage)
        forwards = stage.forwards_per_image * len(unit.images) if stage else 0.0
        return max(self._settings.hang_seconds, 10 * forwards * self._seconds_per_forward)

    # -- what comes back
    # ----------------------------------------------------------------------------------------------

    def _handle(self, event: ExecutorEvent) -> None:
        match event:
            case Done():
                self._done(event)
            case Ready():
                self._ready(event)
            case Error():
                self._error(event)
            case WorkerLost():
                self._worker_lost(event)
            case LeftOut():
                self._left_out(event)
            case Started():
                self._startup_failures = 0
            case Figures():
                pass  # the executor remembers them; the next heartbeat writes them

    def _done(self, event: Done) -> None:
        unit = self._schedule.finish(event.unit)
        self._bisection.clear(event.unit)
        if unit is None or not unit.images:
            return
        result = event.result
        for note in result.notes:
            self._journal.event("warning", f"worker {event.worker}: {note}")
        if result.forwards:
            measured = result.seconds / result.forwards
            self._seconds_per_forward = (
                0.8 * self._seconds_per_forward + 0.2 * measured if self._timed else measured
            )
            self._timed = True
        self._store(unit, result)

    def _store(self, unit: Unit, result: UnitResult) -> None:
        self._journal.deliver(
            result, stage=unit.stage, images=len(unit.images) if result.seconds else 0
        )
        self._failures += sum(failure.reason != NO_TRUTH for failure in result.failures)
        self._too_many = self._too_many or self._settings.failure_limit.passed(
            self._failures, self._pairs
        )
        self._stages_under_way.add(unit.stage)
        self._early_end.look()

    def _error(self, event: Error) -> None:
        if event.unit == 0:
            hint = event.hint or f"camtui logs {self._run_reference}"
            raise RunFailed(f"worker {event.worker} cannot start: {event.message}", hint)
        unit = self._schedule.finish(event.unit)
        if unit is not None and event.loading:
            self._cannot_load(unit, event)
        elif unit is not None:
            self._unit_failed(unit, event.kind, event.message, certain=not event.fatal)
        if event.fatal:
            self._journal.event(
                "warning",
                f"worker {event.worker} has lost its device, its process is replaced: "
                f"{event.message}",
            )
            self._executor.kill(event.worker)

    def _cannot_load(self, unit: Unit, event: Error) -> None:
        """Leave out a backbone that cannot be loaded, and go on with the others.

        Without others nothing can begin.
        """
        self._schedule.skip_backbone(unit.backbone)
        first_time = unit.backbone not in self._unavailable
        self._unavailable[unit.backbone] = event
        others = self._schedule.needed_backbone(self._loaded) is not None or self._schedule.busy
        if not self._handed_off and not others:
            raise _unavailable(event)
        if first_time:
            name = self._plan.backbones[unit.backbone].name
            self._journal.event(
                "error", f"{name} is left out, it cannot be loaded: {event.message}"
            )
            self._retry(
                lambda: self._journal.writer.cells.note(name, f"not loaded: {event.message}")
            )
        self._early_end.leave_out(self._plan.backbones[unit.backbone].name)

    def _worker_lost(self, event: WorkerLost) -> None:
        self._journal.event("warning", f"worker {event.worker} restarted ({event.reason})")
        units = [unit for unit in map(self._schedule.finish, event.units) if unit is not None]
        for unit in units:
            if unit.id == event.running and unit.images:
                kind = "hangs" if event.reason.startswith("no progress") else "kills-worker"
                self._unit_failed(
                    unit, kind, f"the worker that computed it was lost each time: {event.reason}"
                )
            else:
                self._requeue(unit)
        self._startup_failures = 0 if event.running else self._startup_failures + 1
        if self._startup_failures >= (
            4 * STARTUP_FAILURES if self._handed_off else STARTUP_FAILURES
        ):
            raise RunFailed(
                f"workers die before they compute anything ({event.reason})",
                f"camtui logs {self._run_reference}",
            )

    def _left_out(self, event: LeftOut) -> None:
        self._journal.event("error", f"worker {event.worker} is left out: {event.reason}")
        for unit in filter(None, map(self._schedule.finish, event.units)):
            self._requeue(unit)
        self._startup_failures = 0
        workers = self._executor.workers()
        if workers and all(worker.state == "ended" for worker in workers):
            raise RunFailed(
                f"no worker is left: {event.reason}", f"camtui logs {self._run_reference}"
            )

    def _unit_failed(self, unit: Unit, reason: str, detail: str, *, certain: bool = False) -> None:
        """The unit's computation failed: try it again; the second time in halves.

        What cannot be halved has failed for good.
        """
        if not certain and self._bisection.record_failure(unit) < 2:
            self._requeue(unit)
            return
        parts = halves(unit)
        if not parts:
            self._store(unit, failed(unit, reason, detail))
            self._journal.event(
                "error", f"image {unit.images[0].id}, {unit.methods[0]}: {reason} ({detail})"
            )
            return
        for part in self._schedule.requeue(parts):
            self._bisection.record_half(part)

    def _requeue(self, unit: Unit) -> None:
        if not unit.images:
            self._probed.discard(unit.backbone)
            return
        (renewed,) = self._schedule.requeue([unit])
        self._bisection.rename(unit, renewed)

    # -- a backbone has been loaded
    # -------------------------------------------------------------------------------------------

    def _ready(self, event: Ready) -> None:
        writer = self._journal.writer
        if event.versions != self._versions:
            self._versions = event.versions
            self._retry(lambda: writer.add_versions(event.versions))
        if event.loaded is None or event.position is None:
            return
        position, loaded = event.position, self._registration.named(event.loaded)
        self._retry(lambda: writer.cells.set_backbone(position, loaded))
        if position not in self._loaded:
            self._retry(lambda: self._registration.store(position, loaded))
            self._pairs = self._count_pairs()
            self._loaded.add(position)
            self._early_end.backbone_loaded(self._plan.backbones[position].name)
            size = f"{loaded.channels}×{loaded.height}×{loaded.width}"
            self._journal.event(
                "info",
                f"loaded {self._plan.backbones[position].name}: {loaded.weights}, "
                f"{loaded.layer} {size}",
            )
            if len(self._loaded) == 1:
                self.labelling = self._registration.check_labels(position)
            self._registration.check_classes()
            if not self._handed_off:
                self._announce()

    def _retry(self, write: Callable[[], None]) -> None:
        self._journal.retry(write, lambda: self._stop.at_once)


def _unavailable(event: Error) -> CamtuiError:
    """The worker's error as the driver's own, with the exit code that it came with."""
    if event.exit_code == UsageError.exit_code:
        return UsageError(event.message, event.hint)
    if event.kind == BackboneUnavailable.kind:
        return BackboneUnavailable(event.message, event.hint)
    return RunFailed(
        event.message, event.hint or "list the backbones and their weights: camtui backbones"
    )
