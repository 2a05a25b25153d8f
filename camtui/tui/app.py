"""The application: its keys, its looks, and what is done to the run that it shows."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Coroutine, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from textual.binding import Binding
from textual.events import Key
from textual.filter import LineFilter

from camtui.runs import reference
from camtui.tui.ascii_filter import AsciiFilter
from camtui.tui.availability import unavailable_reason
from camtui.tui.navigation import NavigatingApp
from camtui.tui.palette import RunCommands
from camtui.tui.screens.base import RunScreen
from camtui.tui.settings import DEFAULTS, Settings
from camtui.tui.theme import THEMES, colours_of, textual_theme
from evaluator.text import printable

if TYPE_CHECKING:
    from camtui.pictures import Pixels

_TWICE = 2.0
"""Seconds in which a second Ctrl-C leaves at once."""


class Dashboard(NavigatingApp):
    """The dashboard."""

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
        super().__init__(path, settings, ansi_color=True if "NO_COLOR" in os.environ else None)
        for name in THEMES:
            self.register_theme(textual_theme(name))
        self.theme = "ansi-dark" if self.no_color else "okabe-dark"
        self.animation_level = "none"
        self.exit_message = ""
        self._ascii = AsciiFilter()
        self._left_at = 0.0

    # -- its looks
    # ----------------------------------------------------------------------------------------------

    async def on_mount(self) -> None:
        """The first screen, and the clock."""
        await self.open_first_screen()
        self.set_interval(self.settings.interval, self.look)

    def get_theme_variable_defaults(self) -> dict[str, str]:
        """What the style sheet asks of every theme."""
        colours = colours_of(self.theme)
        if colours is None:
            return {"rule": "ansi_default", "dim": "ansi_default", "cursor": "ansi_default"}
        return {"rule": colours.rule, "dim": colours.dim, "cursor": colours.cursor}

    def get_line_filters(self) -> Sequence[LineFilter]:
        """With ``--ascii`` nothing else leaves the application, whoever drew it."""
        return [*super().get_line_filters(), *([self._ascii] if self.settings.ascii else [])]

    def action_theme(self) -> None:
        """Choose among the themes; without colour there is nothing to choose."""
        if not self.no_color:
            self.search_themes()

    def action_freeze(self) -> None:
        """Hold the display still, or show the newest again."""
        self.frozen = not self.frozen
        if not self.frozen:
            self.shown = self.newest
        self.show()

    # -- what is done to the run
    # ----------------------------------------------------------------------------------------------

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """The footer and the palette offer what can be done now."""
        return self.is_available(action)

    def is_available(self, action: str) -> bool:
        """Whether an action means something now."""
        return not self._unavailable_reason(action)

    def _unavailable_reason(self, action: str) -> str:
        return unavailable_reason(action, self.newest, readonly=self.settings.readonly)

    def on_key(self, event: Key) -> None:
        """A key of ours that does nothing now says why.

        Textual asks here before it looks for the key's action.
        """
        if not isinstance(self.screen, RunScreen) or event.key in self.screen.active_bindings:
            return
        for binding in self._bindings.key_to_bindings.get(event.key, ()):
            reason = self._unavailable_reason(binding.action)
            if reason:
                self.toast(reason)

    def action_stop(self) -> None:
        """Ask, then stop the run."""
        self._ask("stop")

    def action_resume(self) -> None:
        """Ask, then go on with the run."""
        self._ask("resume")

    def action_retry(self) -> None:
        """Ask, then try the failed images again."""
        self._ask("retry")

    def _ask(self, action: str) -> None:
        from camtui.tui import run_actions

        self.run_worker(run_actions.perform(self, action), group="actions", exclusive=True)

    def action_export(self) -> None:
        """Ask for a form and a place, then write."""
        self._ask("export")

    def action_copy_view(self) -> None:
        """What the screen shows, as text with tabs."""
        if isinstance(self.screen, RunScreen):
            self.copy(self.screen.as_text(), "the view")

    def action_copy_cell(self) -> None:
        """The chosen cell."""
        if isinstance(self.screen, RunScreen):
            self.copy(self.screen.cell_as_text(), "the cell")

    def copy(self, text: str, what: str) -> None:
        """To the terminal's clipboard, which never answers: nobody can say that it was copied."""
        from camtui.tui.clipboard import MAX_BYTES, sequence

        written = sequence(text, inside_tmux="TMUX" in os.environ)
        if written is None:
            self.toast(
                f"{what} is too long for a terminal's clipboard ({MAX_BYTES // 1000} kB)",
                severity="warning",
            )
        elif text and self._driver is not None:
            self._driver.write(written)
            self.toast(f"{what} sent to the terminal")

    def show_full(self, picture: Pixels | None) -> None:
        """A picture in the terminal's own graphics, where the user asked for them."""
        from camtui.tui.graphics import why_no_graphics

        problem = why_no_graphics(self.settings.images)
        if problem:
            self.toast(problem, severity="warning")
        elif picture is not None:
            self.run_worker(self._show_full(picture), group="full", exclusive=True)

    async def _show_full(self, picture: Pixels) -> None:
        from camtui.tui.graphics import picture_widget
        from camtui.tui.screens.full import FullScreen

        await self.push_screen(
            FullScreen(await asyncio.to_thread(picture_widget, picture, self.settings.images))
        )

    # -- leaving
    # ----------------------------------------------------------------------------------------------

    def action_detach(self) -> None:
        """Leave; the run goes on."""
        if self.newest is not None and self.newest.status.live and self.path is not None:
            run = reference(self.path)
            self.exit_message = f"detached; {printable(self.newest.info.name)} continues. Back to it: camtui watch {run}"
        self.exit(0)

    async def action_quit(self) -> None:
        """Leave where nothing goes on."""
        self.action_detach()

    def action_leave(self) -> None:
        """Ctrl-C: leave with a word; a second one, while something keeps us, leaves at once."""
        now = time.monotonic()
        if now - self._left_at < _TWICE:
            os._exit(130)
        self._left_at = now
        self.action_detach()

    async def on_unmount(self) -> None:
        """Give threads and file back."""
        if self.link is not None:
            closing: Coroutine[Any, Any, None] = asyncio.to_thread(self.link.close)
            await closing
