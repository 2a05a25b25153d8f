"""The comparison screen: two runs, image by image."""

from __future__ import annotations

import asyncio
import sqlite3
from functools import partial
from pathlib import Path

from textual.app import ComposeResult
from textual.binding import Binding

from camtui.format import count, half_width, metric_header, percent, signed_percent
from camtui.tui.run_connection import RunConnection
from camtui.tui.screens.base import RunScreen
from camtui.tui.widgets.fields import Field, Line, TableColumn, TextLines
from camtui.tui.widgets.table import LineTable
from evaluator.catalog import known_metrics
from evaluator.errors import CamtuiError
from evaluator.store.reader import RunReader
from evaluator.text import printable


class CompareScreen(RunScreen):
    """Two runs, cell by cell, over the images that both have."""

    BINDINGS = [Binding("m", "metric", "metric"), Binding("escape", "up", "up")]

    def __init__(self, connection: RunConnection, first: Path, second: Path) -> None:
        super().__init__(connection)
        self._paths = first, second
        self._metric, self._metrics = "adcc", ["adcc"]

    def body(self) -> ComposeResult:
        """Compose the title, the differences, the notes."""
        yield TextLines(id="compared")
        yield LineTable(id="differences", can_open=False)
        yield TextLines(id="notes", classes="ruled")

    def on_mount(self) -> None:
        """Compare."""
        super().on_mount()
        self.query_one("#differences", LineTable).focus()
        self._begin()

    def _begin(self) -> None:
        names = "  →  ".join(printable(path.stem, 30) for path in self._paths)
        words = [
            Field(f" {names}", "strong"),
            Field(f"   {metric_header(known_metrics()[self._metric])}   comparing …", "dim"),
        ]
        self.query_one("#compared", TextLines).show([words])
        self.fetch(partial(self._compare, self._metric), "compare")

    async def _compare(self, metric: str) -> None:
        try:
            lines, notes, self._metrics = await asyncio.to_thread(compared, *self._paths, metric)
        except (CamtuiError, sqlite3.Error) as error:
            lines, notes = [], [error.message if isinstance(error, CamtuiError) else str(error)]
        columns = [
            TableColumn("method", "method", 18, right=False),
            TableColumn("backbone", "backbone", 18, right=False),
        ]
        columns += [
            TableColumn("n", "n", 8),
            TableColumn("first", "first", 7),
            TableColumn("second", "second", 7),
        ]
        columns += [TableColumn("change", "change", 16), TableColumn("verdict", "", 8, right=False)]
        self.query_one("#differences", LineTable).show(columns, lines, empty="nothing to compare")
        self.query_one("#notes", TextLines).show(
            [[Field(f" {printable(note, 300)}", "dim")] for note in notes]
        )
        names = "  →  ".join(printable(path.stem, 30) for path in self._paths)
        title = [
            Field(f" {names}", "strong"),
            Field(f"   {metric_header(known_metrics()[metric])}, paired by image", "dim"),
        ]
        self.query_one("#compared", TextLines).show([title])

    def action_metric(self) -> None:
        """Compare by the next metric that both runs have."""
        self._metric = self._metrics[(self._metrics.index(self._metric) + 1) % len(self._metrics)]
        self._begin()


def compared(first: Path, second: Path, metric: str) -> tuple[list[Line], list[str], list[str]]:
    """Compare two runs by a metric. Blocking.

    Returns:
        The differences as rows of a table, the notes, and the metrics to choose from.
    """
    from camtui.compare import comparable_metrics, compare_runs

    with RunReader(first) as mine, RunReader(second) as theirs:
        found = compare_runs(mine, theirs, [known_metrics()[metric]])
        metrics = comparable_metrics(mine, theirs)
    roles = {"better": "best", "worse": "error", "tie": "tie", "untested": "dim"}
    lines = []
    for cell in found.cells:
        change = f"{signed_percent(cell.change)} {half_width(cell.paired)}"
        fields = (
            Field(printable(cell.method), "strong"),
            Field(printable(cell.backbone)),
            Field(count(cell.n), "dim"),
        )
        values = (
            Field(percent(cell.first)),
            Field(percent(cell.second)),
            Field(change),
            Field(cell.verdict, roles[cell.verdict]),
        )
        lines.append(Line((cell.backbone, cell.method), fields + values))
    notes = [found.test, *found.notes]
    notes += [f"only in {found.first}: {', '.join(found.only_first)}"] if found.only_first else []
    notes += (
        [f"only in {found.second}: {', '.join(found.only_second)}"] if found.only_second else []
    )
    return lines, notes, metrics
