"""The cell screen: the distribution of its values, its convergence, its worst and best images."""

from __future__ import annotations

from functools import partial
from pathlib import PurePosixPath
from typing import Literal, NamedTuple

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal

from camtui.feed import Snapshot
from camtui.format import metric_header, percent, short_count, with_interval
from camtui.format.groups import By, Group, grouped
from camtui.status import convergence
from camtui.tui import text
from camtui.tui.messages import EndNear, OpenImage, RowOpened
from camtui.tui.run_connection import RunConnection
from camtui.tui.screens.base import RunScreen
from camtui.tui.widgets.fields import Field, Line, TableColumn, TextLines
from camtui.tui.widgets.table import LineTable
from evaluator.catalog import known_metrics
from evaluator.records import Cell, ImageRef, Row
from evaluator.statistics import Mean
from evaluator.store.reader import RankedImage, RunReader
from evaluator.text import printable

PAGE = 100
"""Images that are read at once."""


class ListedImage(NamedTuple):
    """One line of the list: the place in the order, the image, and its row."""

    ranked: RankedImage
    image: ImageRef
    row: Row | None


def page(
    reader: RunReader, cell: int, metric: str, ascending: bool, after: RankedImage | None
) -> list[ListedImage]:
    """Read the next images of the list, by key."""
    ranked = reader.ranking.page(cell, metric, ascending=ascending, limit=PAGE, after=after)
    return [
        ListedImage(place, reader.images.get(place.image), reader.rows.get(cell, place.image))
        for place in ranked
    ]


def list_columns(metric: str, width: int) -> list[TableColumn]:
    """Return the columns: place, image, classes, confidences and metrics.

    The metric that orders the list comes last.
    """
    shown = other_metrics(metric, width)
    columns = [
        TableColumn("place", "#", 6),
        TableColumn("image", "image", 24 if width < 100 else 32, right=False),
    ]
    columns += [
        TableColumn("classes", "true → predicted", 0, right=False),
        TableColumn("confidence", "confidence\n→ masked", 11),
    ]
    columns += [TableColumn(key, metric_header(known_metrics()[key]), 7) for key in shown]
    return [*columns, TableColumn("value", metric_header(known_metrics()[metric]), 8)]


def other_metrics(metric: str, width: int) -> list[str]:
    """Return the metrics beside the one that orders, where there is room."""
    return (
        [key for key in ("average_drop", "coherency", "complexity", "adcc") if key != metric]
        if width >= 100
        else []
    )


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


def group_columns(metric: str, width: int) -> list[TableColumn]:
    """Return the columns of groups: name, n, averages; the one that orders comes last."""
    columns = [TableColumn("group", "images", 0, right=False), TableColumn("n", "n", 8)]
    columns += [
        TableColumn(key, metric_header(known_metrics()[key]), 7)
        for key in other_metrics(metric, width)
    ]
    return [*columns, TableColumn("value", metric_header(known_metrics()[metric]), 14)]


def in_order(groups: list[Group], metric: str, *, worst: bool) -> list[Group]:
    """Sort groups by average, worst or best first; those without one stand last."""
    sign = known_metrics()[metric].sign * (1 if worst else -1)
    means = {id(group): group.view.mean(metric) for group in groups}
    having = [group for group in groups if means[id(group)] is not None]
    having.sort(key=lambda group: sign * (mean.value if (mean := means[id(group)]) else 0.0))
    return having + [group for group in groups if means[id(group)] is None]


def group_line(group: Group, metric: str, shown: list[str]) -> Line:
    """Format one group of the list."""

    def value(key: str) -> str:
        mean = group.view.mean(key)
        return percent(mean.value if mean else None)

    fields = [
        Field(group.name, "warn" if group.correct is False else ""),
        Field(short_count(group.view.summary.n), "dim"),
    ]
    fields += [Field(value(key), "dim") for key in shown]
    mean = group.view.mean(metric)
    return Line(
        f"group {group.place}",
        (*fields, Field(with_interval(mean) if mean else value(metric), "strong")),
    )


_REFRESH_RATIO = 1.05


