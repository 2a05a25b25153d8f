"""The rows of the grid, from a snapshot, and what stands above and beside them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from math import floor
from typing import Literal, NamedTuple

from camtui.feed import Snapshot
from camtui.format import (
    SIGNS,
    CellView,
    Field,
    TableColumn,
    matching,
    percent,
    short_count,
    with_interval,
)
from camtui.ties import Marks
from camtui.tui import text
from camtui.tui.text import NOT_BEGUN, flowed
from camtui.tui.widgets.fields import Line, fitted
from evaluator.catalog import ROW_METRICS, known_metrics, split_spec, value_range
from evaluator.errors import CamtuiError
from evaluator.records import Cell
from evaluator.statistics import FEWEST_TESTED, Mean
from evaluator.text import printable


def printed_value(backbone: str, method: str, metric: str) -> float | None:
    """Return the value of the paper's Table 2 for a cell, as a fraction.

    Options of a backbone or a method are not the paper's: ``None`` where it has no such cell.
    """
    from camtui.paper import table2  # read when first asked for: the grid must be there at once

    try:
        names = split_spec(backbone)[0], split_spec(method)[0]
    except CamtuiError:  # a name that no run of ours would hold
        return None
    printed = table2().get(names[0], {}).get(names[1], {}).get(metric)
    return None if printed is None else printed / 100


Order = Literal["plan", "name", "value"]
CellKey = tuple[str, str]
"""(backbone, method)."""

NOT_THERE = "n/a"
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


Grid = tuple[list[TableColumn], list[Line]]
"""The columns and rows of the table."""

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
    metrics = snapshot.metrics if options.long else (options.metric,)
    if options.paper and not any(has_paper(snapshot, metric, paper) for metric in metrics):
        options = replace(options, paper=False)
    columns, lines = (
        _long(snapshot, options, marks, paper, width)
        if options.long
        else _pivot(snapshot, options, marks, paper, width)
    )
    place = {key: index for index, key in enumerate(previous)}
    return columns, sorted(lines, key=lambda line: place.get(line.key, len(place)))


def has_paper(snapshot: Snapshot, metric: str, paper: PaperValue) -> bool:
    """Whether the paper printed a value for any cell of the run."""
    return any(paper(cell.backbone, cell.method, metric) is not None for cell in snapshot.cells)


def hint_fields(snapshot: Snapshot, options: GridOptions, paper: PaperValue) -> list[Field]:
    """Describe the grid in a line: its metric, its signs, its order and its filter."""
    metric = known_metrics()[options.metric]
    title = Field(f" {metric.title} {metric.arrow}", "strong")
    if options.paper and has_paper(snapshot, options.metric, paper):
        words = "as the paper printed it, in percent   p: back to this run"
        return [title, Field(f"  {words}", "accent")]
    fields = [title, Field("  mean", "dim")]
    if all(view.summary.n < FEWEST_TESTED for view in snapshot.views.values()):
        words = f"  fewer than {FEWEST_TESTED} images tell no methods apart"
        fields.append(Field(words, "warn"))
    else:
        fields += [Field("  * best", "best"), Field("  = not separated from it", "tie")]
    fields.append(Field("  ~ partial", "partial"))
    chosen = []
    if options.paper:
        chosen.append(Field("  the paper has none of these: measured", "accent"))
    if options.words:
        chosen.append(Field(f"  filter: {printable(options.words, 20)}", "accent"))
    if options.order != "plan" or not options.descending:
        by_column = options.order == "value" and options.column
        by = printable(options.column if by_column else options.order, 20)
        chosen.append(
            Field(f"  sorted by {by}{'' if options.descending else ', reversed'}", "accent")
        )
    fields[1:1] = chosen  # before the marks, which a narrow terminal cuts
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
    fields = {
        method: [
            _field(cells.get((name, method)), options, marks, paper, wide) for name in backbones
        ]
        for method in methods
    }
    # a value that is cut would lose its mark
    values = max([13, *(len(field.text) for row in fields.values() for field in row)])
    whole = max([values, *(len(printable(name)) for name in backbones)])
    fits = wide and (whole + 1) * len(backbones) + 9 <= room
    size = max(9, min(10, room // max(1, len(backbones)) - 1))
    if wide:
        size = whole if fits else values if (values + 1) * len(backbones) <= room else 13
    average = len(backbones) > 1 and (size + 1) * len(backbones) + 9 <= room
    columns = [TableColumn("method", "method", width=name_width, numeric=False)]
    columns += [TableColumn(name, _two_lines(name, size), width=size) for name in backbones]
    columns += [TableColumn("average", "average", width=8)] if average else []
    lines = []
    for method in methods:
        views = [cells.get((name, method)) for name in backbones]
        row = [Field(printable(method), "strong"), *fields[method]]
        row += [_average(views, options, paper)] if average else []
        control = any(view.control for view in views if view)
        lines.append(Line(method, tuple(row), apart=control))
    return columns, lines


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
        known = value is not None
        return Field(
            f"{percent(value)} " if known else f"{NOT_BEGUN} ", "accent" if known else "dim"
        )
    return value_field(found, options.metric, marks, wide)


def value_field(view: CellView, metric: str, marks: Marks, wide: bool) -> Field:
    """Format an average: ``~`` partial before it, ``*`` best or ``=`` tied after it."""
    if not view.cell.applicable:
        return Field(NOT_THERE + " ", "dim")
    mean = view.mean(metric)
    if mean is None:
        return Field(f"{text.no_value(view, metric)} ", "dim")
    mark = marks.get((view.cell.id, metric), "")
    partial = is_partial(view, metric)
    shown = with_interval(mean) if wide else percent(mean.value)
    role = mark if mark in ("best", "tie") else "partial" if partial else ""
    return Field(f"{'~' if partial else ''}{shown}{SIGNS[mark] or ' '}", role)


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
    turned = not options.descending
    if options.order == "plan":
        return methods[::-1] if turned else methods
    if options.order == "name":
        return sorted(methods, reverse=turned)
    column = options.column if options.column in snapshot.backbones else ""
    means: dict[str, list[Mean | None]] = {method: [] for method in methods}
    for view in snapshot.views.values():
        if view.cell.method in means and column in ("", view.cell.backbone):
            means[view.cell.method].append(view.mean(options.metric))
    return sorted(methods, key=lambda name: _place(means[name], options.metric, turned=turned))


def _place(means: Sequence[Mean | None], metric: str, *, turned: bool) -> tuple[bool, float]:
    """Return a key that sorts by an average, best first unless ``turned``; none stands last."""
    values = [mean.value for mean in means if mean is not None]
    sign = known_metrics()[metric].sign * (1 if turned else -1)
    return not values, sign * sum(values) / len(values) if values else 0.0


# -- one line per cell
# --------------------------------------------------------------------------------------------------


def _long(
    snapshot: Snapshot, options: GridOptions, marks: Marks, paper: PaperValue, width: int
) -> Grid:
    metrics = sorted(snapshot.metrics, key=lambda key: key != "adcc")
    # what the numbers leave is for the names, half of it for each, more for the longer ones
    longest = [max(len(name) for name in names) for names in (snapshot.methods, snapshot.backbones)]
    spare = max(28, width - 12 - 9 * len(metrics))
    first = min(longest[0], max(16, spare - longest[1]))
    widths = max(6, first), max(8, min(longest[1], max(12, spare - first)))
    methods = text.shortened(snapshot.methods, widths[0])
    backbones = text.shortened(snapshot.backbones, widths[1])
    columns = [
        TableColumn("method", "method", width=widths[0], numeric=False),
        TableColumn("backbone", "network", width=widths[1], numeric=False),
        TableColumn("n", "n", width=6),
        *(TableColumn(key, text.header(key), width=8) for key in metrics),
    ]
    lines = []
    for found in _sorted_cells(snapshot, options):
        cell = found.cell
        fields = [Field(methods[cell.method], "strong"), Field(backbones[cell.backbone])]
        n = f"{'~' if found.partial else ''}{short_count(found.summary.n)}"
        fields.append(Field(n, "dim"))
        for key in metrics:
            fields.append(_field(found, replace(options, metric=key), marks, paper, wide=False))
        lines.append(Line((cell.backbone, cell.method), tuple(fields), apart=found.control))
    return columns, lines


def _sorted_cells(snapshot: Snapshot, options: GridOptions) -> list[CellView]:
    cells, turned = shown_cells(snapshot, options.words), not options.descending
    if options.order == "plan":
        return cells[::-1] if turned else cells
    if options.order == "name":
        names = {view.cell.id: (view.cell.method, view.cell.backbone) for view in cells}
        return sorted(cells, key=lambda view: names[view.cell.id], reverse=turned)
    metric = options.column if options.column in snapshot.metrics else options.metric
    return sorted(cells, key=lambda view: _place([view.mean(metric)], metric, turned=turned))


LEADERS = 3
"""Methods whose convergence is drawn."""

_VALUE_WIDTH, _INTERVAL_WIDTH = 7, 13
_FEWEST_ROWS = 4
"""Lines of another backbone's components that are worth showing: a heading and three methods."""

