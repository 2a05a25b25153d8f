"""Changes of one run's file: a frozen ``Snapshot`` whenever the file or its driver has changed.

An idle look costs one ``PRAGMA data_version``, one ``stat`` and one question to the lock. Blocking:
whoever has a screen to keep alive calls it from a thread.
"""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from camtui.format import CellView
from camtui.status import RunStatus, status_of
from evaluator.catalog import ROW_METRICS, known_metrics
from evaluator.errors import CamtuiError, NotFound, StoreError
from evaluator.records import Cell, Event, RunInfo, Stage, WorkerState
from evaluator.statistics import Mean
from evaluator.store.files import lock_holder
from evaluator.store.reader import RunReader
from evaluator.store.readonly import DAMAGE, SMALL_CACHE_KIB
from evaluator.text import printable

EVENTS_KEPT = 200
TREND_KEPT, _TREND_EVERY, _SILENCE = 12, 5.0, 60.0
"""Looks that a trend holds, least seconds between them, and seconds without a row after which there
is one all the same.
"""

_AGAIN_AFTER = 3.0
"""Seconds after which a live run is looked at again though its file is unchanged: silence is news
too.
"""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A run at one moment, as the screens show it.

    Attributes:
        taken: when, in seconds since 1970.
        size: bytes of the file and of its log.
        metrics: keys with at least one value or planned, the paper's order.
        backbones, methods: in the plan's order, names as shown.
        views: every cell with its averages, by cell id.
        utilisation: of the devices in percent.
        rates: rows a second; the last looks, oldest first.
        problem: why the file cannot be read any more; everything else is then as last seen.
    """

    path: Path
    taken: float
    size: int
    info: RunInfo
    status: RunStatus
    metrics: tuple[str, ...]
    backbones: tuple[str, ...]
    methods: tuple[str, ...]
    views: Mapping[int, CellView]
    stages: tuple[Stage, ...]
    workers: tuple[WorkerState, ...]
    events: tuple[Event, ...]
    failures: int
    utilisation: tuple[float, ...] = ()
    rates: tuple[float, ...] = ()
    problem: str = ""

    @property
    def cells(self) -> list[Cell]:
        """Every cell, backbones in the plan's order."""
        return [view.cell for view in self.views.values()]

    def cell(self, backbone: str, method: str) -> Cell | None:
        """Return the cell of that backbone and method."""
        return next(
            (cell for cell in self.cells if cell.backbone == backbone and cell.method == method),
            None,
        )

    def mean(self, cell: int, metric: str) -> Mean | None:
        """Return the average of one metric in one cell."""
        view = self.views.get(cell)
        return view.mean(metric) if view else None


class Trends:
    """Utilisation and rows a second over the last looks; the file holds the newest only."""

    def __init__(self) -> None:
        self.utilisation: deque[float] = deque(maxlen=TREND_KEPT)
        self.rates: deque[float] = deque(maxlen=TREND_KEPT)
        self._before: tuple[float, int] | None = None

    def look(self, now: float, rows: int, workers: Sequence[WorkerState]) -> None:
        """Take note of a look, unless it follows another quickly or no row has come since."""
        since, before = self._before or (now, rows)
        passed = now - since
        if self._before is not None and (
            passed < _TREND_EVERY or (rows == before and passed < _SILENCE)
        ):
            return
        busy = [worker.utilisation for worker in workers if worker.utilisation is not None]
        if busy:
            self.utilisation.append(sum(busy) / len(busy))
        if self._before is not None:
            self.rates.append(max(0, rows - before) / passed)
        self._before = now, rows


class Feed:
    """One run's file, looked at again and again.

    Attributes:
        reader: of the file that the last look found.
    """

    def __init__(self, path: Path) -> None:
        """Open the run.

        Raises:
            NotFound: no such file.
            StoreError: not a run of ours.
        """
        self.path = path
        self.reader = RunReader(path, cache_kib=SMALL_CACHE_KIB)
        self._identity = _identity(path)
        self._seen: tuple[int, int | None] | None = None
        self._last: Snapshot | None = None
        self._trends = Trends()

    def close(self) -> None:
        """Close the file."""
        self.reader.close()

    def poll(self, now: float | None = None) -> Snapshot | None:
        """Return a new snapshot, or ``None`` where nothing has changed."""
        now = time.time() if now is None else now
        try:
            self._follow_the_file()
            holder = lock_holder(self.path)  # before the file is read: see ``read_status``
            seen = (self.reader.data_version(), holder)
            if seen == self._seen and not self._is_due(now):
                return None
            with self.reader.moment():
                self._last = self._take(now, holder)
            self._seen = seen
        except (CamtuiError, *DAMAGE) as error:
            return self._with_problem(error, now)
        return self._last

    def _follow_the_file(self) -> None:
        """Refuse a file that was removed, and open the one that replaces it."""
        identity = _identity(self.path)
        if identity is None:
            raise NotFound(f"{printable(self.path)} is gone", "list the runs: camtui ls")
        if identity != self._identity:
            fresh = RunReader(self.path, cache_kib=SMALL_CACHE_KIB)
            self.reader.close()
            self.reader, self._identity, self._seen = fresh, identity, None

    def _is_due(self, now: float) -> bool:
        if self._last is None or self._last.problem:
            return True
        return self._last.status.live and now - self._last.taken >= _AGAIN_AFTER

    def _with_problem(self, error: Exception, now: float) -> Snapshot | None:
        problem = printable(error.message if isinstance(error, CamtuiError) else error)
        if self._last is None:
            raise (
                error
                if isinstance(error, CamtuiError)
                else StoreError(f"cannot read {printable(self.path)}: {problem}")
            ) from error
        if self._last.problem == problem:
            return None
        self._last = replace(self._last, problem=problem, taken=now)
        return self._last

    def _take(self, now: float, holder: int | None) -> Snapshot:
        reader = self.reader
        info, stages = reader.info(), tuple(reader.stages())
        status = status_of(reader, self.path, holder, stages)
        summaries = {summary.cell: summary for summary in reader.averages.summaries()}
        images, look = reader.images_wanted(), status.until
        dropped = look.dropped if look else {}
        views = {
            cell.id: CellView(cell, summaries[cell.id], images, dropped=dropped.get(cell.id))
            for cell in reader.cells()
        }
        workers = tuple(reader.workers())
        if status.live:
            self._trends.look(now, sum(summary.n for summary in summaries.values()), workers)
        wanted = {name for summary in summaries.values() for name in summary.means}
        wanted |= {name for stage in stages for name in stage.metrics}
        return Snapshot(
            path=self.path,
            taken=now,
            size=_size(self.path),
            info=info,
            status=status,
            metrics=tuple(key for key in known_metrics() if key in wanted or key in ROW_METRICS),
            backbones=tuple(dict.fromkeys(view.cell.backbone for view in views.values())),
            methods=tuple(dict.fromkeys(view.cell.method for view in views.values())),
            views=views,
            stages=stages,
            workers=workers,
            events=tuple(reader.events(limit=EVENTS_KEPT)),
            failures=status.failures,
            utilisation=tuple(self._trends.utilisation),
            rates=tuple(self._trends.rates),
        )


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _size(path: Path) -> int:
    total = 0
    for file in (path, path.with_name(f"{path.name}-wal")):
        try:
            total += file.stat().st_size
        except OSError:
            continue
    return total
