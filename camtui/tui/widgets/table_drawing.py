"""The drawing of a table: the columns that fit, the lines, and which of them to paint again."""

from __future__ import annotations

from rich.segment import Segment
from rich.style import Style
from textual.geometry import Region
from textual.strip import Strip
from textual.widget import Widget

from camtui.tui.theme import styles_of
from camtui.tui.widgets.fields import Field, Line, TableColumn, fitted


class TableDrawing(Widget):
    """Headings, rows and the mark of the cursor; the first column never scrolls away."""

    def __init__(self, *, id: str, choose_cells: bool) -> None:  # noqa: A002 - Textual's name
        """Make an empty table.

        Args:
            id: of the widget.
            choose_cells: whether the cursor stands on one cell rather than on a row.
        """
        super().__init__(id=id)
        self._choose_cells = choose_cells
        self._columns: tuple[TableColumn, ...] = ()
        self._lines: tuple[Line, ...] = ()
        self._row = 0
        self._column = 1
        self._top = 0
        self._left = 1
        self._empty = ""
        self._heads = 1

    @property
    def _height(self) -> int:
        return max(0, self.size.height - self._heads)

    def get_content_height(self, *_: object) -> int:
        """Count the lines of headings and rows, for styles of automatic height."""
        return self._heads + len(self._lines)

    def _refresh_rows(self, first: int, last: int) -> None:
        y = self._heads + first - self._top
        self.refresh(Region(0, y, self.size.width, last - first))

    def _scroll_to_cursor(self) -> None:
        height = max(1, self._height)
        self._top = max(min(self._top, self._row), self._row - height + 1, 0)
        self._top = min(self._top, max(0, len(self._lines) - height))
        if self._column < self._left:
            self._left = max(1, self._column)
        while self._left < self._column and all(
            place != self._column for place, _, _ in self._spans()
        ):
            self._left += 1

    def _spans(self) -> list[tuple[int, int, int]]:
        """Return ``(column, x, width)`` of what fits, the first column always among it."""
        spans: list[tuple[int, int, int]] = []
        fixed = sum(column.width + 1 for column in self._columns)
        x = 1
        for place, column in enumerate(self._columns):
            if 0 < place < self._left and self._choose_cells:
                continue
            width = column.width or max(4, self.size.width - fixed - 1)
            if x + width > self.size.width - self._choose_cells:
                break
            spans.append((place, x, width))
            x += width + 1
        return spans

    def render_line(self, y: int) -> Strip:
        """Draw one line of the table."""
        width = self.size.width
        if y < self._heads:
            return self._heading(y, width)
        place = self._top + y - self._heads
        if not self._lines and y == self._heads + 1:
            return self._strip([Segment(f"  {self._empty}", self._style("dim"))], width)
        if place >= len(self._lines):
            return Strip.blank(width, self._base)
        return self._row_strip(place, width)

    @property
    def _base(self) -> Style:
        return self.rich_style

    def _style(self, role: str) -> Style:
        styles = styles_of(self.app.theme)
        return self._base + styles.get(role, styles[""])

    def _strip(self, segments: list[Segment], width: int, style: Style | None = None) -> Strip:
        line = Strip(segments).adjust_cell_length(width, style or self._base)
        # neighbours of one style share their escape sequence: half the bytes of a row
        return line.simplify()

    def _heading(self, y: int, width: int) -> Strip:
        segments: list[Segment] = []
        style = self._style("head")
        x = 0
        for place, start, size in self._spans():
            column = self._columns[place]
            parts = column.title.split("\n")
            text = ([""] * (self._heads - len(parts)) + parts)[y]
            segments.append(Segment(" " * (start - x) + fitted(text, size, column.right), style))
            x = start + size
        line = self._strip(segments, width)
        return (
            self._with_arrows(line, width) if y == self._heads - 1 and self._choose_cells else line
        )

    def _with_arrows(self, line: Strip, width: int) -> Strip:
        """Draw ``‹`` and ``›`` where columns are hidden on that side."""
        shown = [place for place, _, _ in self._spans()]
        accent = self._style("accent")
        left = Strip([Segment("‹" if self._left > 1 else " ", accent)], 1)
        right = Strip(
            [Segment("›" if shown and shown[-1] < len(self._columns) - 1 else " ", accent)], 1
        )
        return Strip.join([left, line.crop(1, width - 1), right])

    def _row_strip(self, place: int, width: int) -> Strip:
        line, here = self._lines[place], place == self._row
        cursor = self._style("cursor" if self.has_focus else "cursor-idle") if here else self._base
        segments = [
            Segment(
                "▶" if here and self.has_focus else " ",
                cursor + self._style("accent") if here else self._base,
            )
        ]
        x = 1
        for column, start, size in self._spans():
            field = line.fields[column] if column < len(line.fields) else Field("")
            style = self._style(field.role)
            if here:
                style = style + Style(bgcolor=cursor.bgcolor, underline=cursor.underline)
            text, gap = fitted(field.text, size, self._columns[column].right), " " * (start - x)
            if here and self._choose_cells and column == self._column and self.has_focus:
                segments += [
                    Segment(gap, style),
                    Segment(text, style + Style(bold=True, reverse=True)),
                ]
            else:
                segments.append(Segment(gap + text, style))
            x = start + size
        return self._strip(segments, width, cursor)
