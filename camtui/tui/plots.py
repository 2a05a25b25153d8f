"""Plots made of characters: bars, histograms, trends and curves. Plain text, no Textual."""

from __future__ import annotations

from collections.abc import Sequence

_EIGHTHS = "▁▂▃▄▅▆▇█"
_BRAILLE = 0x2800
_DOTS = ((0x01, 0x02, 0x04, 0x40), (0x08, 0x10, 0x20, 0x80))
"""Bit of the dot in column x, row y of a braille character."""


def histogram(counts: Sequence[int]) -> str:
    """Draw a histogram on one line, one character a bin; an empty bin is a space."""
    most = max(counts, default=0)
    return "".join(" " if n == 0 else _EIGHTHS[min(7, n * 8 // (most + 1))] for n in counts)


def columns(counts: Sequence[int], height: int) -> list[str]:
    """Draw a histogram on several lines, from the top, one character a bin."""
    most = max(counts, default=0) or 1
    levels = [max(1 if n else 0, round(n * height * 8 / most)) for n in counts]
    return [
        "".join(_block(level - 8 * row) for level in levels) for row in range(height - 1, -1, -1)
    ]


def _block(level: int) -> str:
    return " " if level <= 0 else _EIGHTHS[min(level, 8) - 1]


def trend(values: Sequence[float], low: float, high: float) -> str:
    """Draw recent values as a line of bars."""
    spread = (high - low) or 1
    return "".join(_EIGHTHS[max(0, min(7, int((value - low) / spread * 8)))] for value in values)


class BraillePlot:
    """Curves on a grid of 2 × 4 dots a character."""

    def __init__(self, width: int, height: int, low: float, high: float) -> None:
        """Make an empty plot of width × height characters, values from low to high."""
        self.width, self.height = width, height
        self._low, self._spread = low, (high - low) or 1.0
        self._cells = [[0] * width for _ in range(height)]

    def line(self, values: Sequence[float | None]) -> None:
        """Draw a curve over the whole width; ``None`` leaves a gap.

        Neighbours are joined by an upright stroke.
        """
        across = self.width * 2
        before: int | None = None
        for x in range(across):
            value = values[x * len(values) // across] if values else None
            if value is None:
                before = None
                continue
            y = self._row(value)
            for dot in range(
                min(y, y if before is None else before), max(y, y if before is None else before) + 1
            ):
                self._set(x, dot)
            before = y

    def dots(self, values: Sequence[float | None], every: int = 2) -> None:
        """Draw a curve as separate dots: the edge of a band."""
        across = self.width * 2
        for x in range(0, across, every):
            value = values[x * len(values) // across] if values else None
            if value is not None:
                self._set(x, self._row(value))

    def _row(self, value: float) -> int:
        share = (value - self._low) / self._spread
        return max(0, min(self.height * 4 - 1, round((1 - share) * (self.height * 4 - 1))))

    def _set(self, x: int, y: int) -> None:
        self._cells[y // 4][x // 2] |= _DOTS[x % 2][y % 4]

    def lines(self) -> list[str]:
        """Return the plot from the top."""
        return [
            "".join(chr(_BRAILLE + cell) if cell else " " for cell in row) for row in self._cells
        ]


def bar(share: float, width: int) -> tuple[str, str]:
    """Draw a progress bar as its filled and its empty part, to half a character."""
    halves = max(0, min(2 * width, round(share * 2 * width)))
    filled = "━" * (halves // 2) + ("╸" if halves % 2 else "")
    return filled, "─" * (width - len(filled))
