"""The filter behind ``--ascii``: each character becomes an ASCII character of the same width."""

from __future__ import annotations

from rich.cells import cell_len
from rich.segment import Segment
from textual.color import Color
from textual.filter import LineFilter

_PAIRS = """
─- ━= ╸> ╺< │| ┃| ┌+ ┐+ └+ ┘+ ├+ ┤+ ┬+ ┴+ ╭+ ╮+ ╰+ ╯+ ┼+ ▔- ▁. ▂. ▃: ▄: ▅+ ▆+ ▇# █# ▕| ▏| ▎| ▊| ▀#
●* ◌o ◍o ■# ✓+ ✗x ‖| ▶> ◀< ▲^ ▼v
↑^ ↓v ←< →> ⏎E ␣_ ±~ ×x ·. …. –- —- −- °' ‹< ›> ’' “" ”"
≥> ≤< αa
"""
_LIKE = {pair[0]: pair[1] for pair in _PAIRS.split()}


class AsciiFilter(LineFilter):
    """A filter that replaces what is not ASCII, cell by cell."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        """Return the same line in ASCII."""
        return [Segment(as_ascii(text), style, control) for text, style, control in segments]


def as_ascii(text: str) -> str:
    """Replace characters by look-alikes where there is one, else by ``?``; the width stays."""
    return text if text.isascii() else "".join(map(_like, text))


def _like(character: str) -> str:
    if character.isascii():
        return character
    if character in _LIKE:
        return _LIKE[character]
    if "\u2800" <= character <= "\u28ff":
        return "*" if character > "\u2800" else " "
    return "?" * cell_len(character)