_MIN_BAR, _WIDE_BAR = 12, 40
"""Columns that an interval is drawn over at least, and before others are shown with theirs."""


class Scale(NamedTuple):
    """The stretch of a metric that the bars cover, fractions."""

    low: float
    high: float

    def place(self, value: float, width: int) -> int:
        """Return the column, from 0, in which a value falls; the ends where it lies outside."""
        share = (value - self.low) / ((self.high - self.low) or 1.0)
        return max(0, min(width - 1, round(share * (width - 1))))


def component_lines(
    snapshot: Snapshot, backbone: str, metric: str, marks: Marks, width: int, rows: int
) -> list[list[Field]]:
    """Describe every metric of one backbone's methods, best by one of them first, controls last.

    Each has its 95 % interval drawn, then the other metrics as far as they fit. Where there are
    rows left, the other backbones follow, and this one by the other metrics.

    Args:
        marks: ranks by that metric.
        width, rows: room in cells.
    """
    lines = _component_block(snapshot, backbone, metric, marks, width)[: max(1, rows)]
    more = [(name, metric) for name in snapshot.backbones if name != backbone]
    more += [(backbone, key) for key in snapshot.metrics if key not in (metric, "arcc")]
    for name, key in more:
        block = _component_block(snapshot, name, key, marks, width)[: max(0, rows - len(lines) - 2)]
        if len(block) >= _FEWEST_ROWS:
            title = f" {printable(name)}, {known_metrics()[key].title}"
            lines += [[], [Field(title, "strong")], *block]
    return lines


