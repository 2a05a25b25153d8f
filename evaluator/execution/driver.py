"""The driver process: takes a run's lock, opens its file, computes what is missing.

``python -m evaluator.execution.driver --db PATH --handoff-fd N`` with a ``RunRequest`` on standard
input; started by ``camtui.launch``, or called in the foreground. Never imports torch. It finds the
images and checks the request; the hand-off line tells the launcher that the run is under way, or
why it is not; before that line nothing is left behind but the log.
"""

from __future__ import annotations

import json
import os
import platform
import select
import sqlite3
import sys
import time
from argparse import ArgumentParser
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from pathlib import Path
from tempfile import gettempdir
from typing import TYPE_CHECKING, Any, NamedTuple

from evaluator.backbones import known_backbone
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
from evaluator.execution.loop import Loop, StopRequest, signals_to
from evaluator.execution.on_finish import Outcome, Watchdog, tell
from evaluator.execution.request import RunRequest, StoredRun, stored_run
from evaluator.execution.run_log import LOGGER
from evaluator.execution.testing_hooks import crash_point
from evaluator.images import (
    ListProgress,
    Manifest,
    check_target,
    planned_images,
    with_images_of,
)
from evaluator.interfaces import Executor, SessionSettings
from evaluator.map_files import check_one_each
from evaluator.plan import RunPlan, as_begun, as_loaded, earlier_choices, extended
from evaluator.records import LoadedBackbone, RunState, WorkerState
from evaluator.store.disk_space import bytes_needed, full_words, is_full
from evaluator.store.files import RunLock, beside, refuse_network
from evaluator.store.reader import LABELS, RunReader
from evaluator.text import counted, printable
from evaluator.truth.folder import Truths, planned_truth

if TYPE_CHECKING:
    from evaluator.store.writer import RunWriter

_TRUTH = "truth"
"""The key of the truth's hash among the run's versions."""


Announce = Callable[[dict[str, Any]], None]


class Data(NamedTuple):
    """The images and the truth of a plan as they are now.

    Attributes:
        remarks: what is to be said of them, a line each.
    """

    manifest: Manifest
    truths: Truths | None
    remarks: list[str]


_LISTING_SECONDS = 0.2
"""Seconds between two lines on how far the listing of the images is."""

_DATA = "data"
"""The key of the folder's hash among the run's versions, where the user has accepted changes."""


def look_at_data(
    request: RunRequest,
    plan: RunPlan,
    stored: StoredRun | None,
    progress: ListProgress | None = None,
) -> Data:
    """Find the images and the truth that a plan names.

    Args:
        request: names the run's file, and says whether changes of the data are accepted.
        plan: the whole of it.
        stored: the run that is there already.
        progress: as of ``images.find_images``.

    Raises:
        UsageError, Mismatch: there are no images, no labels or truth where the plan needs them,
            or two images with one map.
    """
    manifest = planned_images(plan, stored.listing if stored else None, progress)
    if stored and manifest.sha256 != stored.listing.sha256:
        manifest = _with_stored_images(request, plan, stored, manifest)
    check_target(plan, manifest)
    check_one_each(
        (code.reference for code in plan.code),
        [one.path for one in manifest.images],
        stored.images_by_code if stored else {},
    )
    images, remarks = len(manifest.images), manifest.remark_lines()
    truths = planned_truth(plan)
    having = images if truths is None else truths.having(manifest.images)
    if not having:
        raise UsageError(
            f"nothing in {printable(plan.truth)} belongs to one of the images",
            "a mask or box file has the name of its image, but for the suffix",
        )
    if having < images:
        remarks.append(f"warning: {images - having} of {images} images have no truth")
    return Data(manifest, truths, remarks)


def _with_stored_images(
    request: RunRequest, plan: RunPlan, stored: StoredRun, manifest: Manifest
) -> Manifest:
    """The manifest of a folder that has changed, with the run's images where that is accepted."""
    with RunReader(request.db) as reader:
        known = reader.images.between(0, stored.info.image_count - 1)
    grows = plan.limit is None and stored.plan.limit is not None
    return with_images_of(
        manifest,
        known,
        stored.listing.sha256,
        accepted=request.accept_data_changes or stored.info.versions.get(_DATA) == manifest.sha256,
        wanted=None if grows else plan.limit or len(known),
    )


