"""The driver process: takes the run's lock, opens its file for writing.

Computes what is missing, and says how it ended.

``python -m evaluator.execution.driver --db PATH --handoff-fd N`` with a ``RunRequest`` on standard
input; started by ``camtui.launch``, or called in the foreground. Never imports torch. One hand-off
line tells the launcher that the run is under way, or why it is not; before that line nothing is
left behind but the log.
"""

from __future__ import annotations

import json
import os
import platform
import sqlite3
import sys
from argparse import ArgumentParser
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import gettempdir
from typing import TYPE_CHECKING, Any, NamedTuple

from evaluator.errors import (
    CamtuiError,
    CodeNotAllowed,
    Mismatch,
    RunFailed,
    StoreError,
    UsageError,
)
from evaluator.execution.journal import Journal
from evaluator.execution.local import LocalExecutor
from evaluator.execution.loop import Loop
from evaluator.execution.on_finish import Outcome, Watchdog, tell
from evaluator.execution.request import RunRequest
from evaluator.execution.run_log import LOGGER
from evaluator.execution.stopping import StopRequest, signals_to
from evaluator.execution.testing_hooks import crash_point
from evaluator.images import Manifest, planned_images
from evaluator.interfaces import Executor, SessionSettings
from evaluator.plan import RunPlan
from evaluator.plan_changes import extended
from evaluator.records import RunInfo, RunState, Stage, WorkerState
from evaluator.store.disk_space import bytes_needed, full_words, is_full
from evaluator.store.files import beside
from evaluator.store.filesystem import refuse_network
from evaluator.store.lock import RunLock
from evaluator.store.reader import RunReader
from evaluator.text import counted, printable
from evaluator.truth.folder import planned_truth

if TYPE_CHECKING:
    from evaluator.store.writer import RunWriter

_TRUTH = "truth"
"""The key of the truth's hash among the run's versions."""

Announce = Callable[[dict[str, Any]], None]


@dataclass(frozen=True)
class Ending:
    """How a session ended: what is stored, and the process's exit code."""

    state: RunState
    message: str
    exit_code: int


def carry_out(request: RunRequest, announce: Announce) -> int:
    """Carry out a request in this process; returns the exit code.

    Args:
        request: what to do. announce: called once with the hand-off: ``{"pid", "name", "db",
        "log"}``, or ``{"error": {…}}``.
    """
    os.umask(0o077)
    stop = StopRequest()
    with signals_to(stop):
        try:
            ending = _run_under_lock(request, announce, stop)
        except CamtuiError as error:
            announce({"error": as_dict(error)})
            return error.exit_code
        except BaseException as error:
            announce(
                {
                    "error": as_dict(
                        RunFailed(
                            f"{type(error).__name__}: {error}",
                            f"camtui logs {request.run_reference}",
                        )
                    )
                }
            )
            raise
        if request.settings.on_finish:
            tell(
                request.settings.on_finish,
                request.db,
                Outcome(ending.state, ending.message, ending.exit_code),
            )
    return ending.exit_code


def as_dict(error: CamtuiError) -> dict[str, Any]:
    """An error as it travels in the hand-off."""
    return {
        "kind": error.kind,
        "message": error.message,
        "hint": error.hint,
        "exit_code": error.exit_code,
    }


def _run_under_lock(request: RunRequest, announce: Announce, stop: StopRequest) -> Ending:
    """Everything that happens under the run's lock.

    Raises:
        CamtuiError: the run has not begun; a file that was made for it is gone again.
    """
    from evaluator.store.writer import RunWriter  # workers that import this module need it not

    refuse_network(request.db)
    lock = RunLock(request.db)
    known = request.db.exists()
    lock.hold_database()
    crash_point("after-lock")
    session = _DriverSession(request, announce, stop, lock)
    try:
        with ExitStack() as stack:
            writer = RunWriter(request.db)
            stack.callback(writer.close)
            return session.drive(writer, stack)
    except sqlite3.OperationalError as error:
        if is_full(error):
            why = full_words().replace("disk full", "the disk is full", 1)
            raise UsageError(
                f"no room for {printable(request.db)}: {why}", "make room there, or --db PATH"
            ) from error
        raise
    finally:
        gone = not session.began and not known
        if gone:
            _discard(request.db)
        lock.release(remove=gone)


