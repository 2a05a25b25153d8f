"""Failures: bisection, their count, what ends its workers, workers that never start, lost data.

A unit that has failed twice is halved, and each half that fails again, until one pair is left.
"""

from __future__ import annotations

import os
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

from evaluator import catalog
from evaluator.errors import (
    DATA_GONE,
    NO_VALUE,
    ImageUnreadable,
    RunFailed,
    ThresholdPassed,
    UsageError,
)
from evaluator.execution.journal import Journal
from evaluator.execution.request import FailureLimit
from evaluator.execution.worker import failed
from evaluator.plan import RunPlan
from evaluator.records import NO_TRUTH, Cell, ImageRef, Unit, UnitResult
from evaluator.sources import read_image, source_at
from evaluator.store.reader import RunReader
from evaluator.text import counted, printable


def halves(unit: Unit) -> list[Unit]:
    """The unit in parts: by images, else by cells, else by metrics; none of a single pair."""
    for parts in (_by_images(unit), _by_cells(unit), _by_metrics(unit)):
        if parts:
            return parts
    return []


def _by_images(unit: Unit) -> list[Unit]:
    middle = len(unit.images) // 2
    return (
        [with_images(unit, part) for part in (unit.images[:middle], unit.images[middle:])]
        if middle
        else []
    )


def with_images(unit: Unit, images: tuple[ImageRef, ...]) -> Unit:
    """The part of a unit that is of these images."""
    ids = {image.id for image in images}
    return replace(
        unit, images=images, maps={key: value for key, value in unit.maps.items() if key[1] in ids}
    )


def _by_cells(unit: Unit) -> list[Unit]:
    middle = len(unit.cells) // 2
    return (
        [_of_cells(unit, part) for part in (unit.cells[:middle], unit.cells[middle:])]
        if middle
        else []
    )


def _of_cells(unit: Unit, wanted: Container[int]) -> Unit:
    """The part of a unit that is of these cells."""
    places = [place for place, cell in enumerate(unit.cells) if cell in wanted]
    cells = tuple(unit.cells[place] for place in places)
    maps = {key: value for key, value in unit.maps.items() if key[0] in cells}
    methods = tuple(unit.methods[place] for place in places)
    return replace(unit, cells=cells, methods=methods, maps=maps)


def _by_metrics(unit: Unit) -> list[Unit]:
    return (
        [replace(unit, metrics=(metric,)) for metric in unit.metrics]
        if len(unit.metrics) > 1
        else []
    )


class Bisection:
    """Failures of units in flight, across the ids under which a unit is handed out again."""

    def __init__(self, requeue: Callable[[Iterable[Unit]], list[Unit]]) -> None:
        """No unit has failed yet.

        Args:
            requeue: hands units out again under other ids, and returns them (``Schedule.requeue``).
        """
        self._requeue = requeue
        self._failures: dict[int, int] = {}

    def retry(self, unit: Unit) -> None:
        """Hand a unit out again as it is; its failures are those of the new one."""
        (renewed,) = self._requeue([unit])
        if unit.id in self._failures:
            self._failures[renewed.id] = self._failures.pop(unit.id)

    def narrow(
        self,
        unit: Unit,
        *,
        certain: bool = False,
        parts_of: Callable[[Unit], list[Unit]] = halves,
    ) -> bool:
        """Record a failure: hand the unit out again, from the second failure on in halves.

        Args:
            certain: it would fail each time; it is halved at once.
            parts_of: makes the halves; none of a single pair.

        Returns:
            ``False`` where it is a single pair, which has failed for good.
        """
        self._failures[unit.id] = self._failures.get(unit.id, 0) + 1
        if not certain and self._failures[unit.id] < 2:
            self.retry(unit)
            return True
        parts = parts_of(unit)
        self.clear(unit.id)
        for part in self._requeue(parts):
            self._failures[part.id] = 1  # as the whole has failed: the next failure is the second
        return bool(parts)

    def clear(self, unit_id: int) -> None:
        """The unit is done."""
        self._failures.pop(unit_id, None)


MOST_DEATHS = 3
"""Images on which a method or a metric ends its worker before it is given up."""

_Suspect = tuple[str, int]
"""A metric and 0, or ``""`` and a cell."""


