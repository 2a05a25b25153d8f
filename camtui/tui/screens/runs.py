"""The runs screen: the state of every run, and where it differs from the one that is open."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from textwrap import wrap

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal
from textual.message import Message

from camtui.feed import Snapshot
from camtui.format import (
    Field,
    TableColumn,
    cell_views,
    count,
    duration,
    percent,
    with_interval,
)
from camtui.runs import list_runs
from camtui.status import RunStatus, read_status
from camtui.tui.grid_model import Scale, interval
from camtui.tui.run_connection import RunConnection
from camtui.tui.screens.base import ListScreen, after, holds, rule
from camtui.tui.text import clock, in_words, shortened, state_field
from camtui.tui.widgets.fields import Line, TextLines
from camtui.tui.widgets.table import CursorMoved, HeadClicked, LineTable, RowOpened
from evaluator.errors import CamtuiError
from evaluator.statistics import Mean
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
        leaders: averages of its ADCC, best first, controls left out, by ``METHOD/BACKBONE``.
        plan: its choices by name.
        problem: why it cannot be read.
    """

    path: Path
    status: RunStatus | None = None
    started: float = 0.0
    best: tuple[str, str] = ("", "")
    leaders: tuple[tuple[str, Mean], ...] = ()
    plan: Mapping[str, object] = field(default_factory=dict)
    problem: str = ""

    def counted(self, name: str) -> int:
        """How many networks, or methods, its plan has."""
        return len(str(self.plan.get(name, "")).split(", ")) if self.plan.get(name) else 0


def read_run_entry(path: Path) -> RunEntry:
    """Read one run. Blocking."""
    try:
        with RunReader(path) as reader:
            status, info = read_status(reader, path), reader.info()
            started = info.started or info.created
            leaders = _leaders(reader)
            best = (percent(leaders[0][1].value), leaders[0][0]) if leaders else ("", "")
            return RunEntry(path, status, started, best, leaders, _plan(reader))
    except (CamtuiError, OSError, *DAMAGE) as error:
        why = error.message if isinstance(error, CamtuiError) else error
        return RunEntry(path, problem=why_unreadable(path) or printable(why, 200))


def _leaders(reader: RunReader) -> tuple[tuple[str, Mean], ...]:
    """Return the averages of ADCC, best first; by average alone, no pair is tested."""
    found = [
        (printable(f"{view.cell.method}/{view.cell.backbone}", 40), mean)
        for view in cell_views(reader)
        if not view.control and (mean := view.mean("adcc"))
    ]
    return tuple(sorted(found, key=lambda one: -one[1].value))


def preview_lines(entry: RunEntry, width: int, rows: int) -> list[list[Field]]:
    """Describe a run: its data, networks, methods, failures, and its averages, best first."""
    if entry.status is None:
        return [[Field(f" {part}", "error")] for part in wrap(entry.problem, max(8, width - 2))]
    facts = [
        ("data", entry.plan.get("data")),
        ("networks", entry.plan.get("backbones")),
        ("methods", entry.plan.get("methods")),
        ("metrics", entry.plan.get("metrics")),
        ("images", count(entry.status.images)),
        ("failures", entry.status.failed),
    ]
    lines = []
    for name, value in facts:
        words = wrap(printable(in_words(value), 400), max(8, width - 12)) or [""]
        heads = [name, *[""] * (len(words) - 1)]
        lines += [
            [Field(f" {head:<10}", "dim"), Field(part)]
            for head, part in zip(heads, words[:3], strict=False)
        ]
    if entry.leaders:
        lines += [[], [Field(" ADCC↑ with its 95 % interval", "head")]]
        names = shortened([name for name, _ in entry.leaders], max(8, min(26, width - 26)))
        low = min(mean.value - (mean.half_width or 0.0) for _, mean in entry.leaders)
        high = max(mean.value + (mean.half_width or 0.0) for _, mean in entry.leaders)
        size = max(map(len, names.values()))
        for name, mean in entry.leaders:
            value = f" {names[name]:<{size}} {with_interval(mean):>13} "
            drawn = interval(mean, Scale(low, high), max(0, width - len(value) - 1), "best")
            lines.append([Field(value), *drawn])
    return lines[: max(1, rows)]


