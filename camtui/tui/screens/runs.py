"""The runs screen: the state of every run, and where it differs from the one that is open."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from textual.app import ComposeResult
from textual.binding import Binding
from textual.widgets import Input

from camtui.feed import Snapshot
from camtui.format import (
    cell_views,
    count,
    duration,
    percent,
)
from camtui.runs import list_runs
from camtui.status import RunStatus, read_status
from camtui.tui.messages import CompareRuns, CursorMoved, OpenRun, RowOpened
from camtui.tui.run_connection import RunConnection
from camtui.tui.screens.base import RunScreen
from camtui.tui.text import clock, state_field
from camtui.tui.widgets.fields import Field, Line, TableColumn, TextLines
from camtui.tui.widgets.table import LineTable
from evaluator.errors import CamtuiError
from evaluator.store.reader import RunReader
from evaluator.text import printable


@dataclass(frozen=True)
class RunEntry:
    """A run in the list.

    Attributes:
        best: value and name of the best cell that is no control.
        plan: its choices by name.
        problem: why it cannot be read.
    """

    path: Path
    status: RunStatus | None
    started: float
    best: tuple[str, str]
    plan: dict[str, object]
    problem: str = ""


def read_run_entry(path: Path) -> RunEntry:
    """Read one run. Blocking."""
    try:
        with RunReader(path) as reader:
            status, info = read_status(reader, path), reader.info()
            return RunEntry(
                path, status, info.started or info.created, _best(reader), _plan(reader)
            )
    except (CamtuiError, sqlite3.Error) as error:
        return RunEntry(
            path,
            None,
            0.0,
            ("", ""),
            {},
            printable(error.message if isinstance(error, CamtuiError) else error, 200),
        )


def _best(reader: RunReader) -> tuple[str, str]:
    """Return value and name of the best ADCC; by average alone, no pair is tested."""
    found = [
        (mean.value, view.cell)
        for view in cell_views(reader)
        if not view.control and (mean := view.mean("adcc"))
    ]
    if not found:
        return "", ""
    value, cell = max(found, key=lambda one: one[0])
    return percent(value), printable(f"{cell.method}/{cell.backbone}", 40)


def _plan(reader: RunReader) -> dict[str, object]:
    try:
        plan = reader.plan()
    except CamtuiError:
        return {}
    values: dict[str, object] = plan.to_dict()
    values["backbones"] = ", ".join(spec.name for spec in plan.backbones)
    values["methods"], values["metrics"] = ", ".join(plan.methods), ", ".join(plan.metrics)
    return values


def differences(mine: dict[str, object], theirs: dict[str, object]) -> str:
    """Describe what another plan has otherwise: ``limit: 100 → 500``."""
    changed = [name for name in mine if name in theirs and mine[name] != theirs[name]]
    return ";  ".join(
        printable(f"{name}: {_in_words(mine[name])} → {_in_words(theirs[name])}", 120)
        for name in changed
    )


def _in_words(value: object) -> str:
    """Describe a choice of a plan in words."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)


SORTS = ("started", "name", "ADCC")


def sorted_runs(entry: Sequence[RunEntry], order: str, words: str) -> list[RunEntry]:
    """Return the runs whose names hold the words: the last started, by name, or the best first."""
    shown = [one for one in entry if words.lower() in one.path.stem.lower()]
    if order == "name":
        return sorted(shown, key=lambda one: one.path.stem.lower())
    if order == "ADCC":
        return sorted(shown, key=lambda one: -float(one.best[0] or -1))
    return shown


