"""One session of a driver: from the request that it stores to the state in which the run ends."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import gettempdir
from typing import TYPE_CHECKING, Any

from evaluator.backbones import known_backbone
from evaluator.errors import CamtuiError, RunFailed, UsageError
from evaluator.execution.journal import Journal
from evaluator.execution.local import LocalExecutor
from evaluator.execution.loop import Loop
from evaluator.execution.on_finish import Watchdog
from evaluator.execution.preparation import PreparedRun, prepare
from evaluator.execution.request import RunRequest
from evaluator.execution.run_log import LOGGER
from evaluator.execution.stopping import StopRequest
from evaluator.execution.testing_hooks import crash_point
from evaluator.images import Manifest
from evaluator.interfaces import Executor, SessionSettings
from evaluator.plan import RunPlan, as_loaded
from evaluator.plan_changes import earlier_choices
from evaluator.records import RunState, WorkerState
from evaluator.store.disk_space import bytes_needed
from evaluator.store.lock import RunLock
from evaluator.store.reader import RunReader
from evaluator.text import counted, printable

if TYPE_CHECKING:
    from evaluator.store.writer import RunWriter

Announce = Callable[[dict[str, Any]], None]


@dataclass(frozen=True)
class Ending:
    """The end of a session: state and message as stored, and the process's exit code."""

    state: RunState
    message: str
    exit_code: int


class DriverSession:
    """One session of a run, between taking the lock and giving it back."""

    def __init__(
        self,
        request: RunRequest,
        announce: Announce,
        stop: StopRequest,
        lock: RunLock,
        *,
        new_file: bool = False,
    ) -> None:
        """Make a session.

        Args:
            request, announce: as of ``driver.carry_out``.
            stop: says when to end.
            lock: of the run, held.
            new_file: the run's file was made for this request; whoever made it removes it where
                the run does not begin.
        """
        self._request = request
        self._lock = lock
        self._new_file = new_file
        self._announce = announce
        self._stop = stop
        self._watchdog: Watchdog | None = None
        self.began = False

    def drive(self, writer: RunWriter, stack: ExitStack) -> Ending:
        """Carry the request out, from storing it to the end of the run.

        Raises:
            CamtuiError: the run has not begun; what was in the file before is as it was.
        """
        prepared = prepare(writer, self._request)
        try:
            return self._drive(writer, prepared, stack)
        except BaseException:
            if not self._new_file and not self.began:
                writer.withdraw()
            raise

    def _drive(self, writer: RunWriter, prepared: PreparedRun, stack: ExitStack) -> Ending:
        request = self._request
        crash_point("after-schema")
        reader = stack.enter_context(RunReader(request.db))
        journal = Journal(
            writer,
            retry_seconds=request.settings.retry_seconds,
            tell=self._lock.note,
            needed=lambda: bytes_needed(reader, request.db),
            problem=self._lock.problem,
            give_up=lambda: self._stop.at_once,
        )
        shown = as_loaded(prepared.plan, reader.backbones())
        executor = executor_of(request, shown, prepared.manifest, reader)
        stack.callback(executor.close)
        loop = Loop(
            plan=prepared.plan,
            manifest=prepared.manifest,
            settings=request.settings,
            reader=reader,
            journal=journal,
            executor=executor,
            stop=self._stop,
            hand_off=lambda: self._begin(prepared, shown, reader, journal, loop),
            run_reference=request.run_reference,
        )
        ending = self._run(loop)
        executor.close()
        crash_point("before-state")
        _record(journal, ending, executor.workers(), self._stop)
        if self._lock.lost_database():
            self._keep(writer)
        if self._watchdog:
            self._watchdog.cancel()
        return ending

    def _begin(
        self,
        prepared: PreparedRun,
        shown: RunPlan,
        reader: RunReader,
        journal: Journal,
        loop: Loop,
    ) -> None:
        """Hand the run off: from here on it is under way."""
        request = self._request
        crash_point("before-handoff")
        if request.settings.on_finish:
            self._watchdog = Watchdog(request)
        self.began = True
        journal.state("running")
        if _writes_to(request.log):
            journal.retry(lambda: journal.writer.own_log(request.log))
        verb = "started" if prepared.before is None else "resumed"
        journal.event("info", f"{verb}: {_shape(prepared.plan, reader)}")
        for level, text in [*_remarks(prepared), *_as_before(prepared.plan, shown)]:
            journal.event(level, text)
        self._announce(
            {
                "pid": os.getpid(),
                "name": reader.info().name,
                "db": os.fsdecode(request.db),
                "log": os.fsdecode(request.log),
                "labels": loop.labelling,
            }
        )
        journal.retry(journal.writer.confirm)
        crash_point("after-handoff")

    def _keep(self, writer: RunWriter) -> None:
        """Copy a file that has lost its name to a place where it can be found."""
        for folder in (self._request.db.parent, Path(gettempdir())):
            target = folder / f"{self._request.db.stem}-kept-{os.getpid()}.db"
            try:
                writer.copy_to(target)
            except UsageError as error:
                LOGGER.error(error.message)
                continue
            LOGGER.error(
                f"what was computed is in {printable(target)}: camtui resume {printable(target)}",
            )
            return

    def _run(self, loop: Loop) -> Ending:
        """Run the loop to its end.

        Returns:
            How the run ended; errors after the hand-off are an ending too.

        Raises:
            CamtuiError: before the hand-off.
        """
        try:
            loop.run()
        except Exception as error:
            if not self.began:
                raise
            if isinstance(error, CamtuiError):
                return Ending("failed", error.message, error.exit_code)
            LOGGER.exception("the run has failed")
            return Ending("failed", f"{type(error).__name__}: {error}", 1)
        if not self._stop.gracefully:
            return Ending("complete", loop.conclusion, 0)
        if not self.began:
            raise RunFailed("cancelled before it had begun", "the same command begins again")
        return Ending("stopped", "", 128 + self._stop.signals[0])


