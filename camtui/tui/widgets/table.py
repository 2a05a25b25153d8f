"""A table that repaints only the rows that changed: one dirty region per row.

Textual's ``DataTable`` repaints itself whole when one cell changes (11.9 kB at 80×24); a row of
this one costs about 0.5 kB. The cursor is kept by key, so rows may come, go and change places under
it.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from operator import attrgetter

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import Binding
from textual.geometry import Region
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from camtui.format import Field, TableColumn
from camtui.tui.theme import in_words, styles_of
from camtui.tui.widgets.fields import Line, fitted


@dataclass
class CursorMoved(Message):
    """A table's cursor has moved.

    Attributes:
        table: the id of the table.
        row: the key of the row, ``None`` in an empty table.
        column: key of the column in tables whose cells can be chosen, else an empty string.
    """

    table: str
    row: Hashable
    column: str

    def can_replace(self, message: Message) -> bool:
        """Keep only the latest position of a table."""
        return isinstance(message, CursorMoved) and message.table == self.table


@dataclass
class RowOpened(Message):
    """A row of a table was opened by Enter."""

    table: str
    row: Hashable
    column: str


@dataclass
class HeadClicked(Message):
    """A heading of a table was clicked, by the key of its column."""

    table: str
    column: str


@dataclass
class EndNear(Message):
    """A table's cursor is near the last row that is loaded."""

    table: str


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
        self._more = False
        self._filter = ""
        self._rule: int | None = None

    # Rows have places, counted from 0; on the screen a rule stands before the first that is apart.

    @property
    def _drawn(self) -> int:
        return len(self._lines) + (self._rule is not None)

    def _y_of(self, place: int) -> int:
        return place + (self._rule is not None and place >= self._rule)

    def _place_at(self, y: int) -> int | None:
        """Return the row that is drawn in a place; ``None`` for the rule and beyond the end."""
        rule = self._rule
        place = y - (rule is not None and y > rule)
        return place if y != rule and 0 <= place < len(self._lines) else None

    @property
    def _foot(self) -> int:
        """Whether the last line says which rows are in sight: where not all of them are.

        It also says that a filter is on.
        """
        room = self.size.height - self._heads
        return int(room >= 4 and (self._drawn > room or bool(self._filter)))

    @property
    def _height(self) -> int:
        return max(0, self.size.height - self._heads - self._foot)

    def get_content_height(self, *_: object) -> int:
        """Count the lines of headings and rows, for styles of automatic height."""
        return self._heads + self._drawn

    def _refresh_rows(self, first: int, last: int) -> None:
        y = self._heads + self._y_of(first) - self._top
        self.refresh(Region(0, y, self.size.width, self._y_of(last - 1) - self._y_of(first) + 1))

    def _scroll_to_cursor(self) -> None:
        height, y = max(1, self._height), self._y_of(self._row)
        self._top = max(min(self._top, y), y - height + 1, 0)
        self._top = min(self._top, max(0, self._drawn - height))
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
        if not self._lines and y == self._heads + 1:
            return self._strip([Segment(f"  {self._empty}", self._style("dim"))], width)
        if self._foot and y == self.size.height - 1:
            words = f" filter: {self._filter}  Esc clears it " if self._filter else ""
            parts = [Segment(words, self._style("accent"))]
            return self._strip([*parts, Segment(self._position(), self._style("dim"))], width)
        drawn = self._top + y - self._heads
        if drawn == self._rule:
            return self._strip([Segment(f" {'─' * (width - 2)}", self._style("rule"))], width)
        place = self._place_at(drawn)
        return Strip.blank(width, self._base) if place is None else self._row_strip(place, width)

    def _position(self) -> str:
        """Return ``9–18 of 40 ▲8 ▼22``: the rows in sight, and how many are above and below."""
        seen = range(self._top, self._top + self._height)
        places = [place for y in seen if (place := self._place_at(y)) is not None]
        if not places:
            return ""
        first, last, count = places[0] + 1, places[-1] + 1, len(self._lines)
        end = "+" if self._more else ""
        above = f" ▲{first - 1}" if first > 1 else ""
        below = f" ▼{count - last}{end}" if last < count or end else ""
        return f" {first}–{last} of {count}{end}{above}{below}"

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
            parts = self._title(column).split("\n")
            text = ([""] * (self._heads - len(parts)) + parts)[y]
            segments.append(Segment(" " * (start - x) + fitted(text, size, column.numeric), style))
            x = start + size
        line = self._strip(segments, width)
        return (
            self._with_arrows(line, width) if y == self._heads - 1 and self._choose_cells else line
        )

    def _title(self, column: TableColumn) -> str:
        """Return the title; in words, whether low is better stands on a line of its own."""
        title = in_words(column.name, self.app)
        return title if "\n" in title else title.replace("(low)", "\n(low)")

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
        # of 16 colours few can be read on each other: those of the terminal, also reversed, can
        few = self.app.console.color_system not in ("256", "truecolor")
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
            style = self._style("dim" if line.apart else field.role)
            if here:
                style = self._base + Style(bold=style.bold) if few else style
                style = style + Style(bgcolor=cursor.bgcolor, underline=cursor.underline)
            words, gap = in_words(field.text, self.app), " " * (start - x)
            text = fitted(words, size, self._columns[column].numeric)
            if here and self._choose_cells and column == self._column and self.has_focus:
                chosen = Style() if few else style + Style(bgcolor=self._base.bgcolor)
                chosen = chosen + Style(bold=True, reverse=True)
                segments += [Segment(gap, style), Segment(text, chosen)]
            else:
                segments.append(Segment(gap + text, style))
            x = start + size
        return self._strip(segments, width, cursor)


