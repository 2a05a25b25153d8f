"""The rows of the grid, from a snapshot: method × backbone for one metric, or the long table."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from camtui.feed import Snapshot
from camtui.format import (
    ABSENT,
    SIGNS,
    CellView,
    half_width,
    matching,
    metric_header,
    percent,
    short_count,
)
from camtui.ties import Marks
from camtui.tui.widgets.fields import Field, Line, TableColumn
from evaluator.catalog import ROW_METRICS, known_metrics
from evaluator.errors import CamtuiError
from evaluator.text import printable

Order = Literal["plan", "name", "value"]
CellKey = tuple[str, str]
"""(backbone, method)."""

NOT_BEGUN, NOT_THERE = "····", "n/a"
_NAME_WIDTH = 16


@dataclass(frozen=True, slots=True)
class GridOptions:
    """The metric, order and filter of the grid.

    Attributes:
        long: whether there is a line for each cell, else method × backbone for one metric.
        column: backbone (or metric) that ``order == "value"`` sorts by.
        words: of the filter; a cell is shown if its names hold every one of them.
        paper: whether the paper's values stand in place of the measured ones.
    """

    metric: str = "adcc"
    long: bool = False
    order: Order = "plan"
    descending: bool = True
    column: str = ""
    words: str = ""
    paper: bool = False


@dataclass(frozen=True, slots=True)
class Grid:
    """The columns and rows of the table."""

    columns: tuple[TableColumn, ...]
    lines: tuple[Line, ...]


PaperValue = Callable[[str, str, str], float | None]
"""(backbone, method, metric) → what the paper printed, as a fraction."""


def shown_cells(snapshot: Snapshot, expression: str) -> list[CellView]:
    """Return the cells that meet a filter; none where it cannot be read."""
    views = list(snapshot.views.values())
    try:
        return matching(views, expression)
    except CamtuiError:
        return []


def best_cell(snapshot: Snapshot, metric: str, marks: Marks) -> CellKey | None:
    """Return the best cell of all, on which the cursor begins.

    Without ranks, as below 10 images, it is the highest average that is no control's; only controls
    begin at the first.
    """
    sign = known_metrics()[metric].sign
    means = [
        (sign * mean.value, cell)
        for cell in snapshot.cells
        if (mean := snapshot.mean(cell.id, metric))
    ]
    if not means:
        return None
    ranked = [(value, cell) for value, cell in means if marks.get((cell.id, metric)) == "best"]
    others = [(value, cell) for value, cell in means if not snapshot.views[cell.id].control]
    _, cell = max(ranked or others or means[:1], key=lambda item: item[0])
    return cell.backbone, cell.method


def build(
    snapshot: Snapshot,
    options: GridOptions,
    marks: Marks,
    paper: PaperValue,
    width: int,
    previous: Sequence[object] = (),
) -> Grid:
    """Make the grid.

    Args:
        marks: (cell, metric) → best or tied with the best of its backbone.
        paper: the paper's values.
        width: cells of the terminal that the table has.
        previous: row keys in the order that is on screen; kept, whatever the values do, if given.
    """
    grid = (
        _long(snapshot, options, marks, paper)
        if options.long
        else _pivot(snapshot, options, marks, paper, width)
    )
    if not previous:
        return grid
    place = {key: index for index, key in enumerate(previous)}
    return replace(
        grid, lines=tuple(sorted(grid.lines, key=lambda line: place.get(line.key, len(place))))
    )


def hint_fields(snapshot: Snapshot, options: GridOptions, paper: PaperValue) -> list[Field]:
    """Describe the grid in a line: its metric, its signs, its order and its filter."""
    metric = known_metrics()[options.metric]
    title = Field(f" {metric.title} {metric.arrow}", "strong")
    if options.paper:
        values = (paper(cell.backbone, cell.method, options.metric) for cell in snapshot.cells)
        has_values = any(value is not None for value in values)
        text = (
            "as the paper printed it, in percent" if has_values else "the paper has none of these"
        )
        return [title, Field(f"  {text}   p: back to this run", "accent")]
    fields = [
        title,
        Field("  mean", "dim"),
        Field("  * best", "best"),
        Field("  = not separated from it", "tie"),
        Field("  ~ partial", "partial"),
    ]
    if options.order != "plan" or not options.descending:
        by_column = options.order == "value" and options.column
        by = printable(options.column if by_column else options.order, 20)
        fields.append(Field(f"  sorted by {by} {'↓' if options.descending else '↑'}", "accent"))
    if options.words:
        fields.append(Field(f"  filter: {printable(options.words, 20)}", "accent"))
    return fields


# -- method × backbone
# --------------------------------------------------------------------------------------------------


def _pivot(
    snapshot: Snapshot, options: GridOptions, marks: Marks, paper: PaperValue, width: int
) -> Grid:
    cells = {
        (found.cell.backbone, found.cell.method): found
        for found in shown_cells(snapshot, options.words)
    }
    shown_backbones = {backbone for backbone, _ in cells}
    shown_methods = {method for _, method in cells}
    backbones = [name for name in snapshot.backbones if name in shown_backbones]
    methods = _sorted_methods(
        snapshot, options, [name for name in snapshot.methods if name in shown_methods]
    )
    longest = max([8, *(len(printable(name)) for name in methods)])
    spare = width - 3 - 14 * len(backbones) - 9
    name_width = max(min(longest, _NAME_WIDTH), min(longest, spare))
    room = width - name_width - 3
    wide = len(backbones) > 0 and room // len(backbones) >= 14
    whole = max([13, *(len(printable(name)) for name in backbones)])
    fits = wide and (whole + 1) * len(backbones) + 9 <= room
    size = max(9, min(10, room // max(1, len(backbones)) - 1))
    if wide:
        size = whole if fits else 13
    average = len(backbones) > 1 and (size + 1) * len(backbones) + 9 <= room
    columns = [TableColumn("method", "method", name_width, right=False)]
    columns += [TableColumn(name, _two_lines(name, size), size) for name in backbones]
    columns += [TableColumn("average", "average", 8)] if average else []
    lines = []
    for method in methods:
        fields = [Field(printable(method), "strong")]
        fields += [
            _field(cells.get((name, method)), options, marks, paper, wide) for name in backbones
        ]
        fields += (
            [_average([cells.get((name, method)) for name in backbones], options, paper)]
            if average
            else []
        )
        lines.append(Line(method, tuple(fields)))
    return Grid(tuple(columns), tuple(lines))


def _two_lines(name: str, width: int) -> str:
    """Break a long name at a ``_``, or wherever it must be."""
    text = printable(name)
    if len(text) <= width:
        return text
    cut = text.rfind("_", 1, width + 1)
    cut = cut if cut > 0 and len(text) - cut <= width else width
    return f"{text[:cut]}\n{text[cut:]}"


def _field(
    found: CellView | None, options: GridOptions, marks: Marks, paper: PaperValue, wide: bool
) -> Field:
    if found is None:
        return Field("")
    if options.paper:
        value = paper(found.cell.backbone, found.cell.method, options.metric)
        return (
            Field(NOT_BEGUN + " ", "dim")
            if value is None
            else Field(f"{percent(value)} ", "accent")
        )
    return value_field(found, options.metric, marks, wide)


def value_field(view: CellView, metric: str, marks: Marks, wide: bool) -> Field:
    """Format an average: ``~`` partial before it, ``*`` best or ``=`` tied after it."""
    if not view.cell.applicable:
        return Field(NOT_THERE + " ", "dim")
    mean = view.mean(metric)
    if mean is None:
        undefined = metric in ROW_METRICS and view.summary.n
        return Field(f"{ABSENT if undefined else NOT_BEGUN} ", "dim")
    mark = marks.get((view.cell.id, metric), "")
    partial = is_partial(view, metric)
    text = f"{percent(mean.value)} {half_width(mean)}".rstrip() if wide else percent(mean.value)
    role = {"best": "best", "tie": "tie"}.get(mark, "partial" if partial else "")
    return Field(f"{'~' if partial else ''}{text}{SIGNS[mark] or ' '}", role)


def is_partial(view: CellView, metric: str) -> bool:
    """Tell whether images are still to come; curves come after rows and have their own n."""
    mean = view.mean(metric)
    if mean is None or metric in ROW_METRICS:
        return view.partial
    return mean.n + view.summary.failed < view.images


def _average(cells: Sequence[CellView | None], options: GridOptions, paper: PaperValue) -> Field:
    """Average a method over the backbones.

    Only where each of them has a value, for averages of different sets mislead.
    """
    there = [found for found in cells if found is not None and found.cell.applicable]
    if options.paper:
        values = [paper(found.cell.backbone, found.cell.method, options.metric) for found in there]
    else:
        values = [mean.value if (mean := found.mean(options.metric)) else None for found in there]
    known = [value for value in values if value is not None]
    if not known or len(known) < len(values):
        return Field("·· ", "dim")
    partial = not options.paper and any(is_partial(found, options.metric) for found in there)
    return Field(f"{'~' if partial else ''}{percent(sum(known) / len(known))} ", "dim")


def _sorted_methods(snapshot: Snapshot, options: GridOptions, methods: list[str]) -> list[str]:
    if options.order == "plan":
        return methods if options.descending else methods[::-1]
    if options.order == "name":
        return sorted(methods, reverse=not options.descending)
    sign = known_metrics()[options.metric].sign
    backbones = (
        [options.column] if options.column in snapshot.backbones else list(snapshot.backbones)
    )

    def value(method: str) -> tuple[bool, float]:
        cells = [snapshot.cell(backbone, method) for backbone in backbones]
        means = [
            mean.value
            for cell in cells
            if cell and (mean := snapshot.mean(cell.id, options.metric))
        ]
        if not means:
            return True, 0.0
        best_first = -sign * sum(means) / len(means)
        return False, best_first if options.descending else -best_first

    return sorted(methods, key=value)


# -- one line per cell
# --------------------------------------------------------------------------------------------------


def _long(snapshot: Snapshot, options: GridOptions, marks: Marks, paper: PaperValue) -> Grid:
    metrics = sorted(snapshot.metrics, key=lambda key: key != "adcc")
    columns = [
        TableColumn("method", "method", _NAME_WIDTH, right=False),
        TableColumn("backbone", "backbone", 12, right=False),
    ]
    columns += [
        TableColumn("n", "n", 6),
        *(TableColumn(key, metric_header(known_metrics()[key]), 8) for key in metrics),
    ]
    lines = [
        Line(
            (found.cell.backbone, found.cell.method),
            _long_fields(found, metrics, options, marks, paper),
        )
        for found in _sorted_cells(snapshot, options)
    ]
    return Grid(tuple(columns), tuple(lines))


def _long_fields(
    found: CellView, metrics: Sequence[str], options: GridOptions, marks: Marks, paper: PaperValue
) -> tuple[Field, ...]:
    names = (Field(printable(found.cell.method), "strong"), Field(printable(found.cell.backbone)))
    n = Field(f"{'~' if found.partial else ''}{short_count(found.summary.n)}", "dim")
    return (
        *names,
        n,
        *(_field(found, replace(options, metric=key), marks, paper, wide=False) for key in metrics),
    )


def _sorted_cells(snapshot: Snapshot, options: GridOptions) -> list[CellView]:
    cells = shown_cells(snapshot, options.words)
    if options.order == "plan":
        return cells if options.descending else cells[::-1]
    if options.order == "name":
        return sorted(
            cells,
            key=lambda found: (found.cell.method, found.cell.backbone),
            reverse=not options.descending,
        )
    metric = options.column if options.column in snapshot.metrics else options.metric
    best_first = (
        -known_metrics()[metric].sign if options.descending else known_metrics()[metric].sign
    )

    def value(found: CellView) -> tuple[bool, float]:
        mean = found.mean(metric)
        return mean is None, 0.0 if mean is None else best_first * mean.value

    return sorted(cells, key=value)
