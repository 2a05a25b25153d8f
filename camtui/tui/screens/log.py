"""The log screen: events, failures with their reasons, the plan with every version.

Also the cost of each stage, and the driver's log.
"""

from __future__ import annotations

import time
from functools import partial

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal

from camtui.feed import Snapshot
from camtui.format import ABSENT, Field, TableColumn, count, duration
from camtui.tui import text
from camtui.tui.preview import Preview
from camtui.tui.run_connection import RunConnection
from camtui.tui.screens.base import ListScreen, after, holds
from camtui.tui.widgets.fields import Line, TextLines, field_at
from camtui.tui.widgets.table import CursorMoved, LineTable
from evaluator.errors import CamtuiError
from evaluator.records import LoadedBackbone
from evaluator.store.files import known_log
from evaluator.store.reader import RunReader
from evaluator.text import printable

TABS = ("events", "errors", "plan", "timings", "log file")
MAX_FAILURES = 2000
LOG_LINES = 1000

TableContent = tuple[list[TableColumn], list[Line]]


class LogScreen(ListScreen):
    """Five lists of lines."""

    FILTER = "words that the line holds"

    BINDINGS = [
        Binding("tab", "tab(1)", "next list", priority=True),
        Binding("shift+tab", "tab(-1)", "list before", show=False, priority=True),
        Binding("escape", "up", "up"),
    ]

    def __init__(self, connection: RunConnection, tab: str = "events") -> None:
        super().__init__(connection)
        self.tab = TABS.index(tab)
        self._seen: tuple[int, int] = (-1, -1)
        self._columns: list[TableColumn] = []
        self._lines: list[Line] = []
        self._tabs: list[Field] = []

    def body(self) -> ComposeResult:
        """Compose the names of the lists, and the one that is chosen."""
        yield TextLines(id="tabs")
        with Horizontal(id="listed"):
            yield LineTable(id="log", can_open=False)
            yield Preview()
        yield TextLines(id="whole", classes="ruled")

    def on_mount(self) -> None:
        """Begin at the newest event."""
        super().on_mount()
        self.table.focus()

    def snapshot_shown(self, snapshot: Snapshot) -> None:
        """Show events and timings; read the other lists when something new can stand in them."""
        tabs = []
        for place, name in enumerate(TABS):
            words = (
                f"failed images ({count(snapshot.status.failed_images)})"
                if name == "errors"
                else name
            )
            here = place == self.tab
            tabs.append(Field(f" {'▶' if here else ' '}{words}  ", "strong" if here else "dim"))
        self._tabs = tabs
        self.put("tabs", [tabs])
        if TABS[self.tab] == "events":
            self._put(event_table(snapshot), at_end=True)
        elif TABS[self.tab] == "timings":
            self._put(timing_table(snapshot))
        elif self._seen != (self.tab, snapshot.failures):
            self._seen = (self.tab, snapshot.failures)
            self.fetch(partial(self._fetch, self.tab), "log")

    def _put(self, shown: TableContent, *, at_end: bool = False) -> None:
        table = self.table
        fresh = not table.lines
        follows = at_end and (fresh or table.cursor[0] == table.lines[-1].key)
        self._columns, self._lines = shown
        lines = self._filtered()
        table.show(self._columns, lines, empty="nothing", filter=self.words)
        if follows and lines:
            table.action_last()
        self._show_whole()
        self._show_preview()

    def _filtered(self) -> list[Line]:
        words = self.words
        return [
            line for line in self._lines if holds(words, *(field.text for field in line.fields))
        ]

    def filter_changed(self) -> None:
        """Show the lines that hold the words."""
        self.table.show(self._columns, self._filtered(), empty="nothing", filter=self.words)
        self._show_whole()

    async def _fetch(self, tab: int) -> None:
        makers = {"errors": failure_lines, "plan": plan_lines, "log file": log_lines}
        shown = await self.ask(makers[TABS[tab]])
        if shown is not None and tab == self.tab:
            self._put(shown, at_end=TABS[tab] == "log file")

    def on_cursor_moved(self, _: CursorMoved) -> None:
        """Show the line under the cursor whole, and the image of a failure."""
        self._show_whole()
        self._show_preview()

    def _show_preview(self) -> None:
        failure, preview = self.table.cursor[0], self.query_one(Preview)
        self.set_class(TABS[self.tab] != "errors", "-unlike")
        if not preview.seen or not isinstance(failure, tuple) or len(failure) != 3:
            return
        cell, image, _ = failure
        if cell in self.snapshot.views:
            known = self.snapshot.views[cell].cell
            load = partial(preview.load, self.connection, known, image, "adcc")
            self.fetch(load, "preview")

    def _show_whole(self) -> None:
        """Show the field under the cursor that may be cut in the table: that of the open width."""
        row, _ = self.table.cursor
        place = next((place for place, column in enumerate(self._columns) if not column.width), -1)
        text = next((line.fields[place].text for line in self.table.lines if line.key == row), "")
        width = max(20, self.app.size.width - 2)
        self.put("whole", [[Field(f" {text[x : x + width]}")] for x in range(0, len(text), width)])

    async def on_click(self, event: events.Click) -> None:
        """Show the list whose name is clicked."""
        await super().on_click(event)
        if event.widget is not self.query_one("#tabs"):
            return
        place = field_at(self._tabs, event.x)
        if place is not None:
            self._show_tab(place)

    def action_tab(self, step: int) -> None:
        """Show another list."""
        self._show_tab(after(self.tab, range(len(TABS)), step))

    def _show_tab(self, place: int) -> None:
        self.tab = place
        self._seen = (-1, -1)
        self.table.show([], [], empty="")
        self._show_whole()
        self.show_snapshot()


