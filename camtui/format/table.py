"""Tables as plain data: blocks of rows of entries, and the notes that belong under them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

from camtui.format.cells import SIGNS, CellView, Mark, cell_views, means_of_images, shown_metrics
from camtui.format.groups import By, grouped
from camtui.format.notes import (
    BEST,
    UNDEFINED,
    block_notes,
    block_title,
    mean_notes,
    run_notes,
    run_title,
    table_caption,
)
from camtui.format.numbers import ABSENT, count, half_width, metric_header, percent
from camtui.format.select import best_first, matching, ordered
from evaluator import catalog
from evaluator.errors import NotFound
from evaluator.metrics.base import Metric
from evaluator.text import printable

if TYPE_CHECKING:
    from rich.console import Console

    from evaluator.store.reader import RunReader


@dataclass(frozen=True)
class TableColumn:
    """A column of a table, on paper, on the command line or in the dashboard.

    Attributes:
        key: names the column to whoever asks for it.
        name: narrow, ``drop↓``; in the dashboard on one or two lines.
        title: where there is room, ``Average Drop ↓``.
        numeric: set to the right, on paper in figures.
        width: in the dashboard, cells; 0 for the rest of the line (one column at most).
    """

    key: str
    name: str
    title: str = ""
    numeric: bool = True
    width: int = 0


@dataclass(frozen=True)
class Entry:
    """One place of a table.

    Attributes:
        text: as shown.
        interval: what follows in small, ``±0.12``.
        mark: rank in its column.
        partial: the cell is still under way.
    """

    text: str
    interval: str = ""
    mark: Mark = ""
    partial: bool = False


@dataclass(frozen=True)
class TableRow:
    """Entries in the order of the columns, or a ``remark`` in place of numbers.

    Attributes:
        control: it is of a control, and stands below a rule.
    """

    entries: tuple[Entry, ...]
    remark: str = ""
    control: bool = False


@dataclass(frozen=True)
class Block:
    """Rows under one title, and what must be said of them."""

    title: str
    rows: tuple[TableRow, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Table:
    """Blocks of rows under a title, as every output for people shows them.

    Attributes:
        title: one line: which run, how many images.
        notes: what must be said of all of it.
        caption: what a paper says above it; empty for the title.
    """

    title: str
    columns: tuple[TableColumn, ...]
    blocks: tuple[Block, ...]
    notes: tuple[str, ...] = ()
    caption: str = ""

    def notes_in_print(self, second: str) -> list[str]:
        """Return the notes for a page, where type tells best and second; ties keep their sign."""
        marks = {entry.mark for block in self.blocks for row in block.rows for entry in row.entries}
        best = f"bold: best, {second}: second" if "second" in marks else "bold: best"
        return [note.replace(BEST, best) for note in self.notes]


@dataclass(frozen=True)
class TableOptions:
    """Digits, intervals, filter and order of a table.

    Attributes:
        digits: behind the point.
        ci: half-widths for every metric, not for ADCC only.
        filter: expression of ``select.matching``.
        sort: metric, best first.
        ranks: read pairs to tell best, ties and second.
    """

    digits: int = 2
    ci: bool = False
    filter: str = ""
    sort: str = ""
    ranks: bool = True


DEFAULTS = TableOptions()


MEAN_IMAGE_ADCC = Metric(
    "mean_image_adcc", "mean image ADCC", "image ADCC", "", "higher", "mean of the per-image ADCC"
)
MEAN_IMAGE_ARCC = Metric(
    "mean_image_arcc", "mean image ARCC", "image ARCC", "", "higher", "mean of the per-image ARCC"
)
"""Shown beside the headlines where there is room; other numbers."""

_MEANS = {mean.key: mean for mean in (MEAN_IMAGE_ADCC, MEAN_IMAGE_ARCC)}


def finished_views(
    reader: RunReader, ranked: Sequence[Metric] = (), *, otherwise: str
) -> list[CellView]:
    """Return the cells that have an ADCC.

    Args:
        ranked: as of ``cell_views``.
        otherwise: the command to type where the confidence is 0 in every image.

    Raises:
        NotFound: there is none.
    """
    known = cell_views(reader, ranked)
    views = [view for view in known if view.mean("adcc") is not None]
    if not views and any(view.summary.undefined for view in known):
        raise NotFound(f"no image of the run has an ADCC, {UNDEFINED}", otherwise)
    if not views and any(view.summary.n for view in known):
        raise NotFound("no method of the run has an ADCC", otherwise)
    if not views:
        raise NotFound("the run has no finished image yet", "camtui status RUN")
    return views


def chosen_views(
    reader: RunReader, metrics: Sequence[Metric], options: TableOptions
) -> list[CellView]:
    """Return the cells that a table shows, filtered and sorted, with their ranks."""
    views = cell_views(reader, metrics if options.ranks else ())
    if options.filter:
        views = matching(views, options.filter)
    return ordered(views, options.sort) if options.sort else views


def summary_table(reader: RunReader, options: TableOptions = TableOptions()) -> Table:
    """Return the paper's layout: one block per backbone, methods as rows, metrics in its order."""
    metrics = shown_metrics(reader)
    views = chosen_views(reader, metrics, options)
    columns = (
        TableColumn("method", "method", "Method", numeric=False),
        TableColumn("n", "n", "n"),
        *map(_column, metrics),
    )
    loaded, lacking = reader.backbones(), reader.lacking()
    blocks = []
    for backbone in dict.fromkeys(view.cell.backbone for view in _in_plan_order(views)):
        group = [view for view in views if view.cell.backbone == backbone]
        rows = tuple(view_row([Entry(view.cell.method)], view, metrics, options) for view in group)
        notes = (*block_notes(group), *mean_notes(group, metrics, lacking))
        blocks.append(Block(block_title(backbone, loaded.get(backbone)), rows, notes))
    notes = tuple(run_notes(reader, views, ranked=options.ranks))
    return Table(
        run_title(reader), columns, tuple(blocks), notes, table_caption(reader, views, metrics)
    )


