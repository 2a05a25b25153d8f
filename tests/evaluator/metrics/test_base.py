"""The direction of a metric: which of two values is better, how a list runs."""

from __future__ import annotations

from evaluator.metrics import average_drop, coherency, deletion, insertion


def test_which_of_two_values_is_better() -> None:
    assert coherency.METRIC.is_better(0.9, 0.1)
    assert average_drop.METRIC.is_better(0.1, 0.9)
    assert not coherency.METRIC.is_better(0.5, 0.5)
    assert not average_drop.METRIC.is_better(0.5, 0.5)


def test_a_list_from_the_worst_rises_where_higher_is_better() -> None:
    assert coherency.METRIC.is_ascending(worst_first=True)
    assert not coherency.METRIC.is_ascending(worst_first=False)
    assert not average_drop.METRIC.is_ascending(worst_first=True)
    assert average_drop.METRIC.is_ascending(worst_first=False)


def test_what_happens_to_the_pixels_along_a_curve() -> None:
    assert (deletion.METRIC.curve_pixels, insertion.METRIC.curve_pixels) == ("removed", "shown")