def event_table(snapshot: Snapshot) -> TableContent:
    """List the newest events, oldest first."""
    columns = [
        TableColumn("time", "time", width=10, numeric=False),
        TableColumn("level", "level", width=8, numeric=False),
        TableColumn("text", "what happened, as the run has stored it", numeric=False),
    ]
    return columns, [Line(event.id, tuple(text.event_fields(event))) for event in snapshot.events]


def timing_table(snapshot: Snapshot) -> TableContent:
    """List the cost of an image in each stage, and the stage's time in this session."""
    columns = [
        TableColumn("stage", "stage", numeric=False),
        TableColumn("done", "images", width=15),
        TableColumn("each", "ms/image", width=9),
        TableColumn("forwards", "passes", width=8),
        TableColumn("spent", "spent", width=7),
    ]
    lines = []
    for stage in snapshot.stages:
        each = f"{1000 * stage.seconds / stage.timed_images:.1f}" if stage.timed_images else ABSENT
        fields = [
            Field(printable(stage.title, 400)),
            Field(f"{count(stage.done)}/{count(stage.images)}"),
            Field(each, "strong"),
            Field(f"{stage.forwards_per_image:g}", "dim"),
            Field(duration(stage.seconds), "dim"),
        ]
        lines.append(Line(stage.id, tuple(fields)))
    return columns, lines


def failure_lines(reader: RunReader) -> TableContent:
    """List image, method, reason and detail of every failure, or of the first of them."""
    names = {
        cell.id: f"{printable(cell.method)}/{printable(cell.backbone)}" for cell in reader.cells()
    }
    columns = [
        TableColumn("image", "image", width=30, numeric=False),
        TableColumn("cell", "network × method", width=26, numeric=False),
        TableColumn("reason", "reason", width=12, numeric=False),
        TableColumn("detail", "detail", numeric=False),
    ]
    lines = []
    for failure in reader.failures(limit=MAX_FAILURES):
        image = printable(reader.images.get(failure.image).path)
        fields = (
            Field(image[-30:]),
            Field(f"{names.get(failure.cell, '?/?')} {failure.metric}".rstrip(), "dim"),
            Field(printable(failure.reason), "warn"),
            Field(printable(failure.detail)),
        )
        lines.append(Line((failure.cell, failure.image, failure.metric), fields))
    if len(lines) == MAX_FAILURES:
        words = f"only the first {count(MAX_FAILURES)} are listed: camtui errors"
        lines.append(Line("more", (Field(words, "warn"),)))
    return columns, lines


def plan_lines(reader: RunReader) -> TableContent:
    """List the plan, the networks, the versions: a name and a value each."""
    pairs: list[tuple[str, object]] = [
        ("file", reader.path),
        ("created", time.ctime(reader.info().created)),
    ]
    try:
        pairs += [
            (name, text.in_words(value))
            for name, value in reader.plan().to_dict().items()
            if name != "backbones"
        ]
    except CamtuiError as error:
        pairs.append(("plan", error.message))
    for name, loaded in reader.backbones().items():
        pairs.append((f"network {name}", _described(loaded)))
    pairs += list(reader.info().versions.items())
    lines = [
        Line((place, name), (Field(printable(name), "dim"), Field(printable(value, 2000))))
        for place, (name, value) in enumerate(pairs)
    ]
    return [
        TableColumn("name", "what", width=28, numeric=False),
        TableColumn("value", "value", numeric=False),
    ], lines


def _described(loaded: LoadedBackbone | None) -> str:
    if loaded is None:
        return "not loaded yet"
    size = f"{loaded.channels} × {loaded.height} × {loaded.width}"
    return f"{loaded.weights}, sha256 {loaded.sha256[:16]}, layer {loaded.layer} ({size})"


def log_lines(reader: RunReader) -> TableContent:
    """List the end of what the driver and the workers printed."""
    from camtui.launch import tail

    log = known_log(reader.path)
    found = tail(log, LOG_LINES)
    lines = [Line(place, (Field(printable(line, 1000)),)) for place, line in enumerate(found)]
    title = f"what the driver and its workers printed, {printable(log.name)}"
    return [TableColumn("line", title, numeric=False)], lines
