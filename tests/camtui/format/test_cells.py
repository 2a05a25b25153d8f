"""Ranks with ties."""

from __future__ import annotations

from dataclasses import replace

import pytest

from camtui.format import CellView, Mark, cell_views, rank_cells
from evaluator.metrics import all_metrics
from evaluator.records import Cell
from evaluator.statistics import CellSummary, Mean, PairedDifference
from evaluator.store.reader import RunReader

ADCC = all_metrics()["adcc"]


def view(
    cell: int,
    value: float,
    *,
    se: float | None = 0.01,
    n: int = 100,
    method: str = "",
    note: str = "",
    degenerate: int = 0,
    constant: bool = False,
) -> CellView:
    means = {"adcc": Mean(n, value, se)}
    return CellView(
        Cell(cell, "resnet18", method or f"m{cell}", True, note),
        CellSummary(cell, n, 0, degenerate, means, None, constant=constant),
        100,
    )


def with_t(t: float) -> PairedDifference:
    """A difference of 100 images that is so many standard errors from 0."""
    return PairedDifference(100, 0.01 * t, 0.01)


def never(metric: str, first: int, second: int) -> PairedDifference | None:
    raise AssertionError("far apart: nothing to read")


def drops(*views: CellView) -> list[CellView]:
    """The same with average drop in place of ADCC: lower is better."""
    return [
        replace(v, summary=replace(v.summary, means={"average_drop": v.summary.means["adcc"]}))
        for v in views
    ]


BLIND = drops(view(1, 0.0, se=0.0, degenerate=100), view(2, 0.0, se=0.0, constant=True))
SEEING = drops(view(3, 0.5), view(4, 0.9))
ZERO = [view(cell, 0.0, se=0.0) for cell in (1, 2, 3)]
FEW = {
    n: [view(1, 0.9, n=n, se=0.1 if n > 1 else None), view(2, 0.1, n=n), view(3, 0.9, n=n)]
    for n in (1, 2, 4, 9)
}
CONTROLS: list[tuple[list[CellView], dict[int, Mark]]] = [
    ([view(1, 0.99, method=control), view(2, 0.5)], {})
    for control in ("fakecam", "randomcam", "centre")
]


@pytest.mark.parametrize(
    ("views", "marks"),
    [
        ([view(1, 0.5), view(2, 0.9), view(3, 0.7)], {2: "best", 3: "second"}),
        (
            [view(1, 0.5), view(2, 0.9), view(3, 0.7), view(4, 0.7)],
            {2: "best", 3: "second", 4: "second"},
        ),
        ([view(1, 0.9), view(2, 0.9), view(3, 0.7)], {1: "best", 2: "best", 3: "second"}),
        (drops(view(1, 0.5), view(2, 0.9)), {1: "best", 2: "second"}),
        *CONTROLS,
        *((few, {}) for few in FEW.values()),
        *(([*few, view(4, 0.5), view(5, 0.2)], {4: "best", 5: "second"}) for few in FEW.values()),
        (BLIND, {}),
        ([*BLIND, *SEEING], {3: "best", 4: "second"}),
        ([*drops(view(5, 0.1, degenerate=99)), *SEEING], {5: "best", 3: "second"}),
        (ZERO, {}),
        ([*ZERO, view(4, 0.5)], {4: "best", 1: "second", 2: "second", 3: "second"}),
    ],
)
def test_ranks_for_which_no_rows_are_read(views: list[CellView], marks: dict[int, Mark]) -> None:
    """Cells far apart; equal ones are best, or second, together. No rank: controls, fewer than ten
    images, all-zero maps, networks that answer every image alike, and where all are one constant.
    """
    (metric,) = {key for one in views for key in one.summary.means}
    assert rank_cells(views, all_metrics()[metric], never) == marks


def test_near_cells_tie_only_by_the_paired_test() -> None:
    views = [view(1, 0.80), view(2, 0.79), view(3, 0.78)]
    pairs = {(1, 2): PairedDifference(100, 0.01, 0.02), (1, 3): PairedDifference(100, 0.02, 0.001)}
    assert rank_cells(views, ADCC, lambda m, a, b: pairs[a, b]) == {1: "best", 2: "tie"}


def test_a_method_of_two_runs_is_tested_twice() -> None:
    """A report over several runs ranks them together: a tie of one is none of the other."""
    views = [view(1, 0.9), view(2, 0.6, method="mycam"), view(3, 0.89, method="mycam")]
    for pair in (views, [views[0], *reversed(views[1:])]):
        assert rank_cells(pair, ADCC, lambda m, a, b: with_t(1.0)) == {1: "best", 3: "tie"}


