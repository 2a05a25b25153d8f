"""The comparison screen: two runs, image by image."""

from __future__ import annotations

import asyncio
import sqlite3
from functools import partial
from pathlib import Path

from textual.app import ComposeResult
from textual.binding import Binding

from camtui.format import Field, TableColumn, count, half_width, percent, signed_percent
from camtui.tui.run_connection import RunConnection
from camtui.tui.screens.base import RunScreen, after
from camtui.tui.text import header
from camtui.tui.widgets.fields import Line, TextLines
from camtui.tui.widgets.table import LineTable
from evaluator.catalog import known_metrics
from evaluator.errors import CamtuiError
from evaluator.store.reader import RunReader
from evaluator.text import printable

COLUMNS = (
    TableColumn("verdict", "", width=8, numeric=False),
    TableColumn("change", "change", width=16),
    TableColumn("method", "method", width=18, numeric=False),
    TableColumn("backbone", "backbone", width=18, numeric=False),
    TableColumn("first", "first", width=7),
    TableColumn("second", "second", width=7),
    TableColumn("n", "n", width=8),
)


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
        self.table.focus()
        self._begin()

    def _begin(self) -> None:
        self._show_title("   {}   comparing …", "")
        self.fetch(partial(self._compare, self._metric), "compare")

    def _show_title(self, more: str, answer: str) -> None:
        names = "  →  ".join(printable(path.stem, 30) for path in self._paths)
        words = more.format(header(self._metric))
        names_line = [Field(f" {names}", "dim" if answer else "strong"), Field(words, "dim")]
        self.put("compared", [[Field(f" {answer}", "strong")], names_line])

    async def _compare(self, metric: str) -> None:
        try:
            answer, lines, notes, self._metrics = await asyncio.to_thread(
                compared, *self._paths, metric
            )
        except (CamtuiError, sqlite3.Error) as error:
            answer, lines, notes = (
                "",
                [],
                [error.message if isinstance(error, CamtuiError) else str(error)],
            )
        self.table.show(COLUMNS, lines, empty="nothing to compare")
        self.put("notes", [[Field(f" {printable(note, 300)}", "dim")] for note in notes])
        self._show_title("   {}, paired by image", answer)

    def action_metric(self) -> None:
        """Compare by the next metric that both runs have."""
        self._metric = after(self._metric, self._metrics)
        self._begin()


def compared(
    first: Path, second: Path, metric: str
) -> tuple[str, list[Line], list[str], list[str]]:
    """Compare two runs by a metric. Blocking.

    Returns:
        The answer, the differences as rows of a table, the notes, and the metrics to choose from.
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
            Field(cell.verdict, roles[cell.verdict]),
            Field(change),
            Field(printable(cell.method), "strong"),
            Field(printable(cell.backbone)),
            Field(percent(cell.first)),
            Field(percent(cell.second)),
            Field(count(cell.n), "dim"),
        )
        lines.append(Line((cell.backbone, cell.method), fields))
    notes = [found.test, *found.notes]
    for name, only in ((found.first, found.only_first), (found.second, found.only_second)):
        notes += [f"only in {name}: {', '.join(only)}"] if only else []
    return found.answer(known_metrics()[metric]), lines, notes, metrics