def _component_block(
    snapshot: Snapshot, backbone: str, metric: str, marks: Marks, width: int
) -> list[list[Field]]:
    """Describe the methods of one backbone by one metric: a heading, then a line each."""
    views = best_first(
        (
            view
            for view in snapshot.views.values()
            if view.cell.backbone == backbone and view.cell.applicable
        ),
        metric,
    )
    name_width = max([6, *(min(len(view.cell.method), 20) for view in views)])
    others = [key for key in snapshot.metrics if key != metric]
    room = width - name_width - 19
    with_intervals = room - _WIDE_BAR >= (_INTERVAL_WIDTH + 1) * len(others)
    size = _INTERVAL_WIDTH if with_intervals else _VALUE_WIDTH
    fitting = max(0, min(len(others), (room - _MIN_BAR) // (size + 1)))
    bar = max(0, room - fitting * (size + 1))
    scale = _scale(views, metric)
    low, high = percent(scale.low, 0), percent(scale.high, 0)
    ends = f"{low}{high:>{max(1, bar - len(low))}}"
    heads = [text.header(key) for key in others[:fitting]]
    head = f" {'method':<{name_width}} {fitted(text.header(metric), 15, right=True)} {ends}"
    head += "".join(f" {fitted(title, size, right=True)}" for title in heads)
    lines = [[Field(head, "head")]]
    for place, view in enumerate(views):
        if view.control and place and not views[place - 1].control:
            lines.append([Field("─" * len(head), "rule")])
        mark, mean = marks.get((view.cell.id, metric), ""), view.mean(metric)
        role = "dim" if view.control else mark if mark in ("best", "tie") else ""
        name = fitted(printable(view.cell.method), name_width, right=False)
        value = f"{with_interval(mean)}{SIGNS[mark] or ' '}"
        shown = [
            with_interval(view.mean(key)) if with_intervals else _value(view, key)
            for key in others[:fitting]
        ]
        lines.append(
            [
                Field(f" {name} ", role if view.control else "strong"),
                Field(fitted(value, 15, right=True), role),
                Field(" "),
                *interval(mean, scale, bar, role),
                *(Field(f" {value:>{size}}", "dim" if view.control else "") for value in shown),
            ]
        )
    return lines


def leaders(snapshot: Snapshot, backbone: str, metric: str) -> list[Cell]:
    """Return the methods of a backbone that are best so far by a metric.

    Controls, and copies of another method's map, are left out.
    """
    views = [
        view
        for view in snapshot.views.values()
        if view.cell.backbone == backbone and view.mean(metric)
    ]
    ranked = [view for view in best_first(views, metric) if not (view.control or view.twin)]
    return [view.cell for view in ranked[:LEADERS]]


def leader_lines(
    curves: Sequence[tuple[Cell, Sequence[Mean]]], width: int, height: int
) -> list[list[Field]]:
    """Draw the average of the leaders after the first n images, one colour each.

    Percent on the left, names and n below.
    """
    drawn = [(cell, curve) for cell, curve in curves if len(curve) > 1]
    if not drawn:
        return [[Field("  needs more images", "dim")]]
    settled = [mean.value for _, curve in drawn for mean in curve[len(curve) // 10 :]]
    low, high = min(settled), max(settled)
    names = flowed(
        [
            [Field(f"━ {printable(cell.method, 24)}", f"series{n}")]
            for n, (cell, _) in enumerate(drawn)
        ],
        width,
        gap=2,
    )
    rows = max(2, height - 1 - len(names))
    layers = []
    for _, curve in drawn:
        plot = text.BraillePlot(max(8, width - 8), rows, low, high)
        plot.line([mean.value for mean in curve])
        layers.append(plot.lines())
    labels = {
        0: percent(high, 1),
        rows // 2: percent((low + high) / 2, 1),
        rows - 1: percent(low, 1),
    }
    lines = [
        [Field(f"{labels.get(row, ''):>6} ", "dim"), *_layered(layers, row)] for row in range(rows)
    ]
    n = short_count(max(curve[-1].n for _, curve in drawn))
    lines.append([Field(f"{'':>7}0{f'{n} images':>{max(1, width - 9)}}", "dim")])
    return lines + names


def _layered(layers: Sequence[Sequence[str]], row: int) -> list[Field]:
    """Draw one line of several plots over each other.

    The first that has something in a place is seen there.
    """
    fields: list[Field] = []
    for characters in zip(*(layer[row] for layer in layers), strict=True):
        place = next(
            (place for place, character in enumerate(characters) if character != " "), None
        )
        role = "" if place is None else f"series{place}"
        text = " " if place is None else characters[place]
        if fields and fields[-1].role == role:
            fields[-1] = Field(fields[-1].text + text, role)
        else:
            fields.append(Field(text, role))
    return fields


def best_first(views: Iterable[CellView], metric: str) -> list[CellView]:
    """Sort views by a metric, best first; those without a value and controls come last."""
    return sorted(
        views, key=lambda view: (view.control, _place([view.mean(metric)], metric, turned=False))
    )


def _scale(views: Sequence[CellView], metric: str) -> Scale:
    """Find the scale from the lowest to the highest end of an interval, in steps of 5 points.

    Controls are left out.
    """
    least, most = value_range(metric)
    means = [mean for view in views if not view.control and (mean := view.mean(metric)) is not None]
    if not means:
        return Scale(least, most)
    low = min(mean.value - (mean.half_width or 0.0) for mean in means)
    high = max(mean.value + (mean.half_width or 0.0) for mean in means)
    return Scale(max(least, floor(low * 20) / 20), min(most, (floor(high * 20) + 1) / 20))


def interval(mean: Mean | None, scale: Scale, width: int, role: str) -> list[Field]:
    """Draw ``├──●──┤``: the mean in its 95 % interval, on the scale."""
    if mean is None or width < 3:
        return [Field(" " * width)]
    half = mean.half_width or 0.0
    low, middle, high = (scale.place(mean.value + step, width) for step in (-half, 0.0, half))
    left = f"├{'─' * (middle - low - 1)}" if low < middle else ""
    right = f"{'─' * (high - middle - 1)}┤" if middle < high else ""
    return [
        Field(" " * low + left, "bar"),
        Field("●", role or "strong"),
        Field(right, "bar"),
        Field(" " * (width - high - 1)),
    ]


def _value(view: CellView, metric: str) -> str:
    mean = view.mean(metric)
    return percent(mean.value if mean else None)
