"""The grid screen: method × backbone for one metric, live, with details of the chosen cell."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, cast

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, Vertical
from textual.message import Message
from textual.timer import Timer

from camtui.feed import Snapshot
from camtui.format import Field
from camtui.status import curve_of
from camtui.ties import best_in_backbone
from camtui.tui import grid_model, text
from camtui.tui.grid_model import printed_value
from camtui.tui.run_connection import RunConnection
from camtui.tui.screens.base import ListScreen, after, rule
from camtui.tui.theme import Settings
from camtui.tui.widgets.fields import TextLines
from camtui.tui.widgets.gallery import Gallery
from camtui.tui.widgets.table import CursorMoved, HeadClicked, LineTable, RowOpened
from evaluator.catalog import known_metrics
from evaluator.errors import CamtuiError
from evaluator.records import Cell
from evaluator.statistics import Mean

_CURSOR_DELAY = 0.2
"""Seconds after which a cursor is taken to rest."""

_REFRESH_RATIO = 1.1
"""Growth of a cell, in images, after which its convergence is read again."""

LATEST_SECONDS = 8.0
"""Between two pictures of a run's latest image, 30 kB each: a slow line has other things to do."""

_ORDER_HOLD = 5.0
"""Seconds without a key after which rows may change places."""


@dataclass
class OpenCell(Message):
    """Request for the cell screen, its images ordered by a metric."""

    cell: int
    metric: str