def grouped_table(reader: RunReader, by: By, options: TableOptions = TableOptions()) -> Table:
    """Return one block per backbone: every group of images, and in it the methods, unranked."""
    metrics = shown_metrics(reader)
    views = chosen_views(reader, metrics, replace(options, ranks=False, sort=""))
    groups = sorted(grouped(reader, views, by), key=lambda group: (group.place, group.view.cell.id))
    if options.sort:
        groups.sort(key=lambda group: best_first(group.view, options.sort))
    title = "class" if by == "class" else "prediction"
    names = [
        TableColumn(title, title, title.capitalize(), numeric=False),
        TableColumn("method", "method", "Method", numeric=False),
    ]
    blocks = []
    for backbone, loaded in reader.backbones().items():
        mine = [group for group in groups if group.view.cell.backbone == backbone]
        rows = tuple(
            view_row(
                [Entry(group.name), Entry(group.view.cell.method)], group.view, metrics, options
            )
            for group in mine
        )
        notes = (
            *block_notes([view for view in views if view.cell.backbone == backbone]),
            *mean_notes(
                [group.view for group in mine],
                metrics,
                names=[f"{group.name} {group.view.cell.method}" for group in mine],
            ),
        )
        blocks += [Block(block_title(backbone, loaded), rows, notes)] if rows else []
    columns = (*names, TableColumn("n", "n", "n"), *map(_column, metrics))
    return Table(
        f"{run_title(reader)} · by {title}",
        columns,
        tuple(blocks),
        tuple(run_notes(reader, views, ranked=False)),
        f"{table_caption(reader, views, metrics)[:-1]}, by {title}.",
    )


def long_table(reader: RunReader, options: TableOptions = TableOptions()) -> Table:
    """Return one row per cell, with counts of failures and degenerate maps and mean image ADCC."""
    shown = shown_metrics(reader)
    metrics = [*shown, *(_MEANS[key] for key in means_of_images(shown))]
    views = chosen_views(reader, shown_metrics(reader), options)
    names = [
        TableColumn(key, name, name.capitalize(), numeric=False)
        for key, name in (("backbone", "network"), ("method", "method"))
    ]
    counts = [
        TableColumn(key, short, key.capitalize())
        for key, short in (("n", "n"), ("failed", "fail"), ("degenerate", "degen"))
    ]
    rows = []
    for view in views:
        row = view_row([Entry(view.cell.backbone), Entry(view.cell.method)], view, metrics, options)
        tail = [Entry(count(view.summary.failed)), Entry(count(view.summary.degenerate))]
        rows.append(TableRow((*row.entries[:3], *tail, *row.entries[3:]), row.remark))
    lacking = reader.lacking()
    notes = [note for view in views for note in block_notes([view], counts=False)]
    for backbone in dict.fromkeys(view.cell.backbone for view in views):
        group = [view for view in views if view.cell.backbone == backbone]
        notes += [f"{backbone}: {note}" for note in mean_notes(group, shown, lacking)]
    return Table(
        run_title(reader),
        (*names, *counts, *map(_column, metrics)),
        (Block("", tuple(rows), tuple(dict.fromkeys(notes))),),
        tuple(run_notes(reader, views, ranked=options.ranks)),
        table_caption(reader, views, shown),
    )


def pivot_table(reader: RunReader, metric: str, options: TableOptions = TableOptions()) -> Table:
    """Return methods × networks in one metric.

    Raises:
        UsageError: no such metric.
    """
    wanted = _MEANS[metric] if metric in _MEANS else catalog.metric(metric)
    views = chosen_views(reader, [wanted], options)
    by_place = {(view.cell.method, view.cell.backbone): view for view in views}
    backbones = list(dict.fromkeys(view.cell.backbone for view in _in_plan_order(views)))
    columns = [
        TableColumn("method", "method", "Method", numeric=False),
        *(TableColumn(name, name, name) for name in backbones),
    ]
    rows = []
    for method in dict.fromkeys(view.cell.method for view in views):
        found = [by_place.get((method, backbone)) for backbone in backbones]
        entries = [
            _entry(view, wanted, options, interval=options.ci) if view else Entry(ABSENT)
            for view in found
        ]
        rows.append(TableRow((Entry(method), *entries)))
    lacking = reader.lacking()
    # a mean of image scores is over the images of its headline
    asked = [catalog.metric(wanted.key.removeprefix("mean_image_"))]
    notes = []
    for name in backbones:
        group = [view for view in views if view.cell.backbone == name]
        said = (*block_notes(group), *mean_notes(group, asked, lacking))
        notes += [f"{name}: {note}" for note in said]
    title = f"{run_title(reader)} · {metric_header(wanted, long=True)}"
    return Table(
        title,
        tuple(columns),
        (Block("", tuple(rows), tuple(notes)),),
        tuple(run_notes(reader, views, ranked=options.ranks, intervals=options.ci)),
        table_caption(reader, views, [wanted]),
    )