def _shape(plan: RunPlan, reader: RunReader) -> str:
    """The size of a run in words."""
    images = counted(reader.info().image_count, "image")
    backbones = counted(len(plan.backbones), "backbone")
    methods = counted(len(plan.methods), "method")
    return f"{images}, {backbones} × {methods} = {counted(len(reader.cells()), 'cell')}"


def _remarks(prepared: PreparedRun) -> Iterator[tuple[str, str]]:
    """Level and text of what is to be said about images and choices when a session begins."""
    plan, manifest, before = prepared
    yield from manifest.remarks()
    if before and before.begun_earlier:
        for choice in earlier_choices(plan, begun_earlier=True):
            yield "info", f"the run goes on as it was begun: {choice}"
    if before and before.plan.labels and before.plan.labels != plan.labels:
        yield (
            "info",
            f"labels from {printable(plan.labels)} are added to those from "
            f"{printable(before.plan.labels)}",
        )


def _as_before(plan: RunPlan, shown: RunPlan) -> Iterator[tuple[str, str]]:
    """Level and text of which networks go on with the preprocessing of an earlier version."""
    for spec, before in zip(plan.backbones, shown.backbones, strict=True):
        usual = known_backbone(spec.key).preprocessing
        if usual is None:
            continue
        now, then = (one.preprocessing(usual, plan.resize) for one in (spec, before))
        parts = [
            f"{name} {value}" for name, value in asdict(then).items() if value != getattr(now, name)
        ]
        if before.transform_input != spec.transform_input:
            parts.append("no transform_input")
        if parts:
            yield (
                "info",
                f"{spec.name} goes on as its rows were made ({', '.join(parts)}), where a new run "
                "shows it what torchvision publishes with its weights",
            )


_PICTURES = 8
"""Images of which one will be readable: a network is tried on it when it is loaded."""


def executor_of(
    request: RunRequest, plan: RunPlan, manifest: Manifest, reader: RunReader
) -> Executor:
    """The executor that a request asks for; nothing is started yet."""
    settings = request.settings
    stored = reader.backbones()
    begun = {
        position: loaded.layer
        for position, spec in enumerate(plan.backbones)
        if (loaded := stored.get(spec.name)) is not None
    }
    session = SessionSettings(
        plan=plan,
        root=str(manifest.root),
        batch_size=settings.batch_size,
        tuning=settings.tuning,
        hang_seconds=settings.hang_seconds,
        pictures=manifest.images[:_PICTURES],
        allowed=request.allowed,
        layers=begun,
    )
    if settings.ray is not None:
        from evaluator.execution.ray_executor import ray_executor

        return ray_executor(settings.ray, session, settings, manifest.images)
    return LocalExecutor(
        session, settings.devices, settings.session, load_seconds=settings.load_seconds
    )


def _record(
    journal: Journal, ending: Ending, workers: Sequence[WorkerState], stop: StopRequest
) -> None:
    journal.state(ending.state, ending.message)
    level = "error" if ending.state == "failed" else "info"
    journal.event(level, f"{ending.state}{': ' + ending.message if ending.message else ''}")
    journal.heartbeat(workers)
    journal.drain(lambda: stop.gracefully)


def _writes_to(log: Path) -> bool:
    """Whether what this process says goes into that file."""
    try:
        return os.path.samestat(os.fstat(2), os.lstat(log))
    except OSError:
        return False
