"""The stack of screens: the grid at the bottom, the others over it.

The others are imported when they are first opened: the grid must be there at once, and the image
screen imports numpy and Pillow.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from pathlib import Path

from textual.app import App, ScreenStackError
from textual.dom import DOMNode

from camtui.feed import Snapshot
from camtui.runs import list_runs
from camtui.tui.messages import OpenImage, RunFound, toast
from camtui.tui.run_connection import RunConnection
from camtui.tui.screens.base import RunScreen
from camtui.tui.screens.grid import GridScreen
from camtui.tui.theme import Settings
from camtui.tui.widgets.table import LineTable
from evaluator.errors import CamtuiError
from evaluator.records import Cell


class RunWatcher:
    """The connection to the run that is open; without one, the wait for the first run.

    Attributes:
        connection: ``None`` while there is no run.
    """

    def __init__(self, app: App[int], path: Path | None) -> None:
        """Open a run, if there is one.

        Raises:
            CamtuiError: it cannot be read.
        """
        self._app = app
        self.connection = RunConnection(path) if path else None

    @property
    def latest(self) -> Snapshot | None:
        """The last snapshot that was read, displayed or not."""
        return self.connection.latest if self.connection else None

    def open(self, path: Path) -> RunConnection | None:
        """Open another run in place of this one.

        Returns:
            The connection to the run that was open, to be closed once no screen uses it.

        Raises:
            CamtuiError: it cannot be read; the run that is open stays open.
        """
        old, self.connection = self.connection, RunConnection(path)
        return old

    async def close(self) -> None:
        """Close the run."""
        if self.connection is not None:
            await asyncio.to_thread(self.connection.close)

    async def poll(self) -> None:
        """Read what is new of the run, and show it."""
        connection = self.connection
        if connection is None:
            self._look_for_a_run()
            return
        state = connection.latest.status.state
        try:
            is_new = await connection.poll()
        except asyncio.CancelledError:
            if self.connection is connection:
                raise
            return  # another run was opened while this reading waited its turn
        if self.connection is not connection:
            return
        if connection.latest.status.state != state:
            self._app.screen.refresh_bindings()  # another state allows other keys
        if is_new and not connection.frozen:
            self.show()
        elif isinstance(self._app.screen, RunScreen):
            self._app.screen.tick()

    def show(self) -> None:
        """Show the displayed snapshot on the screen in front."""
        with suppress(ScreenStackError):  # the application closes
            if isinstance(self._app.screen, RunScreen):
                self._app.screen.show_snapshot()

    def _look_for_a_run(self) -> None:
        """Open the first run; one that is just being made is tried again at the next poll."""
        runs = list_runs()
        if not runs:
            return
        with suppress(CamtuiError):
            self.connection = RunConnection(runs[0])
            self._app.post_message(RunFound())


class Navigator:
    """The screens of an application: opens and closes them."""

    def __init__(self, app: App[int], watcher: RunWatcher, settings: Settings) -> None:
        self._app, self._watcher, self._settings = app, watcher, settings

    # -- the bottom of the stack
    # ----------------------------------------------------------------------------------------------

    async def open_first_screen(self) -> None:
        """Open the screen to begin with.

        That is the grid and what ``--cell`` and ``--image`` ask for, or the screen without a run.
        """
        connection = self._watcher.connection
        if connection is None:
            from camtui.tui.screens.help import WelcomeScreen

            await self._app.push_screen(WelcomeScreen())
            return
        grid = GridScreen(connection, self._settings)
        await self._app.push_screen(grid)
        await self._open_what_was_asked_for(grid)

    async def _open_what_was_asked_for(self, grid: GridScreen) -> None:
        """Open the cell of ``--cell`` and the image of ``--image``."""
        cells = grid.snapshot.cells
        if not (self._settings.cell or self._settings.image):
            return
        name = self._settings.cell
        cell = next((cell for cell in cells if not name or name in _names(cell)), None)
        if cell is None:
            toast(self._app, f"the run has no cell {name}", "warning")
            return
        grid.put_cursor((cell.backbone, cell.method))
        if not self._settings.image:
            self.open_cell(cell.id, "adcc")
            return
        try:
            image = await grid.connection.ask(
                lambda reader: reader.images.find(self._settings.image)
            )
        except CamtuiError as error:
            toast(self._app, error.message, "warning")
        else:
            self.open_image(OpenImage(cell.id, image.id, "adcc"))

    async def open_run(self, path: Path) -> None:
        """Open another run in place of this one; the one that is open is just shown."""
        connection = self._watcher.connection
        if connection is not None and connection.path == path:
            self.back_to_grid()
            return
        try:
            old = self._watcher.open(path)
        except CamtuiError as error:
            toast(self._app, error.message, "error")
            return
        while len(self._app.screen_stack) > 2:
            await self._app.pop_screen()
        await self.replace_by_grid()
        if old is not None:
            self._app.run_worker(asyncio.to_thread(old.close))

    async def replace_by_grid(self) -> None:
        """Open the grid of the run in place of the screen at the bottom."""
        if self._watcher.connection is not None:
            await self._app.switch_screen(GridScreen(self._watcher.connection, self._settings))

    def back_to_grid(self) -> GridScreen | None:
        """Close everything over the grid; ``None`` over a dialog or without a run."""
        if not isinstance(self._app.screen, RunScreen):
            return None
        while not isinstance(self._app.screen, GridScreen):
            self._app.pop_screen()
        return self._app.screen

    # -- over it
    # ----------------------------------------------------------------------------------------------

    def open_by_name(self, name: str) -> None:
        """Open a screen over the grid; those of a cell show the one that is chosen there."""
        grid = self.back_to_grid()
        if grid is None:
            return
        cell, metric = grid.chosen(), grid.options.metric
        if name == "runs":
            from camtui.tui.screens.runs import RunsScreen

            self._app.push_screen(RunsScreen(grid.connection))
        elif name == "log":
            self.open_log("events")
        elif name == "cell" and cell is not None:
            self.open_cell(cell.id, metric)
        elif name == "image" and cell is not None:
            self.open_image(OpenImage(cell.id, None, metric))

    def open_log(self, tab: str) -> None:
        """Open one list of the log screen."""
        from camtui.tui.screens.log import LogScreen

        grid = self.back_to_grid()
        if grid is not None:
            self._app.push_screen(LogScreen(grid.connection, tab))

    def open_cell(self, cell: int, metric: str) -> None:
        """Open the cell screen."""
        from camtui.tui.screens.cell import CellScreen

        if self._watcher.connection is not None:
            self._app.push_screen(CellScreen(self._watcher.connection, cell, metric))

    def open_image(self, wanted: OpenImage) -> None:
        """Open the image screen."""
        from camtui.tui.screens.image import ImageScreen

        if self._watcher.connection is not None:
            self._app.push_screen(ImageScreen(self._watcher.connection, self._settings, wanted))

    def open_comparison(self, first: Path, second: Path) -> None:
        """Open the comparison of two runs."""
        from camtui.tui.screens.compare import CompareScreen

        if self._watcher.connection is not None:
            self._app.push_screen(CompareScreen(self._watcher.connection, first, second))

    def open_help(self) -> None:
        """Open the marks of this screen and the keys of every screen."""
        from camtui.tui.screens.help import HelpScreen

        asked_on = type(self._app.screen).__name__
        self._app.push_screen(HelpScreen(asked_on, key_sections(type(self._app))))


def key_sections(everywhere: type[App[int]]) -> list[tuple[str, type[DOMNode]]]:
    """List the places where keys work, in the order of the help; the application's come first."""
    from camtui.tui.screens.cell import CellScreen
    from camtui.tui.screens.image import ImageScreen
    from camtui.tui.screens.log import LogScreen
    from camtui.tui.screens.runs import RunsScreen

    return [
        ("everywhere", everywhere),
        ("in lists", LineTable),
        ("grid", GridScreen),
        ("cell", CellScreen),
        ("image", ImageScreen),
        ("runs", RunsScreen),
        ("log", LogScreen),
    ]


def _names(cell: Cell) -> tuple[str, str]:
    return f"{cell.backbone}/{cell.method}", f"{cell.method}/{cell.backbone}"