def test_only_the_value_next_to_the_best_is_second() -> None:
    """What comes after ties is no second, however many there are; nor is the third."""
    views = [view(place, 0.9 - place / 1000) for place in range(15)]
    ties = {place: with_t(1.0) for place in range(1, 12)}
    marks = rank_cells(views, ADCC, lambda m, a, b: ties.get(b, with_t(9.0)))
    assert marks == {0: "best", **dict.fromkeys(ties, "tie")}
    assert rank_cells(views, ADCC, lambda m, a, b: with_t(9.0)) == {0: "best", 1: "second"}


def test_cells_of_unequal_n_are_always_paired() -> None:
    views = [view(1, 0.9), view(2, 0.1, n=40)]
    assert rank_cells(views, ADCC, lambda m, a, b: PairedDifference(40, 0.0, 0.1)) == {
        1: "best",
        2: "tie",
    }


def test_ranks_of_a_run(reader: RunReader) -> None:
    views = {f"{v.cell.backbone}/{v.cell.method}": v for v in cell_views(reader, [ADCC])}
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
        if resnet[method] == "tie":
            assert paired.p is not None
            assert paired.p > 0.05 / 4  # the smallest of Holm's levels
        else:
            assert not paired.tie


def test_ties_are_tested_together() -> None:
    """2.1 standard errors separate two methods; among five, Holm asks for 2.55 at first."""
    views = [view(place, 0.9 - place / 100) for place in range(6)]
    ts = {1: 2.1, 2: 2.1, 3: 2.1, 4: 2.1, 5: 2.1}

    def paired(metric: str, best: int, cell: int) -> PairedDifference:
        return with_t(ts[cell])

    assert rank_cells(views[:2], ADCC, paired) == {0: "best", 1: "second"}
    assert rank_cells(views, ADCC, paired) == {0: "best", **dict.fromkeys(ts, "tie")}
    ts |= {3: 2.7, 4: 2.6, 5: 2.5}  # 2.63, 2.55, 2.45; then 2.28
    marks = rank_cells(views, ADCC, paired)
    assert [cell for cell, mark in marks.items() if mark == "tie"] == [1, 2]


def test_far_cells_are_of_the_family_though_they_are_not_read() -> None:
    """They fall first, by any order of the tests, and leave the others a larger level."""
    views = [view(1, 0.9), view(2, 0.89), view(3, 0.2), view(4, 0.1)]
    assert rank_cells(views, ADCC, lambda m, a, b: {2: with_t(2.1)}[b])[2] == "second"


def test_fewer_than_ten_common_images_are_no_tie() -> None:
    marks = rank_cells(
        [view(1, 0.90), view(2, 0.89), view(3, 0.1)],
        ADCC,
        lambda m, a, b: PairedDifference(9, 0.0, 0.1),
    )
    assert "tie" not in marks.values()


def test_a_leader_that_never_varies_is_tested_by_the_difference() -> None:
    views = [view(1, 1.0, se=0.0), view(2, 0.99, se=0.01)]
    near, apart = PairedDifference(100, 0.01, 0.01), PairedDifference(100, 0.01, 0.001)
    assert rank_cells(views, ADCC, lambda m, a, b: near)[2] == "tie"
    assert rank_cells(views, ADCC, lambda m, a, b: apart)[2] == "second"


def test_methods_that_are_one_map_share_their_rank_and_are_tested_once() -> None:
    same = "identical to {} by construction"
    views = [
        view(1, 0.90, method="gradcam"),
        view(2, 0.90, method="cam", note=same.format("gradcam")),
        view(3, 0.89, method="layercam"),
        view(4, 0.89, method="x", note=same.format("layercam")),
    ]
    asked: list[int] = []

    def paired(metric: str, best: int, cell: int) -> PairedDifference:
        asked.append(cell)
        return with_t(2.1)  # not separated among two, separated alone

    assert rank_cells(views, ADCC, paired) == {1: "best", 2: "best", 3: "second", 4: "second"}
    assert asked == [3]
    tied = rank_cells(views, ADCC, lambda m, a, b: with_t(1.0))
    assert tied == {1: "best", 2: "best", 3: "tie", 4: "tie"}
    assert rank_cells(views[:2], ADCC, never) == {1: "best", 2: "best"}
