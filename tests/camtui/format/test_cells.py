"""Ranks with ties."""

from __future__ import annotations

import pytest

from camtui.format import (
    CellView,
    cell_views,
    rank_cells,
)
from evaluator.metrics import all_metrics
from evaluator.records import Cell
from evaluator.statistics import CellSummary, Mean, PairedDifference
from evaluator.store.reader import RunReader


def view(
    cell: int,
    value: float | None,
    *,
    se: float | None = 0.01,
    n: int = 100,
    method: str = "",
    metric: str = "adcc",
) -> CellView:
    means = {} if value is None else {metric: Mean(n, value, se)}
    return CellView(
        Cell(cell, "resnet18", method or f"m{cell}", True, ""),
        CellSummary(cell, n, 0, 0, means, None),
        100,
    )


def never(metric: str, first: int, second: int) -> PairedDifference | None:
    raise AssertionError("far apart: nothing to read")


def test_best_and_second_without_reading_rows_where_intervals_are_far_apart() -> None:
    views = [view(1, 0.5), view(2, 0.9), view(3, 0.7)]
    assert rank_cells(views, all_metrics()["adcc"], never) == {2: "best", 3: "second"}


def test_cells_that_are_equal_are_second_together() -> None:
    views = [view(1, 0.5), view(2, 0.9), view(3, 0.7), view(4, 0.7)]
    assert rank_cells(views, all_metrics()["adcc"], never) == {2: "best", 3: "second", 4: "second"}


def test_cells_that_are_equal_are_best_together() -> None:
    views = [view(1, 0.9), view(2, 0.9), view(3, 0.7)]
    assert rank_cells(views, all_metrics()["adcc"], never) == {1: "best", 2: "best", 3: "second"}


def test_lower_is_better_for_drop() -> None:
    views = [view(1, 0.5, metric="average_drop"), view(2, 0.9, metric="average_drop")]
    assert rank_cells(views, all_metrics()["average_drop"], never)[1] == "best"


def test_near_cells_tie_only_by_the_paired_test() -> None:
    views = [view(1, 0.80), view(2, 0.79), view(3, 0.78)]
    pairs = {(1, 2): PairedDifference(100, 0.01, 0.02), (1, 3): PairedDifference(100, 0.02, 0.001)}
    assert rank_cells(views, all_metrics()["adcc"], lambda m, a, b: pairs[a, b]) == {
        1: "best",
        2: "tie",
        3: "second",
    }


def test_cells_of_unequal_n_are_always_paired() -> None:
    views = [view(1, 0.9), view(2, 0.1, n=40)]
    assert rank_cells(
        views, all_metrics()["adcc"], lambda m, a, b: PairedDifference(40, 0.0, 0.1)
    ) == {1: "best", 2: "tie"}


@pytest.mark.parametrize("control", ["fakecam", "randomcam", "centre"])
def test_controls_take_no_part_and_one_method_has_no_rank(control: str) -> None:
    views = [view(1, 0.99, method=control), view(2, 0.5)]
    assert rank_cells(views, all_metrics()["adcc"], never) == {}


def test_ranks_of_a_run(reader: RunReader) -> None:
    views = {
        f"{v.cell.backbone}/{v.cell.method}": v for v in cell_views(reader, [all_metrics()["adcc"]])
    }
    resnet = {
        v.cell.method: v.marks.get("adcc", "")
        for v in views.values()
        if v.cell.backbone == "resnet18"
    }
    assert resnet["scorecam"] == "best"
    assert resnet["fakecam"] == ""
    best = views["resnet18/scorecam"].cell.id
    for method in ("cam", "gradcampp", "smoothgradcampp"):
        paired = reader.averages.paired("adcc", best, views[f"resnet18/{method}"].cell.id)
        assert paired is not None
        assert (resnet[method] == "tie") == paired.tie