def _refuse_code(plan: RunPlan, request: RunRequest) -> None:
    """Refuse code that the user has not allowed as it is now.

    Raises:
        CodeNotAllowed: the plan names such code.
    """
    for one in plan.code:
        if request.allowed.get(one.reference) != one.sha256:
            raise CodeNotAllowed(
                f"{request.run_reference} needs {printable(one.reference)}, which nobody has "
                "allowed to run here",
                f"camtui resume {request.run_reference} --allow-code",
            )


def _truth_identity(
    plan: RunPlan, truths: Truths | None, before: StoredRun | None
) -> dict[str, str]:
    """The hash of the plan's truth as it is recorded, ``{"truth": …}``; none without a truth.

    Raises:
        Mismatch: it is not that which the run's rows were compared with.
    """
    if truths is None:
        return {}
    identity = truths.sha256()
    stored = (
        before.info.versions.get(_TRUTH, identity) if before and before.plan.truth else identity
    )
    if stored != identity and stored == truths.sha256(hidden=True):
        return {_TRUTH: stored}  # of an earlier version, which had hidden files in it
    if stored != identity:
        raise Mismatch(
            f"the truth in {printable(plan.truth)} is not that which the run was measured with",
            "put the former one back, or choose another --name",
        )
    return {_TRUTH: identity}


def planned(request: RunRequest, before: StoredRun | None) -> RunPlan:
    """The plan of the run, with what is asked for.

    Raises:
        CamtuiError: it cannot be added to the run that is there, or needs code that is not allowed.
    """
    plan = request.plan
    if plan and before:
        plan = extended(before.plan, as_begun(before.plan, plan) if before.begun_earlier else plan)
    elif before:
        plan = before.plan
    if plan is None:
        raise StoreError(f"{printable(request.db)} holds no run yet", "camtui run starts one")
    _refuse_code(plan, request)
    return plan


def _data_identity(
    plan: RunPlan, before: StoredRun | None, manifest: Manifest, truths: Truths | None
) -> dict[str, str]:
    """The hashes of truth, label file and changed folder as they are recorded.

    Raises:
        Mismatch: the truth is not that of the run's rows.
    """
    labels = manifest.label_file
    return {
        **_truth_identity(plan, truths, before),
        **({LABELS: labels.sha256} if labels and not labels.faults else {}),
        **({_DATA: manifest.found_sha256} if manifest.changes else {}),
    }


def adds_nothing(request: RunRequest, before: StoredRun) -> bool:
    """Whether a request asks for the plan, the images, the labels and the truth of a run.

    Raises:
        CamtuiError: it cannot be added to that run.
    """
    plan = planned(request, before)
    if request.retry_failed or plan != before.plan:
        return False
    manifest, truths, _ = look_at_data(request, plan, before)
    recorded = _data_identity(plan, before, manifest, truths)
    return (
        manifest.sha256 == before.listing.sha256
        and recorded.items() <= before.info.versions.items()
    )


def _store(
    writer: RunWriter,
    request: RunRequest,
    plan: RunPlan,
    before: StoredRun | None,
    manifest: Manifest,
    truths: Truths | None,
) -> None:
    """Store the run.

    Raises:
        CamtuiError: its images or its truth are not those that it is to have; it is as it was.
    """
    versions = {
        **_data_identity(plan, before, manifest, truths),
        "camtui": version("camtui"),
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
    }
    if (
        before and manifest.label_file is None
    ):  # the labels by folders are the loaded networks' to give
        unlabelled = tuple(image._replace(label=None) for image in manifest.images)
        manifest = replace(manifest, images=unlabelled)
    writer.begin(request.name, plan, manifest, versions=versions, retry_failed=request.retry_failed)


@dataclass(frozen=True)
class Ending:
    """The end of a session: state and message as stored, and the process's exit code."""

    state: RunState
    message: str
    exit_code: int


