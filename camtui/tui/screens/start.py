"""The screens before there is a run: while one is being started, and while there is none."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any, cast

from textual.app import ComposeResult
from textual.binding import Binding
from textual.message import Message
from textual.screen import Screen

from camtui.format import Field, duration
from camtui.launch import STEPS, Start
from camtui.tui.screens.dialogs import Choice, Question
from camtui.tui.text import bar, state_field
from camtui.tui.theme import Settings
from camtui.tui.widgets.fields import TextLines
from camtui.tui.widgets.gallery import Gallery, GalleryItem
from camtui.tui.widgets.keybar import KeyBar
from evaluator.text import counted, printable

if TYPE_CHECKING:
    from camtui.pictures import Pixels

_EVERY = 0.2
"""Seconds between two looks at how far a start is."""

_BAR = 40


class StartOver(Message):
    """A run is under way, or will not be."""


class StartingScreen(Screen[None]):
    """A run that is being started: what is done, what is being done, what is to come."""

    def __init__(self, start: Start) -> None:
        super().__init__()
        self._start = start

    def compose(self) -> ComposeResult:
        """Compose the title, the steps, the keys."""
        yield TextLines(id="title")
        yield TextLines(id="steps")
        yield KeyBar()

    def on_mount(self) -> None:
        """Look at the start again and again."""
        self._look()
        self.set_interval(_EVERY, self._look)

    def on_screen_resume(self) -> None:
        """Show what has changed while another screen was in front."""
        self._look()

    def _look(self) -> None:
        if not self.is_current:
            return
        if self._start.outcome is not None:
            self.post_message(StartOver())
            return
        width, now = self.app.size.width, time.monotonic()
        self.query_one("#title", TextLines).show(title_lines(self._start, width))
        self.query_one("#steps", TextLines).show(step_lines(self._start, now, width))

    def ask_to_give_up(self) -> None:
        """Ask, then give the run up."""
        name = printable(self._start.request.name)
        question = Question(f"Give {name} up before it has begun?", [Choice("yes", "Give it up")])
        self.app.push_screen(question, self._give_up)

    def _give_up(self, answer: str | None) -> None:
        if answer:
            self.run_worker(cast(Any, self._cancel), exclusive=True)

    async def _cancel(self) -> None:
        await asyncio.to_thread(self._start.cancel)


def _steps(start: Start) -> list[str]:
    """Return the steps of a start; weights are fetched only where they are missing."""
    return [step for step in STEPS if step != "weights" or step in start.steps]


def title_lines(start: Start, width: int) -> list[list[Field]]:
    """Describe a start: its name, a bar over all of its steps, and the one that is under way."""
    steps, begun = _steps(start), list(start.steps.values())
    latest = begun[-1] if begun else None
    place = steps.index(latest.step) if latest else 0
    share = (place + (latest.share if latest else 0.0)) / len(steps)
    head = [
        Field(" camtui ", "dim"),
        Field(printable(start.request.name, 24), "strong"),
        Field(" "),
        state_field("starting"),
        Field(" "),
    ]
    room = width - sum(len(field.text) for field in head) - 2
    filled, empty = bar(share, max(4, min(_BAR, room)))
    words = f"{latest.step}: {latest.text}" if latest else "its driver starts"
    return [
        [*head, Field(filled, "bar"), Field(empty, "trough")],
        [Field(f" step {place + 1} of {len(steps)}, {printable(words)}", "dim")],
    ]


def step_lines(start: Start, now: float, width: int) -> list[list[Field]]:
    """List the steps of a start with what is said of each, and what is to be known besides."""
    lines: list[list[Field]] = [[]]
    begun = list(start.steps)
    if not begun:
        lines.append([Field("  ◌ ", "accent"), Field("its driver starts", "dim")])
    for step in _steps(start):
        if step not in start.steps:
            lines.append([Field(f"    {step:<9}", "dim")])
            continue
        later = begun[begun.index(step) + 1 :]
        done = bool(later)
        seconds = (start.since[later[0]] if done else now) - start.since[step]
        sign = Field("  ✓ ", "good") if done else Field("  ◌ ", "accent")
        latest = start.steps[step]
        line = [sign, Field(f"{step:<9}", "strong"), Field(printable(latest.text))]
        if not done and latest.share:
            filled, empty = bar(latest.share, min(20, max(4, width - 60)))
            line += [Field("  "), Field(filled, "bar"), Field(empty, "trough")]
        lines.append([*line, Field(f"  {duration(seconds)}", "dim")])
    lines.append([])
    plan = start.request.plan
    if plan is not None:
        networks = ", ".join(spec.name for spec in plan.backbones)
        size = f"{counted(len(plan.backbones), 'network')} × {counted(len(plan.methods), 'method')}"
        lines.append([Field("    asked for", "dim"), Field(f"  {size}: {printable(networks)}")])
        lines.append([Field(f"{'':13}  {printable(', '.join(plan.methods))}", "dim")])
        lines.append([])
    lines.append([Field("  q leaves, and the run begins all the same; x gives it up", "dim")])
    for said in start.lines:
        role = "warn" if said.startswith("warning") else "dim"
        lines.append([Field(f"  {printable(said)}", role)])
    return lines


_WORDS: tuple[tuple[str, str], ...] = (
    ("", ""),
    ("   camtui", "strong"),
    ("", ""),
    ("   There is no run yet. Two ways to begin:", ""),
    ("", ""),
    ("     d   or   camtui run --demo", "key"),
    ("       photographs, three networks, eight methods; a minute", "dim"),
    ("     camtui run --data FOLDER -b resnet50 -m gradcam,gradcampp,scorecam", "key"),
    ("       your images: class folders, or a flat folder", "dim"),
    ("", ""),
    ("   This screen opens the run as soon as there is one.", "dim"),
)

_SIDE = 96
"""Pixels of the heat map."""


class WelcomeScreen(Screen[None]):
    """The screen of a new user."""

    BINDINGS = [Binding("d", "app.demo", "start the demo", tooltip="camtui run --demo")]

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self._settings = settings

    def compose(self) -> ComposeResult:
        """Compose the words, a heat map, the keys."""
        yield TextLines(id="first")
        yield Gallery(self._settings, id="heat")
        yield KeyBar()

    def on_mount(self) -> None:
        """Show the words and the heat map."""
        self.query_one("#first", TextLines).show([[Field(*line)] for line in _WORDS])
        if self._settings.images != "off":
            self.query_one("#heat", Gallery).show([GalleryItem("", heat_map())])


def heat_map() -> Pixels:
    """Draw a map of two objects, as methods draw them: ``[side, side, 3]``."""
    import numpy as np

    from camtui.pictures import coloured

    y, x = np.mgrid[0:_SIDE, 0:_SIDE].astype(np.float32) / (_SIDE - 1)
    first = np.exp(-((x - 0.42) ** 2 + (y - 0.45) ** 2) / 0.035)
    second = 0.55 * np.exp(-((x - 0.75) ** 2 + (y - 0.7) ** 2) / 0.02)
    return coloured(np.minimum(first + second, 1.0), "turbo")
