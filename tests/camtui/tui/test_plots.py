"""Histograms, bars and curves, drawn with characters."""

from __future__ import annotations

import pytest

from camtui.tui import text


def test_histogram_keeps_empty_bins_empty_and_single_images_visible() -> None:
    assert (
        text.histogram([0, 1, 1000, 500]) == " ▁█▄"
        or text.histogram([0, 1, 1000, 500])[0:2] == " ▁"
    )
    assert text.histogram([]) == ""
    lines = text.columns([0, 1, 100], 3)
    assert len(lines) == 3
    assert lines[-1][1] == "▁"
    assert [line[2] for line in lines] == ["█", "█", "█"]


def test_a_flat_curve_is_a_flat_line_and_gaps_stay_gaps() -> None:
    plot = text.BraillePlot(4, 2, 0.0, 1.0)
    plot.line([1.0] * 8)
    assert plot.lines() == ["⠉⠉⠉⠉", "    "]
    plot = text.BraillePlot(2, 1, 0.0, 1.0)
    plot.line([None, None, 0.0, 0.0])
    assert plot.lines() == [" ⣀"]
    plot.line([])


@pytest.mark.parametrize(
    ("share", "filled"), [(0, 0), (0.5, 5), (0.55, 6), (1, 10), (7, 10), (-1, 0)]
)
def test_progress_bar_is_always_as_wide(share: float, filled: int) -> None:
    done, rest = text.bar(share, 10)
    assert len(done) == filled
    assert len(done + rest) == 10


def test_trend_spans_the_range() -> None:
    assert text.trend([0, 50, 100], 0, 100)[0] == "▁"
    assert text.trend([0, 50, 100], 0, 100)[-1] == "█"


def test_dots_leave_out_what_is_not_known() -> None:
    plot = text.BraillePlot(2, 1, 0.0, 1.0)
    plot.dots([])
    assert plot.lines() == ["  "]
