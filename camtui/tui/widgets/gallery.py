"""Titled pictures side by side, as large as the room allows, or pages of tiles, in text."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import TYPE_CHECKING, NamedTuple

from rich.cells import cell_len, chop_cells, set_cell_size
from rich.segment import Segment
from textual import events
from textual.binding import Binding
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from camtui.tui.theme import Settings, in_words, styles_of, without_colours

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
        details: how it is drawn, the most important first; of a tile, what equals it.
        dim: whether its caption steps back.
    """

    title: str
    picture: Pixels | None
    note: str = ""
    caption: str = ""
    chosen: bool = False
    best: bool = False
    details: tuple[str, ...] = ()
    dim: bool = False

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


TILE = 16
"""Cells that a tile is wide at least."""


def tile_pages(
    words: Callable[[int], Sequence[int]], width: int, height: int
) -> list[dict[int, Box]]:
    """Place tiles on pages, as large as they can be on one, else on as few as their least takes.

    Args:
        words: width of a tile → how many lines stand below each picture.

    Returns:
        For every page the place in ``words`` → the picture's box, its words below it.
    """
    room = width - 2
    pages: list[dict[int, Box]] = []
    for side in range(min(room, 2 * height) // 2 * 2, 1, -2):
        if pages and side < TILE:
            break
        below = words(side)
        if side // 2 + max(below, default=0) > height:
            continue
        found = _paged(below, room, height, side)
        if len(found) < len(pages) or not pages:
            pages = found
        if len(found) == 1:
            break
    return pages


def _paged(words: Sequence[int], room: int, height: int, side: int) -> list[dict[int, Box]]:
    columns = max(1, (room + _GAP) // (side + _GAP))
    pages: list[dict[int, Box]] = []
    y = height
    for first in range(0, len(words), columns):
        row = range(first, min(first + columns, len(words)))
        tall = side // 2 + max(words[place] for place in row)
        if y + tall > height:
            pages.append({})
            y = 0
        for column, place in enumerate(row):
            pages[-1][place] = Box(1 + column * (side + _GAP), y, side, side // 2)
        y += tall
    return pages


class Pictures(Widget):
    """Lines with pictures in them, drawn when they are first shown in a size."""

    def __init__(self, settings: Settings, *, id: str) -> None:  # noqa: A002 - Textual's name
        super().__init__(id=id)
        self._settings = settings
        self._items: Sequence[GalleryItem] = ()
        self._lines: list[Strip] | None = None

    def on_resize(self) -> None:
        """Draw again in another size."""
        self._redraw()

    def _redraw(self) -> None:
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
        """Draw every line."""
        raise NotImplementedError

    def _set(self, placed: Sequence[tuple[Box, Sequence[Strip]]]) -> list[Strip]:
        """Set blocks of lines, each beginning in a box's corner."""
        lines: list[list[tuple[int, Strip]]] = [[] for _ in range(self.size.height)]
        for box, block in placed:
            for line, strip in zip(lines[box.y :], block, strict=False):
                line.append((box.x, strip))
        return [self._joined(line) for line in lines]

    def _joined(self, line: list[tuple[int, Strip]]) -> Strip:
        parts, x = [], 0
        for left, strip in sorted(line, key=itemgetter(0)):
            parts += [Strip.blank(left - x, self.rich_style), strip]
            x = left + strip.cell_length
        return Strip.join(parts)

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
        if without_colours(self.app):
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


class Gallery(Pictures):
    """Pictures with titles."""

    DEFAULT_CSS = "Gallery { height: 1fr; }"

    _largest: int | None = None

    def show(self, items: Sequence[GalleryItem], largest: int | None = None) -> None:
        """Show these pictures; ``largest``: which of them is to be as large as there is room."""
        self._items, self._largest = items, largest
        self._redraw()

    def _drawn(self) -> list[Strip]:
        items, (width, height) = self._items, self.size
        captions = any(item.caption for item in items)
        boxes = arrange(len(items), width, height, captions, self._largest)
        if items and not boxes:
            return [self._text(" no room for pictures", width, "warn")]
        return self._set(
            [
                (box, self._column(item, box, captions=captions))
                for item, box in zip(items, boxes, strict=True)
            ]
        )

    def _column(self, item: GalleryItem, box: Box, *, captions: bool) -> list[Strip]:
        """Draw title, picture and caption of one item, each line as wide as the picture."""
        width = box.width
        title = self._text(item.heading(width), width, "accent" if item.chosen else "dim")
        caption = self._text(item.caption, width, "best" if item.best else "")
        return [title, *self._picture(item, box), *([caption] if captions else [])]


@dataclass
class TileChosen(Message):
    """The cursor stands on another tile, or its page has changed."""

    place: int


@dataclass
class TileOpened(Message):
    """A tile was opened by Enter or a second click."""

    place: int


class Tiles(Pictures, can_focus=True):
    """Pictures of one size on as many pages as it takes, one of them under the cursor.

    Below each stand its title and caption whole, and its details after ``=``.

    Attributes:
        cursor: place of the tile under the cursor.
        details_shown: whether there is room for the details.
    """

    DEFAULT_CSS = "Tiles { height: 1fr; }"
    BINDINGS = [
        Binding("left,h", "move(-1)", "choose", key_display="←→↑↓"),
        Binding("right,l", "move(1)", "choose", key_display="←→↑↓"),
        Binding("up,k", "move_row(-1)", "choose", key_display="←→↑↓"),
        Binding("down,j", "move_row(1)", "choose", key_display="←→↑↓"),
        Binding("pageup", "page(-1)", "page", key_display="PgUp/PgDn"),
        Binding("pagedown", "page(1)", "page", key_display="PgUp/PgDn"),
        Binding("home", "go(0)", "first/last", show=False),
        Binding("end", "go(-1)", "first/last", show=False),
        Binding("enter", "open", "open"),
    ]

    def __init__(self, settings: Settings, *, id: str) -> None:  # noqa: A002 - Textual's name
        super().__init__(settings, id=id)
        self.cursor = 0
        self.details_shown = True
        self._pages: list[dict[int, Box]] = []
        self._pictures: dict[int, list[Strip]] = {}

    def show(self, items: Sequence[GalleryItem], cursor: int) -> None:
        """Show these tiles, the cursor on one of them."""
        self._items, self.cursor = items, cursor
        self._place()

    def on_resize(self) -> None:
        """Place the tiles anew, on other pages perhaps."""
        self._place()
        self.post_message(TileChosen(self.cursor))

    def _place(self) -> None:
        for self.details_shown in (True, False):
            self._pages = tile_pages(
                lambda width: [len(self._words(item, width)) for item in self._items], *self.size
            )
            if self._pages:
                break
        self._pictures = {}
        self._redraw()

    @property
    def pages(self) -> int:
        """How many pages there are."""
        return len(self._pages)

    @property
    def page(self) -> int:
        """The page in front, from 0."""
        return next((at for at, page in enumerate(self._pages) if self.cursor in page), 0)

    def _words(self, item: GalleryItem, width: int) -> list[str]:
        """Return title, caption and details in lines of a width; one column is the cursor's."""
        room = width - 1
        whole = f"{item.title} {item.caption}".strip()
        lines = [whole]
        if cell_len(in_words(whole, self.app)) > room:
            lines = [*_wrapped(item.title, room), *_wrapped(item.caption, room)]
        shown = item.details if self.details_shown else ()
        return [*lines, *(_wrapped(f"= {', '.join(shown)}", room) if shown else [])]

    def _drawn(self) -> list[Strip]:
        if not self._pages:
            words = " no room for pictures" if self._items else ""
            return [self._text(words, self.size.width, "warn")]
        placed: list[tuple[Box, list[Strip]]] = []
        for place, box in self._pages[self.page].items():
            item = self._items[place]
            if place not in self._pictures:
                self._pictures[place] = self._picture(item, box)
            on = place == self.cursor
            role = "best" if item.best else "dim" if item.dim else ""
            below = [
                self._text(f"{'▶' if on and not line else ' '}{text}", box.width, role)
                for line, text in enumerate(self._words(item, box.width))
            ]
            placed.append((box, [*self._pictures[place], *below]))
        return self._set(placed)

    # -- what the user does
    # ----------------------------------------------------------------------------------------------

    def _go(self, place: int) -> None:
        place = max(0, min(place, len(self._items) - 1))
        if place != self.cursor:
            self.cursor = place
            self._redraw()
            self.post_message(TileChosen(place))

    def action_move(self, step: int) -> None:
        """Move to the next tile, or the one before."""
        self._go(self.cursor + step)

    def action_move_row(self, step: int) -> None:
        """Move to the row of tiles below or above, perhaps on another page."""
        boxes = [(at, box) for at, page in enumerate(self._pages) for box in page.values()]
        rows = sorted({(at, box.y) for at, box in boxes})
        if not boxes:
            return
        at, here = boxes[self.cursor]
        row = rows.index((at, here.y)) + step
        if 0 <= row < len(rows):
            inside = [place for place, (at, box) in enumerate(boxes) if (at, box.y) == rows[row]]
            self._go(min(inside, key=lambda place: abs(boxes[place][1].x - here.x)))

    def action_page(self, step: int) -> None:
        """Move to the first tile of the next page, or of the one before."""
        page = self.page + step
        if 0 <= page < self.pages:
            self._go(min(self._pages[page]))

    def action_go(self, place: int) -> None:
        """Move to the first tile, or to the last."""
        self._go(place % max(1, len(self._items)))

    def action_open(self) -> None:
        """Open the tile under the cursor."""
        if self._items:
            self.post_message(TileOpened(self.cursor))

    def on_click(self, event: events.Click) -> None:
        """Choose the tile under the mouse; open it at a second click."""
        for place, box in self._pages[self.page].items() if self._pages else ():
            tall = box.height + len(self._words(self._items[place], box.width))
            if box.x <= event.x < box.x + box.width and box.y <= event.y < box.y + tall:
                self._go(place)
                if event.chain > 1:
                    self.action_open()

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        """Show the next page."""
        event.stop()
        self.action_page(1)

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        """Show the page before."""
        event.stop()
        self.action_page(-1)


def _wrapped(text: str, width: int) -> list[str]:
    """Break a text at spaces, and a word that is longer than a line at its width."""
    lines = [""]
    for word in text.split():
        if lines[-1] and cell_len(lines[-1]) + 1 + cell_len(word) > width:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".strip()
        while cell_len(lines[-1]) > width:
            head = len(chop_cells(lines[-1], max(2, width))[0])
            if head == len(lines[-1]):
                break
            lines[-1:] = [lines[-1][:head], lines[-1][head:]]
    return lines
