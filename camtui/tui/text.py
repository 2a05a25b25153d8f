"""Text about one cell and about the run, and plots drawn in text."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from textwrap import wrap
from typing import NamedTuple

from camtui.feed import Snapshot
from camtui.format import (
    ABSENT,
    CellView,
    Field,
    Mark,
    count,
    duration,
    groups,
    half_width,
    metric_header,
    percent,
    rate,
    short_count,
    signed_percent,
    size,
    with_interval,
)
from camtui.format.notes import UNDEFINED, short_forecast
from evaluator.catalog import ROW_METRICS, known_metrics, value_range
from evaluator.records import Cell, Event, WorkerState
from evaluator.statistics import Mean, PairedDifference
from evaluator.text import printable

_EIGHTHS = "▁▂▃▄▅▆▇█"
_BRAILLE = 0x2800
_DOTS = ((0x01, 0x02, 0x04, 0x40), (0x08, 0x10, 0x20, 0x80))
"""Bit of the dot in column x, row y of a braille character."""


def histogram(counts: Sequence[int]) -> str:
    """Draw a histogram on one line, one character a bin; an empty bin is a space."""
    most = max(counts, default=0)
    return "".join(" " if n == 0 else _EIGHTHS[min(7, n * 8 // (most + 1))] for n in counts)


def columns(counts: Sequence[int], height: int) -> list[str]:
    """Draw a histogram on several lines, from the top, one character a bin."""
    most = max(counts, default=0) or 1
    levels = [max(1 if n else 0, round(n * height * 8 / most)) for n in counts]
    return [
        "".join(_block(level - 8 * row) for level in levels) for row in range(height - 1, -1, -1)
    ]


def _block(level: int) -> str:
    return " " if level <= 0 else _EIGHTHS[min(level, 8) - 1]


def trend(values: Sequence[float], low: float, high: float) -> str:
    """Draw recent values as a line of bars."""
    spread = (high - low) or 1
    return "".join(_EIGHTHS[max(0, min(7, int((value - low) / spread * 8)))] for value in values)


class BraillePlot:
    """Curves on a grid of 2 × 4 dots a character."""

    def __init__(self, width: int, height: int, low: float, high: float) -> None:
        """Make an empty plot of width × height characters, values from low to high."""
        self.width, self.height = width, height
        self._low, self._spread = low, (high - low) or 1.0
        self._cells = [[0] * width for _ in range(height)]

    def line(self, values: Sequence[float | None]) -> None:
        """Draw a curve over the whole width; ``None`` leaves a gap.

        Neighbours are joined by an upright stroke.
        """
        rows = self._rows(values)
        for x, y in enumerate(rows):
            before = rows[x - 1] if x else None
            if y is not None:
                ends = (y, y if before is None else before)
                for dot in range(min(ends), max(ends) + 1):
                    self._set(x, dot)

    def dots(self, values: Sequence[float | None], every: int = 2) -> None:
        """Draw a curve as separate dots: the edge of a band."""
        for x, y in enumerate(self._rows(values)):
            if y is not None and x % every == 0:
                self._set(x, y)

    def _rows(self, values: Sequence[float | None]) -> list[int | None]:
        """Return the row of dots in every column of dots."""
        across, most = self.width * 2, self.height * 4 - 1
        chosen = [values[x * len(values) // across] for x in range(across)] if values else []
        shares = [None if one is None else (one - self._low) / self._spread for one in chosen]
        return [
            None if share is None else max(0, min(most, round((1 - share) * most)))
            for share in shares
        ]

    def _set(self, x: int, y: int) -> None:
        self._cells[y // 4][x // 2] |= _DOTS[x % 2][y % 4]

    def lines(self) -> list[str]:
        """Return the plot from the top."""
        return [
            "".join(chr(_BRAILLE + cell) if cell else " " for cell in row) for row in self._cells
        ]


def bar(share: float, width: int) -> tuple[str, str]:
    """Draw a progress bar as its filled and its empty part, to half a character."""
    halves = max(0, min(2 * width, round(share * 2 * width)))
    filled = "━" * (halves // 2) + ("╸" if halves % 2 else "")
    return filled, "─" * (width - len(filled))


def header(metric: str) -> str:
    """Return a metric's short name with its arrow, by its key: ``drop↓``."""
    return metric_header(known_metrics()[metric])


