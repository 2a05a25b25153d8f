"""The cost of a request, counted by hand: shared clean passes, cells at many places, curves."""

from __future__ import annotations

from dataclasses import replace

from evaluator.execution.schedule import remaining_work
from evaluator.plan import validated_plan
from evaluator.records import Cell

PLAN = validated_plan(
    {
        "data": "/data",
        "backbones": ["resnet50"],
        "methods": ["fakecam", "gradcam", "scorecam"],
        "metrics": ["deletion", "insertion"],
    }
)
CELLS = [Cell(n, "resnet50", method, True, "") for n, method in enumerate(PLAN.methods, 1)]
CHEAP, CURVES = 1 + 1 + 1, 27 * 2
SCORECAM = 1 + 1 + 2 * 2048


def work(
    done: dict[tuple[int, str], int], images: int = 10, cells: list[Cell] = CELLS
) -> list[tuple[int, float]]:
    found = remaining_work(PLAN, cells, {}, done, images=images, cuda=False)
    return [(one.images, one.forwards) for one in found]


def test_a_new_run_costs_every_stage_for_every_image() -> None:
    assert work({}) == [
        (10, 10 * CHEAP),
        (10, 10 * CURVES * 2),
        (10, 10 * SCORECAM),
        (10, 10 * CURVES),
    ]


def test_what_is_done_costs_nothing() -> None:
    everything = {
        (cell.id, metric): 10 for cell in CELLS for metric in ("", "deletion", "insertion")
    }
    assert work(everything) == [(0, 0)] * 4
    assert work(everything, images=8) == [(0, 0)] * 4
    assert work(everything, images=12) == [
        (2, 2 * CHEAP),
        (2, 2 * CURVES * 2),
        (2, 2 * SCORECAM),
        (2, 2 * CURVES),
    ]


def test_a_new_method_pays_the_clean_pass_again_and_one_masked_pass() -> None:
    done = {(1, ""): 10, (2, ""): 4, (3, ""): 7}
    cheap, _, costly, _ = work(done)
    assert cheap == (6, 6 * (1 + 1)), "Fake-CAM is there already"
    assert costly == (3, 3 * SCORECAM)
    assert work({(1, ""): 9, (2, ""): 4})[0] == (6, 1 * CHEAP + 5 * (1 + 1))


def test_curves_are_counted_by_metric() -> None:
    done = {(cell, metric): 10 for cell in (1, 2) for metric in ("", "deletion")}
    assert work(done)[1] == (10, 10 * 27 * 2), "insertion of two methods"


def test_a_stage_without_a_cell_that_applies_is_no_stage() -> None:
    assert len(work({}, cells=[replace(cell, applicable=cell.id != 3) for cell in CELLS])) == 2
