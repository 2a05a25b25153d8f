"""The base of the screens of a run.

Two lines at the top, the keys at the bottom, a summary where the terminal is too small.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from typing import Any, TypeVar, cast

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.css.query import NoMatches
from textual.screen import Screen
from textual.widget import Widget
from textual.widgets import Input

from camtui.feed import Snapshot
from camtui.tui import text
from camtui.tui.run_connection import RunConnection
from camtui.tui.widgets.fields import Line, Spans, TextLines, field_at
from camtui.tui.widgets.keybar import KeyBar
from camtui.tui.widgets.table import LineTable
from evaluator.errors import CamtuiError
from evaluator.store.reader import RunReader
from evaluator.text import printable

T = TypeVar("T")

MIN_WIDTH, MIN_HEIGHT = 60, 16
"""Below this a screen shows a summary."""


class RunScreen(Screen[None]):
    """A screen that shows one run.

    Attributes:
        connection: to the run, for as long as the screen lives.
    """

    TEXT = "the view"
    """What ``as_text`` returns, in words."""

    SHOWS_RUN_KEYS = False
    """Whether the keys that stop and resume the run stand at the foot before all others."""

    def compose(self) -> ComposeResult:
        """Compose title, body, keys, and the summary, which is hidden."""
        yield TextLines(id="title")
        with Vertical(id="body"):
            yield from self.body()
        yield TextLines(id="tiny")
        yield KeyBar()

    def __init__(self, connection: RunConnection) -> None:
        super().__init__()
        self.connection = connection
        self._begun = False
        self._focused_before: Widget | None = None

    @property
    def ready(self) -> bool:
        """Whether there is something to show on.

        A screen can come to the front before it is whole, and answers can come late.
        """
        return self._begun and self.is_running and bool(self.query("#keys"))

    def body(self) -> ComposeResult:
        """Compose what stands between title and keys."""
        yield from ()

    @property
    def snapshot(self) -> Snapshot:
        """The snapshot that is displayed now."""
        return self.connection.displayed

    @property
    def table(self) -> LineTable:
        """The table of the screen, of those that have one."""
        return self.query_one(LineTable)

    def put(self, panel: str, lines: Sequence[Spans]) -> None:
        """Show lines in the panel of an id."""
        self.query_one(f"#{panel}", TextLines).show(lines)

    def on_mount(self) -> None:
        """Show what is known already."""
        self._begun = True
        self.fit(self.app.size.width, self.app.size.height)
        self.show_snapshot()

    def on_screen_resume(self) -> None:
        """Show what has changed while another screen was in front."""
        self.show_snapshot()

    def on_resize(self, event: events.Resize) -> None:
        """Fit another size of the terminal, perhaps too small a one."""
        self.fit(event.size.width, event.size.height)
        self.show_snapshot()

    def fit(self, width: int, height: int) -> None:
        """Set the classes that the style sheet goes by."""
        tiny = width < MIN_WIDTH or height < MIN_HEIGHT
        if tiny and not self.has_class("tiny"):  # what is hidden loses the focus
            self._focused_before = self.focused
        elif not tiny and self.has_class("tiny"):
            tables = self.query(LineTable)
            back = self._focused_before or (tables.first() if tables else None)
            if back is not None:
                self.call_after_refresh(back.focus)
        self.set_class(tiny, "tiny")
        self.set_class(width >= 110, "-previews")
        self.set_class(width >= 120, "-wide")
        self.set_class(width >= 180 and height >= 44, "-huge")
        self.set_class(height >= 34, "-tall")
        self.set_class(height < 20, "-short")

    def show_snapshot(self) -> None:
        """Show the newest snapshot: the top, the summary, and what the screen itself shows."""
        if not self.ready:
            return
        snapshot = self.snapshot
        self.tick()
        try:
            if self.has_class("tiny"):
                self.put("tiny", text.summary_lines(snapshot))
            else:
                self.snapshot_shown(snapshot)
        except NoMatches:  # the content of containers comes after them, and goes before
            self.call_after_refresh(self.show_snapshot)

    def snapshot_shown(self, snapshot: Snapshot) -> None:
        """Show what this screen shows of a snapshot."""

    def tick(self) -> None:
        """Show what changes by itself once a second, such as the age of the heartbeat."""
        if self.ready:
            snapshot, width = self.snapshot, self.app.size.width
            top = text.title_line(snapshot, width, frozen=self.connection.frozen)
            below = text.state_lines(snapshot, time.time(), width)
            self.put("title", [top, *below])

    # -- what the clipboard gets
    # ----------------------------------------------------------------------------------------------

    def as_text(self) -> str:
        """Return the tables of the screen with tabs between the columns, for the clipboard."""
        return "\n".join(
            _with_tabs(line) for table in self.query(LineTable) for line in table.lines
        )

    def cell_as_text(self) -> str:
        """Return the row under the cursor, for the clipboard."""
        for table in self.query(LineTable):
            for line in table.lines:
                if line.key == table.cursor[0]:
                    return _with_tabs(line)
        return ""

    def fetch(self, work: Callable[[], Coroutine[Any, Any, None]], group: str) -> None:
        """Do something that waits for the run's file, while the screen stays alive.

        A newer fetch of the group replaces it.
        """

        async def show_answer() -> None:
            with suppress(NoMatches):  # the answer came while the screen goes away
                await work()

        self.run_worker(cast(Any, show_answer), group=group, exclusive=True)

    async def ask(self, question: Callable[[RunReader], T]) -> T | None:
        """Ask the run's file, off the screen's thread.

        A refusal is shown as a toast and answered with ``None``.
        """
        try:
            return await self.connection.ask(question)
        except CamtuiError as error:
            self.notify(error.message, severity="warning")
        except sqlite3.Error as error:
            self.notify(f"cannot read the run: {error}", severity="error")
        return None

    def action_up(self) -> None:
        """Go back to the screen that this one was opened from."""
        self.app.pop_screen()

    async def on_click(self, event: events.Click) -> None:
        """Open what is clicked in the title: the list of runs, or the grid of this run."""
        title = self.query_one("#title", TextLines)
        if event.widget is title and event.y == 0:
            place = field_at(title.lines[0], event.x)
            if place in (0, 1):
                await self.app.run_action(f"open_screen('{('runs', 'grid')[place]}')")


class ListScreen(RunScreen):
    """A screen whose list ``/`` filters, by words that are typed."""

    FILTER = "words that the name holds"
    """What is typed, in words."""

    BINDINGS = [
        Binding("slash", "filter", "filter", tooltip="only what holds these words"),
        Binding("n", "match(1)", "next match", show=False),
        Binding("N", "match(-1)", "match before", show=False),
    ]

    def compose(self) -> ComposeResult:
        """Compose the screen, and the line that words are typed on, which is hidden."""
        yield from super().compose()
        yield Input(id="filter", placeholder=self.FILTER, select_on_focus=False)

    @property
    def filter_line(self) -> Input:
        """The line that words are typed on."""
        return self.query_one("#filter", Input)

    @property
    def words(self) -> str:
        """The words of the filter; empty where it is off."""
        return self.filter_line.value.strip()

    def action_filter(self) -> None:
        """Open the filter line."""
        self.filter_line.add_class("open")
        self.filter_line.focus()

    def on_input_changed(self, _: Input.Changed) -> None:
        """Filter while words are typed."""
        self.filter_changed()

    def filter_changed(self) -> None:
        """Show what holds the words."""

    def on_input_submitted(self, _: Input.Submitted) -> None:
        """Keep the words and go back to the table."""
        self.close_filter()

    def close_filter(self) -> None:
        """Go back to the table."""
        self.filter_line.remove_class("open")
        self.table.focus()

    def clear_filter(self) -> bool:
        """Forget the words; whether there was a filter."""
        was = bool(self.words) or self.filter_line.has_class("open")
        self.filter_line.value = ""
        self.close_filter()
        return was

    def action_up(self) -> None:
        """Show all again; then go back to the screen that this one was opened from."""
        if not self.clear_filter():
            super().action_up()

    def action_match(self, step: int) -> None:
        """Move to the next row that the filter left, or to the one before."""
        row, column = self.table.cursor
        if row is not None:
            self.table.select(after(row, [line.key for line in self.table.lines], step), column)


def holds(words: str, *texts: str) -> bool:
    """Whether texts hold each of the words, in any case."""
    text = "\n".join(texts).lower()
    return all(word in text for word in words.lower().split())


def _with_tabs(line: Line) -> str:
    return "\t".join(field.text.strip() for field in line.fields)


def after(value: T, values: Sequence[T], step: int = 1) -> T:
    """Return the value that follows in a round; the first behind one that is not there."""
    place = values.index(value) if value in values else -step
    return values[(place + step) % len(values)]


def rule(title: str) -> str:
    """Return a border's title as safe text, not markup."""
    return printable(title).replace("[", "\\[")