class GridScreen(ListScreen):
    """Every average of the run."""

    FILTER = "words that the method's or the network's name holds"
    SHOWS_RUN_KEYS = True

    BINDINGS = [
        Binding("m", "metric(1)", "metric", tooltip="the next metric"),
        Binding("M", "metric(-1)", "metric", show=False, tooltip="the metric before"),
        Binding("v", "view", "table", tooltip="one line each, or method × network"),
        Binding("s", "sort", "sort", tooltip="plan, name, or the column under the cursor"),
        Binding("S", "reverse", "reverse", show=False, tooltip="the other way round"),
        Binding("p", "paper", "paper", tooltip="what the paper's Table 2 printed"),
        Binding(
            "L",
            "latest",
            "latest/worst",
            show=False,
            tooltip="while the run computes: its latest image, or the worst of the chosen method",
        ),
        Binding("A", "all", "all methods", show=False, tooltip="on an image"),
        Binding("z", "zoom", "zoom", tooltip="the table alone"),
        Binding("escape", "clear", "clear filter", show=False),
    ]

    def __init__(self, connection: RunConnection, settings: Settings) -> None:
        super().__init__(connection)
        self._settings = settings
        self.options = grid_model.GridOptions()
        self._moved = 0.0
        self._placed = False
        self._timer: Timer | None = None
        self._asked: tuple[int, str, int] | None = None
        self._histogram: tuple[tuple[int, str, int], list[int]] | None = None
        self._overview_of = (0, "", 0)
        self._leaders_of = ""
        self._curves: list[tuple[Cell, list[Mean]]] = []
        self._ties_problem = ""
        self._latest = True
        self._followed: tuple[int, str, int] | None = None
        self._followed_at = 0.0

    def body(self) -> ComposeResult:
        """Compose the table, the details, the panes of large terminals, the latest events."""
        with Horizontal(id="main"):
            with Vertical(id="left"):
                yield TextLines(id="hint")
                with Vertical(id="top"):
                    yield LineTable(id="grid", choose_cells=True)
                    yield TextLines(id="detail", classes="ruled")
                yield TextLines(id="overview", classes="ruled")
            with Vertical(id="side"):
                yield TextLines(id="work")
                yield TextLines(id="leaders", classes="ruled")
                with Vertical(id="worst-pane"):
                    yield TextLines(id="worst")
                    yield Gallery(self._settings, id="worst-picture")
        yield TextLines(id="events", classes="ruled")

    # -- what is shown
    # ----------------------------------------------------------------------------------------------

    def snapshot_shown(self, snapshot: Snapshot) -> None:
        """Show hint, table, details, events."""
        self.put("hint", [grid_model.hint_fields(snapshot, self.options, printed_value)])
        self._show_table(snapshot)
        self._show_detail(snapshot)
        events = self.query_one("#events", TextLines)
        events.show(text.event_lines(snapshot, max(1, events.size.height)))
        if self.has_class("-wide"):
            width = max(35, self.query_one("#side").size.width - 1)
            self.put("work", text.side_lines(snapshot, width))
        self._show_overview(snapshot)
        self._read_more()

    def _show_table(self, snapshot: Snapshot) -> None:
        """Show the table, the cursor on the best cell at first; from then on it is the user's."""
        moving = time.monotonic() - self._moved < _ORDER_HOLD
        previous = [line.key for line in self.table.lines] if moving else []
        marks = self.connection.marks(
            snapshot.metrics if self.options.long else (self.options.metric,)
        )
        width = self.table.size.width or self.app.size.width
        columns, lines = grid_model.build(
            snapshot, self.options, marks, printed_value, width, previous
        )
        empty = "no method or network has that in its name; Esc clears the filter"
        self.table.show(columns, lines, empty=empty, filter=self.options.words)
        if not self._placed and self.app.is_running:
            best = grid_model.best_cell(snapshot, self.options.metric, marks)
            self._placed = best is not None
            if best is not None:
                self.put_cursor(best)

    def put_cursor(self, cell: grid_model.CellKey) -> None:
        """Put the cursor on a cell."""
        backbone, method = cell
        if self.options.long:
            self.table.select((backbone, method), self.options.metric)
        else:
            self.table.select(method, backbone)

    def show_cell(self, backbone: str = "", method: str = "", metric: str = "") -> None:
        """Put the cursor on a backbone or a method, or show another metric, without a filter."""
        self.clear_filter()
        if metric:
            self._change(words="", metric=metric)
            return
        self._change(words="")
        cell = self.chosen()
        if cell is not None:
            self.put_cursor((backbone or cell.backbone, method or cell.method))

    def chosen(self) -> Cell | None:
        """Return the cell under the cursor."""
        snapshot = self.snapshot
        row, column = self.table.cursor
        if row is None:
            return None
        if isinstance(row, tuple):
            return snapshot.cell(*row)
        backbone = column if column in snapshot.backbones else snapshot.backbones[0]
        return snapshot.cell(backbone, str(row))

    # -- what large terminals show besides
    # -----------------------------------------------------------------------------------

    @property
    def _has_panes(self) -> bool:
        return self.has_class("-wide") and self.has_class("-tall")

    def _show_overview(self, snapshot: Snapshot) -> None:
        """Show every component of the chosen backbone, the convergence of its leaders."""
        cell = self.chosen()
        if cell is None or not self._has_panes:
            return
        panel = self.query_one("#overview", TextLines)
        metric = self.options.metric
        title = known_metrics()[metric].title
        panel.set_title(rule(f"{cell.backbone}: all components, {title} with its 95 % interval"))
        marks = self.connection.marks((metric,))
        lines = grid_model.component_lines(snapshot, cell.backbone, metric, marks, *panel.size)
        panel.show(lines)
        self._show_leaders()

    def _show_leaders(self) -> None:
        panel = self.query_one("#leaders", TextLines)
        panel.set_title(rule(self._leaders_of))
        lines = grid_model.leader_lines(self._curves, *panel.size)
        panel.show(text.NO_CURVE if self.options.metric == "arcc" else lines)

    def _fetch_overview(self) -> None:
        """Read the leaders' convergence and the worst image from the file.

        Once the cursor rests on another cell, or when the cell has a tenth more images.
        """
        cell = self.chosen()
        if cell is None or not self._has_panes:
            return
        if self._followed is not None and not self._follows:  # the run has ended
            self._overview_of, self._followed = (0, "", 0), None
        n = self.snapshot.views[cell.id].summary.n
        *before, seen = self._overview_of
        whole = n == self.snapshot.info.image_count != seen
        metric = self.options.metric
        if before != [cell.id, metric] or n >= seen * _REFRESH_RATIO or whole:
            self._overview_of = (cell.id, metric, n)
            self.fetch(partial(self._load_overview, cell, metric), "overview")

    async def _load_overview(self, cell: Cell, metric: str) -> None:
        snapshot = self.snapshot
        curves = []
        for leader in grid_model.leaders(snapshot, cell.backbone, metric):
            mean = snapshot.mean(leader.id, metric)
            question = partial(curve_of, cell=leader.id, metric=metric, n=mean.n if mean else 0)
            curves.append((leader, await self.ask(question) or []))
        self._curves = curves
        self._leaders_of = f"{cell.backbone}: leaders, {known_metrics()[metric].title} over n"
        self._show_leaders()
        if not self._follows:
            self.fetch(partial(self._load_picture, cell, metric, latest=False), "picture")

    @property
    def _follows(self) -> bool:
        """Whether the picture is the run's latest image."""
        return self._latest and self.snapshot.status.live

    def _fetch_latest(self) -> None:
        """Show the latest image of the cell that grows: the chosen one, or the first that does."""
        chosen = self.chosen()
        if chosen is None or not self._has_panes or not self._follows:
            return
        begun = [view.cell for view in self.snapshot.views.values() if view.partial]
        cell = chosen if chosen in begun or not begun else begun[0]
        metric = self.options.metric
        wanted = (cell.id, metric, self.snapshot.views[cell.id].summary.n)
        due = time.monotonic() - self._followed_at >= LATEST_SECONDS
        same = self._followed is not None and wanted[:2] == self._followed[:2]
        if wanted != self._followed and (due or not same):
            self._followed, self._followed_at = wanted, time.monotonic()
            self.fetch(partial(self._load_picture, cell, metric, latest=True), "picture")

    async def _load_picture(self, cell: Cell, metric: str, *, latest: bool) -> None:
        from camtui.tui.image_data import (
            draw_overlay,
            name_lines,
            read_panel_image,
            remembered_look,
        )

        question = partial(read_panel_image, cell=cell, metric=metric, latest=latest)
        found = await self.ask(question)
        if latest != self._follows:  # the key was pressed, or the run has ended, meanwhile
            return
        facts, picture = (
            self.query_one("#worst", TextLines),
            self.query_one("#worst-picture", Gallery),
        )
        self.query_one("#worst-pane").border_title = rule(
            f"{'latest' if latest else 'worst'} image of {cell.method}"
        )
        if found is None:
            facts.show([[Field("  no image has a value yet", "dim")]])
            picture.show([])
            return
        names = await self.connection.class_names(cell.backbone)
        facts.show(name_lines(found[0], metric, names, facts.size.width))
        pictures, look = self._settings.images != "off", remembered_look(self.app)
        picture.show([await asyncio.to_thread(draw_overlay, *found, look)] if pictures else [])

    def _show_detail(self, snapshot: Snapshot) -> None:
        cell = self.chosen()
        detail = self.query_one("#detail", TextLines)
        if cell is None:
            detail.show([[Field(" no method is chosen", "dim")]])
            return
        width, height = detail.size.width or self.app.size.width, max(2, detail.size.height)
        title, *lines = text.cell_lines(snapshot, cell, width)
        words = "".join(field.text for field in title)
        detail.set_title(rule(words.strip()))
        detail.show([*lines[: height - 1], self._shape_line(snapshot, cell)])

    def _shape_line(self, snapshot: Snapshot, cell: Cell) -> list[Field]:
        """Draw the histogram, and describe the difference to the best.

        The histogram is read again when it is out of date.
        """
        metric, summary = self.options.metric, snapshot.views[cell.id].summary
        wanted = (cell.id, metric, summary.n)
        if self._asked != wanted and (self._histogram is None or self._histogram[0] != wanted):
            self._asked = wanted
            self.fetch(partial(self._fetch_histogram, wanted), "histogram")
        if self._histogram is None or self._histogram[0][:2] != wanted[:2]:
            return [Field("")]
        spans = text.histogram_fields(metric, self._histogram[1])
        marks = self.connection.marks((metric,))
        best = best_in_backbone(snapshot, marks, metric, cell.id)
        if best is not None and snapshot.mean(cell.id, metric) is not None:
            found = self.connection.difference(metric, best, cell.id)
            mark = marks.get((cell.id, metric), "")
            spans += text.difference_fields(
                snapshot, metric, snapshot.views[best].cell, found, mark
            )
        return spans

    async def _fetch_histogram(self, wanted: tuple[int, str, int]) -> None:
        cell, metric, _ = wanted
        counts = await self.ask(lambda reader: reader.averages.histogram(cell, metric))
        if counts is not None:
            self._histogram = (wanted, counts)
            self._show_detail(self.snapshot)

    # -- what the user does
    # ----------------------------------------------------------------------------------------------

    def on_cursor_moved(self, _: CursorMoved) -> None:
        """Show the cell under the cursor; rows keep their places for a while."""
        self._moved = time.monotonic()
        self._show_detail(self.snapshot)
        self._show_overview(self.snapshot)
        if self._timer is not None:
            self._timer.stop()
        self._timer = self.set_timer(_CURSOR_DELAY, self._read_more)

    def _read_more(self) -> None:
        """Once the cursor rests, test ties and read what large terminals show."""
        cell, metric = self.chosen(), self.options.metric
        shown = (
            sorted(self.snapshot.metrics, key=lambda key: key != metric)
            if self.options.long
            else [metric]
        )
        test = partial(self._test_ties, self.snapshot, shown, cell.id if cell else None)
        self.run_worker(cast(Any, test), group="ties", exclusive=True)
        self._fetch_overview()
        self._fetch_latest()

    async def _test_ties(
        self, snapshot: Snapshot, metrics: Sequence[str], cell: int | None
    ) -> None:
        """Test the pairs that the ranks of metrics need, until there is news to be shown.

        The screen, shown again, begins again with what is still untested.
        """
        try:
            for metric in metrics:
                if await self.connection.test_ties(snapshot, metric, cell):
                    if self.is_current:
                        self.show_snapshot()
                    return
        except (CamtuiError, sqlite3.Error) as error:
            problem = error.message if isinstance(error, CamtuiError) else str(error)
            if problem != self._ties_problem:  # asked again and again, said once
                self._ties_problem = problem
                self.notify(f"ties are not known: {problem}", severity="warning")

    def on_row_opened(self, _: RowOpened) -> None:
        """Open the cell under the cursor."""
        cell = self.chosen()
        if cell is not None:
            self.post_message(OpenCell(cell.id, self.options.metric))

    def _change(self, **changes: object) -> None:
        """Show the same numbers another way; the cursor stays on its cell."""
        cell = self.chosen()
        self.options = replace(self.options, **changes)  # type: ignore[arg-type] # fields of GridOptions, checked by the callers
        self._moved = 0.0
        self.show_snapshot()
        if cell is not None:
            self.put_cursor((cell.backbone, cell.method))

    def action_metric(self, step: int) -> None:
        """Show the next metric, or the one before."""
        self._change(metric=after(self.options.metric, self.snapshot.metrics, step))

    def action_view(self) -> None:
        """Show method × backbone, or one line per cell."""
        self._change(long=not self.options.long)

    def action_sort(self) -> None:
        """Sort by plan, by the column under the cursor, by name, in turn."""
        _, column = self.table.cursor
        order = after(self.options.order, ("plan", "value", "name"))
        has_values = not self.options.long or column in self.snapshot.metrics
        by = column if order == "value" and has_values else ""
        self._change(order=order, column=by, descending=True)
        self.table.action_first()

    def on_head_clicked(self, message: HeadClicked) -> None:
        """Sort by the column whose heading is clicked; again: the other way round."""
        column = message.column
        order = "name" if column in ("method", "backbone") else "value"
        before = self.options
        if (before.order, before.column) == (order, column):
            self.action_reverse()
            return
        self._change(order=order, column=column, descending=True)
        self.table.action_first()

    def action_reverse(self) -> None:
        """Sort the other way round."""
        self._change(descending=not self.options.descending)
        self.table.action_first()

    def action_paper(self) -> None:
        """Show what the paper printed, in the same places; nothing else where it printed none."""
        self._change(paper=not self.options.paper)
        has = partial(grid_model.has_paper, self.snapshot, paper=printed_value)
        if self.options.paper and not any(map(has, self.snapshot.metrics)):
            self._change(paper=False)
            self.notify("the paper has no values of these networks and methods")

    def action_latest(self) -> None:
        """Follow the run's latest image, or show the worst of the chosen cell."""
        if not self.snapshot.status.live:
            self.notify("the run does not compute: the worst image is shown")
            return
        self._latest = not self._latest
        self._overview_of, self._followed = (0, "", 0), None
        self._read_more()

    def action_all(self) -> None:
        """Say what the key needs."""
        self.notify("A shows every method on one image: Enter, then Enter on an image, then A")

    def action_zoom(self) -> None:
        """Show the table alone, or all panes."""
        self.toggle_class("zoomed")

    def filter_changed(self) -> None:
        """Show the methods and backbones that hold the words."""
        self._change(words=self.words)

    def action_clear(self) -> None:
        """Forget the filter; the top of the screens is never left by Escape."""
        self.clear_filter()
