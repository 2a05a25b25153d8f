"""Titled pictures side by side, as large as the room allows, drawn in half cells."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from textual.strip import Strip
from textual.widget import Widget

from camtui.tui.theme import styles_of

if TYPE_CHECKING:
    from camtui.pictures import Pixels

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
        from camtui.tui import half_cell

        system = self.app.console.color_system
        colours = 1 << 24 if system == "truecolor" else 256
        plain = self.app.no_color or system is None or self._ascii_only
        return half_cell.strips(
            item.picture, layout.width, layout.height, colours=colours, ascii_only=plain
        )

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