class DriverSession:
    """One session of a run, between taking the lock and giving it back.

    Attributes:
        began: the run is under way.
    """

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
        self._listing_said = 0.0
        self.began = False

    def drive(self, writer: RunWriter, stack: ExitStack) -> Ending:
        """Carry the request out, from storing it to the end of the run.

        Raises:
            CamtuiError: the run has not begun; what was in the file before is as it was.
        """
        before = None if self._new_file else stored_run(self._request.db)
        plan = planned(self._request, before)
        data = look_at_data(self._request, plan, before, self._listing)
        manifest, truths, remarks = data
        self._progress("images", f"{counted(len(manifest.images), 'image')} listed and hashed", 1.0)
        self._announce({"found": remarks if self._request.plan else []})
        _store(writer, self._request, plan, before, manifest, truths)
        try:
            return self._drive(writer, plan, manifest, before, stack)
        except BaseException:
            if not self._new_file and not self.began:
                writer.withdraw()
            raise

    def _progress(self, step: str, text: str, share: float = 0.0) -> None:
        """Say what is being done before the run is under way."""
        self._announce({"progress": {"step": step, "text": text, "share": share}})

    def _listing(self, images: int, share: float) -> None:
        if time.monotonic() >= self._listing_said + _LISTING_SECONDS:
            self._listing_said = time.monotonic()
            self._progress("images", f"{counted(images, 'image')} so far", share)

    def _drive(
        self,
        writer: RunWriter,
        plan: RunPlan,
        manifest: Manifest,
        before: StoredRun | None,
        stack: ExitStack,
    ) -> Ending:
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
        known = before.loaded if before else {}
        shown = as_loaded(plan, known)
        executor = executor_of(request, shown, manifest, begun_layers(plan, known))
        stack.callback(executor.close)

        def hand_off() -> None:
            """From here on the run is under way."""
            crash_point("before-handoff")
            if request.settings.on_finish:
                self._watchdog = Watchdog(request)
            self.began = True
            journal.state("running")
            if _writes_to(request.log):
                journal.owns_log = True
                journal.retry(lambda: writer.own_log(request.log))
            journal.event("info", f"{'resumed' if before else 'started'}: {_shape(plan, reader)}")
            remarks = [*manifest.remarks(), *_additions(plan, before), *_as_before(plan, shown)]
            for level, text in remarks:
                journal.event(level, text)
            self._announce(_handed_off(request, reader, loop.labelling))
            journal.retry(writer.confirm)
            crash_point("after-handoff")

        loop = Loop(
            plan=plan,
            manifest=manifest,
            settings=request.settings,
            reader=reader,
            journal=journal,
            executor=executor,
            stop=self._stop,
            hand_off=hand_off,
            progress=self._progress,
            run_reference=request.run_reference,
        )
        ending = self._run(loop, journal)
        try:
            executor.close()
        except Exception as error:
            ending = _unexpected(error) if ending.state != "failed" else ending
        crash_point("before-state")
        try:
            _record(journal, ending, executor.workers(), self._stop)
        except Exception as error:  # what could not be stored must not keep the reason from it
            ending = _unexpected(error) if ending.state != "failed" else ending
            journal.abandon()
            _record(journal, ending, executor.workers(), self._stop)
        if self._lock.lost_database():
            self._keep(writer)
        if self._watchdog:
            self._watchdog.cancel()
        return ending

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

    def _run(self, loop: Loop, journal: Journal) -> Ending:
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
            journal.abandon()
            return _unexpected(error)
        if not self._stop.gracefully:
            return Ending("complete", loop.conclusion, 0)
        if not self.began:
            raise RunFailed("cancelled before it had begun", "the same command begins again")
        return Ending("stopped", "", 128 + self._stop.signals[0])


def _handed_off(request: RunRequest, reader: RunReader, labels: str) -> dict[str, Any]:
    """The line of the hand-off."""
    remarks = [
        f"warning: {name}: {remark}"
        for name, loaded in reader.backbones().items()
        for remark in (loaded.remarks if loaded else ())
    ]
    return {
        "pid": os.getpid(),
        "name": reader.info().name,
        "db": os.fsdecode(request.db),
        "log": os.fsdecode(request.log),
        "labels": labels,
        "remarks": remarks,
    }


