"""The dashboard's one line to a run's file.

A thread that reads, a thread that tests ties, and what they have found so far.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from camtui.feed import Feed, Snapshot
from camtui.ties import Marks, Ties
from evaluator.catalog import split_spec
from evaluator.errors import CamtuiError
from evaluator.statistics import PairedDifference
from evaluator.store.reader import RunReader

T = TypeVar("T")


class RunConnection:
    """One run, as the screens reach it.

    The file is read in threads; what is here already costs nothing.
    """

    def __init__(self, path: Path) -> None:
        """Open the run and look at it once, so that the first picture is whole.

        Raises:
            CamtuiError: it cannot be read.
        """
        self.path = path
        self._feed = Feed(path)
        self.latest: Snapshot | None = self._feed.poll()
        self._ties = Ties(path)
        self._told = 0
        self._names: dict[str, tuple[str, ...]] = {}
        self._looking = False
        self._reading = ThreadPoolExecutor(1, thread_name_prefix="feed")
        self._thinking = ThreadPoolExecutor(1, thread_name_prefix="ties")

    def close(self) -> None:
        """Give threads and file back; waits for a question that is being answered."""
        self._reading.shutdown(wait=True, cancel_futures=True)
        self._thinking.shutdown(wait=True, cancel_futures=True)
        self._feed.close()
        self._ties.close()

    async def look(self) -> Snapshot | None:
        """A new snapshot, or ``None`` where nothing is new."""
        if self._looking:
            return None
        self._looking = True
        try:
            snapshot = await asyncio.get_running_loop().run_in_executor(
                self._reading, self._feed.poll
            )
        finally:
            self._looking = False
        self.latest = snapshot or self.latest
        return snapshot

    async def ask(self, question: Callable[[RunReader], T]) -> T:
        """Ask the run's file.

        Raises:
            CamtuiError, sqlite3.Error: as the reader does.
        """
        return await asyncio.get_running_loop().run_in_executor(
            self._reading, self._feed.ask, question
        )

    async def class_names(self, backbone: str) -> tuple[str, ...]:
        """The classes that a backbone knows; none until it has been loaded once."""
        if backbone not in self._names:
            loaded = (await self.ask(lambda reader: reader.backbones())).get(backbone)
            if loaded is None:
                return ()
            self._names[backbone] = loaded.classes
        return self._names[backbone]

    # -- ranks
    # ----------------------------------------------------------------------------------------------

    def marks(self, snapshot: Snapshot, metrics: Sequence[str]) -> Marks:
        """Best and ties, as far as they are known."""
        return {
            key: mark
            for metric in metrics
            for key, mark in self._ties.marks(snapshot, metric).items()
        }

    def difference(self, metric: str, best: int, cell: int) -> PairedDifference | None:
        """Best minus cell, if it has been tested."""
        return self._ties.difference(metric, best, cell)

    async def test_ties(self, snapshot: Snapshot, metric: str, cell: int | None) -> bool:
        """Test for a moment what the ranks of a metric need.

        Whether there is anything new since this last said so.

        Whoever asked may be replaced by the next who asks while the thread is at work: its news are
        told to that one.
        """
        await asyncio.get_running_loop().run_in_executor(
            self._thinking, self._ties.work, snapshot, metric, cell
        )
        before, self._told = self._told, self._ties.tested
        return before != self._told


def printed_value(backbone: str, method: str, metric: str) -> float | None:
    """What the paper's Table 2 has for a cell, as a fraction.

    Options of a backbone or a method are not the paper's.
    """
    from camtui.paper import table2

    try:
        printed = (
            table2().get(split_spec(backbone)[0], {}).get(split_spec(method)[0], {}).get(metric)
        )
    except CamtuiError:  # a name that no run of ours would hold
        return None
    return None if printed is None else printed / 100
