"""The connection of the screens to one run: what has been read of its file, and questions to it."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TypeVar

from camtui.feed import Feed, Snapshot
from camtui.status import damaged
from camtui.ties import Marks, Ties
from evaluator.errors import CamtuiError
from evaluator.statistics import PairedDifference
from evaluator.store.reader import RunReader
from evaluator.store.readonly import DAMAGE

T = TypeVar("T")


class RunConnection:
    """One run, opened for reading.

    Snapshots, marks and differences are at hand and cost nothing. Everything else is asked of the
    file, in a thread that reads it or in one that tests ties.

    Attributes:
        path: the run's file.
        latest: the last snapshot that was read: what can be done to the run goes by this.
        displayed: the snapshot that the screens show, older than ``latest`` while ``frozen``.
    """

    def __init__(self, path: Path) -> None:
        """Open the run and read it once, so that the first picture is whole.

        Raises:
            CamtuiError: it cannot be read.
        """
        self.path = path
        self._feed = Feed(path)
        snapshot = self._feed.poll()
        assert snapshot is not None, "the first look at a file is always new"
        self.latest: Snapshot = snapshot
        self.displayed: Snapshot = snapshot
        self.frozen = False
        self._ties = Ties(path)
        self._pairs_reported = 0
        self._class_names: dict[str, tuple[str, ...]] = {}
        self._polling = False
        self._closed = False
        self._reading = ThreadPoolExecutor(1, thread_name_prefix="feed")
        self._testing = ThreadPoolExecutor(1, thread_name_prefix="ties")

    def close(self) -> None:
        """Close threads and file; waits for a question that is being answered."""
        self._closed = True
        self._reading.shutdown(wait=True, cancel_futures=True)
        self._testing.shutdown(wait=True, cancel_futures=True)
        self._feed.close()
        self._ties.close()

    # -- snapshots
    # ----------------------------------------------------------------------------------------------

    async def poll(self) -> bool:
        """Read the file again where it has changed; whether there is a new snapshot."""
        if self._polling:
            return False
        self._polling = True
        try:
            snapshot = await self._in_thread(self._reading, self._feed.poll)
        finally:
            self._polling = False
        if snapshot is None:
            return False
        self.latest = snapshot
        if not self.frozen:
            self.displayed = snapshot
        return True

    def toggle_freeze(self) -> None:
        """Hold the displayed snapshot, or display the latest again."""
        self.frozen = not self.frozen
        if not self.frozen:
            self.displayed = self.latest

    # -- questions to the file
    # ----------------------------------------------------------------------------------------------

    async def ask(self, question: Callable[[RunReader], T]) -> T:
        """Ask the run's file, in a thread.

        Raises:
            CamtuiError: as the reader does, and where the file is damaged.
        """

        def answer() -> T:
            try:
                return question(self._feed.reader)
            except DAMAGE as error:
                raise damaged(self.path, error) from error

        return await self._in_thread(self._reading, answer)

    async def _in_thread(self, threads: ThreadPoolExecutor, function: Callable[[], T]) -> T:
        """Wait for a function; where the run has been closed meanwhile, the waiting is cancelled.

        Questions that have a place in the queue when it is closed end so too.
        """
        try:
            answer = asyncio.get_running_loop().run_in_executor(threads, function)
        except RuntimeError:  # the threads take nothing more
            if self._closed:
                raise asyncio.CancelledError from None
            raise
        return await answer

    async def class_names(self, backbone: str) -> tuple[str, ...]:
        """Read the names of a backbone's classes; empty until it has been loaded once."""
        if backbone not in self._class_names:
            try:
                loaded = (await self.ask(lambda reader: reader.backbones())).get(backbone)
            except (CamtuiError, sqlite3.Error):  # classes are shown by number meanwhile
                return ()
            if loaded is None:
                return ()
            self._class_names[backbone] = loaded.classes
        return self._class_names[backbone]

    # -- ranks
    # ----------------------------------------------------------------------------------------------

    def marks(self, metrics: Sequence[str]) -> Marks:
        """Return best and ties of the displayed snapshot, as far as they have been tested."""
        marks: Marks = {}
        for metric in metrics:
            marks |= self._ties.marks(self.displayed, metric)
        return marks

    def difference(self, metric: str, best: int, cell: int) -> PairedDifference | None:
        """Return best minus cell, if it has been tested."""
        return self._ties.difference(metric, best, cell)

    async def test_ties(self, snapshot: Snapshot, metric: str, cell: int | None) -> bool:
        """Test for a moment the pairs that the ranks of a metric need.

        Returns:
            Whether a pair was tested since this last said so. A task that waits here may be
            replaced by the next one while the thread is at work: that one reports its results.
        """
        work = partial(self._ties.work, snapshot, metric, cell)
        await self._in_thread(self._testing, work)
        before, self._pairs_reported = self._pairs_reported, self._ties.tested
        return before != self._pairs_reported
