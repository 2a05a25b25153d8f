"""What is said about one cell: its name, its averages, how far it is from the best.

Pure functions.
"""

from __future__ import annotations

from collections.abc import Sequence

from camtui.feed import Snapshot
from camtui.format import (
    count,
    groups,
    half_width,
    metric_header,
    percent,
    short_count,
    signed_percent,
)
from camtui.tui import plots
from camtui.tui.widgets.fields import Field
from evaluator.catalog import known_metrics
from evaluator.records import Cell
from evaluator.statistics import PairedDifference
from evaluator.text import printable


def cell_name(cell: Cell) -> str:
    """``resnet50 × gradcampp``."""
    return f"{printable(cell.backbone, 28)} × {printable(cell.method, 32)}"


def metric_fields(snapshot: Snapshot, cell: Cell, metric: str, *, n: bool = False) -> list[Field]:
    """``ADCC↑ 85.11 ±0.11``, with its own n where that differs from the cell's."""
    known = known_metrics()[metric]
    mean = snapshot.mean(cell.id, metric)
    name = Field(f"{metric_header(known)} ", "dim")
    if mean is None:
        return [name, Field("····", "dim")]
    fields = [name, Field(percent(mean.value), "strong"), Field(f" {half_width(mean)}", "dim")]
    if n and mean.n != snapshot.views[cell.id].summary.n:
        fields.append(Field(f" n {count(mean.n)}", "dim"))
    return fields


def flowed(groups: Sequence[list[Field]], width: int, gap: int = 3) -> list[list[Field]]:
    """Groups of fields set one after another, broken where the line ends."""
    lines: list[list[Field]] = [[Field(" ")]]
    used = 1
    for group in groups:
        length = sum(len(field.text) for field in group)
        if used + length > width and len(lines[-1]) > 1:
            lines.append([Field(" ")])
            used = 1
        lines[-1] += [*group, Field(" " * gap)]
        used += length + gap
    return lines


def cell_lines(snapshot: Snapshot, cell: Cell, width: int) -> list[list[Field]]:
    """What is known of a cell: how many, what failed, every average with its interval."""
    summary = snapshot.views[cell.id].summary
    title = [
        Field(f" {cell_name(cell)}", "strong"),
        Field(f"   n {count(summary.n)}/{count(snapshot.views[cell.id].images)}"),
    ]
    title += [Field(f"   failed {count(summary.failed)}", "warn")] if summary.failed else []
    title += (
        [Field(f"   empty maps {count(summary.degenerate)}", "warn")] if summary.degenerate else []
    )
    if not cell.applicable:
        title.append(Field("   not applicable", "warn"))
    title += [Field(f"   {printable(cell.note)}", "dim")] if cell.note else []
    groups = [
        metric_fields(snapshot, cell, key, n=True)
        for key in sorted(snapshot.metrics, key=lambda key: key != "adcc")
    ]
    if summary.mean_image_adcc is not None:
        per_image = summary.mean_image_adcc
        groups.append(
            [
                Field("mean image ADCC↑ ", "dim"),
                Field(f"{percent(per_image.value)} {half_width(per_image)}", "dim"),
            ]
        )
    return [title, *flowed(groups, width)]


def histogram_fields(metric: str, counts: Sequence[int]) -> list[Field]:
    """``ADCC  0 ▁▁▂▅█▃ 100`` on one line."""
    known = known_metrics()[metric]
    low, high = f" {known.short}  {percent(known.low, 0)}", percent(known.high, 0)
    return [Field(low, "dim"), Field(f"▕{plots.histogram(counts)}▏", "bar"), Field(high, "dim")]


def difference_fields(
    snapshot: Snapshot, metric: str, best: Cell, found: PairedDifference | None, *, is_best: bool
) -> list[Field]:
    """The paired difference to the best of the backbone, in points."""
    if is_best:
        return [Field("   best of its backbone", "best")]
    name = printable(best.method, 20)
    if found is None:
        own = snapshot.mean(best.id, metric)
        return [Field(f"   best is {name} {percent(own.value)}" if own else "", "dim")]
    verdict = "tie" if found.tie else "differs"
    text = f"   {signed_percent(-found.value)} {half_width(found)} to {name} ({verdict}, paired, n {short_count(found.n)})"
    return [Field(text, "tie" if found.tie else "dim")]


def class_name(classes: tuple[str, ...], index: int | None) -> str:
    """The class by name; by number where the names are not known."""
    return "?" if index is None else groups.class_name(classes, index)
