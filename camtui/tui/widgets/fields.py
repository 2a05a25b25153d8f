"""The rows of a table, and panels of lines of text."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from textual.geometry import Region
from textual.strip import Strip
from textual.widget import Widget

from camtui.format import Field
from camtui.tui.theme import in_words, styles_of


@dataclass(frozen=True, slots=True)
class Line:
    """A row of the table; ``apart``: dim and below a rule, with all others that are so."""

    key: Hashable
    fields: tuple[Field, ...]
    apart: bool = False


def fitted(text: str, width: int, right: bool) -> str:
    """Fit a text to exactly that many terminal cells; what does not fit ends in ``…``."""
    length = cell_len(text)
    if length > width:
        return set_cell_size(text, width - 1) + "…" if width > 1 else set_cell_size(text, width)
    return " " * (width - length) + text if right else text + " " * (width - length)


Spans = Sequence[Field]
"""One line: pieces of text with their roles."""


def field_at(line: Spans, x: int) -> int | None:
    """Return the place of the field that stands in a column; ``None`` beyond the last."""
    for place, field in enumerate(line):
        x -= cell_len(field.text)
        if x < 0:
            return place
    return None


class TextLines(Widget):
    """Lines of text; one that is cut, or the last of more, ends in ``…`` where there is room."""

    DEFAULT_CSS = "TextLines { height: auto; }"

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:  # noqa: A002 - Textual's name
        super().__init__(id=id, classes=classes)
        self._lines: list[tuple[Field, ...]] = []
        self._title = ""

    def show(self, lines: Sequence[Spans]) -> None:
        """Show these lines; what is as before is not painted again."""
        before, self._lines = self._lines, [tuple(line) for line in lines]
        if len(before) != len(self._lines):
            self.refresh(layout=self.styles.is_auto_height)
            return
        for y, (old, new) in enumerate(zip(before, self._lines, strict=True)):
            if old != new:
                self.refresh(Region(0, y, self.size.width, 1))

    def set_title(self, title: str) -> None:
        """Show a title in the rule above; Textual paints all lines again, also for the same one."""
        if title != self._title:
            self._title = title
            self.border_title = title

    @property
    def lines(self) -> Sequence[Spans]:
        """The lines that are shown."""
        return self._lines

    @property
    def text(self) -> str:
        """The text that is shown, without its roles."""
        return "\n".join("".join(field.text for field in line) for line in self._lines)

    def get_content_height(self, *_: object) -> int:
        """Count the lines."""
        return len(self._lines)

    def render_line(self, y: int) -> Strip:
        """Draw one line."""
        base, width = self.rich_style, self.size.width
        if y >= len(self._lines):
            return Strip.blank(width, base)
        styles = styles_of(self.app.theme)
        signs = [field.text for field in self._lines[y]]
        texts = [in_words(text, self.app) for text in signs]
        # signs in words may need the room between groups
        if texts != signs and sum(map(cell_len, texts)) > width:
            texts = [" " if text == "   " else text for text in texts]
        segments = [
            Segment(text, base + styles.get(field.role, styles[""]))
            for text, field in zip(texts, self._lines[y], strict=True)
        ]
        strip = Strip(segments)
        rest = self._lines[y + 1 :] if y == self.size.height - 1 else []
        below = any(field.text.strip() for line in rest for field in line)
        taken = cell_len("".join(texts).rstrip())
        if taken > width or (below and taken < width):
            strip = Strip([*strip.crop(0, width - 1), Segment("…", base)])
        return strip.adjust_cell_length(width, base).simplify()