class Deaths:
    """Methods and metrics that end their workers, by exit, signal or hanging where nothing helps.

    Somebody's own is given up after ``MOST_DEATHS`` images that no other has died on; camtui's
    own too where it has no value in this session at all.
    """

    def __init__(self, plan: RunPlan, cells: Iterable[Cell]) -> None:
        """Nobody has died.

        Args:
            plan: knows whose code is not camtui's.
            cells: of the run.
        """
        own = {axis: [c.key for c in plan.code if c.axis == axis] for axis in ("method", "metric")}
        self._own: set[_Suspect] = {(key, 0) for key in own["metric"]}
        for cell in cells:
            if any(f"{cell.method}:".startswith(f"{key}:") for key in own["method"]):
                self._own.add(("", cell.id))
        self._images: defaultdict[_Suspect, set[int]] = defaultdict(set)
        self._alive: set[_Suspect] = set()
        self._given_up: dict[_Suspect, tuple[str, str]] = {}

    def note(self, result: UnitResult) -> None:
        """Take note of those that have brought something."""
        self._alive |= {("", row.cell) for row in result.rows}
        self._alive |= {(one.metric, 0) for one in result.measurements}

    def record(self, pair: Unit, reason: str, detail: str) -> str:
        """A single pair has failed for good.

        Returns:
            Why its method or metric is given up now, in words; empty where it is not.
        """
        (suspect,) = _suspects(pair)
        self._images[suspect].add(pair.images[0].id)
        others = [images for key, images in self._images.items() if key != suspect]
        images = self._images[suspect].difference(*others)
        blamed = suspect in self._own or suspect not in self._alive
        if len(images) < MOST_DEATHS or not blamed or suspect in self._given_up:
            return ""
        cause = detail.rpartition(": ")[2]
        told = f"lost its worker on {len(images)} images ({cause}), and is not tried again"
        self._given_up[suspect] = (reason, f"{told} in this session")
        return f"{suspect[0] or pair.methods[0]} has {told}"

    def parts(self, unit: Unit) -> list[Unit]:
        """A unit that has lost its worker in parts: whom one suspects is set apart first."""
        keys = _suspects(unit)
        known = [key for key in keys if key in self._own or key in self._images]
        if known and len(known) < len(keys):
            return [_of(unit, [key for key in keys if key not in known]), _of(unit, known)]
        if known and len(keys) > 1:
            middle = len(keys) // 2
            return [_of(unit, keys[:middle]), _of(unit, keys[middle:])]
        if known and len(unit.images) > 1:
            singles = [with_images(unit, (image,)) for image in unit.images[:MOST_DEATHS]]
            rest = unit.images[MOST_DEATHS:]
            return [*singles, with_images(unit, rest)] if rest else singles
        return halves(unit)

    def spare(self, unit: Unit) -> tuple[Unit | None, list[UnitResult]]:
        """The part of a unit that is still tried, and the failures of the rest."""
        keys = _suspects(unit)
        kept = [key for key in keys if key not in self._given_up]
        if len(kept) == len(keys):
            return unit, []
        lost = [
            failed(_of(unit, [key]), *self._given_up[key]) for key in keys if key in self._given_up
        ]
        return (_of(unit, kept) if kept else None), lost


def _suspects(unit: Unit) -> list[_Suspect]:
    return [(m, 0) for m in unit.metrics] or [("", cell) for cell in unit.cells]


def _of(unit: Unit, suspects: Sequence[_Suspect]) -> Unit:
    """The part of a unit that is of these metrics, or of these cells."""
    if unit.metrics:
        return replace(unit, metrics=tuple(metric for metric, _ in suspects))
    return _of_cells(unit, {cell for _, cell in suspects})