def _column(metric: Metric) -> TableColumn:
    return TableColumn(metric.key, metric_header(metric), metric_header(metric, long=True))


def _in_plan_order(views: Sequence[CellView]) -> list[CellView]:
    return sorted(views, key=lambda view: view.cell.id)


def view_row(
    names: list[Entry], view: CellView, metrics: Sequence[Metric], options: TableOptions
) -> TableRow:
    """Return one cell as a row: names, n, an entry for each metric."""
    if not view.cell.applicable:
        blank = [Entry(ABSENT) for _ in range(len(metrics) + 1)]
        return TableRow(
            (*names, *blank),
            f"not applicable: {view.cell.note}" if view.cell.note else "not applicable",
        )
    n = Entry(count(view.summary.n), partial=view.partial)
    values = [
        _entry(view, metric, options, interval=options.ci or metric.key in ("adcc", "arcc"))
        for metric in metrics
    ]
    return TableRow((*names, n, *values))


def _entry(view: CellView, metric: Metric, options: TableOptions, *, interval: bool) -> Entry:
    mean = view.mean(metric.key)
    return Entry(
        percent(mean.value if mean else None, options.digits),
        half_width(mean, options.digits) if interval else "",
        view.marks.get(metric.key, ""),
        view.partial and mean is not None,
    )


class Field(NamedTuple):
    """A text that is safe to print, and its role: what it means, not how that looks."""

    text: str
    role: str = ""


STYLES = {"strong": "bold", "best": "bold", "dim": "dim"}
"""Role → its style on a console; every other role is plain there."""


def print_lines(lines: list[list[Field]], console: Console) -> None:
    """Print lines on a console: never wrapped, never cut, in its colours if any."""
    from rich.text import Text

    for line in lines:
        text = Text.assemble(*[(field.text, STYLES.get(field.role, "")) for field in line])
        text.rstrip()
        console.print(text, soft_wrap=True)


def plain_text(table: Table) -> str:
    """Return the table without any style, ending in a newline."""
    return "".join(
        "".join(field.text for field in line).rstrip() + "\n" for line in table_lines(table)
    )


def table_lines(table: Table) -> list[list[Field]]:
    """Return the table as lines of fields; columns are aligned over all blocks."""
    widths = column_widths(table)
    numeric = [column.numeric for column in table.columns]
    header = "".join(
        _padded(printable(c.name), w, c.numeric) for c, w in zip(table.columns, widths, strict=True)
    )
    lines = [[Field(printable(table.title), "strong")]]
    for block in table.blocks:
        lines += [[], [Field(printable(block.title), "strong")]] if block.title else [[]]
        lines.append([Field(header.rstrip(), "dim")])
        lines += [_row_line(row, widths, numeric) for row in block.rows]
        lines += [[Field(f"  {printable(note)}", "dim")] for note in block.notes]
    lines += [[]] if table.notes else []
    return lines + [[Field(printable(note), "dim")] for note in table.notes]


def column_widths(table: Table) -> list[int]:
    """Return the characters of each column over all blocks, signs of ranks left out."""
    rows = [list(map(entry_text, row.entries)) for block in table.blocks for row in block.rows]
    return [
        max(len(printable(column.name)), *(len(row[place].rstrip(" *=")) for row in rows), 0)
        for place, column in enumerate(table.columns)
    ]


def entry_text(entry: Entry) -> str:
    """Return one entry with its signs, always in the same places: ``~75.27 ±0.12*``."""
    partial = "~" if entry.partial else ""
    interval = f" {entry.interval}" if entry.interval else ""
    return printable(f"{partial}{entry.text}{interval}{SIGNS[entry.mark] or ' '}")


def _padded(text: str, width: int, numeric: bool) -> str:
    return f"{text:>{width}}  " if numeric else f"{text:<{width}} "


def _row_line(row: TableRow, widths: list[int], numeric: list[bool]) -> list[Field]:
    fields = list(zip(row.entries, widths, numeric, strict=True))
    names = [
        Field(_padded(printable(entry.text), width, False))
        for entry, width, number in fields
        if not number
    ]
    if row.remark:
        return [*names, Field(printable(row.remark), "dim")]
    return [
        *names,
        *(
            Field(_entry_field(entry, width), entry.mark)
            for entry, width, number in fields
            if number
        ),
    ]


def _entry_field(entry: Entry, width: int) -> str:
    text = entry_text(entry)
    return f"{text[:-1]:>{width}}{text[-1]} "