class _DriverSession:
    """One session of a run, between taking the lock and giving it back."""

    def __init__(
        self, request: RunRequest, announce: Announce, stop: StopRequest, lock: RunLock
    ) -> None:
        self._request = request
        self._lock = lock
        self._announce = announce
        self._stop = stop
        self._manifest_warning = ""
        self._watchdog: Watchdog | None = None
        self.began = False

    def drive(self, writer: RunWriter, stack: ExitStack) -> Ending:
        """From the request to the end of the run.

        Raises:
            CamtuiError: the run has not begun; one that was there before is as it was.
        """
        request = self._request
        before = _stored(request.db)
        plan, manifest = _prepare(writer, request, before)
        self._manifest_warning = manifest.warning()
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
        executor = _executor(request, plan, manifest)
        stack.callback(executor.close)
        loop = Loop(
            plan=plan,
            manifest=manifest,
            settings=request.settings,
            reader=reader,
            journal=journal,
            executor=executor,
            stop=self._stop,
            hand_off=lambda: self._begin(plan, reader, journal, loop, resumed=before is not None),
            run_reference=request.run_reference,
        )
        try:
            ending = self._run(loop)
        except BaseException:
            if before is not None and not self.began:
                writer.withdraw(before.plan, before.info)
                writer.set_stages(before.stages)
            raise
        executor.close()
        crash_point("before-state")
        _record(journal, ending, executor.workers(), self._stop)
        if self._lock.lost_database():
            self._keep(writer)
        if self._watchdog:
            self._watchdog.cancel()
        return ending

    def _begin(
        self, plan: RunPlan, reader: RunReader, journal: Journal, loop: Loop, *, resumed: bool
    ) -> None:
        """The hand-off: from here on the run is under way."""
        request = self._request
        crash_point("before-handoff")
        if request.settings.on_finish:
            self._watchdog = Watchdog(request)
        self.began = True
        images = reader.info().image_count
        backbones, methods = (
            counted(len(plan.backbones), "backbone"),
            counted(len(plan.methods), "method"),
        )
        shape = f"{counted(images, 'image')}, {backbones} × {methods} = {counted(len(reader.cells()), 'cell')}"
        journal.state("running")
        if _writes_to(request.log):
            journal.retry(lambda: journal.writer.own_log(request.log))
        journal.event("info", f"{'resumed' if resumed else 'started'}: {shape}")
        if warning := self._manifest_warning:
            journal.event("warning", warning)
        self._announce(
            {
                "pid": os.getpid(),
                "name": reader.info().name,
                "db": os.fsdecode(request.db),
                "log": os.fsdecode(request.log),
                "labels": loop.labelling,
            }
        )
        crash_point("after-handoff")

    def _keep(self, writer: RunWriter) -> None:
        """Copy what nobody can find any more to where it can be found."""
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
        """Run the loop to its end. What goes wrong before the hand-off is raised.

        Afterwards it is how the run ended.
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


class _StoredRun(NamedTuple):
    """A run as it was before this request."""

    plan: RunPlan
    info: RunInfo
    stages: list[Stage]


def _stored(database: Path) -> _StoredRun | None:
    with RunReader(database) as reader:
        try:
            info = reader.info()
        except StoreError:
            return None  # a driver died between making the file and storing the run
        return _StoredRun(reader.plan(), info, reader.stages())


def _prepare(
    writer: RunWriter, request: RunRequest, before: _StoredRun | None
) -> tuple[RunPlan, Manifest]:
    """Store what is asked for; returns the plan as it stands now, and its images."""
    plan = request.plan
    if before is not None:
        plan = extended(before.plan, plan) if plan else before.plan
    if plan is None:
        raise StoreError(f"{printable(request.db)} holds no run yet", "camtui run starts one")
    _refuse_code(plan, request)
    manifest = planned_images(plan)
    truth = _truth_identity(plan, before)
    writer.begin(request.name, plan, manifest)
    if request.retry_failed:
        writer.rows.forget_failures()
    writer.add_versions(truth)
    writer.add_versions(
        {
            "camtui": _version(),
            "python": platform.python_version(),
            "sqlite": sqlite3.sqlite_version,
        }
    )
    return plan, manifest


def _refuse_code(plan: RunPlan, request: RunRequest) -> None:
    """Nothing is imported that the user has not allowed.

    Also where the file was changed since it was looked at.
    """
    for one in plan.code:
        if request.allowed.get(one.reference) != one.sha256:
            raise CodeNotAllowed(
                f"{request.run_reference} needs {printable(one.reference)}, which nobody has allowed to "
                "run here",
                f"camtui resume {request.run_reference} --allow-code",
            )


def _truth_identity(plan: RunPlan, before: _StoredRun | None) -> dict[str, str]:
    """What is recorded of the truth of a plan: its hash, as ``truth``; nothing where there is none.

    Raises:
        Mismatch: it is not that which the run's rows were compared with.
    """
    truths = planned_truth(plan)
    if truths is None:
        return {}
    identity = truths.sha256()
    stored = (
        before.info.versions.get(_TRUTH, identity) if before and before.plan.truth else identity
    )
    if stored != identity:
        raise Mismatch(
            f"the truth in {printable(plan.truth)} is not that which the run was measured with",
            "put the former one back, or choose another --name",
        )
    return {_TRUTH: identity}


def _version() -> str:
    from importlib.metadata import version

    return version("camtui")


def _executor(request: RunRequest, plan: RunPlan, manifest: Manifest) -> Executor:
    settings = request.settings
    session = SessionSettings(
        plan=plan,
        root=str(manifest.root),
        batch_size=settings.batch_size,
        tuning=settings.tuning,
        hang_seconds=settings.hang_seconds,
        allowed=request.allowed,
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


def _discard(database: Path) -> None:
    """Remove a file that this driver made and in which nothing was computed."""
    for end in ("", "-wal", "-shm"):
        beside(database, end).unlink(missing_ok=True)


class HandoffPipe:
    """The pipe on which a launcher waits for one line."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor: int | None = descriptor
        os.set_inheritable(descriptor, False)

    def __call__(self, line: dict[str, Any]) -> None:
        """Write the line; a second one is dropped.

        And so is the first where the launcher has gone.
        """
        if self._descriptor is None:
            return
        with suppress(BrokenPipeError):
            os.write(self._descriptor, json.dumps(line).encode() + b"\n")
        os.close(self._descriptor)
        self._descriptor = None


def main() -> None:
    """Carry out the request on standard input."""
    parser = ArgumentParser(prog="python -m evaluator.execution.driver", description=__doc__)
    parser.add_argument(
        "--db", required=True, help="the run's file; for whoever looks at the list of processes"
    )
    parser.add_argument(
        "--handoff-fd", type=int, required=True, help="descriptor for the hand-off line"
    )
    arguments = parser.parse_args()
    hand_off = HandoffPipe(arguments.handoff_fd)
    request = RunRequest.from_json(sys.stdin.read())
    sys.stdin.close()
    sys.exit(carry_out(request, hand_off))


if __name__ == "__main__":
    main()
