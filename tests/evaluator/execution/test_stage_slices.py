"""The order in which stages take their images."""

from __future__ import annotations

from evaluator.execution.schedule import (
    ROUND,
    StageSlice,
    round_by_round,
    rounds,
    stage_by_stage,
)
from evaluator.execution.stages import StagePlan
from evaluator.stopping_rule import BURN_IN


def stage(number: int, base: int | None = None) -> StagePlan:
    return StagePlan(
        number,
        "",
        0,
        "resnet50",
        (number,),
        ("gradcam",),
        () if base is None else ("deletion",),
        4,
        base,
        1.0,
    )


def test_stage_by_stage() -> None:
    assert stage_by_stage([stage(1), stage(2, 1)], 100) == [
        StageSlice(1, 0, 100),
        StageSlice(2, 0, 100),
    ]


def test_round_by_round_rows_come_first() -> None:
    found = round_by_round([stage(1), stage(2, 1), stage(3)], 100)
    assert found == [
        StageSlice(1, 0, 64),
        StageSlice(3, 0, 64),
        StageSlice(1, 64, 100),
        StageSlice(3, 64, 100),
        StageSlice(2, 0, 100),
    ]


def test_rounds_hold_every_image_once_and_grow_by_an_eighth() -> None:
    found = list(rounds(50_000))
    assert found[0] == (0, ROUND)
    assert ROUND >= BURN_IN
    assert [first for first, _ in found[1:]] == [end for _, end in found[:-1]]
    assert found[-1][1] == 50_000
    assert all(end - first <= max(ROUND, first / 8) for first, end in found)
    assert len(found) < 60
