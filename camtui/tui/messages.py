"""The messages of the dashboard.

State goes down by constructors and method calls, intents come up through these: widgets tell their
screen what the user did, screens ask the application for another screen or an action.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from textual.app import App
from textual.message import Message
from textual.widget import Widget

from evaluator.text import printable

if TYPE_CHECKING:
    from camtui.pictures import Pixels

Severity = Literal["information", "warning", "error"]

_SECONDS = 5


def toast(node: App[Any] | Widget, text: str, severity: Severity = "information") -> None:
    """Show a text for a moment in the corner of the application."""
    node.notify(printable(text), severity=severity, markup=False, timeout=_SECONDS)


# -- from a table to its screen
# --------------------------------------------------------------------------------------------------


@dataclass
class CursorMoved(Message):
    """A table's cursor has moved.

    Attributes:
        table: the id of the table.
        row: the key of the row, ``None`` in an empty table.
        column: key of the column in tables whose cells can be chosen, else an empty string.
    """

    table: str
    row: Hashable
    column: str

    def can_replace(self, message: Message) -> bool:
        """Keep only the latest position of a table."""
        return isinstance(message, CursorMoved) and message.table == self.table


@dataclass
class RowOpened(Message):
    """A row of a table was opened by Enter."""

    table: str
    row: Hashable
    column: str


@dataclass
class EndNear(Message):
    """A table's cursor is near the last row that is loaded."""

    table: str


# -- from a screen to the application
# --------------------------------------------------------------------------------------------------


@dataclass
class OpenCell(Message):
    """Request for the cell screen, its images ordered by a metric."""

    cell: int
    metric: str


@dataclass
class OpenImage(Message):
    """Request for the image screen.

    Attributes:
        image: its number, ``None`` for the first in the order.
        worst: whether the order begins at the worst image.
    """

    cell: int
    image: int | None
    metric: str
    worst: bool = True


@dataclass
class OpenRun(Message):
    """Request for another run in place of this one."""

    path: Path


@dataclass
class CompareRuns(Message):
    """Request for the comparison of two runs."""

    first: Path
    second: Path


@dataclass
class RunAction(Message):
    """Request for an action of the application, as Textual names it: ``open_log('plan')``."""

    action: str


@dataclass
class CopyText(Message):
    """Request to copy a text to the terminal's clipboard.

    Attributes:
        name: of the text, for the toast.
    """

    text: str
    name: str


@dataclass
class ShowPicture(Message):
    """Request for a picture in the terminal's own graphics."""

    picture: Pixels | None


# -- from the watcher to the application
# --------------------------------------------------------------------------------------------------


@dataclass
class RunFound(Message):
    """The first run has appeared, and is open."""
