"""The application: one run on a stack of screens, looked at once a second from a thread, never written to."""

from __future__ import annotations

import asyncio
import os
import sqlite3
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeVar

from textual.app import App
from textual.binding import Binding
from textual.filter import LineFilter

from camtui.feed import Feed, Snapshot
from camtui.ties import Marks, Ties
from camtui.tui.asciifilter import AsciiFilter
from camtui.tui.screens.base import RunScreen
from camtui.tui.screens.grid import GridScreen
from camtui.tui.theme import THEMES, textual_theme
from evaluator.catalog import split_spec
from evaluator.errors import CamtuiError
from evaluator.records import Cell
from evaluator.statistics import PairedDifference
from evaluator.store.reader import RunReader
from evaluator.text import printable

T = TypeVar("T")
Images = Literal["half", "kitty", "sixel", "off"]


@dataclass(frozen=True)
class Settings:
    """What the command line chose.

    Attributes:
        interval: seconds between two looks at the file.
        cell: ``BACKBONE/METHOD`` to open at once; ``image``: its number or a part of its path.
    """

    interval: float = 1.0
    cell: str = ""
    image: str = ""
    readonly: bool = False
    ascii: bool = False
    low_bandwidth: bool = False
    images: Images = "half"


class Dashboard(App[int]):
    """The dashboard of one run."""

    CSS_PATH = "app.tcss"
    TITLE = "camtui"
    ENABLE_COMMAND_PALETTE = True
    BINDINGS = [
        Binding("1", "open_screen('grid')", "grid", show=False),
        Binding("2", "open_screen('cell')", "cell", show=False),
        Binding("3", "open_screen('image')", "image", show=False),
        Binding("q", "detach", "detach (run continues)", tooltip="leave the dashboard; the run goes on"),
        Binding("ctrl+c", "detach", "detach", show=False, priority=True),
        Binding("ctrl+q", "detach", "detach", show=False),
    ]

    def __init__(self, path: Path | None, settings: Settings = Settings()) -> None:
        """Open the run, and look at it once, so that the first picture is whole.

        Raises:
            CamtuiError: it cannot be read.
        """
        self.settings = settings
        super().__init__(ansi_color=True if "NO_COLOR" in os.environ else None)  # greys too are colours: Textual alone keeps them
        for name in THEMES:
            self.register_theme(textual_theme(name))
        self.theme = "ansi-dark" if self.no_color else "okabe-dark"
        self.animation_level = "none"
        self.feed = Feed(path) if path else None
        self.latest: Snapshot | None = self.feed.poll() if self.feed else None
        self.shown = self.latest
        self.frozen = False
        self._ties = Ties(path) if path else None
        self._reading = ThreadPoolExecutor(1, thread_name_prefix="feed")
        self._thinking = ThreadPoolExecutor(1, thread_name_prefix="ties")
        self._looking = self._busy = False
        self._left_at = 0.0
        self._ascii = AsciiFilter()
        self._class_names: dict[str, tuple[str, ...]] = {}
        self._grid = GridScreen()
        self.parting_words = ""

    # -- looks -------------------------------------------------------------------------------------------------------------------

    def on_mount(self) -> None:
        """Themes, the first screen, and the clock."""
        self.push_screen(self._grid)
        if self.feed is not None:
            self.set_interval(self.settings.interval, self._look)

    def get_theme_variable_defaults(self) -> dict[str, str]:
        """For themes that are not ours."""
        return {"rule": "ansi_default", "dim": "ansi_default", "cursor": "ansi_default"}

    def get_line_filters(self) -> Sequence[LineFilter]:
        """With ``--ascii`` nothing else leaves the application, whoever drew it."""
        return [*super().get_line_filters(), *([self._ascii] if self.settings.ascii else [])]

    async def _look(self) -> None:
        if self._looking or self.feed is None:
            return
        self._looking = True
        try:
            snapshot = await asyncio.get_running_loop().run_in_executor(self._reading, self.feed.poll)
        finally:
            self._looking = False
        if snapshot is not None:
            self.latest = snapshot
            if not self.frozen:
                self.shown = snapshot
                self._show()
                return
        screen = self.screen
        if isinstance(screen, RunScreen):
            screen.tick()

    def _show(self) -> None:
        if isinstance(self.screen, RunScreen):
            self.screen.show_snapshot()

    async def ask(self, question: Callable[[RunReader], T]) -> T:
        """Ask the run's file in the feed's thread.

        Raises:
            CamtuiError, sqlite3.Error: as the reader does.
        """
        assert self.feed is not None
        return await asyncio.get_running_loop().run_in_executor(self._reading, self.feed.ask, question)

    # -- ranks -------------------------------------------------------------------------------------------------------------------

    def marks(self, metrics: Sequence[str]) -> Marks:
        """Best and ties, as far as they are known."""
        marks: Marks = {}
        if self._ties is not None and self.shown is not None:
            for metric in metrics:
                marks |= self._ties.marks(self.shown, metric)
        return marks

    def difference(self, metric: str, best: int, cell: int) -> PairedDifference | None:
        """Best minus cell, if it has been tested."""
        return self._ties.difference(metric, best, cell) if self._ties else None

    def think(self, metric: str, cell: int | None = None) -> None:
        """Test in the background what the ranks of a metric need; the screen is shown again when something was learnt."""
        if not self._busy and self._ties is not None and self.shown is not None:
            self._busy = True
            self.run_worker(self._think(self.shown, metric, cell), group="ties", exit_on_error=False)

    async def _think(self, snapshot: Snapshot, metric: str, cell: int | None) -> None:
        assert self._ties is not None
        try:
            loop = asyncio.get_running_loop()
            learnt = await loop.run_in_executor(self._thinking, self._ties.work, snapshot, metric, cell)
        finally:
            self._busy = False
        if learnt:
            self._show()

    def paper(self, backbone: str, method: str, metric: str) -> float | None:
        """What the paper printed for a cell, as a fraction; its options, if it has any, are not the paper's."""
        from camtui.paper import table2

        printed = table2().get(split_spec(backbone)[0], {}).get(split_spec(method)[0], {}).get(metric)
        return None if printed is None else printed / 100

    # -- leaving -----------------------------------------------------------------------------------------------------------------

    def say(self, text: str, *, severity: Literal["information", "warning", "error"] = "information") -> None:
        """A toast; its text is never markup."""
        self.notify(printable(text), severity=severity, markup=False, timeout=4)

    def action_open_screen(self, name: str) -> None:
        """Another screen, from the grid's chosen cell where it needs one."""
        grid = self._grid
        cell = grid.chosen()
        while self.screen is not grid:
            self.pop_screen()
        if cell is None:
            return
        if name == "cell":
            from camtui.tui.screens.cell import CellScreen

            self.push_screen(CellScreen(cell.id, grid.view.metric))
        elif name == "image":
            self.open_image(cell.id, None, grid.view.metric)

    def open_image(self, cell: int, image: int | None, metric: str, *, worst: bool = True) -> None:
        """The image screen: numpy and Pillow are imported here, when the first image is opened."""
        from camtui.tui.screens.image import ImageScreen

        self.push_screen(ImageScreen(cell, image, metric, worst=worst))

    async def classes_of(self, cell: Cell | None) -> tuple[str, ...]:
        """The class names that a cell's backbone knows."""
        if cell is None:
            return ()
        if cell.backbone not in self._class_names:
            try:
                loaded = (await self.ask(lambda reader: reader.backbones())).get(cell.backbone)
            except (CamtuiError, sqlite3.Error):
                return ()
            self._class_names[cell.backbone] = loaded.classes if loaded else ()
        return self._class_names[cell.backbone]

    def copy(self, text: str, what: str) -> None:
        """To the terminal's clipboard; the terminal never says whether it took it."""
        self.say(f"{what} sent to the terminal")

    def show_full(self, item: object) -> None:
        """The terminal's own graphics."""

    def action_detach(self) -> None:
        """Leave; the run goes on."""
        self.exit(0)

    def on_unmount(self) -> None:
        """Give threads and files back."""
        self._reading.shutdown(wait=True, cancel_futures=True)
        self._thinking.shutdown(wait=True, cancel_futures=True)
        if self.feed is not None:
            self.feed.close()
        if self._ties is not None:
            self._ties.close()
