"""The comparison of two runs as a forest plot, and the images that changed most between them."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Sequence
from functools import partial
from pathlib import Path, PurePosixPath
from textwrap import wrap
from typing import TYPE_CHECKING, NamedTuple

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal

from camtui.format import Field, TableColumn, count, half_width, percent, signed_percent
from camtui.tui.preview import DELAY, Preview
from camtui.tui.run_connection import RunConnection
from camtui.tui.screens.base import ListScreen, after, holds
from camtui.tui.text import header, shortened
from camtui.tui.widgets.fields import Line, TextLines
from camtui.tui.widgets.table import CursorMoved, LineTable, RowOpened
from evaluator.catalog import is_control, known_metrics
from evaluator.errors import CamtuiError
from evaluator.store.reader import RunReader
from evaluator.text import printable

if TYPE_CHECKING:
    from camtui.compare import ChangedImage, ComparedCell, Comparison

ROLES = {"better": "best", "worse": "error", "tie": "tie", "untested": "dim"}
"""Of verdicts."""


class Interval(NamedTuple):
    """A difference and half of its 95 % interval, in points."""

    value: float
    half: float

    @classmethod
    def of(cls, cell: ComparedCell) -> Interval:
        """Return the change of a cell."""
        return cls(100 * cell.change, 100 * (cell.paired.half_width or 0.0))


def scale_of(intervals: Sequence[Interval]) -> tuple[float, float]:
    """Return the ends of the axis that has all intervals and zero on it."""
    low = min([0.0, *(one.value - one.half for one in intervals)])
    high = max([0.0, *(one.value + one.half for one in intervals)])
    return (low, high) if high > low else (-1.0, 1.0)


def forest_line(interval: Interval, scale: tuple[float, float], width: int) -> str:
    """Draw ``├──●──┤`` on an axis with its zero line; the dot is drawn over everything else."""
    low, high = scale

    def column(value: float) -> int:
        return max(0, min(width - 1, round((value - low) / (high - low) * (width - 1))))

    line = [" "] * width
    left, right = column(interval.value - interval.half), column(interval.value + interval.half)
    line[left : right + 1] = "─" * (right - left + 1)
    zero = column(0.0)
    line[zero] = "┼" if left < zero < right else "│"
    if right > left:
        line[left], line[right] = "├", "┤"
    line[column(interval.value)] = "●"
    return "".join(line)


def axis_line(scale: tuple[float, float], width: int) -> str:
    """Return the ends of the axis, and its zero where there is room between them."""
    low, high = (f"{end:+.1f}" if end else "0" for end in scale)
    line = [*f"{low}{high:>{max(1, width - len(low))}}"]
    zero = round(-scale[0] / (scale[1] - scale[0]) * (width - 1))
    if len(low) < zero < width - len(high) - 1:
        line[zero] = "0"
    return "".join(line)


def forest_table(cells: Sequence[ComparedCell], width: int) -> tuple[list[TableColumn], list[Line]]:
    """Make the rows of a comparison: verdict, names, plot, and numbers as far as there is room."""
    networks = shortened(list(dict.fromkeys(cell.backbone for cell in cells)), 20)
    methods = shortened(list(dict.fromkeys(cell.method for cell in cells)), 20)
    one = len(networks) < 2
    columns = [
        TableColumn("verdict", "", width=8, numeric=False),
        TableColumn("method", "method", width=_widest(methods, 6), numeric=False),
        *(
            []
            if one
            else [TableColumn("network", "network", width=_widest(networks, 7), numeric=False)]
        ),
    ]
    numbers = [TableColumn("change", "change", width=15)]
    if width >= 100:
        numbers += [
            TableColumn("first", "first", width=7),
            TableColumn("second", "second", width=7),
            TableColumn("n", "n", width=6),
        ]
    room = width - sum(column.width + 1 for column in (*columns, *numbers)) - 3
    plotted = max(7, room)
    scale = scale_of([Interval.of(cell) for cell in cells])
    plot = TableColumn("plot", axis_line(scale, plotted), width=plotted, numeric=False)
    lines = []
    for cell in cells:
        role = ROLES[cell.verdict]
        fields = (
            Field(cell.verdict, role),
            Field(methods[cell.method], "strong"),
            *([] if one else [Field(networks[cell.backbone])]),
            Field(forest_line(Interval.of(cell), scale, plotted), role),
            Field(f"{signed_percent(cell.change)} {half_width(cell.paired)}"),
            Field(percent(cell.first)),
            Field(percent(cell.second)),
            Field(count(cell.n), "dim"),
        )
        lines.append(Line((cell.backbone, cell.method), fields, apart=is_control(cell.method)))
    return [*columns, plot, *numbers], lines


def _widest(names: dict[str, str], least: int) -> int:
    return max([least, *(len(shown) for shown in names.values())])


class CompareScreen(ListScreen):
    """Two runs, cell by cell, over the images that both have; the older one comes first."""

    FILTER = "words that the method's or the network's name, or the verdict, holds"

    BINDINGS = [
        Binding("m", "metric", "metric"),
        Binding("less_than_sign", "swap", "swap", key_display="<", tooltip="the other run first"),
        Binding("F", "force", "other protocols", tooltip="pair runs of other protocols too"),
        Binding("escape", "up", "up"),
    ]

    def __init__(self, connection: RunConnection, first: Path, second: Path) -> None:
        super().__init__(connection)
        self._paths = first, second
        self._ordered = self._force = False
        self._metric, self._metrics = "adcc", ["adcc"]
        self._found: Comparison | None = None
        self._comparing = True

    def body(self) -> ComposeResult:
        """Compose the title, the differences, the notes."""
        yield TextLines(id="compared")
        yield LineTable(id="differences")
        yield TextLines(id="notes", classes="ruled")

    def on_mount(self) -> None:
        """Compare."""
        super().on_mount()
        self.table.focus()
        self._begin()

    def on_resize(self, event: events.Resize) -> None:
        """Draw the plot as wide as there is room now."""
        super().on_resize(event)
        self._show_table()

    def _begin(self) -> None:
        self._comparing = True
        self._show_title("   {}   comparing …", "")
        self.fetch(self._compare, "compare")

    def _show_title(self, more: str, answer: str) -> None:
        names = shortened([path.stem for path in self._paths], 30)
        arrow = "  →  ".join(names[path.stem] for path in self._paths)
        words = more.format(header(self._metric))
        names_line = [Field(f" {arrow}", "dim" if answer else "strong"), Field(words, "dim")]
        self.put("compared", [[Field(f" {answer}", "strong")], names_line])

    async def _compare(self) -> None:
        if not self._ordered:
            self._ordered = True
            self._paths = await asyncio.to_thread(older_first, *self._paths)
        metric, answer, self._found = self._metric, "", None
        try:
            found, self._metrics = await asyncio.to_thread(
                compared, *self._paths, metric, force=self._force
            )
            self._found, answer = found, found.answer(known_metrics()[metric])
            notes = notes_of(found)
        except (CamtuiError, sqlite3.Error) as error:
            message = error.message if isinstance(error, CamtuiError) else str(error)
            refused = not self._force and "different protocols" in message
            notes = [message]
            answer = "other protocols: F pairs them all the same" if refused else ""
        self._comparing = False
        self._show_table()
        role = "dim" if self._found else "warn"
        lines = [part for note in notes for part in wrap(printable(note), self.app.size.width - 2)]
        self.put("notes", [[Field(f" {line}", role)] for line in lines])
        self._show_title("   {}, paired by image", answer)

    def _show_table(self) -> None:
        cells = self._found.cells if self._found else ()
        columns, lines = forest_table(cells, self.app.size.width)
        shown = [
            line
            for line, cell in zip(lines, cells, strict=True)
            if holds(self.words, cell.method, cell.backbone, cell.verdict)
        ]
        empty = "no method has that in its name; Esc shows all" if cells else "nothing to compare"
        empty = "" if self._comparing else empty
        self.table.show(columns if cells else [], shown, empty=empty, filter=self.words)

    def filter_changed(self) -> None:
        """Show the methods, networks and verdicts that hold the words."""
        self._show_table()

    def on_row_opened(self, message: RowOpened) -> None:
        """List the images that changed most."""
        if isinstance(message.row, tuple):
            screen = ChangedScreen(self.connection, self._paths, message.row, self._metric)
            self.app.push_screen(screen)

    def action_metric(self) -> None:
        """Compare by the next metric that both runs have."""
        self._metric = after(self._metric, self._metrics)
        self._begin()

    def action_swap(self) -> None:
        """Compare the first with the second instead."""
        self._paths = self._paths[1], self._paths[0]
        self._begin()

    def action_force(self) -> None:
        """Pair runs of other protocols, or refuse them again."""
        self._force = not self._force
        self._begin()


def older_first(first: Path, second: Path) -> tuple[Path, Path]:
    """Return two runs in the order in which they were begun. Blocking."""
    try:
        with RunReader(first) as mine, RunReader(second) as theirs:
            begun = mine.info().created, theirs.info().created
    except (CamtuiError, sqlite3.Error):  # comparing says why
        return first, second
    return (first, second) if begun[0] <= begun[1] else (second, first)


def compared(
    first: Path, second: Path, metric: str, *, force: bool = False
) -> tuple[Comparison, list[str]]:
    """Compare two runs by a metric, and list the metrics to choose from. Blocking.

    Raises:
        CamtuiError: as ``compare_runs`` does.
    """
    from camtui.compare import comparable_metrics, compare_runs

    with RunReader(first) as mine, RunReader(second) as theirs:
        found = compare_runs(mine, theirs, [known_metrics()[metric]], force=force)
        return found, comparable_metrics(mine, theirs)


def notes_of(found: Comparison) -> list[str]:
    """Return what must be known of a comparison: what is unlike first, then how it was tested."""
    notes = [*found.notes, found.test]
    for name, only in ((found.first, found.only_first), (found.second, found.only_second)):
        notes += [f"only in {name}: {', '.join(only)}"] if only else []
    return notes


class ChangedScreen(ListScreen):
    """The images of one network and method that changed most between two runs."""

    FILTER = "a part of the image's path"

    BINDINGS = [
        Binding("b", "ends", "worse/better", tooltip="from the other end"),
        Binding("escape", "up", "up"),
    ]

    def __init__(
        self,
        connection: RunConnection,
        paths: tuple[Path, Path],
        cell: tuple[str, str],
        metric: str,
    ) -> None:
        """Show the images that both runs have under ``(network, method)``, worse ones first."""
        super().__init__(connection)
        self._paths, self._cell, self._metric = paths, cell, metric
        self._images: list[ChangedImage] = []
        self._worse = True

    def body(self) -> ComposeResult:
        """Compose the title and the list."""
        yield TextLines(id="compared")
        with Horizontal(id="listed"):
            yield LineTable(id="changed")
            yield Preview()

    def on_mount(self) -> None:
        """Read the images."""
        super().on_mount()
        self.table.focus()
        self.table.expect()
        self.fetch(self._read, "changed")

    def on_resize(self, event: events.Resize) -> None:
        """Use another width."""
        super().on_resize(event)
        self._show_list()

    async def _read(self) -> None:
        try:
            self._images = await asyncio.to_thread(changed, *self._paths, *self._cell, self._metric)
        except (CamtuiError, sqlite3.Error) as error:
            self.notify(str(error), severity="warning")
        self._show_list()

    def _show_list(self) -> None:
        network, method = (printable(name, 32) for name in self._cell)
        names = shortened([path.stem for path in self._paths], 30)
        first, second = (names[path.stem] for path in self._paths)
        shown = self._images if self._worse else self._images[::-1]
        words = self.words
        shown = [one for one in shown if holds(words, one.path.decode("utf-8", "replace"))]
        self.put(
            "compared",
            [
                [
                    Field(f" {network} × {method}", "strong"),
                    Field(f"   {count(len(shown))} images by change of {header(self._metric)}"),
                ],
                [
                    Field(f" {first}  →  {second}", "dim"),
                    Field(f"   {'worse' if self._worse else 'better'} ones first", "dim"),
                ],
            ],
        )
        columns = [
            TableColumn("change", "change", width=8),
            TableColumn("first", "first", width=7),
            TableColumn("second", "second", width=7),
            TableColumn("image", "image", numeric=False),
        ]
        sign = known_metrics()[self._metric].sign
        lines = []
        for one in shown:
            gain = sign * one.change
            role = "best" if gain > 0 else "error" if gain < 0 else "dim"
            name = PurePosixPath(one.path.decode("utf-8", "surrogateescape")).name
            fields = (
                Field(signed_percent(one.change), role),
                Field(percent(one.first)),
                Field(percent(one.second)),
                Field(printable(name, 60)),
            )
            lines.append(Line(one.path, fields))
        empty = f"{known_metrics()[self._metric].title} is made of averages: no image has it"
        empty = "no image has that in its path; Esc shows all" if words else empty
        self.table.show(columns, lines, empty=empty, filter=words)
        self._show_preview()

    def filter_changed(self) -> None:
        """List the images whose path holds the words."""
        self._show_list()

    def on_cursor_moved(self, _: CursorMoved) -> None:
        """Show the image under the cursor."""
        self._show_preview()

    def _show_preview(self) -> None:
        path = self.table.cursor[0]
        if isinstance(path, bytes) and self.query_one(Preview).seen:
            self.fetch(partial(self._load_preview, path), "preview")

    async def _load_preview(self, path: bytes) -> None:
        """Show the image as the second run has it."""
        from camtui.tui.image_data import DisplayOptions, gallery_item, remembered_look
        from camtui.tui.screens.two import Side, read_side

        await asyncio.sleep(DELAY)
        side = Side(self._paths[1], *self._cell)
        try:
            data = await asyncio.to_thread(read_side, side, path, self._metric)
        except (CamtuiError, sqlite3.Error) as error:
            self.query_one(Preview).show([[Field(f" {error}", "warn")]], [])
            return
        item = gallery_item(data, "overlay", DisplayOptions(look=remembered_look(self.app)))
        name = Field(f" {printable(side.run.stem, 30)}", "dim")
        self.query_one(Preview).show([[name]], [item])

    def on_row_opened(self, message: RowOpened) -> None:
        """Show the image under both runs."""
        if not isinstance(message.row, bytes):
            return
        from camtui.tui.screens.two import Side, TwoScreen

        sides = [Side(path, *self._cell) for path in self._paths]
        images = [line.key for line in self.table.lines if isinstance(line.key, bytes)]
        place = images.index(message.row)
        self.app.push_screen(
            TwoScreen(self.connection, sides[0], sides[1], images, place, self._metric)
        )

    def action_ends(self) -> None:
        """List from the images that became better, or from those that became worse."""
        self._worse = not self._worse
        self._show_list()
        self.table.action_first()


def changed(
    first: Path, second: Path, network: str, method: str, metric: str
) -> list[ChangedImage]:
    """List the images that both runs have, the one that became worse by most first. Blocking.

    Raises:
        CamtuiError: a run cannot be read.
    """
    from camtui.compare import changed_images

    with RunReader(first) as mine, RunReader(second) as theirs:
        return changed_images(mine, theirs, network, method, known_metrics()[metric])
