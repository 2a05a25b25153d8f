"""The application: its keys, its theme, its clipboard, and what it does with messages.

Dialogs are imported when they are first opened: the grid must be there at once.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from textual.app import App
from textual.binding import Binding
from textual.command import CommandPalette
from textual.events import Key
from textual.filter import LineFilter

from camtui.runs import reference
from camtui.tui.ascii_filter import AsciiFilter
from camtui.tui.availability import unavailable_reason
from camtui.tui.clipboard import MAX_BYTES, sequence
from camtui.tui.graphics import picture_widget, why_no_graphics
from camtui.tui.messages import (
    CompareRuns,
    CopyText,
    OpenCell,
    OpenImage,
    OpenRun,
    RunAction,
    ShowPicture,
)
from camtui.tui.navigation import Navigator
from camtui.tui.palette import RunCommands
from camtui.tui.run_watcher import RunWatcher
from camtui.tui.screens.base import RunScreen
from camtui.tui.settings import DEFAULTS, Settings
from camtui.tui.theme import THEMES, colours_of, textual_theme
from camtui.tui.toasts import toast
from evaluator.text import printable

if TYPE_CHECKING:
    from camtui.pictures import Pixels

_TWICE = 2.0
"""Seconds in which a second Ctrl-C leaves at once."""


class Dashboard(App[int]):
    """The dashboard of one run, or of the folder of runs while there is none.

    Attributes:
        watcher: the run that is open.
        navigator: the stack of screens.
        exit_message: to be printed once the terminal is plain again.
    """

    CSS_PATH = "app.tcss"
    TITLE = "camtui"
    COMMANDS = {RunCommands}
    BINDINGS = [
        Binding("e", "export", "export", tooltip="a table or the data, to a file"),
        Binding(
            "y", "copy_view", "copy", show=False, tooltip="the view, to the terminal's clipboard"
        ),
        Binding("Y", "copy_cell", "copy cell", show=False, tooltip="the chosen cell"),
        Binding("f", "freeze", "freeze", tooltip="the display only; the run goes on"),
        Binding("x", "stop", "stop run", tooltip="asks first"),
        Binding("r", "resume", "resume run", tooltip="asks first"),
        Binding("R", "retry", "retry failed", show=False, tooltip="asks first"),
        Binding(
            "1",
            "open_screen('grid')",
            "screens",
            key_display="1-5",
            tooltip="grid, cell, image, runs, log",
        ),
        Binding("2", "open_screen('cell')", "screens", key_display="1-5"),
        Binding("3", "open_screen('image')", "screens", key_display="1-5"),
        Binding("4", "open_screen('runs')", "screens", key_display="1-5"),
        Binding("5", "open_screen('log')", "screens", key_display="1-5"),
        Binding("colon", "command_palette", "commands", tooltip="by name"),
        Binding("ctrl+p", "command_palette", "commands", show=False),
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
    ]

    def __init__(self, path: Path | None, settings: Settings = DEFAULTS) -> None:
        """Open a run, or the first screen where there is none.

        Raises:
            CamtuiError: it cannot be read.
        """
        # greys too are colours: Textual alone keeps them
        super().__init__(ansi_color=True if "NO_COLOR" in os.environ else None)
        self.settings = settings
        self.watcher = RunWatcher(self, path)
        self.navigator = Navigator(self, self.watcher, settings)
        for name in THEMES:
            self.register_theme(textual_theme(name))
        self.theme = "ansi-dark" if self.no_color else "okabe-dark"
        self.animation_level = "none"
        self.exit_message = ""
        self._ascii = AsciiFilter()
        self._left_at = 0.0

    async def on_mount(self) -> None:
        """Open the first screen and begin to poll."""
        await self.navigator.open_first_screen()
        self.set_interval(self.settings.interval, self.watcher.poll)

    # -- messages
    # ----------------------------------------------------------------------------------------------

    async def on_run_found(self) -> None:
        """Show the first run."""
        await self.navigator.replace_by_grid()

    def on_open_cell(self, message: OpenCell) -> None:
        """Open the cell screen."""
        self.navigator.open_cell(message.cell, message.metric)

    def on_open_image(self, message: OpenImage) -> None:
        """Open the image screen."""
        self.navigator.open_image(message)

    async def on_open_run(self, message: OpenRun) -> None:
        """Open another run."""
        await self.navigator.open_run(message.path)

    def on_compare_runs(self, message: CompareRuns) -> None:
        """Open the comparison of two runs."""
        self.navigator.open_comparison(message.first, message.second)

    def on_copy_text(self, message: CopyText) -> None:
        """Copy a text to the clipboard."""
        self.copy(message.text, message.name)

    def on_run_action(self, message: RunAction) -> None:
        """Run an action as soon as the palette, which asked for it, is gone."""
        if isinstance(self.screen, CommandPalette):
            self.set_timer(0.02, partial(self.post_message, RunAction(message.action)))
        else:
            self.call_later(self.run_action, message.action)

    def on_show_picture(self, message: ShowPicture) -> None:
        """Show a picture in the terminal's own graphics, where the user asked for them."""
        problem = why_no_graphics(self.settings.images)
        if problem:
            toast(self, problem, "warning")
        elif message.picture is not None:
            self.run_worker(self._show_picture(message.picture), group="full", exclusive=True)

    async def _show_picture(self, picture: Pixels) -> None:
        from camtui.tui.screens.full import FullScreen

        widget = await asyncio.to_thread(picture_widget, picture, self.settings.images)
        await self.push_screen(FullScreen(widget))

    # -- keys that open screens
    # ----------------------------------------------------------------------------------------------

    def action_open_screen(self, name: str) -> None:
        """Open a screen: grid, cell, image, runs or log."""
        self.navigator.open_by_name(name)

    def action_open_log(self, tab: str) -> None:
        """Open one list of the log screen."""
        self.navigator.open_log(tab)

    def action_help(self) -> None:
        """Explain the marks of this screen and every key."""
        self.navigator.open_help()

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
        if self.watcher.connection is not None:
            self.watcher.connection.toggle_freeze()
            self.watcher.show()

    # -- what is done to the run
    # ----------------------------------------------------------------------------------------------

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Tell footer and palette whether an action does something now."""
        return not self._unavailable_reason(action)

    def _unavailable_reason(self, action: str) -> str:
        return unavailable_reason(action, self.watcher.latest, readonly=self.settings.readonly)

    def on_key(self, event: Key) -> None:
        """Say why a key does nothing now.

        Textual asks here before it looks for the key's action.
        """
        if not isinstance(self.screen, RunScreen) or event.key in self.screen.active_bindings:
            return
        for binding in self._bindings.key_to_bindings.get(event.key, ()):
            reason = self._unavailable_reason(binding.action)
            if reason:
                toast(self, reason)

    def action_stop(self) -> None:
        """Ask, then stop the run."""
        self._perform("stop")

    def action_resume(self) -> None:
        """Ask, then resume the run."""
        self._perform("resume")

    def action_retry(self) -> None:
        """Ask, then try the failed images again."""
        self._perform("retry")

    def action_export(self) -> None:
        """Ask for a form and a place, then write."""
        self._perform("export")

    def _perform(self, action: str) -> None:
        from camtui.tui import run_actions

        connection = self.watcher.connection
        if connection is not None:
            work = run_actions.perform(self, connection, action)
            self.run_worker(work, group="actions", exclusive=True)

    # -- the clipboard
    # ----------------------------------------------------------------------------------------------

    def action_copy_view(self) -> None:
        """Copy what the screen shows, as text with tabs."""
        if isinstance(self.screen, RunScreen):
            self.copy(self.screen.as_text(), "the view")

    def action_copy_cell(self) -> None:
        """Copy the chosen cell."""
        if isinstance(self.screen, RunScreen):
            self.copy(self.screen.cell_as_text(), "the cell")

    def copy(self, text: str, name: str) -> None:
        """Send a text to the terminal's clipboard; it never answers whether it took it."""
        written = sequence(text, inside_tmux="TMUX" in os.environ)
        if written is None:
            limit = f"{MAX_BYTES // 1000} kB"
            toast(self, f"{name} is too long for a terminal's clipboard ({limit})", "warning")
        elif text and self._driver is not None:
            self._driver.write(written)
            toast(self, f"{name} sent to the terminal")

    # -- leaving
    # ----------------------------------------------------------------------------------------------

    def action_detach(self) -> None:
        """Leave; the run goes on."""
        connection = self.watcher.connection
        if connection is not None and connection.latest.status.live:
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

    async def on_unmount(self) -> None:
        """Close threads and file."""
        await self.watcher.close()
