"""The application: its keys, its theme, its clipboard, and what it does with messages.

Dialogs are imported when they are first opened: the grid must be there at once.
"""

from __future__ import annotations

import asyncio
import base64
import os
import time
from collections.abc import Callable, Sequence
from functools import cache, partial
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NoReturn

from rich.segment import Segment
from textual.app import App
from textual.binding import Binding
from textual.color import Color
from textual.command import CommandPalette, DiscoveryHit, Hit, Hits, Provider
from textual.content import Content
from textual.events import Key
from textual.filter import LineFilter

from camtui.feed import Snapshot
from camtui.runs import reference
from camtui.tui.driver import TerminalDriver
from camtui.tui.messages import (
    CompareRuns,
    CopyText,
    OpenCell,
    OpenImage,
    OpenRun,
    RunAction,
    ShowPicture,
    toast,
)
from camtui.tui.navigation import Navigator, RunWatcher
from camtui.tui.screens.base import RunScreen
from camtui.tui.theme import DEFAULTS, THEMES, Settings, colours_of, textual_theme
from evaluator.text import as_ascii, printable

if TYPE_CHECKING:
    from textual.widget import Widget

    from camtui.pictures import Pixels


class AsciiFilter(LineFilter):
    """A filter that replaces what is not ASCII, cell by cell."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        """Return the same line in ASCII."""
        return [Segment(as_ascii(text), style, control) for text, style, control in segments]


_RUN_ACTIONS = ("stop", "resume", "retry", "export")
_VIEWS = ("copy_view", "copy_cell", "freeze", "open_screen", "open_log")

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


MAX_BYTES = 74_000
"""The most that common terminals take; beyond it they drop the sequence without a word."""


def sequence(text: str, *, inside_tmux: bool) -> str | None:
    """Return the escape sequence that carries a text; ``None`` where it is too long.

    Args:
        inside_tmux: whether tmux must be told to let it pass.
    """
    carried = base64.b64encode(text.encode("utf-8", "replace")).decode("ascii")
    if len(carried) > MAX_BYTES:
        return None
    plain = f"\x1b]52;c;{carried}\a"
    return f"\x1bPtmux;\x1b{plain}\x1b\\" if inside_tmux else plain


Graphics = Literal["kitty", "sixel"]

SIDE = 896
"""Pixels: four times what the network sees, as large as most terminals can show."""


def why_no_graphics(images: str) -> str:
    """Say what the terminal or the installation lacks for graphics; empty where nothing is."""
    if images not in ("kitty", "sixel"):
        return (
            "full resolution needs a terminal with graphics: camtui watch --images kitty, or sixel"
        )
    if find_spec("textual_image") is None:
        return 'full resolution needs the extra images: pip install "camtui[images]"'
    return ""


def picture_widget(picture: Pixels, images: str) -> Widget:
    """Make a widget that shows a picture as large as there is room.

    The first call imports the library: for a thread.
    """
    from PIL import Image

    library = _library()
    kind = library.TGPImage if images == "kitty" else library.SixelImage
    widget: Widget = kind(Image.fromarray(picture).resize((SIDE, SIDE), Image.Resampling.BICUBIC))
    return widget


@cache
def _library() -> Any:
    # this one asks nothing at import; the widgets do
    terminal: Any = import_module("textual_image._terminal")
    terminal.capture_terminal_response = _ask_nothing
    return import_module("textual_image.widget")


def _ask_nothing(*_: object, **__: object) -> NoReturn:
    """Raise what the library takes for a terminal that did not answer; nothing is written."""
    raise TimeoutError("the terminal is not asked")


class RunCommands(Provider):
    """The commands of the palette: all that can be done now, by name."""

    def _commands(self) -> list[tuple[str, str, Callable[[], object]]]:
        commands: list[tuple[str, str, str]] = [
            ("table", "the averages: method × backbone", "open_screen('grid')"),
            ("worst", "the worst images of the chosen cell", "open_screen('cell')"),
            ("image", "the worst image of the chosen cell", "open_screen('image')"),
            ("ls", "all runs", "open_screen('runs')"),
            ("compare", "two runs: mark them in the list, then =", "open_screen('runs')"),
            ("logs", "what the driver and its workers printed", "open_log('log file')"),
            ("errors", "images without a value, and why", "open_log('errors')"),
            ("show", "the plan and every version", "open_log('plan')"),
            ("timings", "what an image costs in each stage", "open_log('timings')"),
            ("stop", "stop the run (asks first)", "stop"),
            ("resume", "go on with the run (asks first)", "resume"),
            ("retry", "try the failed images again (asks first)", "retry"),
            ("export", "write a table or the data to a file", "export"),
            ("copy", "the view, to the terminal's clipboard", "copy_view"),
            ("theme", "dark, light, and Textual's own", "theme"),
            ("help", "every key", "help"),
            ("detach", "leave the dashboard; a run that is under way goes on", "detach"),
        ]
        return [
            (name, more, partial(self.app.post_message, RunAction(action)))
            for name, more, action in commands
            if self.app.check_action(action, ())
        ]

    async def discover(self) -> Hits:
        """List all commands."""
        for name, more, act in self._commands():
            yield DiscoveryHit(name, act, text=name, help=more)

    async def search(self, query: str) -> Hits:
        """List the commands that match a query."""
        matcher = self.matcher(query)
        for name, more, act in self._commands():
            # a command's own name before the words about it
            score = max(2 * matcher.match(name), matcher.match(more))
            if score > 0:
                yield Hit(score, Content(name), act, text=name, help=more)


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
        Binding("ctrl+z", "suspend_process", "suspend", show=False, tooltip="fg brings it back"),
    ]

    def __init__(self, path: Path | None, settings: Settings = DEFAULTS) -> None:
        """Open a run, or the first screen where there is none.

        Raises:
            CamtuiError: it cannot be read.
        """
        # greys too are colours: Textual alone keeps them
        super().__init__(TerminalDriver, ansi_color=True if "NO_COLOR" in os.environ else None)
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
        from camtui.tui.screens.image import FullScreen

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
