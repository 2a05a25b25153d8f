"""The order in which stages take images: each all of them, or all stages round by round."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from evaluator.execution.stages import StagePlan

ROUND = 64
"""Images of the first round: as many as a rule needs before its first look, in whole units."""


class StageSlice(NamedTuple):
    """The images ``first`` to ``end - 1`` of one stage."""

    stage: int
    first: int
    end: int


def stage_by_stage(stages: Sequence[StagePlan], images: int) -> list[StageSlice]:
    """Let every stage take all images before the next begins."""
    return [StageSlice(stage.id, 0, images) for stage in stages]


def round_by_round(stages: Sequence[StagePlan], images: int) -> list[StageSlice]:
    """Let all stages that compute rows take the images of one round before those of the next.

    Stages that measure from rows come at the end. A method is thus never more than one round, an
    eighth of the images so far, ahead of another: for runs that a rule may end.
    """
    rows = [stage for stage in stages if stage.base is None]
    rest = [stage for stage in stages if stage.base is not None]
    in_rounds = [
        StageSlice(stage.id, first, end) for first, end in rounds(images) for stage in rows
    ]
    return [*in_rounds, *stage_by_stage(rest, images)]


def rounds(images: int) -> Iterator[tuple[int, int]]:
    """Yield first and end of each round: 64 images at first, later an eighth of those before it."""
    first = 0
    while first < images:
        end = first + max(ROUND, first // 8 // ROUND * ROUND)
        yield first, min(end, images)
        first = end
