"""The text about one image in one cell: its place, its file, its classes, values and curves."""

from __future__ import annotations

import numpy as np

from camtui.format import ABSENT, count, metric_header, percent
from camtui.format.notes import UNDEFINED
from camtui.tui import plots
from camtui.tui.cell_text import cell_name, class_name, flowed
from camtui.tui.image_record import ImageRecord
from camtui.tui.widgets.fields import Field
from evaluator.catalog import ROW_METRICS, known_metrics
from evaluator.records import Measurement
from evaluator.text import printable


def where_line(record: ImageRecord, metric: str, worst: bool, width: int) -> list[Field]:
    """Describe cell, place in the order, and as much of the file's path as there is room for."""
    undefined = record.row is not None and metric in ROW_METRICS
    none = "undefined" if undefined else "no value"
    place = f"{count(record.rank[0])}/{count(record.rank[1])}" if record.rank else none
    end = "worst" if worst else "best"
    head = [
        Field(f" {cell_name(record.cell)}", "strong"),
        Field(f"  {end} by {known_metrics()[metric].short} ", "dim"),
        Field(place, "accent"),
    ]
    room = width - sum(len(field.text) for field in head) - 3
    return [*head, Field(f"  {printable(record.image.path, max(12, room))}", "dim")]


def fact_lines(record: ImageRecord, metric: str, width: int) -> list[list[Field]]:
    """Describe classes, confidences and every metric of an image."""
    classes = record.loaded.classes if record.loaded else ()
    row = record.row
    if row is None:
        return [[Field(f" {record.failure}", "warn")]]
    same = record.image.label == row.predicted
    predicted = Field(class_name(classes, row.predicted), "" if same else "warn")
    facts = [
        [Field("true ", "dim"), Field(class_name(classes, record.image.label))],
        [Field("predicted ", "dim"), predicted],
    ]
    if row.target != row.predicted:
        facts.append([Field("explained ", "dim"), Field(class_name(classes, row.target))])
    confidence = [Field("confidence ", "dim"), Field(f"{row.y:.3f} → {row.o:.3f}")]
    facts.append(
        [*confidence, Field(" on the explanation map" if width >= 100 else " masked", "dim")]
    )
    groups = []
    for key in known_metrics():
        value = record.value(key)
        if value is not None or key in ("average_drop", "adcc"):
            shown = percent(value) if value is not None else ABSENT
            name = Field(f"{metric_header(known_metrics()[key])} ", "dim")
            groups.append([name, Field(shown, "strong" if key == metric else "")])
    lines = [*flowed(facts, width), *flowed(groups, width)]
    if row.average_drop is None:
        lines.append([Field(f" average drop and ADCC {UNDEFINED}", "warn")])
    if row.degenerate:
        lines.append([Field(" the map is all zero: nothing spoke for the class", "warn")])
    return lines


def curve_lines(record: ImageRecord, width: int, height: int = 7) -> list[list[Field]]:
    """Draw deletion, insertion and their like side by side.

    Confidence is upwards, the share of pixels to the right.

    Args:
        height: rows, title and axis included.
    """
    side = max(16, width // max(2, len(record.curves)) - 2)
    blocks = [
        _curve_block(name, record.curves[name], side, max(5, height), f"series{place}")
        for place, name in enumerate(sorted(record.curves))
    ]
    return [
        [part for block in blocks for part in (*block[row], Field("  "))]
        for row in range(max(5, height))
    ]


def _curve_block(
    name: str, measured: Measurement, width: int, height: int, role: str
) -> list[list[Field]]:
    """Draw one curve with its title, the ends of both axes, and their names."""
    metric = known_metrics()[name]
    points = np.frombuffer(measured.curve, dtype="<f2").astype(float).tolist()
    top = max([0.05, *points])
    rows = height - 2
    plot = plots.BraillePlot(width - 6, rows, 0.0, top)
    plot.line(points)
    title = f" {metric.title} {metric.arrow} {percent(measured.value)}: confidence in the class"
    labels = {0: f"{top:.2f}", rows - 1: "0"}
    lines = [[Field(f"{title:<{width}.{width}}", "dim")]]
    lines += [
        [Field(f"{labels.get(row, ''):>5} ", "dim"), Field(line, role)]
        for row, line in enumerate(plot.lines())
    ]
    axis = f"{f'100 % of pixels {metric.curve_pixels}':>{width - 7}}"
    return [*lines, [Field(f"{'':>6}0{axis[-(width - 7) :]}", "dim")]]
