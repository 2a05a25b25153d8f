"""Ranks of cells for a display that must not wait: the best of a backbone, and its ties.

The rule is ``camtui.format.rank_cells``. It asks for paired differences, and each reads two cells
(0.3 s for 50 000 images): here it gets those that are known and the rest is worked out in another
thread. A pair is tested again when it has grown by a twentieth.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import NamedTuple

from camtui.feed import Snapshot
from camtui.format import Mark, rank_cells
from evaluator.catalog import known_metrics
from evaluator.statistics import PairedDifference
from evaluator.store.reader import RunReader
from evaluator.store.readonly import SMALL_CACHE_KIB

Marks = dict[tuple[int, str], Mark]
"""(cell, metric) → its rank among the methods of its backbone."""

_GROWN = 1.05


class Pair(NamedTuple):
    """Two cells whose difference is asked for."""

    metric: str
    best: int
    cell: int


class Ties:
    """The paired differences that are known so far; ``work`` is for a thread of its own."""

    def __init__(self, path: Path) -> None:
        """Nothing is known at first; the file is opened at the first question."""
        self._path = path
        self._reader: RunReader | None = None
        self._known: dict[Pair, tuple[int, PairedDifference | None]] = {}
        self.tested = 0
        """Pairs that have been tested so far: who was away when a test ended sees by this that
        there is news.
        """

    def close(self) -> None:
        """Close the file, if it was opened."""
        if self._reader is not None:
            self._reader.close()

    def marks(self, snapshot: Snapshot, metric: str) -> Marks:
        """Return the ranks as far as they are known; an untested pair is no tie."""
        return self._ranked(snapshot, metric)[0]

    def difference(self, metric: str, best: int, cell: int) -> PairedDifference | None:
        """Return best minus cell, as last tested."""
        return self._known.get(Pair(metric, best, cell), (0, None))[1]

    def work(
        self, snapshot: Snapshot, metric: str, also: int | None = None, seconds: float = 0.5
    ) -> bool:
        """Test what is out of date for about that long, and return whether anything was.

        Args:
            also: a cell to be compared with the best of its backbone even where the ranks do not
                need it.
        """
        marks, asked = self._ranked(snapshot, metric)
        best = best_in_backbone(snapshot, marks, metric, also)
        if (
            also is not None
            and best is not None
            and best != also
            and snapshot.mean(also, metric) is not None
        ):
            asked.insert(0, Pair(metric, best, also))
        end, learnt = time.monotonic() + seconds, False
        for pair in dict.fromkeys(asked):
            n = _common(snapshot, pair)
            if not self._out_of_date(pair, n, snapshot.info.image_count):
                continue
            if self._reader is None:
                self._reader = RunReader(self._path, cache_kib=SMALL_CACHE_KIB)
            self._known[pair] = (n, self._reader.averages.paired(*pair))
            self.tested += 1
            learnt = True
            if time.monotonic() > end:
                break
        return learnt

    def _ranked(self, snapshot: Snapshot, metric: str) -> tuple[Marks, list[Pair]]:
        """Return the ranks, and the pairs that they asked about."""
        asked: list[Pair] = []

        def known(metric: str, best: int, cell: int) -> PairedDifference | None:
            asked.append(Pair(metric, best, cell))
            return self.difference(metric, best, cell)

        marks: Marks = {}
        for backbone in snapshot.backbones:
            group = [view for view in snapshot.views.values() if view.cell.backbone == backbone]
            ranks = rank_cells(group, known_metrics()[metric], known)
            marks |= {(cell, metric): mark for cell, mark in ranks.items()}
        return marks, asked

    def _out_of_date(self, pair: Pair, n: int, images: int) -> bool:
        tested = self._known.get(pair, (0, None))[0]
        return n > tested and (n >= tested * _GROWN or n == images)


def best_in_backbone(snapshot: Snapshot, marks: Marks, metric: str, cell: int | None) -> int | None:
    """Return the best cell of the backbone of that cell."""
    if cell is None or cell not in snapshot.views:
        return None
    backbone = snapshot.views[cell].cell.backbone
    group = [view.cell.id for view in snapshot.views.values() if view.cell.backbone == backbone]
    return next((id_ for id_ in group if marks.get((id_, metric)) == "best"), None)


def _common(snapshot: Snapshot, pair: Pair) -> int:
    means = [snapshot.mean(id_, pair.metric) for id_ in (pair.best, pair.cell)]
    return min((mean.n for mean in means if mean is not None), default=0)
