"""The state, progress, time left and next command of a run, in one record."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from math import sqrt
from pathlib import Path
from typing import TYPE_CHECKING, Any

from camtui.runs import reference
from evaluator.errors import (
    ANSWERS_OTHERWISE,
    DATA_GONE,
    NO_VALUE,
    UNSTABLE,
    StoreError,
    UnstableAnswer,
)
from evaluator.records import Look, RunInfo, Stage, WorkerState
from evaluator.statistics import ADCC, COMPONENTS, Mean, Sum
from evaluator.store.files import lock_holder, lock_note
from evaluator.store.reader import ConvergencePoint, RunReader
from evaluator.store.readonly import DAMAGE
from evaluator.text import counted, printable

if TYPE_CHECKING:
    from camtui.payloads import Count, NonNegative, RunFile, Share, State, UntilLook, UntilPayload


def expected(stages: Sequence[Stage], images: int | None) -> list[Stage]:
    """Return the stages of a run that is expected to end after so many images, ``None``: all."""
    return (
        list(stages)
        if images is None
        else [replace(stage, images=min(stage.images, images)) for stage in stages]
    )


def under_way(stages: Sequence[Stage]) -> Stage | None:
    """Return the first stage that is not done, ``None`` where all are."""
    return next((stage for stage in stages if stage.cells and stage.done < stage.images), None)


def share_done(stages: Sequence[Stage]) -> float:
    """Return the share of the planned forwards that is done, 0 to 1."""
    planned = sum(stage.forwards_per_image * stage.images for stage in stages)
    if not planned:
        return 0.0
    return min(
        1.0,
        sum(stage.forwards_per_image * min(stage.done, stage.images) for stage in stages) / planned,
    )


def images_per_second(stage: Stage, workers: int) -> float | None:
    """Return the rate of a stage, ``None`` before it is measured."""
    return (
        workers * stage.timed_images / stage.seconds
        if stage.timed_images and stage.seconds
        else None
    )


def seconds_left(stages: Sequence[Stage], workers: int) -> float | None:
    """Return the time until every stage is done; ``None`` where none is planned or timed."""
    if not stages:
        return None
    per_forward = _per_forward(stages)
    left = 0.0
    for stage in stages:
        if stage.cells and stage.done < stage.images:
            price = _seconds_per_image(stage, per_forward)
            if price is None:
                return None
            left += (stage.images - stage.done) * price
    return left / workers


def _seconds_per_image(stage: Stage, per_forward: float | None) -> float | None:
    """Return worker time for one image: as measured in this stage, else by its forwards."""
    if stage.timed_images:
        return stage.seconds / stage.timed_images
    return None if per_forward is None else stage.forwards_per_image * per_forward


def _per_forward(stages: Sequence[Stage]) -> float | None:
    """Return seconds of one forward over all that has been timed, ``None`` where nothing has."""
    forwards = sum(stage.timed_images * stage.forwards_per_image for stage in stages)
    return sum(stage.seconds for stage in stages) / forwards if forwards else None


def convergence(points: Iterable[ConvergencePoint], n: int, steps: int = 120) -> list[Mean]:
    """Return the ADCC after about ``steps`` evenly spaced numbers of images, the last of them all.

    Args:
        points: in the order of evaluation.
        n: how many there are.
    """
    every = max(1, n // steps)
    totals = [0.0] * 9
    found: list[Mean] = []
    seen = 0
    for drop, coherency, complexity in points:
        seen += 1
        totals[0] += drop
        totals[1] += coherency
        totals[2] += complexity
        totals[3] += drop * drop
        totals[4] += coherency * coherency
        totals[5] += complexity * complexity
        totals[6] += drop * coherency
        totals[7] += drop * complexity
        totals[8] += coherency * complexity
        if seen % every == 0:
            found.append(_headline(seen, totals))
    if seen and (not found or found[-1].n != seen):
        found.append(_headline(seen, totals))
    return found


def running_means(values: Iterable[float], n: int, steps: int = 120) -> list[Mean]:
    """Return the mean after about ``steps`` evenly spaced numbers of images, the last of them all.

    Args:
        values: in the order of evaluation.
        n: how many there are.
    """
    every = max(1, n // steps)
    found: list[Mean] = []
    mean, squares = 0.0, 0.0
    for seen, value in enumerate(values, 1):
        before = value - mean
        mean += before / seen
        squares += before * (value - mean)
        if seen % every == 0 or seen == n:
            se = sqrt(squares / (seen - 1) / seen) if seen > 1 else None
            found.append(Mean(seen, mean, se))
    return found


def curve_of(reader: RunReader, cell: int, metric: str, n: int) -> list[Mean]:
    """Return the average of a metric in a cell after the first images.

    Empty for ARCC, whose sources are not kept in order.

    Raises:
        StoreError: a row is not what was written.
    """
    if metric == "adcc":
        return convergence(reader.averages.convergence(cell), n)
    return [] if metric == "arcc" else running_means(reader.averages.values(cell, metric), n)


_KEYS = (
    *((name, "") for name in COMPONENTS),
    *((name, name) for name in COMPONENTS),
    ("average_drop", "coherency"),
    ("average_drop", "complexity"),
    ("coherency", "complexity"),
)


def _headline(n: int, totals: list[float]) -> Mean:
    mean = ADCC.of_sums({key: Sum(n, total) for key, total in zip(_KEYS, totals, strict=True)})
    assert mean is not None
    return mean


LIVE = ("starting", "running", "stopping", "paused")

SILENCE_SECONDS = 30.0
"""A driver whose heartbeat is older is stuck: on a full disk, on a stalled file system, or stopped
by a debugger.
"""

_CRASHED = "its driver was killed, or the machine went down; what was committed is there"


@dataclass(frozen=True)
class RunStatus:
    """A run as it stands.

    Attributes:
        state: as stored, but ``crashed`` where the file says that it runs and nobody holds its
            lock.
        message: why, where the state alone does not say.
        pid: of the driver, ``None`` where there is none.
        progress: share of the planned forwards that is done, 0 to 1.
        stage: title of the stage under way, empty where there is none; ``stage_number`` of
            ``stages``, from 1.
        done, total: images of that stage.
        images_per_second: of that stage, ``None`` before it is measured.
        eta_seconds: until everything is done, ``None`` where nothing is under way or nothing was
            timed yet.
        elapsed_seconds: that its sessions took together, the one under way included.
        failures: (cell, image) pairs without a value, curves counted each.
        failed_images: images that failed in any cell; failed_cells: their (cell, image) pairs.
        restarts: of workers in this session.
        heartbeat_age_seconds: since the driver last wrote, ``None`` where it never did.
        advice: the command to type now.
        until: what the run's rule (``--until``) has decided so far, ``None`` where it has none.
    """

    run: str
    db: RunFile
    state: State
    message: str
    pid: Count | None
    images: Count
    progress: Share
    stage: str
    stage_number: Count
    stages: Count
    done: Count
    total: Count
    images_per_second: NonNegative | None
    eta_seconds: NonNegative | None
    elapsed_seconds: NonNegative
    failures: Count
    failed_images: Count
    failed_cells: Count
    workers: Count
    restarts: Count
    heartbeat_age_seconds: NonNegative | None
    advice: str
    until: UntilLook | None = None

    @property
    def live(self) -> bool:
        """Whether a driver is at work on it."""
        return self.state in LIVE

    @property
    def failed(self) -> str:
        """What failed, in words: ``2 images failed (12 maps)``."""
        words = f"{counted(self.failed_images, 'image')} failed"
        return f"{words} ({counted(self.failed_cells, 'map')})" if self.failed_images else words

    @property
    def exit_code(self) -> int:
        """Exit code of who followed the run.

        0, 1 failed, 4 another network than before or one without one answer, 5 too many failures or
        a cell without a value, 143 stopped.
        """
        if self.state == "failed" and _passed_a_limit(self.message):
            return 5
        if self.state == "failed" and any(
            words in self.message for words in (ANSWERS_OTHERWISE, *UNSTABLE)
        ):
            return UnstableAnswer.exit_code
        return {"failed": 1, "crashed": 1, "stopped": 143}.get(self.state, 0)

    @property
    def check_code(self) -> int:
        """Exit code of ``--check``: 0 running or complete, 1 failed or crashed, 3 stopped."""
        return {"failed": 1, "crashed": 1, "stopped": 3}.get(self.state, 0)

    def record(self) -> dict[str, Any]:
        """Return the status as programs read it."""
        return vars(self) | {
            "db": os.fsdecode(self.db),
            "progress": round(self.progress, 6),
            "until": until_record(self.until),
        }


def until_record(look: Look | None) -> UntilPayload | None:
    """Return the decision of a rule as programs read it."""
    if look is None:
        return None
    return {
        "rule": look.rule,
        "images_looked_at": look.images,
        "images_needed": look.needed,
        "decided_after": look.decided,
        "verdicts": list(look.verdicts),
    }


def status_in(path: Path) -> RunStatus:
    """Return the status of the run in a file.

    Raises:
        NotFound, StoreError: there is none that can be read.
    """
    with RunReader(path) as reader:
        try:
            return read_status(reader, path)
        except DAMAGE as error:
            raise damaged(path, error) from error


def damaged(path: Path, error: Exception) -> StoreError:
    """Return the error of a file that was opened and cannot be read."""
    hint = f"camtui doctor {reference(path)}"
    if isinstance(error, sqlite3.OperationalError):
        return StoreError(f"cannot read {printable(path)}: {printable(error, 160)}", hint)
    return StoreError(
        f"{printable(path)} is damaged: {type(error).__name__}: {printable(error, 160)}", hint
    )


def read_status(reader: RunReader, path: Path) -> RunStatus:
    """Return the status of a run from its file and its lock, by a few dozen rows."""
    pid = lock_holder(
        path
    )  # before the file: a driver that ends in between has written its last state by then
    with reader.moment():
        return status_of(reader, path, pid, reader.stages())


def status_of(reader: RunReader, path: Path, pid: int | None, stages: Sequence[Stage]) -> RunStatus:
    """Return the status where the holder of the lock and the stages are known already."""
    info = reader.info()
    workers = reader.workers()
    state = effective_state(info, pid)
    note = lock_note(path) if state in LIVE else ""
    look = reader.look()
    stages = expected(stages, look.needed if look else None)
    current = under_way(stages)
    live = state in LIVE
    count = max(1, len(workers))
    done_images = info.image_count if stages else 0
    failed_images, failed_cells = reader.failed_images()
    return RunStatus(
        run=printable(info.name),
        db=path,
        state="paused" if note else state,
        message=printable(note or (_CRASHED if state == "crashed" else info.message)),
        pid=pid if live else None,
        images=info.image_count,
        progress=1.0 if state == "complete" else share_done(stages),
        stage=printable(current.title) if current else "",
        stage_number=stages.index(current) + 1 if current else len(stages),
        stages=len(stages),
        done=current.done if current else done_images,
        total=current.images if current else info.image_count,
        images_per_second=images_per_second(current, count) if live and current else None,
        eta_seconds=seconds_left(stages, count) if live else None,
        elapsed_seconds=_elapsed(info, live),
        failures=reader.failure_count(),
        failed_images=failed_images,
        failed_cells=failed_cells,
        workers=len(workers) if live else 0,
        restarts=sum(worker.restarts for worker in workers),
        heartbeat_age_seconds=max(0.0, time.time() - info.heartbeat) if info.heartbeat else None,
        advice=_advice("paused" if note else state, info, path, workers),
        until=look,
    )


def effective_state(info: RunInfo, holder: int | None) -> State:
    """Return the stored state, or ``crashed`` where it claims a driver that is not there."""
    if holder is None and info.state in LIVE:
        return "crashed"
    return info.state


def state_now(reader: RunReader) -> State:
    """Return the effective state, right also within a moment of the reader that has gone by."""
    info = reader.info()
    if info.state not in LIVE or lock_holder(reader.path) is not None:
        return info.state
    with RunReader(reader.path) as fresh:  # the driver may have ended after the moment began
        return effective_state(fresh.info(), None)


def _elapsed(info: RunInfo, live: bool) -> float:
    """Return the seconds that the sessions of the run took together."""
    begun = info.resumed or info.started or info.created
    end = time.time() if live else info.finished or info.heartbeat or begun
    return info.worked + max(0.0, end - begun)


def _advice(state: State, info: RunInfo, path: Path, workers: Sequence[WorkerState]) -> str:
    """Return the command to type now."""
    run = reference(path)
    silent = info.heartbeat is not None and time.time() - info.heartbeat > SILENCE_SECONDS
    if state in ("running", "starting", "stopping") and silent and workers:
        return f"its driver has been silent for a while: camtui logs {run}"
    return {
        "starting": f"camtui watch {run}",
        "running": f"camtui watch {run}",
        "stopping": f"camtui wait {run}, or at once: camtui stop {run} --now",
        "paused": (
            f"bring it back, or end it: camtui stop {run}"
            if info.message.startswith(DATA_GONE)
            else f"make room, or end it: camtui stop {run} --now"
        ),
        "stopped": f"camtui resume {run}",
        "complete": f"camtui table {run}",
        "failed": _after_failure(info, run),
        "crashed": f"camtui resume {run}",
    }[state]


def _after_failure(info: RunInfo, run: str) -> str:
    if _computed_nothing(info.message):
        return f"camtui errors {run}, then camtui retry {run}"
    if _passed_a_limit(info.message):
        return f"camtui errors {run}, then camtui resume {run} --max-failures N"
    return f"camtui logs {run}, then camtui resume {run}"


def _passed_a_limit(message: str) -> bool:
    return "above --max-failures" in message or _computed_nothing(message)


def _computed_nothing(message: str) -> bool:
    return message.startswith(("nothing could be computed", NO_VALUE))