class FailureCount:
    """Failures of one run so far, those of earlier sessions included."""

    def __init__(self, limit: FailureLimit, plan: RunPlan, reader: RunReader, hint: str) -> None:
        """Begin with the failures that are stored.

        Args:
            limit: how many are allowed.
            plan: says what every cell is to have.
            reader: of the run.
            hint: the command that lists them.
        """
        self._limit = limit
        self._plan = plan
        self._reader = reader
        self._hint = hint
        self._failures = reader.failure_count()
        self._pairs = 0
        self.exceeded = False
        self.count_pairs()

    def count_pairs(self) -> None:
        """Count the (cell, image) pairs again, since other cells apply now."""
        applicable = sum(cell.applicable for cell in self._reader.cells())
        self._pairs = self._reader.info().image_count * applicable

    def add(self, result: UnitResult) -> None:
        """Count the failures of a unit; an image without truth is none."""
        self._failures += sum(failure.reason != NO_TRUTH for failure in result.failures)
        self.exceeded = self.exceeded or self._limit.passed(self._failures, self._pairs)

    def reload(self) -> None:
        """Count what is stored: some failures have been forgotten."""
        self._failures = self._reader.failure_count()

    def check_limit(self) -> None:
        """Raise where there are more failures than allowed.

        Raises:
            ThresholdPassed: there are.
        """
        if self.exceeded:
            many = f"{self._failures} failures, above --max-failures {self._limit}"
            raise ThresholdPassed(many, self._hint)

    def check_values(self) -> None:
        """Raise where a cell, or one of its metrics, has no value in any image.

        Cells that do not apply have none, and a note that says why.

        Raises:
            ThresholdPassed: there is one; the message names it.
        """
        found = list(self._without_value())
        if not found:
            return
        if self._failures and not any(summary.n for summary in self._reader.averages.summaries()):
            nothing = f"nothing could be computed: {counted(self._failures, 'failure')}, no value"
            raise ThresholdPassed(nothing, self._hint)
        more = f", nor in {counted(len(found) - 1, 'other')}" if len(found) > 1 else ""
        raise ThresholdPassed(f"{NO_VALUE}{found[0]}{more}", self._hint)

    def _without_value(self) -> Iterator[str]:
        """Yield the cells and metrics without any value, with the usual reason."""
        summaries = {summary.cell: summary for summary in self._reader.averages.summaries()}
        look = self._reader.look()
        dropped = look.dropped if look else {}
        for cell in self._reader.cells():
            summary = summaries[cell.id]
            name = f"{cell.backbone}/{cell.method}"
            if not cell.applicable:
                continue
            if not summary.n:
                yield f"{name} ({self._usual_reason(cell, '')})"
                continue
            if "adcc" not in summary.means and not catalog.lacks_maps(cell.method, "adcc"):
                yield f"{name} (ADCC is undefined: the confidence in the target is 0)"
            for metric in self._plan.optional_metrics if cell.id not in dropped else ():
                if metric not in summary.means and not catalog.lacks_maps(cell.method, metric):
                    yield f"{metric} of {name} ({self._usual_reason(cell, metric)})"

    def _usual_reason(self, cell: Cell, metric: str) -> str:
        """``failed on 20 images: missing``."""
        failures = self._reader.failures(cell.id)
        reasons = Counter(failure.reason for failure in failures if failure.metric == metric)
        if not reasons:
            return "nothing was computed"
        many = counted(sum(reasons.values()), "image")
        return f"failed on {many}: {reasons.most_common(1)[0][0]}"


MOST = 5
"""Startup failures in a row that end a run: something is wrong with the machine, not with an image.

Four times as many once a backbone has been loaded: the machine was able to then, and may be again.
"""


class StartupFailures:
    """Deaths of workers in a row, none of which had begun a unit."""

    def __init__(self, hint: str) -> None:
        """Begin with none.

        Args:
            hint: the command that shows why the workers die.
        """
        self._count = 0
        self._hint = hint

    def reset(self) -> None:
        """A worker has begun a unit, or another one is left to try."""
        self._count = 0

    def add(self, reason: str, *, loaded_once: bool) -> None:
        """Count a worker that died before it began a unit.

        Raises:
            RunFailed: there were too many in a row.
        """
        self._count += 1
        if self._count >= (4 * MOST if loaded_once else MOST):
            raise RunFailed(f"workers die before they compute anything ({reason})", self._hint)


_OF_FILES = frozenset(
    {"missing", "permission", "changed", "not-a-file", "outside-root", "io-error", "truth-broken"}
)
"""Reasons of failures that are of the file system, perhaps, and not of the image."""

_SAMPLE = 8
_LOOKED_AT = 32
"""Images of the seeded order among which those of the sample are looked for."""

_TRIES = 3
"""Times that an image is computed again whose file is there when the driver looks."""


