"""Numbers as the paper prints them."""

from __future__ import annotations

import pytest

from camtui.format import (
    count,
    duration,
    metric_header,
    percent,
    rate,
    short_count,
    signed_percent,
    size,
    with_interval,
)
from evaluator.metrics import all_metrics
from evaluator.statistics import Mean


@pytest.mark.parametrize(
    ("value", "digits", "text"),
    [
        (0.535192, 2, "53.52"),
        (1 - 1 / 50176, 2, "100.00"),
        (5.98e-5, 2, "0.01"),
        (-1e-9, 2, "0.00"),
        (0.5, 0, "50"),
        (None, 2, "–"),
    ],
)
def test_percent(value: float | None, digits: int, text: str) -> None:
    assert percent(value, digits) == text


def test_signed_percent() -> None:
    assert [signed_percent(v) for v in (0.012, -0.0031, 0.0, -1e-9, 1e-9, None)] == [
        "+1.20",
        "-0.31",
        "0.00",
        "0.00",
        "0.00",
        "–",
    ]


def test_interval() -> None:
    assert with_interval(Mean(100, 0.7527, 0.001)) == "75.27 ±0.20"
    assert with_interval(Mean(1, 0.7527, None)) == "75.27"
    assert with_interval(None) == "–"


def test_headers_have_the_direction() -> None:
    headers = [metric_header(metric) for metric in all_metrics().values()][:7]
    assert headers == ["drop↓", "inc↑", "del↓", "ins↑", "coh↑", "compl↓", "ADCC↑"]
    assert metric_header(all_metrics()["average_drop"], long=True) == "Average Drop ↓"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0001, "2h46 per image"),
        (0.0312, "32.1 s per image"),
        (0.04, "25 s per image"),
        (0.999, "1 s per image"),
        (4.126, "4.13 images/s"),
        (62.04, "62 images/s"),
        (136.4, "136 images/s"),
        (12_345.6, "12,346 images/s"),
    ],
)
def test_rates_below_one_a_second_are_times_for_an_image(value: float, text: str) -> None:
    assert rate(value) == text


def test_counts_times_and_sizes() -> None:
    assert [count(50_000), short_count(9_999), short_count(27_900), short_count(1_800_000)] == [
        "50,000",
        "9999",
        "27.9k",
        "1.80M",
    ]
    assert [duration(s) for s in (0.4, 59.4, 164, 16_920, 100_000, None)] == [
        "0s",
        "59s",
        "2m44",
        "4h42",
        "1d03h",
        "–",
    ]
    assert [size(n) for n in (12, 62_000_000)] == ["12 B", "62.0 MB"]


def test_what_is_larger_than_any_unit_is_said_in_the_largest() -> None:
    assert size(3 * 10**15) == "3000.0 TB"
