"""Every message that widgets send up.

State goes down by method calls, intents come up through these.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass

from textual.message import Message


@dataclass
class CursorMoved(Message):
    """The cursor of a table stands elsewhere.

    Attributes:
        table: the id of the table; ``row``: the key of the row, ``None`` in an empty table.
        column: key of the column in tables whose cells can be chosen, else an empty string.
    """

    table: str
    row: Hashable
    column: str

    def can_replace(self, message: Message) -> bool:
        """Only the newest position matters."""
        return isinstance(message, CursorMoved) and message.table == self.table


@dataclass
class RowOpened(Message):
    """Enter was pressed on a row."""

    table: str
    row: Hashable
    column: str


@dataclass
class EndNear(Message):
    """The cursor comes near the last row that is loaded: more, please."""

    table: str


@dataclass
class FilterChanged(Message):
    """The filter line holds other words."""

    text: str


@dataclass
class FilterClosed(Message):
    """The filter line is done with; ``keep``: whether its words stay in force."""

    keep: bool
