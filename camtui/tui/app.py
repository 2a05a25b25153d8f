"""The application: one run on a stack of screens, looked at once a second, never written to."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import time
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar, cast

from textual.app import App
from textual.binding import Binding
from textual.command import CommandPalette
from textual.filter import LineFilter

from camtui.feed import Snapshot
from camtui.runs import list_runs, reference
from camtui.ties import Marks
from camtui.tui.asciifilter import AsciiFilter
from camtui.tui.link import Link, printed_value
from camtui.tui.palette import Verbs
from camtui.tui.screens.base import RunScreen
from camtui.tui.screens.grid import GridScreen
from camtui.tui.settings import DEFAULTS, Settings
from camtui.tui.theme import THEMES, textual_theme
from evaluator.errors import CamtuiError
from evaluator.records import Cell
from evaluator.statistics import PairedDifference
from evaluator.store.reader import RunReader
from evaluator.text import printable

if TYPE_CHECKING:
    from camtui.pictures import Pixels

T = TypeVar("T")
Severity = Literal["information", "warning", "error"]

_TWICE = 2.0
"""Seconds in which a second Ctrl-C leaves at once."""


class Dashboard(App[int]):
    """The dashboard."""

    CSS_PATH = "app.tcss"
    TITLE = "camtui"
    COMMANDS = {Verbs}
    BINDINGS = [
        Binding("e", "export", "export", tooltip="a table or the data, to a file"),
        Binding("y", "copy_view", "copy", show=False, tooltip="the view, to the terminal's clipboard"),
        Binding("Y", "copy_cell", "copy cell", show=False, tooltip="the chosen cell"),
        Binding("f", "freeze", "freeze", tooltip="the display only; the run goes on"),
        Binding("x", "stop", "stop run", tooltip="asks first"),
        Binding("r", "resume", "resume run", tooltip="asks first"),
        Binding("R", "retry", "retry failed", show=False, tooltip="asks first"),
        Binding("1", "open_screen('grid')", "screens", key_display="1-5", tooltip="grid, cell, image, runs, log"),
        Binding("2", "open_screen('cell')", "screens", key_display="1-5"),
        Binding("3", "open_screen('image')", "screens", key_display="1-5"),
        Binding("4", "open_screen('runs')", "screens", key_display="1-5"),
        Binding("5", "open_screen('log')", "screens", key_display="1-5"),
        Binding("colon", "command_palette", "commands", tooltip="by name"),
        Binding("ctrl+p", "command_palette", "commands", show=False),
        Binding("question_mark", "help", "help", tooltip="this list", id="always.help"),
        Binding("t", "theme", "theme", show=False, tooltip="dark or light"),
        Binding("q", "detach", "detach (run continues)", tooltip="leave the dashboard; the run goes on", id="always.q"),
        Binding("ctrl+c", "leave", "detach", show=False, priority=True, tooltip="twice: at once"),
        Binding("ctrl+q", "detach", "detach", show=False),
    ]

    def __init__(self, path: Path | None, settings: Settings = DEFAULTS) -> None:
        """Open a run, or the first screen where there is none.

        Raises:
            CamtuiError: it cannot be read.
        """
        self.settings = settings
        super().__init__(ansi_color=True if "NO_COLOR" in os.environ else None)  # greys too are colours: Textual alone keeps them
        for name in THEMES:
            self.register_theme(textual_theme(name))
        self.theme = "ansi-dark" if self.no_color else "okabe-dark"
        self.animation_level = "none"
        self.link = Link(path) if path else None
        self.shown: Snapshot | None = self.link.latest if self.link else None
        self.frozen = False
        self.parting_words = ""
        self._ascii = AsciiFilter()
        self._left_at = 0.0
        self._state = ""

    # -- what is shown ---------------------------------------------------------------------------------------------------------

    async def on_mount(self) -> None:
        """The first screen, and the clock."""
        if self.link is None:
            from camtui.tui.screens.first import FirstRunScreen

            await self.push_screen(FirstRunScreen())
        else:
            await self.push_screen(GridScreen())
            await self._open_what_was_asked_for()
        self.set_interval(self.settings.interval, self._look)

    def get_theme_variable_defaults(self) -> dict[str, str]:
        """For themes that are not ours."""
        return {"rule": "ansi_default", "dim": "ansi_default", "cursor": "ansi_default"}

    def get_line_filters(self) -> Sequence[LineFilter]:
        """With ``--ascii`` nothing else leaves the application, whoever drew it."""
        return [*super().get_line_filters(), *([self._ascii] if self.settings.ascii else [])]

    async def _look(self) -> None:
        if self.link is None:
            self._look_for_a_run()
            return
        snapshot = await self.link.look()
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
                self.link = Link(runs[0])
            except CamtuiError:
                return
            self.shown = self.link.latest
            self.switch_screen(GridScreen())

    def show(self) -> None:
        """Show the newest snapshot on the screen that is in front; another state of the run allows other keys."""
        state = self.shown.status.state if self.shown else ""
        if state != self._state:
            self._state = state
            self.screen.refresh_bindings()
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

    # -- ranks -----------------------------------------------------------------------------------------------------------------

    def marks(self, metrics: Sequence[str]) -> Marks:
        """Best and ties, as far as they are known."""
        return self.link.marks(self.shown, metrics) if self.link and self.shown else {}

    def difference(self, metric: str, best: int, cell: int) -> PairedDifference | None:
        """Best minus cell, if it has been tested."""
        return self.link.difference(metric, best, cell) if self.link else None

    def think(self, metric: str, cell: int | None = None) -> None:
        """Test in the background what the ranks of a metric need; the screen is shown again when something was learnt."""
        if self.link is not None and self.shown is not None:
            work = partial(self._think, self.link, self.shown, metric, cell)
            self.run_worker(cast(Any, work), group="ties", exclusive=True)

    async def _think(self, link: Link, snapshot: Snapshot, metric: str, cell: int | None) -> None:
        try:
            learnt = await link.test_ties(snapshot, metric, cell)
        except (CamtuiError, sqlite3.Error) as error:
            self.log(f"ties are not known: {error}")  # the next look at the file says what is wrong with it
            return
        if learnt:
            self.show()

    def paper(self, backbone: str, method: str, metric: str) -> float | None:
        """What the paper printed for a cell, as a fraction."""
        return printed_value(backbone, method, metric)

    # -- screens ---------------------------------------------------------------------------------------------------------------

    @property
    def path(self) -> Path | None:
        """The file of the run that is open."""
        return self.link.path if self.link else None

    def action_open_screen(self, name: str) -> None:
        """Another screen; those of a cell show the one that is chosen in the grid."""
        if self.shown is None or not isinstance(self.screen, RunScreen):
            return
        while not isinstance(self.screen, GridScreen):
            self.pop_screen()
        cell, metric = self.screen.chosen(), self.screen.view.metric
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
            (cell for cell in cells if wanted in (f"{cell.backbone}/{cell.method}", f"{cell.method}/{cell.backbone}")), None
        )
        if cell is None:
            self.say(f"the run has no cell {wanted}", severity="warning")
            return
        cast(GridScreen, self.screen).put_cursor((cell.backbone, cell.method))
        if not self.settings.image:
            self.open_cell(cell.id, "adcc")
            return
        try:
            image = (await self.ask(lambda reader: reader.find_image(self.settings.image))).id
        except CamtuiError as error:
            self.say(error.message, severity="warning")
        else:
            self.open_image(cell.id, image, "adcc")

    def open_run(self, path: Path) -> None:
        """Another run in place of this one."""
        if path == self.path:
            self.action_open_screen("grid")
            return
        try:
            link = Link(path)
        except CamtuiError as error:
            self.say(error.message, severity="error")
            return
        while len(self.screen_stack) > 2:
            self.pop_screen()
        old, self.link = self.link, link
        self.shown, self.frozen = link.latest, False
        self.switch_screen(GridScreen())
        if old is not None:
            self.run_worker(asyncio.to_thread(old.close))

    def when_screens_rest(self, action: str) -> None:
        """Do something as soon as the palette, which asked for it, is gone."""
        if isinstance(self.screen, CommandPalette):
            self.set_timer(0.02, partial(self.when_screens_rest, action))
        else:
            self.call_later(self.run_action, action)

    def action_help(self) -> None:
        """Every key."""
        from camtui.tui.screens.help import HelpScreen

        self.push_screen(HelpScreen())

    def action_theme(self) -> None:
        """Dark or light; without colour there is nothing to choose."""
        if not self.no_color:
            self.theme = "okabe-light" if self.theme == "okabe-dark" else "okabe-dark"

    def action_freeze(self) -> None:
        """Hold the display still, or show the newest again."""
        self.frozen = not self.frozen
        if not self.frozen and self.link is not None:
            self.shown = self.link.latest
        self.show()

    # -- what is done to the run -----------------------------------------------------------------------------------------------

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """The footer and the palette offer what can be done now."""
        return self.can_do(action)

    def can_do(self, action: str) -> bool:
        """Whether an action means something now."""
        name = action.partition("(")[0]
        if name in ("stop", "resume", "retry", "export") and (self.settings.readonly or self.shown is None):
            return False
        if name in ("copy_view", "copy_cell", "freeze", "open_screen", "open_log"):
            return self.shown is not None
        live = self.shown is not None and self.shown.status.live
        if name == "stop":
            return live
        if name == "resume":
            return not live and self.shown is not None and self.shown.status.state != "complete"
        return not (name == "retry" and (live or not self.shown or not self.shown.failures))

    def action_stop(self) -> None:
        """Ask, then stop the run."""
        self._ask("stop")

    def action_resume(self) -> None:
        """Ask, then go on with the run."""
        self._ask("resume")

    def action_retry(self) -> None:
        """Ask, then try the failed images again."""
        self._ask("retry")

    def _ask(self, verb: str) -> None:
        from camtui.tui import deeds

        self.run_worker(deeds.carry_out(self, verb), group="deeds", exclusive=True)

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
        from camtui.tui.clipboard import MOST_BYTES, sequence

        written = sequence(text, inside_tmux="TMUX" in os.environ)
        if written is None:
            self.say(f"{what} is too long for a terminal's clipboard ({MOST_BYTES // 1000} kB)", severity="warning")
        elif text and self._driver is not None:
            self._driver.write(written)
            self.say(f"{what} sent to the terminal")

    def show_full(self, picture: Pixels | None) -> None:
        """A picture in the terminal's own graphics, where the user asked for them."""
        from camtui.tui.graphics import why_not

        problem = why_not(self.settings.images)
        if problem:
            self.say(problem, severity="warning")
        elif picture is not None:
            self.run_worker(self._show_full(picture), group="full", exclusive=True)

    async def _show_full(self, picture: Pixels) -> None:
        from camtui.tui.graphics import picture_widget
        from camtui.tui.screens.full import FullScreen

        await self.push_screen(FullScreen(await asyncio.to_thread(picture_widget, picture, self.settings.images)))

    # -- leaving ---------------------------------------------------------------------------------------------------------------

    def say(self, text: str, *, severity: Severity = "information") -> None:
        """A toast; its text is never markup."""
        self.notify(printable(text), severity=severity, markup=False, timeout=5)

    def action_detach(self) -> None:
        """Leave; the run goes on."""
        if self.shown is not None and self.shown.status.live and self.path is not None:
            run = reference(self.path)
            self.parting_words = f"detached; {printable(self.shown.info.name)} continues. Back to it: camtui watch {run}"
        self.exit(0)

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