def cell_name(cell: Cell) -> str:
    """Return ``resnet50 × gradcampp``."""
    return f"{printable(cell.backbone, 28)} × {printable(cell.method, 32)}"


def _common(names: Sequence[str]) -> str:
    """Return what all of them begin with."""
    for place, characters in enumerate(zip(*names, strict=False)):
        if len(set(characters)) > 1:
            return names[0][:place]
    return min(names, key=len)


def shortened(names: Sequence[str], width: int) -> dict[str, str]:
    """Fit names to a width, each to another text where that can be.

    A long one loses its middle; where two would look alike, what they begin with in common.
    """
    safe = {name: printable(name) for name in names}
    tail = (width - 1) // 2
    middle = {
        name: text if len(text) <= width else f"{text[: width - 1 - tail]}…{text[-tail:]}"
        for name, text in safe.items()
    }
    found = {}
    for name, text in safe.items():
        alike = [safe[other] for other in safe if middle[other] == middle[name]]
        common = len(_common(alike)) if len(alike) > 1 else 0
        longest = max(len(other) for other in alike) - common
        kept = text[: max(0, width - 1 - longest)]
        found[name] = f"{kept}…{text[common:]}"[:width] if common else middle[name]
    return found


def in_words(value: object) -> str:
    """Describe a choice of a plan in words: ``none``, ``yes``, lists and tables by commas."""
    if value is None or value == "":
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping):
        named = [f"{name} {in_words(one)}" for name, one in value.items() if one not in (None, "")]
        return ", ".join(named) or "none"
    if isinstance(value, list | tuple):
        return ", ".join(map(in_words, value)) or "none"
    return str(value)


NOT_BEGUN = "····"


def no_value(view: CellView, metric: str) -> str:
    """Say why a cell has no average: undefined on every image, or still to come."""
    return ABSENT if metric in ROW_METRICS and view.summary.n else NOT_BEGUN


def metric_fields(snapshot: Snapshot, cell: Cell, metric: str, *, n: bool = False) -> list[Field]:
    """Return ``ADCC↑ 85.11 ±0.11``, with its own n where that differs from the cell's."""
    mean = snapshot.mean(cell.id, metric)
    name = Field(f"{header(metric)} ", "dim")
    if mean is None:
        return [name, Field(no_value(snapshot.views[cell.id], metric), "dim")]
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


def cell_title(snapshot: Snapshot, cell: Cell) -> list[Field]:
    """Describe a cell: its name, how many images, how many failed."""
    summary = snapshot.views[cell.id].summary
    warnings = {
        f"failed {count(summary.failed)}": summary.failed,
        f"empty maps {count(summary.degenerate)}": summary.degenerate,
        f"drop of {count(summary.undefined)} {UNDEFINED}": summary.undefined,
        "not applicable": not cell.applicable,
    }
    return [
        Field(f" {cell_name(cell)}", "strong"),
        Field(f"   n {count(summary.n)}/{count(snapshot.views[cell.id].images)}"),
        *(Field(f"   {words}", "warn") for words, true in warnings.items() if true),
        *([Field(f"   {printable(cell.note)}", "dim")] if cell.note else []),
    ]


def cell_lines(snapshot: Snapshot, cell: Cell, width: int) -> list[list[Field]]:
    """Describe a cell: how many images, how many failed, every average with its interval."""
    title, summary = cell_title(snapshot, cell), snapshot.views[cell.id].summary
    groups = [
        metric_fields(snapshot, cell, key, n=True)
        for key in sorted(snapshot.metrics, key=lambda key: key != "adcc")
    ]
    if summary.mean_image_adcc is not None:
        per_image = with_interval(summary.mean_image_adcc)
        groups.append([Field("mean image ADCC↑ ", "dim"), Field(per_image, "dim")])
    return [title, *flowed(groups, width)]


def histogram_fields(metric: str, counts: Sequence[int]) -> list[Field]:
    """Draw a histogram on one line: ``ADCC  0 ▁▁▂▅█▃ 100``."""
    known = known_metrics()[metric]
    low, high = f" {known.short}  {percent(known.low, 0)}", percent(known.high, 0)
    return [Field(low, "dim"), Field(f"▕{histogram(counts)}▏", "bar"), Field(high, "dim")]


