"""The application's hold on one run.

The snapshot that is shown, looked for once a second, and what else is asked of the file.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, Literal, TypeVar, cast

from textual.app import App, ScreenStackError

from camtui.feed import Snapshot
from camtui.runs import list_runs
from camtui.ties import Marks
from camtui.tui.run_connection import RunConnection, printed_value
from camtui.tui.screens.base import RunScreen
from camtui.tui.screens.grid import GridScreen
from camtui.tui.settings import Settings
from evaluator.errors import CamtuiError
from evaluator.records import Cell
from evaluator.statistics import PairedDifference
from evaluator.store.reader import RunReader
from evaluator.text import printable

T = TypeVar("T")
Severity = Literal["information", "warning", "error"]


class WatchingApp(App[int]):
    """An application that watches one run, or waits for the first; it never writes to it."""

    def __init__(self, path: Path | None, settings: Settings, *, ansi_color: bool | None) -> None:
        """Open a run, if there is one.

        Raises:
            CamtuiError: it cannot be read.
        """
        self.settings = settings
        super().__init__(ansi_color=ansi_color)
        self.link = RunConnection(path) if path else None
        self.shown: Snapshot | None = self.newest
        self.frozen = False

    @property
    def path(self) -> Path | None:
        """The file of the run that is open."""
        return self.link.path if self.link else None

    @property
    def newest(self) -> Snapshot | None:
        """What is known of the run, shown or not: what can be done to it goes by this."""
        return self.link.latest if self.link else None

    async def look(self) -> None:
        """Look at the file, and show what is new."""
        if self.link is None:
            self._look_for_a_run()
            return
        before = self.newest
        snapshot = await self.link.look()
        if (
            snapshot is not None
            and before is not None
            and snapshot.status.state != before.status.state
        ):
            self.screen.refresh_bindings()  # another state of the run allows other keys
        if snapshot is not None and not self.frozen:
            self.shown = snapshot
            self.show()
        elif isinstance(self.screen, RunScreen):
            self.screen.tick()

    def _look_for_a_run(self) -> None:
        """The first run opens by itself; one that is just being made is tried again at the next look."""
        runs = list_runs()
        if runs:
            try:
                self.link = RunConnection(runs[0])
            except CamtuiError:
                return
            self.shown = self.newest
            self.switch_screen(GridScreen())

    def show(self) -> None:
        """Show the snapshot on the screen that is in front."""
        with suppress(
            ScreenStackError
        ):  # what was learnt while the application closes has no screen to be shown on
            if isinstance(self.screen, RunScreen):
                self.screen.show_snapshot()

    async def ask(self, question: Callable[[RunReader], T]) -> T:
        """Ask the run's file.

        Raises:
            CamtuiError, sqlite3.Error: as the reader does.
        """
        assert self.link is not None, "screens of a run exist only with a run"
        return await self.link.ask(question)

    async def class_names(self, cell: Cell | None) -> tuple[str, ...]:
        """The classes of a cell's backbone by name, as far as they are known."""
        if cell is None or self.link is None:
            return ()
        try:
            return await self.link.class_names(cell.backbone)
        except (CamtuiError, sqlite3.Error):
            return ()

    def marks(self, metrics: Sequence[str]) -> Marks:
        """Best and ties, as far as they are known."""
        return self.link.marks(self.shown, metrics) if self.link and self.shown else {}

    def difference(self, metric: str, best: int, cell: int) -> PairedDifference | None:
        """Best minus cell, if it has been tested."""
        return self.link.difference(metric, best, cell) if self.link else None

    def think(self, metrics: Sequence[str], cell: int | None = None) -> None:
        """Test in the background what the ranks of metrics need.

        The screen, shown again when one was learnt, asks again.
        """
        if self.link is not None and self.shown is not None:
            work = partial(self._think, self.link, self.shown, metrics, cell)
            self.run_worker(cast(Any, work), group="ties", exclusive=True)

    async def _think(
        self, link: RunConnection, snapshot: Snapshot, metrics: Sequence[str], cell: int | None
    ) -> None:
        try:
            for metric in metrics:
                if await link.test_ties(snapshot, metric, cell):
                    self.show()
                    return
        except (CamtuiError, sqlite3.Error) as error:
            self.log(
                f"ties are not known: {error}"
            )  # the next look at the file says what is wrong with it

    def paper(self, backbone: str, method: str, metric: str) -> float | None:
        """What the paper printed for a cell, as a fraction."""
        return printed_value(backbone, method, metric)

    def toast(self, text: str, *, severity: Severity = "information") -> None:
        """A toast; its text is never markup."""
        self.notify(printable(text), severity=severity, markup=False, timeout=5)
