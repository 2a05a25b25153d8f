"""The runs screen: the state of every run, and where it differs from the one that is open."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from textual.app import ComposeResult
from textual.binding import Binding
from textual.message import Message

from camtui.feed import Snapshot
from camtui.format import Field, TableColumn, cell_views, count, duration, percent
from camtui.runs import list_runs
from camtui.status import RunStatus, read_status
from camtui.tui.run_connection import RunConnection
from camtui.tui.screens.base import ListScreen, after, holds
from camtui.tui.text import clock, state_field
from camtui.tui.widgets.fields import Line, TextLines
from camtui.tui.widgets.table import CursorMoved, LineTable, RowOpened
from evaluator.errors import CamtuiError
from evaluator.store.files import why_unreadable
from evaluator.store.reader import RunReader
from evaluator.store.readonly import DAMAGE
from evaluator.text import printable


@dataclass
class OpenRun(Message):
    """Request for another run in place of this one."""

    path: Path


@dataclass
class CompareRuns(Message):
    """Request for the comparison of two runs."""

    first: Path
    second: Path


@dataclass(frozen=True)
class RunEntry:
    """A run in the list.

    Attributes:
        best: value and name of the best cell that is no control.
        plan: its choices by name.
        problem: why it cannot be read.
    """

    path: Path
    status: RunStatus | None = None
    started: float = 0.0
    best: tuple[str, str] = ("", "")
    plan: Mapping[str, object] = field(default_factory=dict)
    problem: str = ""


def read_run_entry(path: Path) -> RunEntry:
    """Read one run. Blocking."""
    try:
        with RunReader(path) as reader:
            status, info = read_status(reader, path), reader.info()
            started = info.started or info.created
            return RunEntry(path, status, started, _best(reader), _plan(reader))
    except (CamtuiError, OSError, *DAMAGE) as error:
        why = error.message if isinstance(error, CamtuiError) else error
        return RunEntry(path, problem=why_unreadable(path) or printable(why, 200))


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


def differences(mine: Mapping[str, object], theirs: Mapping[str, object]) -> str:
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
    shown = [one for one in entry if holds(words, one.path.stem)]
    if order == "name":
        return sorted(shown, key=lambda one: one.path.stem.lower())
    if order == "ADCC":
        return sorted(shown, key=lambda one: -float(one.best[0] or -1))
    return shown


class RunsScreen(ListScreen):
    """Every run of the folder."""

    FILTER = "words that the run's name holds"

    BINDINGS = [
        Binding("space", "mark", "mark", tooltip="two marked runs can be compared"),
        Binding("equals_sign", "compare", "compare marked"),
        Binding("s", "sort", "sort", tooltip="by start, by name, by ADCC"),
        Binding("escape", "up", "up"),
    ]

    def __init__(self, connection: RunConnection) -> None:
        super().__init__(connection)
        self._entries: list[RunEntry] = []
        self._marked: list[Path] = []
        self._read_at = 0.0
        self._order = SORTS[0]

    def body(self) -> ComposeResult:
        """Compose the list, and the difference of the run under the cursor."""
        yield LineTable(id="runs")
        yield TextLines(id="difference", classes="ruled")

    def on_mount(self) -> None:
        """Read the runs."""
        super().on_mount()
        self.table.focus()

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
            TableColumn("mark", "", width=1),
            TableColumn("name", "run", width=26 if wide else 18, numeric=False),
            TableColumn("state", "state", width=11, numeric=False),
            TableColumn("done", "done", width=5),
            TableColumn("best", "ADCC↑", width=6),
            TableColumn("cell", "best", numeric=False),
            TableColumn("took", "took", width=6),
        ]
        if wide:
            columns += [
                TableColumn("images", "images", width=9),
                TableColumn("started", "started", width=10),
            ]
        words = self.words
        lines = [self._line(entry) for entry in sorted_runs(self._entries, self._order, words)]
        nothing = "no run of that name; Esc shows all" if words else "no run in the folder of runs"
        self.table.show(columns, lines, empty=nothing, filter=words)
        self._show_difference()

    def _line(self, entry: RunEntry) -> Line:
        is_open, status = entry.path == self.connection.path, entry.status
        fields = [
            Field("+" if entry.path in self._marked else " ", "key"),
            Field(printable(entry.path.stem), "accent" if is_open else "strong"),
        ]
        if status is None:
            problem = Field(entry.problem, "dim")
            fields += [Field("unreadable", "error"), Field(""), Field(""), problem]
        else:
            fields += [
                state_field(status.state),
                Field(percent(status.progress, 0) + "%"),
                Field(entry.best[0], "best"),
                Field(entry.best[1], "dim"),
                Field(duration(status.elapsed_seconds), "dim"),
                Field(count(status.images), "dim"),
                Field(clock(entry.started), "dim"),
            ]
        return Line(entry.path, tuple(fields))

    def _show_difference(self) -> None:
        entries = {entry.path: entry for entry in self._entries}
        row, mine = self.table.cursor[0], entries.get(self.connection.path)
        chosen = entries.get(row) if isinstance(row, Path) else None
        if chosen is None:
            words = ""
        elif mine is None or chosen is mine:
            words = "the run that is open"
        else:
            words = differences(mine.plan, chosen.plan) or "the same plan as the run that is open"
        if chosen is not None and chosen.problem:
            self.put("difference", [[Field(f" {chosen.problem}", "error")]])
        else:
            self.put("difference", [[Field(f" {words}", "dim")]] if words else [])

    def on_cursor_moved(self, _: CursorMoved) -> None:
        """Show what is different about the run under the cursor."""
        self._show_difference()

    def on_row_opened(self, message: RowOpened) -> None:
        """Open that run."""
        if isinstance(message.row, Path):
            self.post_message(OpenRun(message.row))

    def action_mark(self) -> None:
        """Mark for comparing; the oldest of more than two is let go."""
        row, _ = self.table.cursor
        if isinstance(row, Path):
            others = [path for path in self._marked if path != row]
            self._marked = others if row in self._marked else [*others, row][-2:]
            self._show_list()

    def action_compare(self) -> None:
        """Compare the two marked runs, or the marked one with the one under the cursor."""
        row, chosen = self.table.cursor[0], self._marked
        if len(chosen) != 2 and isinstance(row, Path):
            chosen = [*chosen, row]
        if len(set(chosen)) == 2:
            self.post_message(CompareRuns(chosen[0], chosen[1]))
        else:
            self.notify("mark two runs with Space", severity="warning")

    def action_sort(self) -> None:
        """Sort by start, by name, by ADCC, in turn."""
        self._order = after(self._order, SORTS)
        self._show_list()
        self.table.action_first()
        self.notify(f"sorted by {self._order}")

    def filter_changed(self) -> None:
        """Search while words are typed."""
        self._show_list()