class RunsScreen(RunScreen):
    """Every run of the folder."""

    BINDINGS = [
        Binding("space", "mark", "mark", tooltip="two marked runs can be compared"),
        Binding("equals_sign", "compare", "compare marked"),
        Binding("s", "sort", "sort", tooltip="by start, by name, by ADCC"),
        Binding("slash", "search", "search", tooltip="only runs whose names hold these words"),
        Binding("escape", "up", "up"),
    ]

    def __init__(self, connection: RunConnection) -> None:
        super().__init__(connection)
        self._entries: list[RunEntry] = []
        self._marked: list[Path] = []
        self._read_at = 0.0
        self._order, self._words = SORTS[0], ""

    def body(self) -> ComposeResult:
        """Compose the list, and the difference of the run under the cursor."""
        yield LineTable(id="runs")
        yield TextLines(id="difference", classes="ruled")
        yield Input(
            id="filter", placeholder="words that the run's name holds", select_on_focus=False
        )

    def on_mount(self) -> None:
        """Read the runs."""
        super().on_mount()
        self.query_one("#runs", LineTable).focus()

    def snapshot_shown(self, snapshot: Snapshot) -> None:
        """Read the runs again every few seconds: others go on too."""
        if time.monotonic() - self._read_at > 5:
            self._read_at = time.monotonic()
            self.fetch(self._read, "runs")

    async def _read(self) -> None:
        paths = await asyncio.to_thread(list_runs)
        mine = self.connection.path
        if mine not in paths:
            paths.insert(0, mine)
        self._entries = [await asyncio.to_thread(read_run_entry, path) for path in paths]
        self._show_list()

    def _show_list(self) -> None:
        wide = self.app.size.width >= 100
        columns = [
            TableColumn("mark", "", 1),
            TableColumn("name", "run", 26 if wide else 18, right=False),
        ]
        columns += [
            TableColumn("state", "state", 11, right=False),
            TableColumn("done", "done", 5),
            TableColumn("best", "ADCC↑", 6),
        ]
        columns += [TableColumn("cell", "best", 0, right=False), TableColumn("took", "took", 6)]
        columns += (
            [TableColumn("images", "images", 9), TableColumn("started", "started", 10)]
            if wide
            else []
        )
        lines = [
            self._line(entry) for entry in sorted_runs(self._entries, self._order, self._words)
        ]
        nothing = (
            "no run of that name; Esc shows all" if self._words else "no run in the folder of runs"
        )
        self.query_one("#runs", LineTable).show(columns, lines, empty=nothing)
        self._show_difference()

    def _line(self, entry: RunEntry) -> Line:
        name = Field(
            printable(entry.path.stem), "accent" if entry.path == self.connection.path else "strong"
        )
        mark = Field("+" if entry.path in self._marked else " ", "key")
        status = entry.status
        if status is None:
            nothing = [Field("")] * 2
            return Line(
                entry.path,
                (mark, name, Field("unreadable", "error"), *nothing, Field(entry.problem, "dim")),
            )
        fields = [
            mark,
            name,
            state_field(status.state),
            Field(percent(status.progress, 0) + "%"),
            Field(entry.best[0], "best"),
        ]
        fields += [Field(entry.best[1], "dim"), Field(duration(status.elapsed_seconds), "dim")]
        fields += [Field(count(status.images), "dim"), Field(clock(entry.started), "dim")]
        return Line(entry.path, tuple(fields))

    def _show_difference(self) -> None:
        row, _ = self.query_one("#runs", LineTable).cursor
        chosen = next((entry for entry in self._entries if entry.path == row), None)
        mine = next((entry for entry in self._entries if entry.path == self.connection.path), None)
        panel = self.query_one("#difference", TextLines)
        if chosen is None:
            panel.show([])
        elif chosen.problem:
            panel.show([[Field(f" {chosen.problem}", "error")]])
        elif mine is None or chosen is mine:
            panel.show([[Field(" the run that is open", "dim")]])
        else:
            words = differences(mine.plan, chosen.plan) or "the same plan as the run that is open"
            panel.show([[Field(f" {words}", "dim")]])

    def on_cursor_moved(self, _: CursorMoved) -> None:
        """Show what is different about the run under the cursor."""
        self._show_difference()

    def on_row_opened(self, message: RowOpened) -> None:
        """Open that run."""
        if isinstance(message.row, Path):
            self.post_message(OpenRun(message.row))

    def action_mark(self) -> None:
        """Mark for comparing; the oldest of more than two is let go."""
        row, _ = self.query_one("#runs", LineTable).cursor
        if isinstance(row, Path):
            self._marked = (
                [path for path in self._marked if path != row]
                if row in self._marked
                else [*self._marked, row][-2:]
            )
            self._show_list()

    def action_compare(self) -> None:
        """Compare the two marked runs, or the marked one with the one under the cursor."""
        row, _ = self.query_one("#runs", LineTable).cursor
        chosen = (
            self._marked
            if len(self._marked) == 2 or not isinstance(row, Path)
            else [*self._marked, row]
        )
        if len(set(chosen)) == 2:
            self.post_message(CompareRuns(chosen[0], chosen[1]))
        else:
            self.toast("mark two runs with Space", "warning")

    def action_sort(self) -> None:
        """Sort by start, by name, by ADCC, in turn."""
        self._order = SORTS[(SORTS.index(self._order) + 1) % len(SORTS)]
        self._show_list()
        self.toast(f"sorted by {self._order}")

    def action_search(self) -> None:
        """Open the search line."""
        line = self.query_one("#filter", Input)
        line.add_class("open")
        line.focus()

    def on_input_changed(self, event: Input.Changed) -> None:
        """Search while words are typed."""
        self._words = event.value
        self._show_list()

    def on_input_submitted(self, _: Input.Submitted) -> None:
        """Keep the words and go back to the list."""
        self._close_search()

    def _close_search(self) -> None:
        self.query_one("#filter", Input).remove_class("open")
        self.query_one("#runs", LineTable).focus()

    def action_up(self) -> None:
        """Show all runs again; then back to where this was opened."""
        line = self.query_one("#filter", Input)
        if line.value or line.has_class("open"):
            line.value = ""
            self._close_search()
        else:
            self.app.pop_screen()
