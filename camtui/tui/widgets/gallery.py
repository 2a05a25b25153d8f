"""Titled pictures side by side, as large as the room allows, drawn in text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import TYPE_CHECKING, NamedTuple

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from textual.strip import Strip
from textual.widget import Widget

from camtui.tui.theme import Settings, in_words, styles_of

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


class Box(NamedTuple):
    """Where a picture stands, in cells: its corner with the title in it, and its own size."""

    x: int
    y: int
    width: int
    height: int


LEAST = 8
"""Cells that a picture beside a large one is wide at least."""


def arrange(
    count: int, width: int, height: int, captions: bool, largest: int | None = None
) -> list[Box]:
    """Place pictures, each twice as wide as high in cells; none where there is no room for them.

    All are as large as each other, in rows, unless ``largest``, one of them, can be larger with the
    others beside or below it.
    """
    extra = 2 if captions else 1
    room = Box(1, 0, width - 2, height)
    best = _rows(count, room, extra)
    if largest is None or count < 2:
        return best
    for side in range(min(room.width, 2 * (height - extra)) // 2 * 2, LEAST, -2):
        if best and side <= best[0].width:
            break
        taken, tall = side + _GAP, side // 2 + extra
        beside = _rows(count - 1, Box(1 + taken, 0, room.width - taken, height), extra)
        below = _rows(count - 1, Box(1, tall, room.width, height - tall), extra)
        others = max(beside, below, key=lambda boxes: boxes[0].width if boxes else 0)
        if others and others[0].width >= LEAST:
            return [*others[:largest], Box(1, 0, side, side // 2), *others[largest:]]
    return best


def _rows(count: int, room: Box, extra: int) -> list[Box]:
    """Place pictures of one size in rows, as large as they can be."""
    most, columns = 0, 1
    for tried in range(1, count + 1):
        tall = 2 * (room.height // -(-count // tried) - extra)
        side = min((room.width - _GAP * (tried - 1)) // tried, tall) // 2 * 2
        if side > most:
            most, columns = side, tried
    return [
        Box(
            room.x + place % columns * (most + _GAP),
            room.y + place // columns * (most // 2 + extra),
            most,
            most // 2,
        )
        for place in range(count if most else 0)
    ]


class Gallery(Widget):
    """Pictures with titles."""

    DEFAULT_CSS = "Gallery { height: 1fr; }"

    def __init__(self, settings: Settings, *, id: str) -> None:  # noqa: A002 - Textual's name
        super().__init__(id=id)
        self._settings = settings
        self._items: Sequence[GalleryItem] = ()
        self._largest: int | None = None
        self._lines: list[Strip] | None = None

    def show(self, items: Sequence[GalleryItem], largest: int | None = None) -> None:
        """Show these pictures; ``largest``: which of them is to be as large as there is room."""
        self._items, self._lines, self._largest = items, None, largest
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
        items, (width, height) = self._items, self.size
        captions = any(item.caption for item in items)
        boxes = arrange(len(items), width, height, captions, self._largest)
        if items and not boxes:
            return [self._text(" no room for pictures", width, "warn")]
        lines: list[list[tuple[int, Strip]]] = [[] for _ in range(height)]
        for item, box in zip(items, boxes, strict=True):
            for y, strip in enumerate(self._column(item, box, captions=captions), box.y):
                lines[y].append((box.x, strip))
        return [self._joined(line) for line in lines]

    def _joined(self, line: list[tuple[int, Strip]]) -> Strip:
        parts, x = [], 0
        for left, strip in sorted(line, key=itemgetter(0)):
            parts += [Strip.blank(left - x, self.rich_style), strip]
            x = left + strip.cell_length
        return Strip.join(parts)

    def _column(self, item: GalleryItem, box: Box, *, captions: bool) -> list[Strip]:
        """Draw title, picture and caption of one item, each line as wide as the picture."""
        width = box.width
        title = self._text(item.heading(width), width, "accent" if item.chosen else "dim")
        caption = self._text(item.caption, width, "best" if item.best else "")
        return [title, *self._picture(item, box), *([caption] if captions else [])]

    def _picture(self, item: GalleryItem, box: Box) -> list[Strip]:
        if item.picture is None:
            blank = [Strip.blank(box.width, self.rich_style) for _ in range(box.height)]
            words = _wrapped(item.note, box.width)
            start = max(0, (box.height - len(words)) // 2)
            for place, line in enumerate(words[: box.height - start]):
                blank[start + place] = self._text(line, box.width, "warn")
            return blank
        from camtui.tui import image_text

        system = self.app.console.color_system
        glyphs: image_text.Glyphs = "quadrants"
        if self.app.no_color or system is None or self._settings.ascii:
            glyphs = "ramp"
        elif self._settings.images == "half" or system not in ("256", "truecolor"):
            glyphs = "halves"
        colours = 1 << 24 if system == "truecolor" else 256
        return image_text.strips(item.picture, *box[2:], glyphs=glyphs, colours=colours)

    def _text(self, text: str, width: int, role: str) -> Strip:
        styles, text = styles_of(self.app.theme), in_words(text, self.app)
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
