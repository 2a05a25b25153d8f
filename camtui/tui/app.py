"""The application: the run that is open, the stack of screens, keys, theme and clipboard.

The grid lies at the bottom of the stack. Other screens and dialogs are imported when they are first
opened: the grid must be there at once, and the image screen imports numpy and Pillow.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from textual._context import active_message_pump
from textual.app import App, ScreenStackError
from textual.binding import Binding
from textual.command import CommandPalette
from textual.css.query import NoMatches
from textual.dom import DOMNode, NoScreen
from textual.events import Key
from textual.filter import LineFilter
from textual.theme import Theme
from textual.worker import WorkerFailed, get_current_worker

from camtui.feed import Snapshot
from camtui.runs import find_run, reference
from camtui.tui.run_connection import RunConnection
from camtui.tui.screens.base import RunScreen
from camtui.tui.screens.grid import GridScreen, OpenCell
from camtui.tui.terminal import MAX_BYTES, AsciiFilter, BackgroundTold, TerminalDriver, sequence
from camtui.tui.theme import (
    DEFAULTS,
    THEMES,
    Settings,
    colours_of,
    remember,
    remembered,
    textual_theme,
)
from evaluator.errors import CamtuiError
from evaluator.text import printable

if TYPE_CHECKING:
    from textual.message_pump import MessagePump
    from textual.notifications import SeverityLevel

    from camtui.launch import Start
    from camtui.tui.find import Everything, RunAction, ShowCell, ShowClass, ShowImage
    from camtui.tui.screens.cell import OpenImage
    from camtui.tui.screens.runs import CompareRuns, OpenRun
    from camtui.tui.screens.start import StartOver


_RUN_ACTIONS = ("stop", "resume", "retry", "export")
_VIEWS = ("copy_view", "copy_cell", "freeze", "open_screen", "open_log", "open_class")

CONDITIONAL_ACTIONS = (*_RUN_ACTIONS, *_VIEWS, "quit")
"""The actions that do not always mean something."""


def unavailable_reason(action: str, latest: Snapshot | None, *, readonly: bool = False) -> str:
    """Say why an action of the dashboard does nothing now; empty where it does something.

    Args:
        action: as Textual names it, ``open_screen('grid')``.
        latest: the latest snapshot, displayed or not, ``None`` where no run is open.
        readonly: whether ``--readonly`` was given.
    """
    name = action.partition("(")[0]
    if name in (*_RUN_ACTIONS, *_VIEWS) and latest is None:
        return "no run is open"
    if name in _RUN_ACTIONS and readonly:
        return "not in a dashboard that was opened with --readonly"
    live = latest is not None and latest.status.live
    complete = latest is not None and latest.status.state == "complete"
    if name == "stop" and not live:
        return "nothing to stop: the run is not under way"
    if name == "resume" and complete:
        return "nothing to resume: the run is complete"
    if name in ("resume", "retry") and live:
        return f"nothing to {name}: the run is under way"
    if name == "retry" and not (latest and latest.failures):
        return "nothing to retry: no image failed"
    return "q detaches: the run goes on" if name == "quit" and live else ""


_IN_TIME = 0.1
"""Seconds after which a terminal's answer changes the colours no more."""

_TWICE = 2.0
"""Seconds in which a second Ctrl-C leaves at once."""


def _everything() -> type[Everything]:
    from camtui.tui.find import Everything

    return Everything


