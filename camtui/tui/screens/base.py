"""What every screen of a run has.

Two lines at the top, the keys at the bottom, a summary where the terminal is too small.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar, cast

from textual import events
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.css.query import NoMatches
from textual.screen import Screen

from camtui.feed import Snapshot
from camtui.tui import run_text
from camtui.tui.widgets.fields import Field
from camtui.tui.widgets.keybar import KeyBar
from camtui.tui.widgets.lines import TextLines
from camtui.tui.widgets.table import LineTable
from evaluator.errors import CamtuiError
from evaluator.store.reader import RunReader
from evaluator.text import printable

if TYPE_CHECKING:
    from camtui.tui.app import Dashboard

T = TypeVar("T")

MIN_WIDTH, MIN_HEIGHT = 60, 16
"""Below this a screen shows a summary."""


class RunScreen(Screen[None]):
    """A screen that shows one run."""

    KEY_ROWS = 1

    def compose(self) -> ComposeResult:
        """Title, body, keys; the summary is there but hidden."""
        yield TextLines(id="title")
        with Vertical(id="body"):
            yield from self.body()
        yield TextLines(id="tiny")
        yield KeyBar(self.KEY_ROWS)

    def __init__(self) -> None:
        super().__init__()
        self._begun = False

    @property
    def ready(self) -> bool:
        """Whether there is something to show on.

        A screen can come to the front before it is whole, and answers can come late.
        """
        return self._begun and self.is_running and bool(self.query("#keys"))

    def body(self) -> ComposeResult:
        """What stands between title and keys."""
        yield from ()

    @property
    def dashboard(self) -> Dashboard:
        """The application, as what it is."""
        return cast("Dashboard", self.app)

    @property
    def snapshot(self) -> Snapshot:
        """What is on the screens now."""
        shown = self.dashboard.shown
        assert shown is not None, "screens of a run exist only with a run"
        return shown

    def on_mount(self) -> None:
        """Show what is known already."""
        self._begun = True
        self.fit(self.app.size.width, self.app.size.height)
        self.show_snapshot()

    def on_screen_resume(self) -> None:
        """Others may have shown newer things meanwhile."""
        self.show_snapshot()

    def on_resize(self, event: events.Resize) -> None:
        """Another size of the terminal, perhaps too small a one."""
        self.fit(event.size.width, event.size.height)
        self.show_snapshot()

    def fit(self, width: int, height: int) -> None:
        """Set the classes that the style sheet goes by."""
        self.set_class(width < MIN_WIDTH or height < MIN_HEIGHT, "tiny")
        self.set_class(width >= 120, "-wide")
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
                self.query_one("#tiny", TextLines).show(run_text.summary_lines(snapshot))
            else:
                self.snapshot_shown(snapshot)
        except (
            NoMatches
        ):  # what lies inside containers comes a moment after them, and goes a moment before
            self.call_after_refresh(self.show_snapshot)

    def snapshot_shown(self, snapshot: Snapshot) -> None:
        """Show what this screen shows of a snapshot."""

    def tick(self) -> None:
        """Once a second: what changes by itself, such as the age of the heartbeat."""
        if self.ready:
            snapshot, width = self.snapshot, self.app.size.width
            top = run_text.title_line(snapshot, width, frozen=self.dashboard.frozen)
            below = run_text.state_lines(snapshot, time.time(), width)
            self.query_one("#title", TextLines).show([top, *below])

    def as_text(self) -> str:
        """The tables of the screen with tabs between the columns, for the clipboard."""
        lines = [line for table in self.query(LineTable) for line in table.lines]
        return "\n".join("\t".join(field.text.strip() for field in line.fields) for line in lines)

    def cell_as_text(self) -> str:
        """The row under the cursor."""
        for table in self.query(LineTable):
            row, _ = table.cursor
            for line in table.lines:
                if line.key == row:
                    return "\t".join(field.text.strip() for field in line.fields)
        return ""

    def fetch(self, work: Callable[[], Coroutine[Any, Any, None]], group: str) -> None:
        """Do something that waits for the run's file, while the screen stays alive.

        A newer fetch of the group replaces it.
        """

        async def show_answer() -> None:
            with suppress(
                NoMatches
                # the answer has come while the screen goes away, and there is nothing left to show
                # it on
            ):
                await work()

        self.run_worker(cast(Any, show_answer), group=group, exclusive=True)

    async def ask(self, question: Callable[[RunReader], T]) -> T | None:
        """Ask the run's file, off the screen's thread.

        A refusal is shown as a toast and answered with ``None``.
        """
        try:
            return await self.dashboard.ask(question)
        except CamtuiError as error:
            self.dashboard.toast(error.message, severity="warning")
        except sqlite3.Error as error:
            self.dashboard.toast(f"cannot read the run: {error}", severity="error")
        return None


def rule(title: str) -> str:
    """A border's title: safe text, not markup."""
    return printable(title).replace("[", "\\[")


__all__ = ["Field", "RunScreen", "rule"]
