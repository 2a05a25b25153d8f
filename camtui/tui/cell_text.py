"""The text about one cell: its name, its averages, its distance from the best, its two plots."""

from __future__ import annotations

from collections.abc import Sequence

from camtui.feed import Snapshot
from camtui.format import (
    ABSENT,
    Mark,
    count,
    groups,
    half_width,
    metric_header,
    percent,
    short_count,
    signed_percent,
)
from camtui.format.notes import UNDEFINED
from camtui.tui import plots
from camtui.tui.widgets.fields import Field
from evaluator.catalog import ROW_METRICS, known_metrics, value_range
from evaluator.records import Cell
from evaluator.statistics import Mean, PairedDifference
from evaluator.text import printable


def cell_name(cell: Cell) -> str:
    """Return ``resnet50 × gradcampp``."""
    return f"{printable(cell.backbone, 28)} × {printable(cell.method, 32)}"


def metric_fields(snapshot: Snapshot, cell: Cell, metric: str, *, n: bool = False) -> list[Field]:
    """Return ``ADCC↑ 85.11 ±0.11``, with its own n where that differs from the cell's."""
    known = known_metrics()[metric]
    mean = snapshot.mean(cell.id, metric)
    name = Field(f"{metric_header(known)} ", "dim")
    if mean is None:
        undefined = metric in ROW_METRICS and snapshot.views[cell.id].summary.n
        return [name, Field(ABSENT if undefined else "····", "dim")]
    fields = [name, Field(percent(mean.value), "strong"), Field(f" {half_width(mean)}", "dim")]
    if n and mean.n != snapshot.views[cell.id].summary.n:
        fields.append(Field(f" n {count(mean.n)}", "dim"))
    return fields


def flowed(groups: Sequence[list[Field]], width: int, gap: int = 3) -> list[list[Field]]:
    """Set groups of fields one after another, broken where the line ends."""
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
    """Describe a cell: how many images, how many failed, every average with its interval."""
    summary = snapshot.views[cell.id].summary
    title = [
        Field(f" {cell_name(cell)}", "strong"),
        Field(f"   n {count(summary.n)}/{count(snapshot.views[cell.id].images)}"),
    ]
    title += [Field(f"   failed {count(summary.failed)}", "warn")] if summary.failed else []
    title += (
        [Field(f"   empty maps {count(summary.degenerate)}", "warn")] if summary.degenerate else []
    )
    if summary.undefined:
        title.append(Field(f"   drop of {count(summary.undefined)} {UNDEFINED}", "warn"))
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
    """Draw a histogram on one line: ``ADCC  0 ▁▁▂▅█▃ 100``."""
    known = known_metrics()[metric]
    low, high = f" {known.short}  {percent(known.low, 0)}", percent(known.high, 0)
    return [Field(low, "dim"), Field(f"▕{plots.histogram(counts)}▏", "bar"), Field(high, "dim")]


def difference_fields(
    snapshot: Snapshot, metric: str, best: Cell, found: PairedDifference | None, mark: Mark
) -> list[Field]:
    """Describe the paired difference to the best of the backbone, in points.

    Args:
        mark: rank of the cell: a tie is one of all tests of its backbone together.
    """
    if mark == "best":
        return [Field("   best of its backbone", "best")]
    name = printable(best.method, 20)
    if found is None:
        own = snapshot.mean(best.id, metric)
        return [Field(f"   best is {name} {percent(own.value)}" if own else "", "dim")]
    verdict = "too few" if not found.tested else "tie" if mark == "tie" else "differs"
    change = f"{signed_percent(-found.value)} {half_width(found)}"
    test = f"{verdict}, paired, n {short_count(found.n)}"
    return [Field(f"   {change} to {name} ({test})", "tie" if mark == "tie" else "dim")]


def class_name(classes: tuple[str, ...], index: int | None) -> str:
    """Return a class by name; by number where the names are not known."""
    return "?" if index is None else groups.class_name(classes, index)


def histogram_lines(counts: list[int], metric: str, width: int, height: int) -> list[list[Field]]:
    """Draw bars as wide as there is room for, with the ends of the scale below."""
    if not any(counts):
        return [[Field("  no value yet", "dim")]]
    repeat = max(1, (width - 4) // len(counts))
    bars = plots.columns(counts, max(1, height - 1))
    lines = [[Field("  "), Field("".join(c * repeat for c in line), "bar")] for line in bars]
    low, high = (percent(end, 0) for end in value_range(metric))
    gap = max(1, len(counts) * repeat - len(low) - len(high) - 1)
    return [*lines, [Field(f"  {low}{' ' * gap}{high} %", "dim")]]


def convergence_lines(curve: list[Mean], width: int, height: int) -> list[list[Field]]:
    """Draw ADCC after n images and the edges of its band, percent on the left, n below."""
    if len(curve) < 2:
        return [[Field("  needs more images", "dim")]]
    settled = curve[len(curve) // 20 + 1 :] or curve
    low = min(mean.value - (mean.half_width or 0) for mean in settled)
    high = max(mean.value + (mean.half_width or 0) for mean in settled)
    plot = plots.BraillePlot(max(8, width - 9), max(1, height - 1), low, high)
    plot.line([mean.value for mean in curve])
    for sign in (-1, 1):
        plot.dots([mean.value + sign * (mean.half_width or 0) for mean in curve])
    rows = plot.lines()
    ticks = axis_ticks(low, high, len(rows))
    lines = [
        [Field(f"{ticks.get(row, ''):>6} ", "dim"), Field(line, "series1")]
        for row, line in enumerate(rows)
    ]
    last, across = curve[-1].n, max(1, width - 10)
    half, end = short_count(last // 2), f"{short_count(last)} images"
    below = f"{half:>{across // 2 + len(half) // 2}}" if across > 40 else ""
    return [*lines, [Field(f"{'':>7}0{below}{end:>{across - len(below)}}", "dim")]]


def axis_ticks(low: float, high: float, rows: int) -> dict[int, str]:
    """Place the labels of an axis: row from the top → the value there in percent.

    Both ends have one, and about every fourth row between them.
    """
    steps = max(1, (rows - 1) // 4)
    places = {round(step * (rows - 1) / steps) for step in range(steps + 1)}
    return {place: percent(high - (high - low) * place / max(1, rows - 1), 1) for place in places}
