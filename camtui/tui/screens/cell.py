"""The cell screen: the distribution of its values, its convergence, its worst and best images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import PurePosixPath
from typing import Literal, NamedTuple

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal
from textual.message import Message
from textual.widgets import Input

from camtui.feed import Snapshot
from camtui.format import Field, TableColumn, percent, short_count, with_interval
from camtui.format.groups import By, Group, grouped
from camtui.status import curve_of
from camtui.tui import text
from camtui.tui.preview import Preview
from camtui.tui.run_connection import RunConnection
from camtui.tui.screens.base import ListScreen, after, holds
from camtui.tui.text import header
from camtui.tui.widgets.fields import Line, TextLines
from camtui.tui.widgets.table import CursorMoved, EndNear, HeadClicked, LineTable, RowOpened
from evaluator.catalog import known_metrics
from evaluator.records import Cell, ImageRef, Row
from evaluator.statistics import Mean
from evaluator.store.reader import RankedImage, RunReader
from evaluator.text import printable


@dataclass
class OpenImage(Message):
    """Request for the image screen; ``worst``: whether the order begins at the worst image."""

    cell: int
    image: int
    metric: str
    worst: bool


PAGE = 100
"""Images that are read at once."""


class ListedImage(NamedTuple):
    """One line of the list: the place in the order, the image, and its row."""

    ranked: RankedImage
    image: ImageRef
    row: Row | None


def page(
    reader: RunReader,
    cell: int,
    metric: str,
    ascending: bool,
    last: RankedImage | None,
    words: str = "",
    classes: Sequence[str] = (),
) -> list[ListedImage]:
    """Read the next images of the list, by key.

    Args:
        words: that the image's path holds, or the name of its true or predicted class.
        classes: the names of the classes.
    """
    named = [place for place, name in enumerate(classes) if words.lower() in name.lower()]
    among = reader.images.matching(cell, words, named) if words else None
    ranked = reader.ranking.page(
        cell, metric, ascending=ascending, limit=PAGE, after=last, among=among
    )
    return [
        ListedImage(place, reader.images.get(place.image), reader.rows.get(cell, place.image))
        for place in ranked
    ]


def list_columns(by: By | Literal[""], metric: str, width: int) -> list[TableColumn]:
    """Return the columns of images, or of groups; the metric that orders the list comes last."""
    if by:
        columns = [TableColumn("group", "images", numeric=False), TableColumn("n", "n", width=8)]
    else:
        columns = [
            TableColumn("place", "#", width=6),
            TableColumn("image", "image", width=24 if width < 120 else 32, numeric=False),
            TableColumn("classes", "true → predicted", numeric=False),
            TableColumn("confidence", "confidence\n→ masked", width=11),
        ]
    columns += [TableColumn(key, header(key), width=7) for key in other_metrics(metric, width)]
    return [*columns, TableColumn("value", header(metric), width=14 if by else 8)]


def other_metrics(metric: str, width: int) -> list[str]:
    """Return the metrics beside the one that orders, where there is room."""
    beside = ("average_drop", "coherency", "complexity", "adcc") if width >= 96 else ()
    return [key for key in beside if key != metric]


def image_line(place: int, listed: ListedImage, classes: tuple[str, ...], shown: list[str]) -> Line:
    """Format one image of the list."""
    row, image = listed.row, listed.image
    name = printable(PurePosixPath(image.path.decode("utf-8", "surrogateescape")).name, 32)
    label = text.class_name(classes, image.label)
    predicted = text.class_name(classes, row.predicted) if row else "?"
    same = image.label is not None and row is not None and image.label == row.predicted
    words = label if same else f"{label} → {predicted}"
    fields = [Field(str(place), "dim"), Field(name), Field(words, "" if same else "warn")]
    fields.append(Field(f"{row.y:.2f}→{row.o:.2f}" if row else "", "dim"))
    fields += [Field(percent(getattr(row, key)) if row else "", "dim") for key in shown]
    return Line(image.id, (*fields, Field(percent(listed.ranked.value), "strong")))


def in_order(groups: list[Group], metric: str, *, worst: bool) -> list[Group]:
    """Sort groups by average, worst or best first; those without one stand last."""
    sign = known_metrics()[metric].sign * (1 if worst else -1)

    def place(group: Group) -> tuple[bool, float]:
        mean = group.view.mean(metric)
        return mean is None, sign * mean.value if mean else 0.0

    return sorted(groups, key=place)


def group_line(group: Group, metric: str, shown: list[str]) -> Line:
    """Format one group of the list."""
    means = [group.view.mean(key) for key in shown]
    fields = [
        Field(group.name, "warn" if group.correct is False else ""),
        Field(short_count(group.view.summary.n), "dim"),
        *(Field(percent(mean.value if mean else None), "dim") for mean in means),
        Field(with_interval(group.view.mean(metric)), "strong"),
    ]
    return Line(f"group {group.place}", tuple(fields))


_REFRESH_RATIO = 1.05


class CellScreen(ListScreen):
    """One cell: averages, two plots, and the list of its images or of groups of them."""

    FILTER = "a part of the image's path, or of its true or predicted class"

    BINDINGS = [
        Binding("w", "metric(1)", "worst by", tooltip="the metric that orders the images"),
        Binding("W", "metric(-1)", "worst by", show=False),
        Binding("b", "ends", "best/worst", tooltip="from the other end"),
        Binding(
            "B",
            "groups",
            "by class",
            tooltip="averages for right and wrong predictions, by class; images again",
        ),
        Binding(
            "vertical_line",
            "two",
            "two at once",
            key_display="|",
            tooltip="the image under the cursor under this method and another",
        ),
        Binding("right_square_bracket", "cell(1)", "next method", show=False),
        Binding("left_square_bracket", "cell(-1)", "method before", show=False),
        Binding("escape", "up", "up"),
    ]

    def __init__(self, connection: RunConnection, cell: int, metric: str, words: str = "") -> None:
        """Show a cell; ``words``: of the filter."""
        super().__init__(connection)
        self._first_words = words
        self.cell_id = cell
        self.metric = metric
        self.worst = True
        self.by: By | Literal[""] = ""
        self._groups: list[Group] = []
        self._listed: list[ListedImage] = []
        self._complete = False
        self._two_wanted = False
        self._class_names: tuple[str, ...] = ()
        self._curve: list[Mean] = []
        self._histogram: list[int] = []
        self._drawn_at = (0, "")
        self._shown: tuple[int, object, str] = (0, None, "")

    def body(self) -> ComposeResult:
        """Compose the averages, the two plots, the list."""
        yield TextLines(id="averages")
        with Horizontal(id="plots"):
            yield TextLines(id="histogram", classes="ruled")
            yield TextLines(id="convergence", classes="ruled")
        yield TextLines(id="listhead", classes="ruled")
        with Horizontal(id="listed"):
            yield LineTable(id="images")
            yield Preview()

    def on_resize(self, event: events.Resize) -> None:
        """List as many columns as there is room for now."""
        super().on_resize(event)
        if self._listed or self._groups:
            self.call_after_refresh(self._show_list)

    def on_mount(self) -> None:
        """Begin with the list in focus: Enter opens the worst image."""
        super().on_mount()
        self.table.focus()
        with self.prevent(Input.Changed):
            self.filter_line.value = self._first_words
        self._begin_list()

    # -- what is shown
    # ----------------------------------------------------------------------------------------------

    @property
    def cell(self) -> Cell | None:
        """The cell, as the run has it now."""
        view = self.snapshot.views.get(self.cell_id)
        return view.cell if view else None

    def snapshot_shown(self, snapshot: Snapshot) -> None:
        """Show the averages; read the plots again when there are a twentieth more images."""
        cell = self.cell
        if cell is None:
            return
        self.put("averages", text.cell_lines(snapshot, cell, self.app.size.width))
        n = snapshot.views[cell.id].summary.n
        drawn, metric = self._drawn_at
        whole = n == snapshot.info.image_count != drawn
        if self.metric != metric or n > drawn * _REFRESH_RATIO or whole:
            self._drawn_at = (n, self.metric)
            self.fetch(self._fetch_plots, "plots")
        self._show_plots()
        self._show_list_head()

    async def _fetch_plots(self) -> None:
        histogram = await self.ask(
            lambda reader: reader.averages.histogram(self.cell_id, self.metric)
        )
        metric = self.metric
        mean = self.snapshot.mean(self.cell_id, metric)
        n = mean.n if mean else 0
        curve = await self.ask(lambda reader: curve_of(reader, self.cell_id, metric, n))
        self._histogram, self._curve = histogram or [], curve or []
        self._show_plots()

    def _show_plots(self) -> None:
        left, right = (
            self.query_one("#histogram", TextLines),
            self.query_one("#convergence", TextLines),
        )
        left.set_title(f"{known_metrics()[self.metric].title}: images by value")
        left.show(text.histogram_lines(self._histogram, self.metric, *left.size))
        right.set_title(f"{known_metrics()[self.metric].short} over n, 95 % band")
        lines = text.convergence_lines(self._curve, self.metric, *right.size)
        right.show(text.NO_CURVE if self.metric == "arcc" else lines)

    def _show_list_head(self) -> None:
        what = {"": "images", "class": "classes", "correct": "predictions"}[self.by]
        listed = f"   {short_count(len(self._listed))} listed"
        more = "   reading every row" if self.by else f"{listed}, more below"
        if self._complete:
            more = "" if self.by else listed
        head = f" {'Worst' if self.worst else 'Best'} {what} by "
        parts = [Field(head, "dim"), Field(header(self.metric), "strong"), Field(more, "dim")]
        self.put("listhead", [parts])

    # -- the list
    # ----------------------------------------------------------------------------------------------

    def _begin_list(self) -> None:
        """Read the list anew, the cursor on its first image."""
        self._listed, self._groups, self._complete = [], [], False
        self._two_wanted = False
        self.table.expect()
        self.table.action_first()
        self.fetch(self._read_groups if self.by else self._more, "list")

    async def _read_groups(self) -> None:
        """Read the averages of the groups, from every row of the cell."""
        view, by = self.snapshot.views[self.cell_id], self.by
        found = await self.ask(lambda reader: grouped(reader, [view], by)) if by else None
        if found is None:
            self.table.expect(rows=False)
            return
        self._groups, self._complete = found, True
        self._show_list()

    async def _more(self) -> None:
        """Read the next page, behind the last image that is listed."""
        last = self._listed[-1].ranked if self._listed else None
        metric = self.metric
        ascending = known_metrics()[metric].is_ascending(worst_first=self.worst)
        if not self._class_names and self.cell is not None:
            self._class_names = await self.connection.class_names(self.cell.backbone)
        words, names = self.words, self._class_names
        found = await self.ask(
            lambda reader: page(reader, self.cell_id, metric, ascending, last, words, names)
        )
        if found is None:
            self.table.expect(rows=False)
            return
        self._complete = len(found) < PAGE
        self._listed += found
        self._show_list()
        if self._two_wanted:  # the key was pressed while they were read
            self._two_wanted = False
            self.action_two()

    def _show_list(self) -> None:
        cell, width = self.cell, self.table.size.width or self.app.size.width
        shown = other_metrics(self.metric, width)
        lines = [
            image_line(place, listed, self._class_names, shown)
            for place, listed in enumerate(self._listed, 1)
        ]
        if self.by:
            ordered = in_order(self._groups, self.metric, worst=self.worst)
            ordered = [group for group in ordered if holds(self.words, group.name)]
            lines = [group_line(group, self.metric, shown) for group in ordered]
        applies = cell is None or cell.applicable
        nothing = "no image of this method has a value yet" if applies else "not applicable here"
        if self.words:
            nothing = "no image has that in its path or its classes; Esc shows all"
        more = not (self._complete or self.by)
        columns = list_columns(self.by, self.metric, width)
        self.table.show(columns, lines, empty=nothing, more=more, filter=self.words)
        self._show_list_head()
        self.set_class(bool(self.by), "-unlike")
        self._show_preview()

    def _show_preview(self) -> None:
        """Show the image under the cursor, where there is room beside the list."""
        cell, image = self.cell, self.table.cursor[0]
        preview = self.query_one(Preview)
        wanted = (self.cell_id, image, self.metric)
        if cell is not None and isinstance(image, int) and preview.seen and wanted != self._shown:
            self._shown = wanted
            load = partial(preview.load, self.connection, cell, image, self.metric)
            self.fetch(load, "preview")

    def on_cursor_moved(self, _: CursorMoved) -> None:
        """Show the image under the cursor."""
        self._show_preview()

    def on_end_near(self, _: EndNear) -> None:
        """Load more before the end is reached."""
        if not self._complete and not self.by:
            self.fetch(self._more, "list")

    def on_row_opened(self, message: RowOpened) -> None:
        """Open the image, or list those of the class."""
        if isinstance(message.row, int):
            self.post_message(OpenImage(self.cell_id, message.row, self.metric, worst=self.worst))
            return
        group = next((one for one in self._groups if f"group {one.place}" == message.row), None)
        if self.by != "class" or group is None:
            self.notify("B goes on to classes; Enter there lists the images of one")
            return
        self.by = ""
        with self.prevent(Input.Changed):
            self.filter_line.value = group.name
        self._begin_list()

    def filter_changed(self) -> None:
        """List the images or the classes that hold the words."""
        if self.by:
            self._show_list()
        else:
            self._begin_list()

    # -- keys
    # ----------------------------------------------------------------------------------------------

    def on_head_clicked(self, message: HeadClicked) -> None:
        """Order the images by the metric whose heading is clicked; again: from the other end."""
        if message.column in self.snapshot.metrics:
            self._order_by(message.column)
        elif message.column == "value":
            self.action_ends()

    def action_metric(self, step: int) -> None:
        """Order the images by the next metric."""
        self._order_by(after(self.metric, self.snapshot.metrics, step))

    def _order_by(self, metric: str) -> None:
        self.metric = metric
        self.show_snapshot()
        self._begin_list()

    def action_ends(self) -> None:
        """List from the best, or from the worst."""
        self.worst = not self.worst
        self._begin_list()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Offer two at once of images, not of groups."""
        return action != "two" or not self.by

    def action_two(self) -> None:
        """Show the image under the cursor under this method and another."""
        if not self._listed:  # being read
            self._two_wanted = not self._complete
            return
        cell, image = self.cell, self.table.cursor[0]
        listed = next((one.image for one in self._listed if one.image.id == image), None)
        if cell is None or listed is None:
            return
        from camtui.tui.screens.two import open_two

        path = listed.path
        self.fetch(partial(open_two, self, cell, path, self.metric, self.worst), "two")

    def action_groups(self) -> None:
        """List images, right and wrong predictions, classes, in turn."""
        turns: tuple[By | Literal[""], ...] = ("", "correct", "class")
        self.by = after(self.by, turns)
        self._begin_list()

    def action_cell(self, step: int) -> None:
        """Show the next cell of the run, or the one before."""
        self.cell_id = after(self.cell_id, list(self.snapshot.views), step)
        self._curve, self._histogram, self._drawn_at, self._class_names = [], [], (0, ""), ()
        self.show_snapshot()
        self._begin_list()
