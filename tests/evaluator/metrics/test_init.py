"""The metrics there are, in the paper's order, each with its direction."""

from __future__ import annotations

from evaluator.catalog import ROW_METRICS, curve_metrics, optional_metrics
from evaluator.metrics import all_metrics

ORDER = [
    "average_drop",
    "average_increase",
    "deletion",
    "insertion",
    "coherency",
    "complexity",
    "adcc",
]


def test_the_paper_s_seven_in_its_order() -> None:
    assert list(all_metrics())[:7] == ORDER


def test_directions_are_the_paper_s() -> None:
    arrows = "".join(all_metrics()[key].arrow for key in ORDER)
    assert arrows == "↓↑↓↑↑↓↑"
    assert [all_metrics()[key].sign for key in ORDER] == [-1, 1, -1, 1, 1, -1, 1]


def test_curves_are_those_that_cost_forwards_of_their_own() -> None:
    assert {"deletion", "insertion"} <= set(curve_metrics())
    assert set(optional_metrics()) == set(all_metrics()) - set(ROW_METRICS)
    assert set(curve_metrics()) < set(optional_metrics())
    assert "average_gain" not in curve_metrics()