class CellScreen(RunScreen):
    """One cell: averages, two plots, and the list of its images or of groups of them."""

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
        Binding("right_square_bracket", "cell(1)", "next cell", show=False),
        Binding("left_square_bracket", "cell(-1)", "cell before", show=False),
        Binding("escape", "up", "up"),
    ]

    def __init__(self, connection: RunConnection, cell: int, metric: str) -> None:
        super().__init__(connection)
        self.cell_id = cell
        self.metric = metric
        self.worst = True
        self.by: By | Literal[""] = ""
        self._groups: list[Group] = []
        self._listed: list[ListedImage] = []
        self._complete = False
        self._class_names: tuple[str, ...] = ()
        self._curve: list[Mean] = []
        self._histogram: list[int] = []
        self._drawn_at = (0, "")

    def body(self) -> ComposeResult:
        """Compose the averages, the two plots, the list."""
        yield TextLines(id="averages")
        with Horizontal(id="plots"):
            yield TextLines(id="histogram", classes="ruled")
            yield TextLines(id="convergence", classes="ruled")
        yield TextLines(id="listhead", classes="ruled")
        yield LineTable(id="images")

    def on_mount(self) -> None:
        """Begin with the list in focus: Enter opens the worst image."""
        super().on_mount()
        self.query_one("#images", LineTable).focus()
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
        width = self.app.size.width
        self.query_one("#averages", TextLines).show(text.cell_lines(snapshot, cell, width))
        n = snapshot.views[cell.id].summary.n
        drawn, metric = self._drawn_at
        if (
            self.metric != metric
            or n > drawn * _REFRESH_RATIO
            or n == snapshot.info.image_count != drawn
        ):
            self._drawn_at = (n, self.metric)
            self.fetch(partial(self._fetch_plots, n), "plots")
        self._show_plots()
        self._show_list_head(snapshot)

    async def _fetch_plots(self, n: int) -> None:
        histogram = await self.ask(
            lambda reader: reader.averages.histogram(self.cell_id, self.metric)
        )
        curve = await self.ask(
            lambda reader: convergence(reader.averages.convergence(self.cell_id), n)
        )
        self._histogram, self._curve = histogram or [], curve or []
        self._show_plots()

    def _show_plots(self) -> None:
        left, right = (
            self.query_one("#histogram", TextLines),
            self.query_one("#convergence", TextLines),
        )
        left.border_title = f"{known_metrics()[self.metric].title}: images by value"
        left.show(
            text.histogram_lines(self._histogram, self.metric, left.size.width, left.size.height)
        )
        right.border_title = "ADCC over n, 95 % band"
        right.show(text.convergence_lines(self._curve, right.size.width, right.size.height))

    def _show_list_head(self, snapshot: Snapshot) -> None:
        metric = known_metrics()[self.metric]
        end = "Worst" if self.worst else "Best"
        more = (
            f"   {short_count(len(self._listed))} listed{'' if self._complete else ', more below'}"
        )
        what = {"": "images", "class": "classes", "correct": "predictions"}[self.by]
        if self.by:
            more = "" if self._complete else "   reading every row"
        self.query_one("#listhead", TextLines).show(
            [
                [
                    Field(f" {end} {what} by ", "dim"),
                    Field(metric_header(metric), "strong"),
                    Field(more, "dim"),
                ]
            ]
        )

    # -- the list
    # ----------------------------------------------------------------------------------------------

    def _begin_list(self) -> None:
        """Read the list anew, the cursor on its first image."""
        self._listed, self._groups, self._complete = [], [], False
        table = self.query_one("#images", LineTable)
        table.expect()
        table.action_first()
        self.fetch(self._read_groups if self.by else self._more, "list")

    async def _read_groups(self) -> None:
        """Read the averages of the groups, from every row of the cell."""
        view, by = self.snapshot.views[self.cell_id], self.by
        found = await self.ask(lambda reader: grouped(reader, [view], by)) if by else None
        if found is None:
            self.query_one("#images", LineTable).expect(rows=False)
            return
        self._groups, self._complete = found, True
        self._show_list()

    async def _more(self) -> None:
        """Read the next page, behind the last image that is listed."""
        after = self._listed[-1].ranked if self._listed else None
        metric = self.metric
        ascending = known_metrics()[metric].is_ascending(worst_first=self.worst)
        found = await self.ask(lambda reader: page(reader, self.cell_id, metric, ascending, after))
        if not self._class_names and self.cell is not None:
            self._class_names = await self.connection.class_names(self.cell.backbone)
        if found is None:
            self.query_one("#images", LineTable).expect(rows=False)
            return
        self._complete = len(found) < PAGE
        self._listed += found
        self._show_list()

    def _show_list(self) -> None:
        shown = other_metrics(self.metric, self.app.size.width)
        lines = [
            image_line(place, listed, self._class_names, shown)
            for place, listed in enumerate(self._listed, 1)
        ]
        cell = self.cell
        nothing = (
            "not applicable here"
            if cell is not None and not cell.applicable
            else "no image of this cell has a value yet"
        )
        table = self.query_one("#images", LineTable)
        if self.by:
            ordered = in_order(self._groups, self.metric, worst=self.worst)
            lines = [group_line(group, self.metric, shown) for group in ordered]
            table.show(group_columns(self.metric, self.app.size.width), lines, empty=nothing)
            self._show_list_head(self.snapshot)
            return
        table.show(list_columns(self.metric, self.app.size.width), lines, empty=nothing)
        self._show_list_head(self.snapshot)

    def on_end_near(self, _: EndNear) -> None:
        """Load more before the end is reached."""
        if not self._complete and not self.by:
            self.fetch(self._more, "list")

    def on_row_opened(self, message: RowOpened) -> None:
        """Open the image."""
        if isinstance(message.row, int):
            self.post_message(OpenImage(self.cell_id, message.row, self.metric, worst=self.worst))

    # -- keys
    # ----------------------------------------------------------------------------------------------

    def action_metric(self, step: int) -> None:
        """Order the images by the next metric."""
        metrics = self.snapshot.metrics
        self.metric = metrics[(metrics.index(self.metric) + step) % len(metrics)]
        self.show_snapshot()
        self._begin_list()

    def action_ends(self) -> None:
        """List from the best, or from the worst."""
        self.worst = not self.worst
        self._begin_list()

    def action_groups(self) -> None:
        """List images, right and wrong predictions, classes, in turn."""
        turns: tuple[By | Literal[""], ...] = ("", "correct", "class")
        self.by = turns[(turns.index(self.by) + 1) % len(turns)]
        self._begin_list()

    def action_cell(self, step: int) -> None:
        """Show the next cell of the run, or the one before."""
        ids = list(self.snapshot.views)
        self.cell_id = ids[(ids.index(self.cell_id) + step) % len(ids)]
        self._curve, self._histogram, self._drawn_at, self._class_names = [], [], (0, ""), ()
        self.show_snapshot()
        self._begin_list()