class DataFolder:
    """The folder of a run's images, as the driver sees it.

    Attributes:
        trouble: why the run is paused, in words; empty as a rule.
    """

    def __init__(
        self,
        root: Path,
        images: Sequence[ImageRef],
        reader: RunReader,
        journal: Journal,
        retry_seconds: float,
        *,
        truth: Path | None = None,
    ) -> None:
        """Look at the folder as it is now.

        Args:
            root: links resolved.
            images: of the manifest.
            reader: of the run: knows what is in the images that have rows.
            journal: shows a pause.
            retry_seconds: between two looks while it is gone.
            truth: the folder of the images' masks, where there is one: it may go away too.
        """
        self._root = root
        self._reader = reader
        self._journal = journal
        self._retry_seconds = retry_seconds
        self._truth = truth if truth is not None and truth.is_dir() else None
        self._next_look = 0.0
        self._tries: Counter[int] = Counter()
        self._failed: list[Unit] = []
        self._identity = self._identity_now()
        first = [image for image in images[:_LOOKED_AT] if image.size]
        seen = [image for image in first if self._unreadable(image) == ""]
        self._sample = (first if self._identity is None else seen)[:_SAMPLE]
        self.trouble = ""

    def sift(self, unit: Unit, result: UnitResult) -> tuple[UnitResult, Unit | None]:
        """Part a result: what is to be stored, and what is to be computed again.

        Again: images whose files could not be read while the folder was gone, or which can be read
        now; all of the unit where another folder was in its place.
        """
        suspects = {failure.image for failure in result.failures if failure.reason in _OF_FILES}
        replaced = self._identity_now() != self._identity
        if not suspects and not replaced:
            return result, None
        if self.is_gone():
            if replaced and self._identity_now() is not None:
                return UnitResult(), unit
        else:
            reasons = {f.image: f.reason for f in result.failures if f.image in suspects}
            by_id = {image.id: image for image in unit.images}
            passing = {image for image in suspects if self._passes(by_id[image], reasons[image])}
            if suspects - passing:
                self._failed.append(_part(unit, suspects - passing))
            suspects = passing
        if not suspects:
            return result, None
        failures = tuple(f for f in result.failures if f.image not in suspects)
        return replace(result, failures=failures), _part(unit, suspects)

    def readable_again(self) -> list[Unit]:
        """Units of the images that have failed in this session and whose files are there now.

        While a folder is being moved, image by image, its first ones are missing from a folder that
        is there.
        """
        failed, self._failed = self._failed, []
        found = []
        for unit in failed:
            passing = {image.id for image in unit.images if self._passes(image, "")}
            if passing:
                found.append(_part(unit, passing))
            if rest := {image.id for image in unit.images} - passing:
                self._failed.append(_part(unit, rest))
        return found

    def _passes(self, image: ImageRef, reason: str) -> bool:
        """Whether the failure of an image has passed: its file is as it should be now."""
        if self._tries[image.id] >= _TRIES:
            return False
        if reason != "truth-broken" and self._unreadable(image, with_content=True):
            return False
        self._tries[image.id] += 1
        return True

    def is_gone(self) -> bool:
        """Look at the folder, and pause the run where it is gone."""
        if problem := self._problem():
            self.pause(problem)
        return bool(problem)

    def pause(self, problem: str) -> None:
        """Pause the run for this reason, in words."""
        if not self.trouble:
            self._journal.event("warning", f"paused: {problem}; goes on by itself")
            if not self._journal.stopping:
                self._journal.state("paused", f"{problem}; goes on by itself")
        self.trouble = problem
        self._next_look = time.monotonic() + self._retry_seconds

    def look_again(self) -> None:
        """Go on where the folder was gone and is back; asked again and again."""
        if not self.trouble or time.monotonic() < self._next_look or self.is_gone():
            return
        trouble, self.trouble = self.trouble, ""
        self._journal.event("info", f"goes on after a pause ({trouble})")
        if not self._journal.stopping:
            self._journal.state("running")

    def _problem(self) -> str:
        """Why the folder is not what it was, in words; empty where it is."""
        gone = f"{DATA_GONE}: {printable(self._root)}"
        try:
            identity = source_at(self._root).identity()
        except OSError as error:
            return f"{gone} ({error.strerror or error})"
        except UsageError as error:
            return f"{gone} ({error.message})"
        same = identity == self._identity
        lost = [image for image in self._sample if self._unreadable(image, with_content=not same)]
        if same and len(lost) > max(1, len(self._sample) // 2):
            return f"{gone} ({len(lost)} of {len(self._sample)} images that were there)"
        if not same and len(lost) > len(self._sample) // 4:
            return f"{gone} (another one is in its place)"
        self._identity = identity
        return self._problem_of_truth()

    def _problem_of_truth(self) -> str:
        if self._truth is None:
            return ""
        gone = f"{DATA_GONE}: {printable(self._truth)}"
        try:
            with os.scandir(self._truth) as entries:
                return "" if next(entries, None) else f"{gone} (it is empty)"
        except OSError as error:
            return f"{gone} ({error.strerror or error})"

    def _identity_now(self) -> tuple[int, ...] | None:
        """What tells one folder or archive from another; ``None`` where there is none."""
        with suppress(OSError, UsageError):
            return source_at(self._root).identity()
        return None

    def _unreadable(self, image: ImageRef, *, with_content: bool = False) -> str:
        """Why an image cannot be read as the manifest has it, empty where it can.

        Args:
            with_content: compare what is in it, too, where a row of the run knows.
        """
        try:
            data = read_image(self._root, image.path, image.size)
        except ImageUnreadable as error:
            return error.reason
        if with_content:
            content = self._reader.images.get(image.id).content
            if content is not None and sha256(data).digest() != content:
                return "changed"
        return ""


def _part(unit: Unit, images: Container[int]) -> Unit:
    return with_images(unit, tuple(image for image in unit.images if image.id in images))
