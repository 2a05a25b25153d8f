"""Numbers as the paper prints them, progress, and the decision of a rule."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

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
from camtui.format.notes import look_text, more_text, short_forecast
from camtui.format.terms import percent_done, time_left
from camtui.status import status_in
from evaluator.metrics import all_metrics
from evaluator.records import Look
from evaluator.statistics import Mean
from tests.synthetic import make_run


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


@pytest.mark.parametrize(
    ("progress", "stage", "digits", "text"),
    [
        (0.0, "rows", 0, "0%"),
        (0.38, "rows", 0, "38%"),
        (0.999, "rows", 0, "99%"),
        (1.0, "ARCC", 0, "99%"),
        (1.0, "ARCC", 1, "99.9%"),
        (1.0, "", 1, "100.0%"),
        (0.29, "", 0, "29%"),
    ],
)
def test_progress_is_rounded_down(
    tmp_path: Path, progress: float, stage: str, digits: int, text: str
) -> None:
    status = status_in(make_run(tmp_path / "a.db", methods=["gradcam"], images=2))
    assert percent_done(replace(status, progress=progress, stage=stage), digits) == text
    assert time_left(replace(status, eta_seconds=0.9)) == ""
    assert time_left(replace(status, eta_seconds=None)) == ""
    assert time_left(replace(status, eta_seconds=12.0)) == ", 12s left"


LOOK = Look("ci<=0.5", 120, 340, None, {}, ())


def test_a_rule_under_way() -> None:
    assert look_text(LOOK, 5000) == "ci<=0.5: 120 images looked at, about 220 more"
    assert short_forecast(LOOK, 5000) == "~220 more"


def test_before_anything_is_known() -> None:
    early = replace(LOOK, images=0, needed=None)
    assert more_text(early, 5000) == "how many it takes is known after 50, at most 5,000"
    assert short_forecast(early, 5000) == short_forecast(None, 5000) == ""


def test_a_rule_that_will_not_be_met() -> None:
    assert more_text(LOOK, 340) == "probably not met after all 340"
    assert short_forecast(LOOK, 340) == ""
    assert look_text(LOOK, 340, ended=True) == "ci<=0.5: not met after all 340 images"


def test_a_rule_that_is_met() -> None:
    met = replace(LOOK, images=350, needed=350, decided=350)
    assert look_text(met, 5000) == "ci<=0.5: met by the first 350 of 5,000 images"
    assert short_forecast(met, 5000) == ""
