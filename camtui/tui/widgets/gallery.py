"""Pictures drawn in half cells, one or side by side, as large as the room allows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from rich.cells import cell_len, set_cell_size
from rich.color import Color
from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip
from textual.widget import Widget

from camtui.pictures import Pixels, resized
from camtui.tui.theme import styles_of

if TYPE_CHECKING:
    from camtui.pictures import Pixels

_RAMP = " .:-=+*#%@"
_LEVELS = np.array([0, 95, 135, 175, 215, 255])
_BYTES_A_CELL = 18
"""The budget of a cell in 256 colours; its own escape sequence is up to 29 bytes."""

_TOLERANCES = (0, 12, 20, 28, 36, 48, 64)
"""The distances, in each channel, that a pixel may have from the colour that it shares.

The first that keeps the budget is taken.
"""


def strips(
    picture: Pixels, width: int, height: int, *, colours: int = 1 << 24, ascii_only: bool = False
) -> list[Strip]:
    """Draw a picture as lines of text.

    Args:
        picture: ``[any, any, 3]`` bytes.
        width, height: in terminal cells; a cell is two pixels high.
        colours: what the terminal has: 256 or all of them.
        ascii_only: grey levels by characters, no colour at all.
    """
    small = resized(picture, width, height * 2)
    if ascii_only:
        return _as_ramp(small)
    if colours <= 256:
        return _as_halves(_within_budget(small)[:, :, None], numbered=True)
    # steps of 4 are below what the eye tells apart; runs get longer
    return _as_halves(small & 0xFC | 0x02, numbered=False)


def _as_halves(pixels: NDArray[np.integer], *, numbered: bool) -> list[Strip]:
    lines: list[Strip] = []
    for y in range(0, len(pixels), 2):
        pairs = np.concatenate([pixels[y], pixels[y + 1]], axis=1).tolist()
        segments: list[Segment] = []
        start = 0
        for x in range(1, len(pairs) + 1):
            if x == len(pairs) or pairs[x] != pairs[start]:
                pair = tuple(pairs[start])
                flat = pair[: len(pair) // 2] == pair[len(pair) // 2 :]
                segments.append(
                    Segment((" " if flat else "▀") * (x - start), _style(pair, numbered))
                )
                start = x
        lines.append(Strip(segments, len(pairs)))
    return lines


@lru_cache(20_000)
def _style(pair: tuple[int, ...], numbered: bool) -> Style:
    half = len(pair) // 2
    if pair[:half] == pair[half:]:  # a space needs no colour of its own
        return Style(bgcolor=Color.from_ansi(pair[0]) if numbered else Color.from_rgb(*pair[:3]))
    if numbered:
        return Style(color=Color.from_ansi(pair[0]), bgcolor=Color.from_ansi(pair[1]))
    return Style(color=Color.from_rgb(*pair[:3]), bgcolor=Color.from_rgb(*pair[3:]))


def _within_budget(small: Pixels) -> NDArray[np.int64]:
    """Number the colours of a picture, with runs as long as the budget demands."""
    numbers = _numbered(small)
    found = numbers
    for tolerance in _TOLERANCES:
        found = _with_runs(small, numbers, tolerance) if tolerance else numbers
        if _bytes(found) <= _BYTES_A_CELL * found.size // 2:
            break
    return found


def _with_runs(small: Pixels, numbers: NDArray[np.int64], tolerance: int) -> NDArray[np.int64]:
    """Give each cell the colours of the one before where both of its pixels are near them."""
    pairs = _pairs(numbers)
    wanted = small.reshape(len(small) // 2, 2, -1, 3).transpose(0, 2, 1, 3).astype(np.int64)
    # the nearest of 256 colours may be further off than the tolerance
    own = np.abs(_PALETTE[pairs] - wanted).max((2, 3))
    for x in range(1, pairs.shape[1]):
        distance = np.abs(_PALETTE[pairs[:, x - 1]] - wanted[:, x]).max((1, 2))
        shared = distance <= np.maximum(tolerance, own[:, x])
        pairs[shared, x] = pairs[shared, x - 1]
    return pairs.transpose(0, 2, 1).reshape(numbers.shape)


def _pairs(numbers: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return ``[lines, cells, 2]``: upper and lower colour of each cell."""
    return numbers.reshape(len(numbers) // 2, 2, -1).transpose(0, 2, 1).copy()


def _bytes(numbers: NDArray[np.int64]) -> int:
    """Estimate the bytes that a picture takes.

    A sequence for every run, a character for every cell.
    """
    pairs = _pairs(numbers)
    begins = np.ones(pairs.shape[:2], dtype=bool)
    begins[:, 1:] = (pairs[:, 1:] != pairs[:, :-1]).any(-1)
    flat = pairs[..., 0] == pairs[..., 1]
    return int((begins * np.where(flat, 15, 26)).sum() + np.where(flat, 1, 3).sum())


def _numbered(pixels: Pixels) -> NDArray[np.int64]:
    """Find the nearest of the 216 colours of the cube, or of the 24 greys."""
    values = pixels.astype(np.int64)
    cube = np.abs(values[..., None] - _LEVELS).argmin(-1)
    near_cube = ((values - _LEVELS[cube]) ** 2).sum(-1)
    grey = np.clip(np.round((values.mean(-1) - 8) / 10), 0, 23).astype(np.int64)
    near_grey = ((values - (8 + 10 * grey)[..., None]) ** 2).sum(-1)
    in_cube = 16 + 36 * cube[..., 0] + 6 * cube[..., 1] + cube[..., 2]
    chosen: NDArray[np.int64] = np.where(near_grey < near_cube, 232 + grey, in_cube)
    return chosen


def _palette() -> NDArray[np.int64]:
    """Return the colours behind the numbers 16 to 255.

    Those below them are the user's own and never taken.
    """
    cube = list(product(_LEVELS, repeat=3))
    greys = [(8 + 10 * grey,) * 3 for grey in range(24)]
    return np.array([(0, 0, 0)] * 16 + cube + greys, dtype=np.int64)


_PALETTE = _palette()


def _as_ramp(pixels: Pixels) -> list[Strip]:
    light = pixels.astype(float).mean(-1)
    rows = (light[0::2] + light[1::2]) / 2
    return [
        Strip([Segment("".join(_RAMP[int(v * (len(_RAMP) - 1) / 255)] for v in row))], len(row))
        for row in rows
    ]


_GAP = 2


@dataclass(frozen=True, eq=False)
class GalleryItem:
    """One picture.

    Attributes:
        title: stands above it, with as many of the ``details`` as there is room for.
        note: why there is no picture.
        caption: stands below it.
        chosen: whether it is the one that the screen is about.
        best: whether its caption is the best value of those shown.
        details: how it is drawn, the most important first.
    """

    title: str
    picture: Pixels | None
    note: str = ""
    caption: str = ""
    chosen: bool = False
    best: bool = False
    details: tuple[str, ...] = ()

    def heading(self, width: int) -> str:
        """Return the title with the details that fit a width whole; the chosen one is marked."""
        title = f"▶{self.title}" if self.chosen else self.title
        for count in range(len(self.details), 0, -1):
            whole = f"{title} ({', '.join(self.details[:count])})"
            if cell_len(whole) <= width:
                return whole
        return title


@dataclass(frozen=True)
class Layout:
    """The number of pictures in a row, and the size of each in cells."""

    columns: int
    width: int
    height: int
    lines: int


def arrange(count: int, width: int, height: int, captions: bool) -> Layout:
    """Find the arrangement with the largest pictures, each twice as wide as high in cells."""
    extra = 2 if captions else 1
    best = Layout(1, 0, 0, extra)
    for columns in range(1, count + 1):
        rows = -(-count // columns)
        side = min((width - _GAP * (columns - 1) - 2) // columns, 2 * (height // rows - extra))
        if side > best.width:
            best = Layout(columns, side // 2 * 2, side // 2, side // 2 + extra)
    return best


class Gallery(Widget):
    """Pictures with titles."""

    DEFAULT_CSS = "Gallery { height: 1fr; }"

    def __init__(self, *, id: str, ascii_only: bool = False) -> None:  # noqa: A002 - Textual's name
        super().__init__(id=id)
        self._ascii_only = ascii_only
        self._items: Sequence[GalleryItem] = ()
        self._lines: list[Strip] | None = None

    def show(self, items: Sequence[GalleryItem]) -> None:
        """Show these pictures."""
        self._items, self._lines = items, None
        self.refresh()

    def on_resize(self) -> None:
        """Draw again in another size."""
        self._lines = None
        self.refresh()

    @property
    def titles(self) -> list[str]:
        """The headings of the pictures shown."""
        return [item.heading(self.size.width) for item in self._items]

    @property
    def notes(self) -> list[str]:
        """The notes in place of pictures."""
        return [item.note for item in self._items if item.picture is None]

    def render_line(self, y: int) -> Strip:
        """Draw one line of the pictures."""
        if self._lines is None:
            self._lines = self._drawn()
        width = self.size.width
        if y >= len(self._lines):
            return Strip.blank(width, self.rich_style)
        return self._lines[y].adjust_cell_length(width, self.rich_style)

    def _drawn(self) -> list[Strip]:
        if not self._items or self.size.width < 4:
            return []
        layout = arrange(
            len(self._items),
            self.size.width,
            self.size.height,
            any(item.caption for item in self._items),
        )
        lines: list[Strip] = []
        for first in range(0, len(self._items), layout.columns):
            columns = [
                self._column(item, layout) for item in self._items[first : first + layout.columns]
            ]
            for parts in zip(*columns, strict=True):
                gap = Strip([Segment(" " * _GAP, self.rich_style)], _GAP)
                lines.append(
                    Strip.join(
                        [
                            Strip([Segment(" ", self.rich_style)], 1),
                            *(p for part in parts for p in (part, gap)),
                        ]
                    )
                )
        return lines

    def _column(self, item: GalleryItem, layout: Layout) -> list[Strip]:
        """Draw title, picture and caption of one item, each line as wide as the picture."""
        lines = [
            self._text(item.heading(layout.width), layout.width, "accent" if item.chosen else "dim")
        ]
        lines += self._picture(item, layout)
        if layout.lines - layout.height == 2:
            lines.append(self._text(item.caption, layout.width, "best" if item.best else ""))
        return lines

    def _picture(self, item: GalleryItem, layout: Layout) -> list[Strip]:
        if item.picture is None:
            blank = [Strip.blank(layout.width, self.rich_style) for _ in range(layout.height)]
            words = _wrapped(item.note, layout.width)
            start = max(0, (layout.height - len(words)) // 2)
            for place, line in enumerate(words[: layout.height - start]):
                blank[start + place] = self._text(line, layout.width, "warn")
            return blank

        system = self.app.console.color_system
        colours = 1 << 24 if system == "truecolor" else 256
        plain = self.app.no_color or system is None or self._ascii_only
        return strips(item.picture, layout.width, layout.height, colours=colours, ascii_only=plain)

    def _text(self, text: str, width: int, role: str) -> Strip:
        styles = styles_of(self.app.theme)
        fitted = text if cell_len(text) <= width else set_cell_size(text, max(0, width - 1)) + "…"
        segment = Segment(fitted, self.rich_style + styles[role])
        return Strip([segment]).adjust_cell_length(width, self.rich_style)


def _wrapped(text: str, width: int) -> list[str]:
    lines = [""]
    for word in text.split():
        if lines[-1] and cell_len(lines[-1]) + 1 + cell_len(word) > width:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".strip()
    return lines