class Dashboard(App[int]):
    """The dashboard of one run, or of the folder of runs while there is none.

    Attributes:
        connection: to the run that is open; ``None`` while the first is waited for.
        start: of the run that is being started; ``None`` where there is none, or it has begun.
        exit_message: to be printed once the terminal is plain again.
    """

    CSS_PATH = "app.tcss"
    TITLE = "camtui"
    COMMANDS = {_everything}
    BINDINGS = [
        Binding(
            "1",
            "open_screen('grid')",
            "screens",
            key_display="1-5",
            tooltip="grid, method, image, runs, log",
        ),
        Binding("2", "open_screen('cell')", "screens", key_display="1-5"),
        Binding("3", "open_screen('image')", "screens", key_display="1-5"),
        Binding("4", "open_screen('runs')", "screens", key_display="1-5"),
        Binding("5", "open_screen('log')", "screens", key_display="1-5"),
        Binding("e", "export", "export", tooltip="a table or the data, to a file"),
        Binding(
            "y", "copy_view", "copy", show=False, tooltip="the view, to the terminal's clipboard"
        ),
        Binding("Y", "copy_cell", "copy values", show=False, tooltip="of the chosen method"),
        Binding("f", "freeze", "freeze", tooltip="the display only; the run goes on"),
        Binding("x", "stop", "stop run", tooltip="asks first", id="always.run.stop"),
        Binding("r", "resume", "resume run", tooltip="asks first", id="always.run.resume"),
        Binding("R", "retry", "retry failed", show=False, tooltip="asks first"),
        Binding("g", "open_class", "class", show=False, tooltip="its images, by its name"),
        Binding(
            "colon",
            "command_palette",
            "find",
            tooltip="commands, runs, methods, networks, metrics, classes, images",
            id="always.find",
        ),
        Binding("ctrl+p", "command_palette", "find", show=False),
        Binding("question_mark", "help", "help", tooltip="this list", id="always.help"),
        Binding("t", "theme", "theme", show=False, tooltip="dark, light, and Textual's own"),
        Binding(
            "q",
            "quit",
            "quit",
            tooltip="leave the dashboard, where no run is under way",
            id="always.quit",
        ),
        Binding(
            "q",
            "detach",
            "detach (run continues)",
            tooltip="leave the dashboard; the run goes on",
            id="always.q",
        ),
        Binding("ctrl+c", "leave", "detach", show=False, priority=True, tooltip="twice: at once"),
        Binding("ctrl+q", "detach", "detach", show=False),
        Binding("ctrl+z", "suspend_process", "suspend", show=False, tooltip="fg brings it back"),
    ]

    def __init__(
        self, path: Path | None, settings: Settings = DEFAULTS, start: Start | None = None
    ) -> None:
        """Open a run, or the first screen where there is none, or where one is being started.

        Raises:
            CamtuiError: it cannot be read.
        """
        # greys too are colours: Textual alone keeps them
        super().__init__(TerminalDriver, ansi_color=True if "NO_COLOR" in os.environ else None)
        self.settings = settings
        self.connection = RunConnection(path) if path else None
        self.start = start
        for name in THEMES:
            self.register_theme(textual_theme(name))
        chosen = settings.theme or str(remembered().get("theme", ""))
        self._theme_chosen = chosen in self.available_themes
        self._theme_of_terminal = ""
        self.theme = chosen if self._theme_chosen else "okabe-dark"
        if self.no_color:
            self.theme = "ansi-dark"
        self.animation_level = "none"
        self.exit_message = ""
        self._ascii = AsciiFilter()
        self._left_at = 0.0

    async def on_mount(self) -> None:
        """Open the first screen and begin to poll.

        That is the grid and what ``--cell`` and ``--image`` ask for, or the screen without a run.
        """
        if self.start is not None:
            from camtui.tui.screens.start import StartingScreen

            await self.push_screen(StartingScreen(self.start))
        elif self.connection is None:
            from camtui.tui.screens.start import WelcomeScreen

            await self.push_screen(WelcomeScreen(self.settings))
        else:
            grid = GridScreen(self.connection, self.settings)
            await self.push_screen(grid)
            await self._open_what_was_asked_for(grid)
        self.set_interval(self.settings.interval, self.poll)
        self.theme_changed_signal.subscribe(self, self._remember_theme)

    def _remember_theme(self, theme: Theme) -> None:
        if theme.name == self._theme_of_terminal:  # not a choice
            self._theme_of_terminal = ""
        elif not self.no_color:
            self._theme_chosen = True
            remember(theme=theme.name)

    def on_background_told(self, message: BackgroundTold) -> None:
        """Take the light theme on a light terminal, unless another was chosen or it is too late."""
        colour, seconds = message.colour, message.seconds
        parts = [int(part, 16) / (16 ** len(part) - 1) for part in colour.split("/") if part]
        light = len(parts) >= 3 and sum(parts[:3]) / 3 > 0.5
        if light and seconds <= _IN_TIME and not (self._theme_chosen or self.no_color):
            self.theme = self._theme_of_terminal = "okabe-light"

    async def _open_what_was_asked_for(self, grid: GridScreen) -> None:
        name, image = self.settings.cell, self.settings.image
        if not (name or image):
            return
        for cell in grid.snapshot.cells:
            if name in ("", f"{cell.backbone}/{cell.method}", f"{cell.method}/{cell.backbone}"):
                break
        else:
            self.notify(f"the run has no {name}", severity="warning")
            return
        grid.put_cursor((cell.backbone, cell.method))
        if not image:
            self._open_cell(cell.id, "adcc")
            return
        try:
            found = await grid.connection.ask(lambda reader: reader.images.find(image))
        except CamtuiError as error:
            self.notify(error.message, severity="warning")
        else:
            self._open_image(cell.id, found.id, "adcc")

    # -- the run
    # ----------------------------------------------------------------------------------------------

    @property
    def latest(self) -> Snapshot | None:
        """The last snapshot that was read, displayed or not; ``None`` without a run."""
        return self.connection.latest if self.connection else None

    async def poll(self) -> None:
        """Read what is new of the run, and show it; without a run, open the first that appears."""
        connection = self.connection
        if self.start is not None:
            return
        if connection is None:
            with suppress(CamtuiError):  # one that is just being made is tried again
                self.connection = RunConnection(find_run())
                await self.switch_screen(GridScreen(self.connection, self.settings))
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
        with suppress(ScreenStackError):  # the application closed meanwhile
            if connection.latest.status.state != state:
                self.screen.refresh_bindings()  # another state allows other keys
            if is_new and not connection.frozen:
                self._show()
            elif isinstance(self.screen, RunScreen):
                self.screen.tick()

    async def on_start_over(self, _: StartOver) -> None:
        """Show the run that has begun; leave where it has not."""
        start, self.start = self.start, None
        if start is None:
            return
        if isinstance(start.outcome, BaseException):
            self.exit(1)
            return
        try:
            self.connection = RunConnection(start.request.db)
        except CamtuiError as error:  # its file is gone already
            self.exit_message = error.message
            self.exit(error.exit_code)
            return
        await self.switch_screen(GridScreen(self.connection, self.settings))

    def _show(self) -> None:
        """Show the displayed snapshot on the screen in front."""
        with suppress(ScreenStackError):  # the application closes
            if isinstance(self.screen, RunScreen):
                self.screen.show_snapshot()

    async def on_open_run(self, message: OpenRun) -> None:
        """Open another run in place of this one; the one that is open is just shown."""
        path = message.path
        old = self.connection
        if old is not None and old.path == path:
            self._back_to_grid()
            return
        try:
            self.connection = RunConnection(path)
        except CamtuiError as error:
            self.notify(error.message, severity="error")
            return
        while len(self.screen_stack) > 2:
            await self.pop_screen()
        await self.switch_screen(GridScreen(self.connection, self.settings))
        if old is not None:
            self.run_worker(asyncio.to_thread(old.close))

    # -- the screens over the grid
    # ----------------------------------------------------------------------------------------------

    def _back_to_grid(self) -> GridScreen | None:
        """Close everything over the grid; ``None`` over a dialog or without a run."""
        if not isinstance(self.screen, RunScreen):
            return None
        while not isinstance(self.screen, GridScreen):
            self.pop_screen()
        return self.screen

    def action_open_screen(self, name: str) -> None:
        """Open grid, cell, image, runs or log; those of a cell show the one chosen in the grid."""
        grid = self._back_to_grid()
        if grid is None:
            return
        cell, metric = grid.chosen(), grid.options.metric
        if name == "runs":
            from camtui.tui.screens.runs import RunsScreen

            self.push_screen(RunsScreen(grid.connection))
        elif name == "log":
            self.action_open_log("events")
        elif name == "cell" and cell is not None:
            self._open_cell(cell.id, metric)
        elif name == "image" and cell is not None:
            self._open_image(cell.id, None, metric)

    def action_open_log(self, tab: str) -> None:
        """Open one list of the log screen."""
        from camtui.tui.screens.log import LogScreen

        grid = self._back_to_grid()
        if grid is not None:
            self.push_screen(LogScreen(grid.connection, tab))

    def on_open_cell(self, message: OpenCell) -> None:
        """Open the cell screen."""
        self._open_cell(message.cell, message.metric)

    def _open_cell(self, cell: int, metric: str, words: str = "") -> None:
        from camtui.tui.screens.cell import CellScreen

        if self.connection is not None:
            self.push_screen(CellScreen(self.connection, cell, metric, words))

    def on_open_image(self, message: OpenImage) -> None:
        """Open the image screen."""
        self._open_image(message.cell, message.image, message.metric, worst=message.worst)

    def _open_image(self, cell: int, image: int | None, metric: str, *, worst: bool = True) -> None:
        from camtui.tui.screens.image import ImageScreen

        if self.connection is not None:
            self.push_screen(
                ImageScreen(self.connection, self.settings, cell, image, metric, worst=worst)
            )

    def on_compare_runs(self, message: CompareRuns) -> None:
        """Open the comparison of two runs."""
        from camtui.tui.screens.compare import CompareScreen

        if self.connection is not None:
            self.push_screen(CompareScreen(self.connection, message.first, message.second))

    def action_help(self) -> None:
        """Explain the marks of this screen and every key."""
        from camtui.tui.screens.help import HelpScreen

        self.push_screen(HelpScreen(type(self.screen).__name__, type(self)))

    def on_run_action(self, message: RunAction) -> None:
        """Run an action as soon as the palette, which asked for it, is gone."""
        action = message.action
        if isinstance(self.screen, CommandPalette):
            self.set_timer(0.02, partial(self.post_message, replace(message)))
        elif isinstance(action, str):
            self.call_later(self.run_action, action)
        else:
            self.post_message(action)

    def action_command_palette(self) -> None:
        """Ask for anything by a part of its name."""
        if not isinstance(self.screen, CommandPalette):
            words = "a command, run, method, network, metric, class or image"
            self.push_screen(CommandPalette(id="--command-palette", placeholder=words))

    def action_open_class(self) -> None:
        """Ask for a class by a part of its name, then list its images."""
        from camtui.tui.find import Classes

        words = "a class, by a part of its name"
        self.push_screen(CommandPalette(providers=[Classes], placeholder=words))

    def on_show_cell(self, message: ShowCell) -> None:
        """Put the grid's cursor on a backbone or a method, or show another metric."""
        grid = self._back_to_grid()
        if grid is not None:
            grid.show_cell(message.backbone, message.method, message.metric)

    def on_show_class(self, message: ShowClass) -> None:
        """List the chosen cell's images of a class, true or predicted."""
        self._open_chosen(lambda cell, metric: self._open_cell(cell, metric, message.name))

    def on_show_image(self, message: ShowImage) -> None:
        """Show an image under the chosen cell's method."""
        self._open_chosen(lambda cell, metric: self._open_image(cell, message.image, metric))

    def _open_chosen(self, open_: Callable[[int, str], None]) -> None:
        grid = self._back_to_grid()
        cell = grid.chosen() if grid else None
        if grid is not None and cell is not None:
            open_(cell.id, grid.options.metric)

    # -- its looks
    # ----------------------------------------------------------------------------------------------

    def get_theme_variable_defaults(self) -> dict[str, str]:
        """Return the variables that the style sheet asks of every theme."""
        colours = colours_of(self.theme)
        if colours is None:
            return {"rule": "ansi_default", "dim": "ansi_default", "cursor": "ansi_default"}
        return {"rule": colours.rule, "dim": colours.dim, "cursor": colours.cursor}

    def get_line_filters(self) -> Sequence[LineFilter]:
        """Return Textual's filters, and with ``--ascii`` the one that leaves nothing but ASCII."""
        return [*super().get_line_filters(), *([self._ascii] if self.settings.ascii else [])]

    def action_theme(self) -> None:
        """Choose among the themes; without colour there is nothing to choose."""
        if not self.no_color:
            self.search_themes()

    def action_freeze(self) -> None:
        """Hold the display still, or show the latest again."""
        if self.connection is not None:
            self.connection.toggle_freeze()
            self._show()

    def notify(
        self,
        message: str,
        *,
        title: str = "",
        severity: SeverityLevel = "information",
        timeout: float | None = None,
        markup: bool = False,
    ) -> None:
        """Show a text for five seconds in the corner: as it is, never as markup."""
        super().notify(
            printable(message), title=title, severity=severity, timeout=timeout or 5, markup=False
        )

    # -- what is done to the run
    # ----------------------------------------------------------------------------------------------

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Tell footer and palette whether an action does something now."""
        return not self._unavailable_reason(action)

    def _unavailable_reason(self, action: str) -> str:
        if self.start is not None and action == "stop":
            return ""
        if self.start is not None and action == "quit":
            return "q detaches: the run begins all the same"
        return unavailable_reason(action, self.latest, readonly=self.settings.readonly)

    def on_key(self, event: Key) -> None:
        """Say why a key does nothing now.

        Textual asks here before it looks for the key's action.
        """
        if not isinstance(self.screen, RunScreen) or event.key in self.screen.active_bindings:
            return
        for binding in self._bindings.key_to_bindings.get(event.key, ()):
            reason = self._unavailable_reason(binding.action)
            if reason:
                self.notify(reason)

    def action_stop(self) -> None:
        """Ask, then stop the run; one that is being started is given up."""
        if self.start is None:
            self._perform("stop")
            return
        from camtui.tui.screens.start import StartingScreen

        if isinstance(self.screen, StartingScreen):
            self.screen.ask_to_give_up()

    def action_resume(self) -> None:
        """Ask, then resume the run."""
        self._perform("resume")

    def action_retry(self) -> None:
        """Ask, then try the failed images again."""
        self._perform("retry")

    def action_demo(self) -> None:
        """Start the demo from the first screen, which opens it as soon as it is there."""
        from camtui.tui import run_actions

        if self.connection is None and not self.settings.readonly:
            self.run_worker(run_actions.start_demo(self), group="actions", exclusive=True)

    def action_export(self) -> None:
        """Ask for a form and a place, then write."""
        self._perform("export")

    def _perform(self, action: str) -> None:
        from camtui.tui import run_actions

        if self.connection is not None:
            work = run_actions.perform(self, self.connection, action)
            self.run_worker(work, group="actions", exclusive=True)

    # -- the clipboard
    # ----------------------------------------------------------------------------------------------

    def action_copy_view(self) -> None:
        """Copy what the screen shows, as text with tabs."""
        if isinstance(self.screen, RunScreen):
            self.copy(self.screen.as_text(), self.screen.TEXT)

    def action_copy_cell(self) -> None:
        """Copy the chosen cell."""
        if isinstance(self.screen, RunScreen):
            self.copy(self.screen.cell_as_text(), "the values")

    def copy(self, text: str, name: str) -> None:
        """Send a text to the terminal's clipboard; it never answers whether it took it."""
        written = sequence(text, inside_tmux="TMUX" in os.environ)
        if written is None:
            limit = f"{MAX_BYTES // 1000} kB"
            self.notify(
                f"{name} is too long for a terminal's clipboard ({limit})", severity="warning"
            )
        elif text and self._driver is not None:
            self._driver.write(written)
            self.notify(f"{name} sent to the terminal")

    # -- leaving
    # ----------------------------------------------------------------------------------------------

    def action_detach(self) -> None:
        """Leave; the run goes on."""
        connection = self.connection
        if self.start is not None:
            name, run = printable(self.start.request.name), reference(self.start.request.db)
            self.exit_message = f"detached; {name} is being started. Back to it: camtui watch {run}"
        elif connection is not None and connection.latest.status.live:
            name, run = printable(connection.latest.info.name), reference(connection.path)
            self.exit_message = f"detached; {name} continues. Back to it: camtui watch {run}"
        self.exit(0)

    async def action_quit(self) -> None:
        """Leave where nothing goes on."""
        self.action_detach()

    def action_leave(self) -> None:
        """Leave with a word; a second Ctrl-C, while something keeps us, leaves at once."""
        now = time.monotonic()
        if now - self._left_at < _TWICE:
            os._exit(130)
        self._left_at = now
        self.action_detach()

    def _handle_exception(self, error: Exception) -> None:
        """Leave with a traceback, but not where a screen that is gone was looked for.

        Timers, workers and late answers, Textual's own among them, find their screen closed and
        its widgets gone, and nothing is lost by it.
        """
        cause: BaseException = error
        node: MessagePump = active_message_pump.get()
        if isinstance(error, WorkerFailed):
            cause, node = error.error, get_current_worker().node
        closing = isinstance(node, DOMNode) and node._pruning
        gone = closing or not (self.is_running and node.is_attached)
        if not (gone and isinstance(cause, (NoMatches, NoScreen, ScreenStackError))):
            super()._handle_exception(error)

    async def on_unmount(self) -> None:
        """Close threads and file."""
        if self.connection is not None:
            await asyncio.to_thread(self.connection.close)