def _plan(reader: RunReader) -> dict[str, object]:
    try:
        plan = reader.plan()
    except CamtuiError:
        return {}
    values: dict[str, object] = plan.to_dict()
    values["backbones"] = ", ".join(spec.name for spec in plan.backbones)
    values["methods"], values["metrics"] = ", ".join(plan.methods), ", ".join(plan.metrics)
    return values


def differences(mine: Mapping[str, object], theirs: Mapping[str, object]) -> list[str]:
    """Describe what another plan has otherwise: ``limit: 100 → 500``, ``methods: + scorecam``."""
    return [
        f"{name}: {_change(in_words(value), in_words(theirs[name]))}"
        for name, value in mine.items()
        if name in theirs and value != theirs[name]
    ]


def _change(mine: str, theirs: str) -> str:
    """Describe a change: of lists, what the other has besides and what it lacks."""
    ours, others = mine.split(", "), theirs.split(", ")
    more, less = ([one for one in a if one not in b] for a, b in ((others, ours), (ours, others)))
    if len(ours) == len(others) == 1 or not (more or less):
        return f"{mine} → {theirs}"
    parts = [f"{sign} {', '.join(names)}" for sign, names in (("+", more), ("−", less)) if names]
    return "; ".join(parts)


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
        with Horizontal(id="list"):
            yield LineTable(id="runs")
            yield TextLines(id="run-preview", classes="ruled")
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
        wide = self.app.size.width >= 160
        longest = max((len(printable(entry.path.stem)) for entry in self._entries), default=0)
        columns = [
            TableColumn("mark", "", width=1),
            TableColumn(
                "name", "run", width=26 if wide else min(18, max(4, longest)), numeric=False
            ),
            TableColumn("state", "state", width=11, numeric=False),
            TableColumn("done", "done", width=5),
            TableColumn("best", "ADCC↑", width=6),
            TableColumn("cell", "best", numeric=False),
            TableColumn("failed", "failed", width=6),
            TableColumn("took", "took", width=6),
        ]
        if wide:
            columns += [
                TableColumn("data", "data", width=14, numeric=False),
                TableColumn("networks", "nets", width=4),
                TableColumn("methods", "methods", width=7),
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
                Field(count(status.failed_images), "warn" if status.failures else "dim"),
                Field(duration(status.elapsed_seconds), "dim"),
                Field(printable(Path(str(entry.plan.get("data", ""))).name), "dim"),
                Field(str(entry.counted("backbones")), "dim"),
                Field(str(entry.counted("methods")), "dim"),
                Field(count(status.images), "dim"),
                Field(clock(entry.started), "dim"),
            ]
        return Line(entry.path, tuple(fields))

    def _show_difference(self) -> None:
        entries = {entry.path: entry for entry in self._entries}
        row, mine = self.table.cursor[0], entries.get(self.connection.path)
        chosen = entries.get(row) if isinstance(row, Path) else None
        if chosen is None:
            words = []
        elif mine is None or chosen is mine:
            words = ["the run that is open"]
        else:
            same = "the same plan as the run that is open"
            words = differences(mine.plan, chosen.plan) or [same]
        panel = self.query_one("#difference", TextLines)
        preview = self.query_one("#run-preview", TextLines)
        panel.set_title(rule(f"against the open run, {printable(self.connection.path.stem)}"))
        if chosen is not None and chosen.problem:
            self.put("difference", [[Field(f" {chosen.problem}", "error")]])
        else:
            self.put("difference", [[Field(f" {printable(line, 300)}", "dim")] for line in words])
        preview.set_title(rule(chosen.path.stem) if chosen else "")
        preview.show(preview_lines(chosen, *preview.size) if chosen else [])

    def on_cursor_moved(self, _: CursorMoved) -> None:
        """Show what is different about the run under the cursor."""
        self._show_difference()

    def on_head_clicked(self, message: HeadClicked) -> None:
        """Sort by the column whose heading is clicked, of those that there is an order for."""
        orders = {"name": "name", "best": "ADCC", "cell": "ADCC", "started": "started"}
        if message.column in orders:
            self._order = orders[message.column]
            self._show_list()

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
