"""From screen to screen, and from run to run.

Screens are imported when first opened: the grid must be there at once.
"""

from __future__ import annotations

import asyncio
from functools import partial
from pathlib import Path
from typing import cast

from textual.command import CommandPalette

from camtui.tui.run_connection import RunConnection
from camtui.tui.screens.base import RunScreen
from camtui.tui.screens.grid import GridScreen
from camtui.tui.watching import WatchingApp
from evaluator.errors import CamtuiError


class NavigatingApp(WatchingApp):
    """An application with a stack of screens, the grid always at the bottom."""

    async def open_first_screen(self) -> None:
        """The grid, or what ``--cell`` and ``--image`` ask for.

        Without any run the two commands that matter.
        """
        if self.link is None:
            from camtui.tui.screens.first import FirstRunScreen

            await self.push_screen(FirstRunScreen())
        else:
            await self.push_screen(GridScreen())
            await self._open_what_was_asked_for()

    def action_open_screen(self, name: str) -> None:
        """Another screen; those of a cell show the one that is chosen in the grid."""
        if self.shown is None or not isinstance(self.screen, RunScreen):
            return
        while not isinstance(self.screen, GridScreen):
            self.pop_screen()
        cell, metric = self.screen.chosen(), self.screen.options.metric
        if name == "runs":
            from camtui.tui.screens.runs import RunsScreen

            self.push_screen(RunsScreen())
        elif name == "log":
            self._open_log("events")
        elif name == "cell" and cell is not None:
            self.open_cell(cell.id, metric)
        elif name == "image" and cell is not None:
            self.open_image(cell.id, None, metric)

    def action_open_log(self, tab: str) -> None:
        """One list of the log screen."""
        self.action_open_screen("grid")
        if isinstance(self.screen, GridScreen):
            self._open_log(tab)

    def _open_log(self, tab: str) -> None:
        from camtui.tui.screens.log import LogScreen

        self.push_screen(LogScreen(tab))

    def open_cell(self, cell: int, metric: str) -> None:
        """The cell screen."""
        from camtui.tui.screens.cell import CellScreen

        self.push_screen(CellScreen(cell, metric))

    def open_image(self, cell: int, image: int | None, metric: str, *, worst: bool = True) -> None:
        """The image screen: numpy and Pillow are imported here, when the first image is opened."""
        from camtui.tui.screens.image import ImageScreen

        self.push_screen(ImageScreen(cell, image, metric, worst=worst))

    async def _open_what_was_asked_for(self) -> None:
        """``--cell`` and ``--image``."""
        if not (self.settings.cell or self.settings.image) or self.shown is None:
            return
        cells = self.shown.cells
        wanted = self.settings.cell or f"{cells[0].backbone}/{cells[0].method}" if cells else ""
        cell = next(
            (
                cell
                for cell in cells
                if wanted in (f"{cell.backbone}/{cell.method}", f"{cell.method}/{cell.backbone}")
            ),
            None,
        )
        if cell is None:
            self.toast(f"the run has no cell {wanted}", severity="warning")
            return
        cast(GridScreen, self.screen).put_cursor((cell.backbone, cell.method))
        if not self.settings.image:
            self.open_cell(cell.id, "adcc")
            return
        try:
            image = (await self.ask(lambda reader: reader.images.find(self.settings.image))).id
        except CamtuiError as error:
            self.toast(error.message, severity="warning")
        else:
            self.open_image(cell.id, image, "adcc")

    def open_run(self, path: Path) -> None:
        """Another run in place of this one."""
        if path == self.path:
            self.action_open_screen("grid")
            return
        try:
            link = RunConnection(path)
        except CamtuiError as error:
            self.toast(error.message, severity="error")
            return
        while len(self.screen_stack) > 2:
            self.pop_screen()
        old, self.link = self.link, link
        self.shown, self.frozen = link.latest, False
        self.switch_screen(GridScreen())
        if old is not None:
            self.run_worker(asyncio.to_thread(old.close))

    def run_when_palette_closed(self, action: str) -> None:
        """Do something as soon as the palette, which asked for it, is gone."""
        if isinstance(self.screen, CommandPalette):
            self.set_timer(0.02, partial(self.run_when_palette_closed, action))
        else:
            self.call_later(self.run_action, action)

    def action_help(self) -> None:
        """Every mark of this screen, and every key."""
        from camtui.tui.screens.help import HelpScreen

        self.push_screen(HelpScreen(type(self.screen).__name__))
