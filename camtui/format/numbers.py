"""Single values as text: percent, intervals, counts, durations."""

from __future__ import annotations

from evaluator.metrics.base import Metric
from evaluator.statistics import Mean, PairedDifference

ABSENT = "–"
"""The text of an absent value."""

BREAKDOWN = 60
"""Seconds in a minute, minutes in an hour."""


def percent(value: float | None, digits: int = 2) -> str:
    """Return a fraction ×100 with fixed digits, as the paper prints it: ``0.53519`` → ``53.52``."""
    if value is None:
        return ABSENT
    text = f"{100 * value:.{digits}f}"
    return text.removeprefix("-") if float(text) == 0 else text


def signed_percent(value: float | None, digits: int = 2) -> str:
    """Return a difference of fractions in points, with its sign: ``+1.20``, ``-0.31``, ``0.00``."""
    text = percent(value, digits)
    return f"+{text}" if value is not None and value > 0 and float(text) != 0 else text


def half_width(mean: Mean | PairedDifference | None, digits: int = 2) -> str:
    """Return half of the 95 % interval as ``±0.12``, empty where it is not known."""
    return "" if mean is None or mean.half_width is None else f"±{percent(mean.half_width, digits)}"


def with_interval(mean: Mean | None) -> str:
    """Return value and half of its 95 % interval: ``75.27 ±0.12``; below two images the value."""
    return ABSENT if mean is None else f"{percent(mean.value)} {half_width(mean)}".rstrip()


def metric_header(metric: Metric, *, long: bool = False) -> str:
    """Return a metric's name with its arrow: ``drop↓``, or ``Average Drop ↓`` if long."""
    return f"{metric.title} {metric.arrow}" if long else f"{metric.short}{metric.arrow}"


def count(n: int) -> str:
    """Return a whole number with thousands separated: ``50,000``."""
    return f"{n:,}"


def short_count(n: int) -> str:
    """Return a number in at most five characters: ``50.0k``, ``1.80M``."""
    if n < 10_000:
        return str(n)
    return f"{n / 1000:.1f}k" if n < 1_000_000 else f"{n / 1_000_000:.2f}M"


def rate(images_per_second: float) -> str:
    """Return three significant digits: ``1,234 images/s``, ``4.1 images/s``, ``32 s per image``."""
    if images_per_second >= 100:
        return f"{images_per_second:,.0f} images/s"
    if images_per_second >= 1:
        return f"{images_per_second:.3g} images/s"
    seconds = 1 / images_per_second
    return f"{seconds:.3g} s per image" if seconds < 60 else f"{duration(seconds)} per image"


def duration(seconds: float | None) -> str:
    """Return a stretch of time in its two largest units: ``4h42``, ``2m44``, ``12s``."""
    if seconds is None:
        return ABSENT
    whole = max(0, round(seconds))
    minutes, rest = divmod(whole, BREAKDOWN)
    hours, minutes = divmod(minutes, BREAKDOWN)
    days, hours_left = divmod(hours, 24)
    if days:
        return f"{days}d{hours_left:02}h"
    if hours:
        return f"{hours}h{minutes:02}"
    return f"{minutes}m{rest:02}" if minutes else f"{rest}s"


def size(n: int) -> str:
    """Return bytes in the largest unit that keeps a number above 1: ``62.0 MB``."""
    value = float(n)
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1000:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} TB"
