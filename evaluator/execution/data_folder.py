"""Whether the data folder is there: a network mount drops, a disk is unplugged, a folder is moved.

Images that are missing because of that are no failures: the run pauses, and computes them when the
folder is back. Workers of other machines read their own copy; what is looked at here is the
driver's.
"""

from __future__ import annotations

import os
import stat
import time
from collections import Counter
from collections.abc import Container, Sequence
from contextlib import suppress
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

from evaluator.crop import read_image
from evaluator.errors import DATA_GONE, ImageUnreadable
from evaluator.execution.bisection import with_images
from evaluator.execution.journal import Journal
from evaluator.records import ImageRef, Unit, UnitResult
from evaluator.store.reader import RunReader
from evaluator.text import printable

_OF_FILES = frozenset(
    {"missing", "permission", "changed", "not-a-file", "outside-root", "io-error", "truth-broken"}
)
"""Reasons of failures that are of the file system, perhaps, and not of the image."""

_SAMPLE = 8
_LOOKED_AT = 32
"""Images of the seeded order among which those of the sample are looked for."""

_TRIES = 3
"""Times that an image is computed again whose file is there when the driver looks."""

_Identity = tuple[int, int]


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
        problem = self._problem()
        if problem and not self.trouble:
            self._journal.event("warning", f"paused: {problem}; goes on by itself")
            if not self._journal.stopping:
                self._journal.state("paused", f"{problem}; goes on by itself")
        if problem:
            self.trouble = problem
            self._next_look = time.monotonic() + self._retry_seconds
        return bool(problem)

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
            status = os.stat(self._root)
            with os.scandir(self._root):
                pass
        except OSError as error:
            return f"{gone} ({error.strerror or error})"
        same = (status.st_dev, status.st_ino) == self._identity
        lost = [image for image in self._sample if self._unreadable(image, with_content=not same)]
        if same and len(lost) > max(1, len(self._sample) // 2):
            return f"{gone} ({len(lost)} of {len(self._sample)} images that were there)"
        if not same and len(lost) > len(self._sample) // 4:
            return f"{gone} (another one is in its place)"
        self._identity = (status.st_dev, status.st_ino)
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

    def _identity_now(self) -> _Identity | None:
        """Device and inode; ``None`` where there is no such folder."""
        with suppress(OSError):
            status = os.stat(self._root)
            if stat.S_ISDIR(status.st_mode):
                return status.st_dev, status.st_ino
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