def _unexpected(error: Exception) -> Ending:
    """The end of a run by an error that nobody has foreseen."""
    LOGGER.error("the run has failed", exc_info=error)
    return Ending("failed", f"{type(error).__name__}: {printable(error, 300)}", 1)


def _shape(plan: RunPlan, reader: RunReader) -> str:
    """The size of a run in words."""
    images = counted(reader.info().image_count, "image")
    networks = counted(len(plan.backbones), "network")
    return f"{images} × {networks} × {counted(len(plan.methods), 'method')}"


def _additions(plan: RunPlan, before: StoredRun | None) -> Iterator[tuple[str, str]]:
    """Level and text of how a run goes on, if it was there already."""
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


def begun_layers(plan: RunPlan, stored: Mapping[str, LoadedBackbone | None]) -> dict[int, str]:
    """The layers at which a run's backbones were begun, by position; ``plan`` as it is stored."""
    return {
        position: loaded.layer
        for position, spec in enumerate(plan.backbones)
        if (loaded := stored.get(spec.name)) is not None
    }


def executor_of(
    request: RunRequest, plan: RunPlan, manifest: Manifest, layers: Mapping[int, str]
) -> Executor:
    """The executor that a request asks for; nothing is started yet."""
    settings = request.settings
    session = SessionSettings(
        plan=plan,
        root=str(manifest.root),
        batch_size=settings.batch_size,
        tuning=settings.tuning,
        hang_seconds=settings.hang_seconds,
        pictures=manifest.images[:_PICTURES],
        allowed=request.allowed,
        layers=dict(layers),
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


def carry_out(request: RunRequest, announce: Announce) -> int:
    """Carry out a request in this process; returns the exit code.

    Args:
        request: what to do.
        announce: called with ``{"found": […]}``, what is to be said of the images, a line each;
            then with the hand-off: ``{"pid", "name", "db", "log", "labels", "remarks"}``, or
            ``{"error": {…}}``. Before the hand-off also, again and again, with
            ``{"progress": {"step", "text", "share"}}``: what is being done, ``images``, ``worker``
            or ``network``, in words, and the share of it that is done.
    """
    os.umask(0o077)
    stop = StopRequest()
    with signals_to(stop):
        try:
            ending = _run_under_lock(request, announce, stop)
        except CamtuiError as error:
            announce({"error": error.to_dict()})
            return error.exit_code
        except BaseException as error:
            text, hint = f"{type(error).__name__}: {error}", f"camtui logs {request.run_reference}"
            announce({"error": RunFailed(text, hint).to_dict()})
            raise
        if request.settings.on_finish:
            tell(
                request.settings.on_finish,
                request.db,
                Outcome(ending.state, ending.message, ending.exit_code),
            )
    return ending.exit_code


def _run_under_lock(request: RunRequest, announce: Announce, stop: StopRequest) -> Ending:
    """Take the run's lock, carry the request out, and give the lock back.

    Raises:
        CamtuiError: the run has not begun; a file that was made for it is gone again.
    """
    from evaluator.store.writer import RunWriter  # workers that import this module need it not

    refuse_network(request.db)
    lock = RunLock(request.db)
    known = request.db.exists()
    lock.hold_database()
    crash_point("after-lock")
    session = DriverSession(request, announce, stop, lock, new_file=not known)
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


def _discard(database: Path) -> None:
    """Remove a run's file in which nothing was computed."""
    for end in ("", "-wal", "-shm"):
        beside(database, end).unlink(missing_ok=True)


class HandoffPipe:
    """The pipe on which a launcher waits for the hand-off."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor: int | None = descriptor
        os.set_inheritable(descriptor, False)

    def __call__(self, line: dict[str, Any]) -> None:
        """Write the line; any is dropped that follows the hand-off.

        Where nobody listens the reason why the run has not begun goes to the log; progress is
        dropped where nobody reads it as fast as it comes.
        """
        if self._descriptor is None:
            return
        if "progress" in line and not select.select([], [self._descriptor], [], 0)[1]:
            return
        try:
            os.write(self._descriptor, json.dumps(line).encode() + b"\n")
        except BrokenPipeError:
            if "error" in line:
                LOGGER.error(f"the run has not begun: {printable(line['error']['message'])}")
        if not line.keys() & {"found", "progress"}:
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
