"""The parts of a table: fields of text with a role, columns, rows."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import NamedTuple

from rich.cells import cell_len, set_cell_size


class Field(NamedTuple):
    """A text that is safe to print, and its role."""

    text: str
    role: str = ""


@dataclass(frozen=True, slots=True)
class TableColumn:
    """A column; titles of two words may take two lines.

    Attributes:
        key: names the column to whoever listens.
        title: one or two lines.
        width: cells; 0 for the rest of the line (one column at most).
        right: whether text is set to the right.
    """

    key: str
    title: str
    width: int
    right: bool = True


@dataclass(frozen=True, slots=True)
class Line:
    """A row of the table."""

    key: Hashable
    fields: tuple[Field, ...]


def fitted(text: str, width: int, right: bool) -> str:
    """Fit a text to exactly that many terminal cells; what does not fit ends in ``…``."""
    length = cell_len(text)
    if length > width:
        return set_cell_size(text, width - 1) + "…" if width > 1 else set_cell_size(text, width)
    return " " * (width - length) + text if right else text + " " * (width - length)
