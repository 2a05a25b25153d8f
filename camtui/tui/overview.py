"""The text that large terminals show beside the table.

Every component of one backbone, and how ADCC of its leading methods converged. Pure functions.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from camtui.feed import Snapshot
from camtui.format import SIGNS, CellView, half_width, metric_header, percent, short_count
from camtui.ties import Marks
from camtui.tui import plots
from camtui.tui.cell_text import flowed
from camtui.tui.widgets.fields import Field, fitted
from evaluator.catalog import known_metrics
from evaluator.records import Cell
from evaluator.statistics import Mean
from evaluator.text import printable

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
        [
            view
            for view in snapshot.views.values()
            if view.cell.backbone == backbone and view.cell.applicable
        ]
    )
    name_width = max([6, *(min(len(view.cell.method), 20) for view in views)])
    others = [key for key in snapshot.metrics if key != "adcc"]
    room = width - name_width - 19
    fitting = max(0, min(len(others), (room - _MIN_BAR) // (_VALUE_WIDTH + 1)))
    bar = max(0, min(_MAX_BAR, room - fitting * (_VALUE_WIDTH + 1)))
    scale = _scale(views)
    low, high = percent(scale.low, 0), percent(scale.high, 0)
    ends = f"{low}{high:>{max(1, bar - len(low))}}"
    heads = [metric_header(known_metrics()[key]) for key in others[:fitting]]
    head = f" {'method':<{name_width}} {fitted('ADCC↑', 15, right=True)} {ends}"
    head += "".join(f" {fitted(title, _VALUE_WIDTH, right=True)}" for title in heads)
    lines = [[Field(head, "head")]]
    for view in views[: max(0, rows - 1)]:
        mark = marks.get((view.cell.id, "adcc"), "")
        role = mark if mark in ("best", "tie") else ""
        mean = view.mean("adcc")
        value = f"{percent(mean.value if mean else None)} {half_width(mean)}".rstrip() + (
            SIGNS[mark] or " "
        )
        lines.append(
            [
                Field(
                    f" {fitted(printable(view.cell.method), name_width, right=False)} ", "strong"
                ),
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
    apart = [
        view.cell
        for view in _by_adcc(views)
        if not view.control and not view.cell.note.startswith("identical to")
    ]
    return apart[:LEADERS]


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
        plot = plots.BraillePlot(max(8, width - 8), rows, low, high)
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


def _by_adcc(views: Sequence[CellView]) -> list[CellView]:
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