def difference_fields(
    snapshot: Snapshot, metric: str, best: Cell, found: PairedDifference | None, mark: Mark
) -> list[Field]:
    """Describe the paired difference to the best of the backbone, in points.

    Args:
        mark: rank of the cell: a tie is one of all tests of its backbone together.
    """
    if mark == "best":
        return [Field("   best of its network", "best")]
    name = printable(best.method, 20)
    if found is None:
        own = snapshot.mean(best.id, metric)
        return [Field(f"   best is {name} {percent(own.value)}" if own else "", "dim")]
    verdict = "too few" if not found.tested else "tie" if mark == "tie" else "differs"
    change = f"{signed_percent(-found.value)} {half_width(found)}"
    test = f"{verdict}, {short_count(found.n)} pairs"
    return [Field(f"  {change} to {name} ({test})", "tie" if mark == "tie" else "dim")]


def class_name(classes: tuple[str, ...], index: int | None) -> str:
    """Return a class by name; by number where the names are not known."""
    return "?" if index is None else groups.class_name(classes, index)


def histogram_lines(counts: list[int], metric: str, width: int, height: int) -> list[list[Field]]:
    """Draw bars as wide as there is room for, with the ends of the scale below."""
    if not any(counts):
        return [[Field("  no value yet", "dim")]]
    repeat = max(1, (width - 4) // len(counts))
    bars = columns(counts, max(1, height - 1))
    lines = [[Field("  "), Field("".join(c * repeat for c in line), "bar")] for line in bars]
    low, high = (percent(end, 0) for end in value_range(metric))
    gap = max(1, len(counts) * repeat - len(low) - len(high) - 1)
    return [*lines, [Field(f"  {low}{' ' * gap}{high} %", "dim")]]


NO_CURVE = [[Field("  made of averages: not drawn over n", "dim")]]
"""In place of ARCC's curve, whose sources are not kept in the order of the images."""


def convergence_lines(curve: list[Mean], metric: str, width: int, height: int) -> list[list[Field]]:
    """Draw a metric after n images and the edges of its band, percent on the left, n below.

    The axis ends where the metric does.
    """
    if len(curve) < 2:
        return [[Field("  needs more images", "dim")]]
    settled = curve[len(curve) // 20 + 1 :] or curve
    least, most = value_range(metric)
    low = max(least, min(mean.value - (mean.half_width or 0) for mean in settled))
    high = min(most, max(mean.value + (mean.half_width or 0) for mean in settled))
    plot = BraillePlot(max(8, width - 9), max(1, height - 1), low, high)
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


STATES = {
    "starting": ("◌", "accent"),
    "running": ("●", "good"),
    "stopping": ("◍", "warn"),
    "paused": ("‖", "warn"),
    "stopped": ("■", "warn"),
    "complete": ("✓", "good"),
    "failed": ("✗", "error"),
    "crashed": ("✗", "error"),
}
"""State → sign and role; the word itself always stands beside the sign."""

GIB = 1 << 30

MESSAGE_ROWS = 2
"""Rows that the reason of an end may take where it does not fit beside the command."""


def clock(when: float) -> str:
    """Format weekday and time of day: ``Tue 09:40``."""
    return time.strftime("%a %H:%M", time.localtime(when))


def state_field(state: str) -> Field:
    """Return ``● RUNNING``."""
    sign, role = STATES.get(state, ("?", "warn"))
    return Field(f"{sign} {state.upper()}", role)


def title_line(snapshot: Snapshot, width: int, *, frozen: bool = False) -> list[Field]:
    """Describe name, state, progress, rate and time left."""
    status = snapshot.status
    head = [
        Field(" camtui ", "dim"),
        Field(printable(snapshot.info.name, 24), "strong"),
        Field(" "),
        state_field(status.state),
    ]
    if frozen:
        head.append(Field(" ‖ FROZEN", "warn"))
    tail = [Part(0, Field(f" {percent(status.progress, 1)}%"))]
    if status.live:
        if status.stage:
            done = f"{short_count(status.done)} of {short_count(status.total)}"
            text = f"images: {done}"
            if status.stages > 1:
                text = f"stage {status.stage_number} of {status.stages}: {done} images"
            tail.append(Part(3, Field(f"  {text}", "dim")))
        tail.append(
            Part(
                2,
                Field(
                    f"  {rate(status.images_per_second)}" if status.images_per_second else "", "dim"
                ),
            )
        )
        tail += _time_left(snapshot, width)
        if more := short_forecast(status.until, status.images):
            tail.append(Part(2, Field(f"  {more}", "accent")))
    elif snapshot.info.finished is not None:
        tail.append(Part(1, Field(f"  ended {clock(snapshot.info.finished)}", "dim")))
    end = most_important(tail, width - _length(head) - 1)
    room = width - _length(head) - _length(end) - 2
    if room < 4:
        return head + end
    filled, empty = bar(status.progress, min(room, 40))
    return [*head, Field(" "), Field(filled, "bar"), Field(empty, "trough"), *end]


def _time_left(snapshot: Snapshot, width: int) -> list[Part]:
    """Describe the time left; a run that stops only finishes what is being computed."""
    eta = snapshot.status.eta_seconds
    if snapshot.status.state == "stopping":
        return [Part(1, Field("  finishing what is being computed", "warn"))]
    if eta is None:
        return [Part(1, Field("  ETA …", "accent"))]
    end = Field(f" ({clock(snapshot.taken + eta)})", "dim")
    left = [Part(1, Field(f"  ETA {duration(eta)}", "accent"))]
    return [*left, Part(4, end)] if width >= 100 else left


class Part(NamedTuple):
    """A piece of a line and its rank: where there is no room the highest goes first."""

    rank: int
    field: Field


def most_important(parts: Sequence[Part], room: int) -> list[Field]:
    """Return as many of the parts as fit, in their order."""
    kept = list(parts)
    while len(kept) > 1 and _length([part.field for part in kept]) > room:
        kept.remove(max(kept, key=lambda part: part.rank))
    return [part.field for part in kept]


def _length(fields: Sequence[Field]) -> int:
    return sum(len(field.text) for field in fields)


def state_lines(snapshot: Snapshot, now: float, width: int) -> list[list[Field]]:
    """Describe devices, failures and the age of the heartbeat of a live run.

    Of any other: why it has ended, whole, and the command that mends it.
    """
    status = snapshot.status
    if snapshot.problem or status.live:
        return [worker_line(snapshot, now, width)]
    role = {"crashed": "error", "failed": "error", "stopped": "warn"}.get(status.state, "dim")
    line = [
        Field(f" {status.advice}", role),
        Field(f"   {status.failed}", "dim"),
    ]
    if not status.message:
        return [line]
    if _length(line) + len(status.message) + 3 <= width:
        return [[*line, Field(f"   {status.message}", "dim")]]
    words = wrap(status.message, width - 2)[:MESSAGE_ROWS]
    return [line, *([Field(f" {text}", role)] for text in words)]


def worker_line(snapshot: Snapshot, now: float, width: int) -> list[Field]:
    """Describe devices, failures, the age of the heartbeat of a run that is under way."""
    if snapshot.problem:
        return [Field(f" {snapshot.problem}; what you see is the last that was read", "error")]
    parts = [Part(0, Field("", "dim"))]
    for place, worker in enumerate(snapshot.workers):
        parts.append(Part(1 + 2 * place, Field(f" {device_text(worker)} ", "dim")))
        if place == 0 and snapshot.utilisation:
            parts.append(Part(8, Field("busy ", "dim")))
            parts.append(Part(8, Field(f"{trend(snapshot.utilisation, 0, 100)} ", "bar")))
        heat = heat_text(worker)
        parts.append(Part(9 + place, Field(f"{heat} " if heat else "", "dim")))
    parts.append(Part(0, failed_field(snapshot, " ")))
    if snapshot.info.heartbeat is not None:
        age = max(0.0, now - snapshot.info.heartbeat)
        parts.append(Part(2, Field(f"  last write {duration(age)}", "warn" if age > 10 else "dim")))
    parts.append(Part(7, Field(f"  file {size(snapshot.size)}", "dim")))
    return most_important(parts, width)


def failed_field(snapshot: Snapshot, before: str = "") -> Field:
    """Return ``2 images failed (12 maps)``."""
    return Field(f"{before}{snapshot.status.failed}", "warn" if snapshot.failures else "dim")


def device_text(worker: WorkerState) -> str:
    """Return ``cuda:0 util 97% mem 33/141G``; what a device does not tell is left out."""
    parts = [printable(worker.device, 12)]
    if worker.utilisation is not None:
        parts.append(f"util {worker.utilisation:.0f}%")
    if worker.memory_used is not None:
        total = f"/{worker.memory_total / GIB:.0f}" if worker.memory_total else ""
        parts.append(f"mem {worker.memory_used / GIB:.0f}{total}G")
    parts += [f"restarts {worker.restarts}"] if worker.restarts else []
    return " ".join(parts)


def heat_text(worker: WorkerState) -> str:
    """Return ``612W 71°C``."""
    parts = [f"{worker.power:.0f}W"] if worker.power is not None else []
    parts += [f"{worker.temperature:.0f}°C"] if worker.temperature is not None else []
    return " ".join(parts)


def summary_lines(snapshot: Snapshot) -> list[list[Field]]:
    """Describe a run for a terminal too small for anything else."""
    status = snapshot.status
    lines = [
        [state_field(status.state)],
        [Field(f"{percent(status.progress, 1)}% of {count(status.images)} images")],
    ]
    if status.live and status.eta_seconds is not None:
        lines.append([Field(f"ETA {duration(status.eta_seconds)}", "accent")])
    means = [
        (mean.value, cell) for cell in snapshot.cells if (mean := snapshot.mean(cell.id, "adcc"))
    ]
    if means:
        value, cell = max(means, key=lambda item: item[0])
        lines.append([Field(f"best ADCC {percent(value)}", "best")])
        lines.append([Field(cell_name(cell), "dim")])
    lines.append([failed_field(snapshot)])
    lines.append([Field(f"q {'detach' if status.live else 'quit'}   larger: 60×16", "dim")])
    return lines


def event_lines(snapshot: Snapshot, rows: int) -> list[list[Field]]:
    """Describe the newest events, oldest first."""
    return [event_fields(event) for event in snapshot.events[-rows:]]


def event_fields(event: Event) -> list[Field]:
    """Return ``09:12:04 WARNING text``."""
    role = {"warning": "warn", "error": "error"}.get(event.level, "dim")
    when = time.strftime("%H:%M:%S", time.localtime(event.time))
    return [
        Field(f" {when} ", "dim"),
        Field(f"{printable(event.level, 8).upper():<8}", role),
        Field(printable(event.text, 400)),
    ]


def side_lines(snapshot: Snapshot, width: int) -> list[list[Field]]:
    """Describe a run beside the table of a wide terminal.

    Every worker, the last minute, and how far each stretch of work is.
    """
    lines = [[Field(" Workers", "head")]]
    # the stored workers of a run that has ended are how they were last seen
    workers = snapshot.workers if snapshot.status.live else ()
    for worker in workers:
        state = Field(f"  {printable(worker.state, 16)}", "dim")
        lines.append([Field(f"  {printable(worker.device, 12)}"), state])
        figures = f"{device_text(worker).partition(' ')[2]} {heat_text(worker)}".strip()
        lines += [[Field(f"    {figures}", "dim")]] if figures else []
    lines += [[Field("  none now", "dim")]] if not workers else []
    if snapshot.status.live:
        lines += _trend_lines(snapshot)
    lines += [[], [Field(" Stages", "head")]]
    titles = shortened([stage.title for stage in snapshot.stages], width - 20)
    for stage in snapshot.stages:
        share = stage.done / stage.images if stage.images else 1.0
        filled, empty = bar(share, 10)
        name = Field(f"  {titles[stage.title]:<{width - 20}} ")
        done = Field(f" {100 * share:4.0f}%")
        lines.append([name, Field(filled, "bar"), Field(empty, "trough"), done])
    return lines


def _trend_lines(snapshot: Snapshot) -> list[list[Field]]:
    """Draw the last minute in bars, and name the cells under way."""
    lines: list[list[Field]] = []
    fastest = max(snapshot.rates, default=0.0)
    for word, values, most, unit in (
        ("busy", snapshot.utilisation, 100.0, "%"),
        ("rows", snapshot.rates, fastest, "a second"),
    ):
        if values:
            bars = Field(trend(values, 0, most), "bar")
            lines.append([Field(f"  {word}  ", "dim"), bars, Field(f" 0-{most:.3g} {unit}", "dim")])
    ahead = [stage for stage in snapshot.stages if stage.cells and stage.done < stage.images]
    for word, stage in zip(("now", "next"), ahead, strict=False):
        lines.append([Field(f"  {word:<6}", "dim"), Field(printable(stage.title, 27))])
    return lines
