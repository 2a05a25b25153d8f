"""The rows of the grid, from a snapshot, and what stands above and beside them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
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
from evaluator.catalog import ROW_METRICS, known_metrics, split_spec
from evaluator.errors import CamtuiError
from evaluator.records import Cell
from evaluator.statistics import Mean
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
    columns, lines = (
        _long(snapshot, options, marks, paper)
        if options.long
        else _pivot(snapshot, options, marks, paper, width)
    )
    place = {key: index for index, key in enumerate(previous)}
    return columns, sorted(lines, key=lambda line: place.get(line.key, len(place)))


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
    columns = [TableColumn("method", "method", width=name_width, numeric=False)]
    columns += [TableColumn(name, _two_lines(name, size), width=size) for name in backbones]
    columns += [TableColumn("average", "average", width=8)] if average else []
    lines = []
    for method in methods:
        views = [cells.get((name, method)) for name in backbones]
        fields = [Field(printable(method), "strong")]
        fields += [_field(view, options, marks, paper, wide) for view in views]
        fields += [_average(views, options, paper)] if average else []
        lines.append(Line(method, tuple(fields)))
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


def _long(snapshot: Snapshot, options: GridOptions, marks: Marks, paper: PaperValue) -> Grid:
    metrics = sorted(snapshot.metrics, key=lambda key: key != "adcc")
    columns = [
        TableColumn("method", "method", width=_NAME_WIDTH, numeric=False),
        TableColumn("backbone", "backbone", width=12, numeric=False),
        TableColumn("n", "n", width=6),
        TableColumn("failed", "failed", width=6),
        *(TableColumn(key, text.header(key), width=8) for key in metrics),
    ]
    lines = []
    for found in _sorted_cells(snapshot, options):
        cell = found.cell
        fields = [Field(printable(cell.method), "strong"), Field(printable(cell.backbone))]
        n = f"{'~' if found.partial else ''}{short_count(found.summary.n)}"
        failed = found.summary.failed
        fields += [Field(n, "dim"), Field(short_count(failed), "error" if failed else "dim")]
        for key in metrics:
            fields.append(_field(found, replace(options, metric=key), marks, paper, wide=False))
        lines.append(Line((cell.backbone, cell.method), tuple(fields)))
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

_VALUE_WIDTH = 7
_MIN_BAR, _MAX_BAR = 12, 44


class Scale(NamedTuple):
    """The stretch of ADCC that the bars cover, fractions."""

    low: float
    high: float

    def place(self, value: float, width: int) -> int:
        """Return the column, from 0, in which a value falls; the ends where it lies outside."""
        share = (value - self.low) / ((self.high - self.low) or 1.0)
        return max(0, min(width - 1, round(share * (width - 1))))


def component_lines(
    snapshot: Snapshot, backbone: str, marks: Marks, width: int, rows: int
) -> list[list[Field]]:
    """Describe every component of one backbone, best ADCC first.

    Each has a bar with its 95 % interval, then the metrics as far as they fit.

    Args:
        marks: ranks by ADCC.
        width, rows: room in cells.
    """
    views = _by_adcc(
        view
        for view in snapshot.views.values()
        if view.cell.backbone == backbone and view.cell.applicable
    )
    name_width = max([6, *(min(len(view.cell.method), 20) for view in views)])
    others = [key for key in snapshot.metrics if key != "adcc"]
    room = width - name_width - 19
    fitting = max(0, min(len(others), (room - _MIN_BAR) // (_VALUE_WIDTH + 1)))
    bar = max(0, min(_MAX_BAR, room - fitting * (_VALUE_WIDTH + 1)))
    scale = _scale(views)
    low, high = percent(scale.low, 0), percent(scale.high, 0)
    ends = f"{low}{high:>{max(1, bar - len(low))}}"
    heads = [text.header(key) for key in others[:fitting]]
    head = f" {'method':<{name_width}} {fitted('ADCC↑', 15, right=True)} {ends}"
    head += "".join(f" {fitted(title, _VALUE_WIDTH, right=True)}" for title in heads)
    lines = [[Field(head, "head")]]
    for view in views[: max(0, rows - 1)]:
        mark = marks.get((view.cell.id, "adcc"), "")
        role = mark if mark in ("best", "tie") else ""
        mean = view.mean("adcc")
        name = fitted(printable(view.cell.method), name_width, right=False)
        value = f"{with_interval(mean)}{SIGNS[mark] or ' '}"
        lines.append(
            [
                Field(f" {name} ", "strong"),
                Field(fitted(value, 15, right=True), role),
                Field(" "),
                *_bar(mean, scale, bar, role),
                *(Field(f" {_value(view, key):>{_VALUE_WIDTH}}", "") for key in others[:fitting]),
            ]
        )
    return lines


def leaders(snapshot: Snapshot, backbone: str) -> list[Cell]:
    """Return the methods of a backbone with the best ADCC so far.

    Controls, and copies of another method's map, are left out.
    """
    views = [
        view
        for view in snapshot.views.values()
        if view.cell.backbone == backbone and view.mean("adcc")
    ]
    ranked = [view for view in _by_adcc(views) if not (view.control or view.twin)]
    return [view.cell for view in ranked[:LEADERS]]


def leader_lines(
    curves: Sequence[tuple[Cell, Sequence[Mean]]], width: int, height: int
) -> list[list[Field]]:
    """Draw ADCC of the leaders after the first n images, one colour each.

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


def _by_adcc(views: Iterable[CellView]) -> list[CellView]:
    """Sort views by ADCC, best first; those without a value and controls come last."""

    def rank(view: CellView) -> tuple[bool, bool, float]:
        mean = view.mean("adcc")
        return view.control, mean is None, -(mean.value if mean else 0.0)

    return sorted(views, key=rank)


def _scale(views: Sequence[CellView]) -> Scale:
    """Find the scale from the lowest to the highest end of an interval, in steps of 5 points.

    Controls are left out.
    """
    means = [mean for view in views if not view.control and (mean := view.mean("adcc")) is not None]
    if not means:
        return Scale(0.0, 1.0)
    low = min(mean.value - (mean.half_width or 0.0) for mean in means)
    high = max(mean.value + (mean.half_width or 0.0) for mean in means)
    return Scale(max(0.0, int(low * 20) / 20), min(1.0, (int(high * 20) + 1) / 20))


def _bar(mean: Mean | None, scale: Scale, width: int, role: str) -> list[Field]:
    """Draw ``━━━━━━╾─●─╼···``: up to the interval, the interval with its mean, the rest."""
    if mean is None or width < 3:
        return [Field(" " * width)]
    half = mean.half_width or 0.0
    low, middle, high = (scale.place(mean.value + step, width) for step in (-half, 0.0, half))
    return [
        Field("━" * low, "bar"),
        Field("─" * (middle - low), "dim"),
        Field("●", role or "strong"),
        Field("─" * (high - middle), "dim"),
        Field(" " * (width - high - 1)),
    ]


def _value(view: CellView, metric: str) -> str:
    mean = view.mean(metric)
    return percent(mean.value if mean else None)