class LineTable(TableDrawing, can_focus=True):
    """Rows and columns with a cursor that keys and mouse move."""

    BINDINGS = [
        Binding("up,k", "move(-1)", "move", key_display="↑", tooltip="hjkl as well"),
        Binding("down,j", "move(1)", "move", key_display="↓"),
        Binding("left,h", "move_column(-1)", "move", key_display="←"),
        Binding("right,l", "move_column(1)", "move", key_display="→"),
        Binding("pageup", "page(-1)", "page up", show=False),
        Binding("pagedown", "page(1)", "page down", show=False),
        Binding("home", "first", "first", show=False),
        Binding("G,end", "last", "last", show=False),
        Binding("enter", "open", "open"),
    ]
    DEFAULT_CSS = "LineTable { height: 1fr; }"

    def __init__(self, *, id: str, choose_cells: bool = False, can_open: bool = True) -> None:  # noqa: A002 - Textual's name
        """Make an empty table.

        Args:
            id: of the widget, named in its messages.
            choose_cells: whether the cursor stands on one cell rather than on a row.
            can_open: whether Enter opens a row.
        """
        super().__init__(id=id, choose_cells=choose_cells)
        self._can_open = can_open
        self._expecting = False
        self._typed_ahead: list[Callable[[], None]] = []

    # -- state that comes down
    # ----------------------------------------------------------------------------------------------

    def show(
        self,
        columns: Sequence[TableColumn],
        lines: Sequence[Line],
        *,
        empty: str = "",
        more: bool = False,
        filter: str = "",  # noqa: A002 - the words of ``/``
    ) -> None:
        """Show these rows, those that are apart last; the cursor stays on its key.

        Args:
            empty: what to say where there are no rows.
            more: whether others can be loaded behind them.
            filter: the words that each of them holds, shown below; empty where all are shown.
        """
        lines = sorted(lines, key=attrgetter("apart"))
        key, column = self.cursor
        before, old_columns = self._lines, self._columns
        self._columns, self._lines = tuple(columns), tuple(lines)
        self._empty, self._more = empty, more
        if filter != self._filter:
            self._filter = filter
            self.refresh()
        # among what is drawn; where all rows are of one kind there is none
        self._rule = next((y for y, line in enumerate(lines) if line.apart), 0) or None
        self._heads = max(
            (len(self._title(column).split("\n")) for column in columns if column.name), default=0
        )
        self._row = self._place_of(key)
        self._column = self._column_of(column)
        self._repaint(before, old_columns)
        typed_ahead = self._typed_ahead
        self.expect(rows=False)
        for action in typed_ahead:
            action()

    def expect(self, *, rows: bool = True) -> None:
        """Keep keys until other rows, which are on their way, are shown; then they count for those.

        Args:
            rows: false where they will not come after all.
        """
        self._expecting, self._typed_ahead = rows, []

    def _when_rows_are_shown(self, action: Callable[[], None]) -> None:
        if self._expecting:
            self._typed_ahead.append(action)
        else:
            action()

    def _repaint(self, before: tuple[Line, ...], old_columns: tuple[TableColumn, ...]) -> None:
        if old_columns != self._columns:
            self._left = 1
        top = self._top
        self._scroll_to_cursor()
        same = [line.apart for line in before] == [line.apart for line in self._lines]
        if old_columns != self._columns or top != self._top or not before or not same:
            self.refresh(layout=self.styles.is_auto_height)
            return
        for y in range(self._top, self._top + self._height):
            place = self._place_at(y)
            if place is not None and before[place] != self._lines[place]:
                self._refresh_rows(place, place + 1)

    def select(self, key: Hashable, column: str = "") -> None:
        """Put the cursor on a row, and on a column where cells are chosen."""
        self._row = self._place_of(key)
        self._column = self._column_of(column)
        self._after_move()

    @property
    def cursor(self) -> tuple[Hashable, str]:
        """Keys of the row and of the column under the cursor."""
        row = self._lines[self._row].key if self._row < len(self._lines) else None
        column = (
            self._columns[self._column].key
            if self._choose_cells and self._column < len(self._columns)
            else ""
        )
        return row, column

    @property
    def lines(self) -> tuple[Line, ...]:
        """The rows as shown, in order."""
        return self._lines

    def _place_of(self, key: Hashable) -> int:
        for place, line in enumerate(self._lines):
            if line.key == key:
                return place
        return max(0, min(self._row, len(self._lines) - 1))

    def _column_of(self, key: str) -> int:
        for place, column in enumerate(self._columns):
            if key and column.key == key:
                return place
        return max(1, min(self._column, len(self._columns) - 1))

    # -- moving
    # ----------------------------------------------------------------------------------------------

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Offer left and right only where cells are chosen, Enter only where rows can be opened."""
        if action == "move_column":
            return self._choose_cells
        return self._can_open if action == "open" else True

    def action_move(self, step: int) -> None:
        """Move up or down."""
        self._when_rows_are_shown(lambda: self._go(self._row + step))

    def action_page(self, step: int) -> None:
        """Move a screenful up or down."""
        self.action_move(step * max(1, self._height - 1))

    def action_first(self) -> None:
        """Move to the first row."""
        self._when_rows_are_shown(lambda: self._go(0))

    def action_last(self) -> None:
        """Move to the last row that is loaded."""
        self._when_rows_are_shown(lambda: self._go(len(self._lines) - 1))

    def action_move_column(self, step: int) -> None:
        """Move left or right."""
        if self._choose_cells:
            self._column = max(1, min(self._column + step, len(self._columns) - 1))
            self._after_move()

    def action_open(self) -> None:
        """Open the row under the cursor.

        Nothing opens over what has come to the front while the rows were waited for.
        """
        self._when_rows_are_shown(lambda: self._open(self._row))

    def _open(self, row: int) -> None:
        if row < len(self._lines) and self.screen is self.app.screen:
            self.post_message(RowOpened(self.id or "", self._lines[row].key, self.cursor[1]))

    def _go(self, row: int) -> None:
        old = self._row
        self._row = max(0, min(row, len(self._lines) - 1))
        self._after_move(old)

    def _after_move(self, old: int | None = None) -> None:
        top, left = self._top, self._left
        self._scroll_to_cursor()
        if (top, left) != (self._top, self._left) or old is None:
            self.refresh()
        elif old != self._row:
            for place in (old, self._row):
                self._refresh_rows(place, place + 1)
        row, column = self.cursor
        self.post_message(CursorMoved(self.id or "", row, column))
        if self._lines and self._row >= len(self._lines) - 20:
            self.post_message(EndNear(self.id or ""))

    # -- the mouse, for those who have one
    # ---------------------------------------------------------------------------------------

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        """Move the cursor up."""
        event.stop()
        self.action_move(-1)

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        """Move the cursor down."""
        event.stop()
        self.action_move(1)

    def on_click(self, event: events.Click) -> None:
        """Move the cursor; open the row at a second click.

        A click means the rows that are shown, whatever is to come.
        """
        if event.y < self._heads:
            for place, start, width in self._spans():
                if start <= event.x < start + width + 1:
                    self.post_message(HeadClicked(self.id or "", self._columns[place].key))
            return
        inside = self._heads <= event.y < self._heads + self._height
        row = self._place_at(self._top + event.y - self._heads) if inside else None
        if row is None:
            return
        if event.chain > 1:
            self._open(row)
            return
        if self._choose_cells:
            self._column = self._column_at(event.x)
        self._row = row
        self._after_move()

    def _column_at(self, x: int) -> int:
        for place, start, width in self._spans():
            if start <= x < start + width and place > 0:
                return place
        return self._column

    # -- size and focus
    # ----------------------------------------------------------------------------------------------

    def on_resize(self) -> None:
        """Keep the cursor in sight, and as many columns as there is room for now."""
        self._left = 1
        self._scroll_to_cursor()
        self.refresh()

    def on_focus(self) -> None:
        """Draw the cursor as one that keys move."""
        self._refresh_rows(self._row, self._row + 1)

    def on_blur(self) -> None:
        """Draw the cursor as one that keys do not move."""
        self._refresh_rows(self._row, self._row + 1)
