"""Anything found by a part of its name: what ``:`` and ``g`` list, one line each."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from textual.command import DiscoveryHit, Hit, Hits, Provider
from textual.content import Content
from textual.message import Message

from camtui.runs import list_runs, reference
from camtui.tui.run_connection import RunConnection
from camtui.tui.screens.base import RunScreen, holds
from camtui.tui.screens.runs import OpenRun
from evaluator.catalog import known_metrics
from evaluator.errors import CamtuiError
from evaluator.text import printable

if TYPE_CHECKING:
    from textual.screen import Screen

    from evaluator.store.reader import RunReader

_MOST = 12
"""Images, and classes, that are listed of those that are found."""

_NAME_WIDTH = 30


@dataclass
class RunAction(Message):
    """Request for an action of the application, ``open_log('plan')``, or for that of a message."""

    action: str | Message


@dataclass
class ShowCell(Message):
    """Request for the grid, its cursor on a backbone or a method, or with another metric."""

    backbone: str = ""
    method: str = ""
    metric: str = ""


@dataclass
class ShowClass(Message):
    """Request for the images of a class, by its name."""

    name: str


@dataclass
class ShowImage(Message):
    """Request for an image, by its number."""

    image: int


class Found(NamedTuple):
    """Something with a name.

    Attributes:
        kind: what it is, in a word.
        action: as of ``RunAction``.
        names: what it is found by besides its name.
    """

    name: str
    kind: str
    action: str | Message
    names: str = ""


_SCREENS = {"grid": "grid", "method": "cell", "runs": "runs", "log": "log"}


def _commands() -> list[tuple[str, str, str]]:
    return [
        ("table", "the averages: method × network", "open_screen('grid')"),
        ("worst", "the worst images of the chosen method", "open_screen('cell')"),
        ("image", "the worst image of the chosen method", "open_screen('image')"),
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
        *((name, "screen", f"open_screen('{screen}')") for name, screen in _SCREENS.items()),
    ]


class Everything(Provider):
    """Commands, screens, metrics, methods, networks, runs, classes and images."""

    async def startup(self) -> None:
        """Read what lies in the folder of runs."""
        self._runs: list[Path] = await asyncio.to_thread(list_runs)

    def _commands(self) -> Iterator[Found]:
        """The commands that do something now."""
        for name, more, action in _commands():
            if self.app.check_action(action, ()):
                yield Found(name, more, action)

    def _of_run(self) -> Iterator[Found]:
        """Metrics, methods and networks of the run that is open, and every run."""
        connection = connection_of(self.screen)
        if connection is None:
            return
        latest = connection.displayed
        for key in latest.metrics:
            metric = known_metrics()[key]
            yield Found(metric.title, "metric", ShowCell(metric=key), key)
        for name in latest.methods:
            yield Found(name, "method", ShowCell(method=name))
        for name in latest.backbones:
            yield Found(name, "network", ShowCell(backbone=name))
        for path in self._runs:
            yield Found(reference(path), "run", OpenRun(path))

    async def _of_images(self, query: str) -> AsyncIterator[Found]:
        """Classes of the chosen network, and images, that hold the words."""
        connection = connection_of(self.screen)
        cells = connection.displayed.cells if connection else []
        if connection is None or not cells:
            return
        async for found in found_classes(self.screen, query):
            yield found
        matching = partial(_matching, cell=cells[0].id, words=query)
        try:
            images = await connection.ask(matching)
        except CamtuiError:  # of a file that has gone
            return
        for image, path in images:
            yield Found(path, "image", ShowImage(image))

    async def discover(self) -> Hits:
        """List the commands; everything else is found by its name."""
        for found in self._commands():
            yield DiscoveryHit(_line(found), self._act(found), text=found.name)

    async def search(self, query: str) -> Hits:
        """List what holds the words, commands first."""
        for found in self._commands():
            if holds(query, found.name):
                yield Hit(1 + _score(query, found), _line(found), self._act(found), text=found.name)
            elif holds(query, found.kind):
                yield Hit(0.2, _line(found), self._act(found), text=found.name)
        for found in self._of_run():
            if holds(query, found.name, found.names):
                yield Hit(_score(query, found), _line(found), self._act(found), text=found.name)
        async for found in self._of_images(query):
            # no image may be of that class; one that has it in its path is there
            score = _score(query, found) * (0.5 if found.kind == "image" else 0.45)
            yield Hit(score, _line(found), self._act(found), text=found.name)

    def _act(self, found: Found) -> Callable[[], object]:
        return partial(self.app.post_message, RunAction(found.action))


class Classes(Provider):
    """The classes of the networks of a run."""

    async def discover(self) -> Hits:
        """List the first classes."""
        async for found in found_classes(self.screen, ""):
            yield DiscoveryHit(_line(found), self._act(found), text=found.name)

    async def search(self, query: str) -> Hits:
        """List the classes that hold the words."""
        async for found in found_classes(self.screen, query):
            yield Hit(_score(query, found), _line(found), self._act(found), text=found.name)

    def _act(self, found: Found) -> Callable[[], object]:
        return partial(self.app.post_message, RunAction(found.action))


def connection_of(screen: Screen[Any]) -> RunConnection | None:
    """Return the connection to the run that a screen shows."""
    return screen.connection if isinstance(screen, RunScreen) else None


async def found_classes(screen: Screen[Any], query: str) -> AsyncIterator[Found]:
    """Yield the classes of the networks that hold the words, each name once."""
    connection, names = connection_of(screen), dict[str, None]()
    if connection is None:
        return
    for backbone in connection.displayed.backbones:
        names |= dict.fromkeys(await connection.class_names(backbone))
    found = [name for name in names if holds(query, name)]
    for name in found[:_MOST]:
        yield Found(name, "class", ShowClass(name))


def _matching(reader: RunReader, cell: int, words: str) -> list[tuple[int, str]]:
    """Read number and path of the first images whose path holds the words."""
    return [
        (image, printable(reader.images.get(image).path))
        for image in reader.images.matching(cell, words, ())[:_MOST]
    ]


def _score(query: str, found: Found) -> float:
    """How well a name fits: whole, from its beginning, or somewhere in it."""
    name, words = found.name.lower(), query.lower()
    return 1.0 if name == words else 0.8 if name.startswith(words) else 0.6


def _line(found: Found) -> Content:
    """Return ``gradcampp     method``."""
    name = printable(found.name, 60)
    return Content.assemble(f"{name:<{_NAME_WIDTH}} ", (found.kind, "dim"))
