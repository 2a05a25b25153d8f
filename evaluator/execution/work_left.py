"""What a request still costs: of a new run everything.

Of one that is there what its rows and failures leave.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from evaluator.execution.stages import StagePlan, head_of, optional_forwards, plan_stages
from evaluator.plan import RunPlan
from evaluator.records import Cell, LoadedBackbone


class Remaining(NamedTuple):
    """A stage, the images that some cell of it has not done, and the forwards that these take.

    Attributes:
        by_method: images that each method has not done.
    """

    stage: StagePlan
    images: int
    forwards: float
    by_method: dict[str, int]


def remaining_work(
    plan: RunPlan,
    cells: Sequence[Cell],
    loaded: dict[str, LoadedBackbone | None],
    done: Mapping[tuple[int, str], int],
    *,
    images: int,
    cuda: bool,
) -> list[Remaining]:
    """Every stage that has cells.

    Args:
        plan: as it will be. cells: of that plan. loaded: backbones that have been loaded once.
        done: (cell, metric) → images with a value or a failure; metric ``''`` for rows
        (``RunReader.done``). images: of that plan. cuda: the kind of device, which decides how
        large a unit is.
    """

    def left(cell: int, metric: str) -> int:
        return max(0, images - done.get((cell, metric), 0))

    def of_rows(stage: StagePlan) -> float:
        forwards, before = 0.0, 0
        for missing in sorted(
            {left(cell, "") for cell in stage.cells}
        ):  # what a cell misses lies at the end of one order
            still = [
                cell for cell in cells if cell.id in stage.cells and left(cell.id, "") >= missing
            ]
            (shared,) = (
                one
                for one in plan_stages(plan, still, loaded, cuda=cuda)
                if one.cells and not one.metrics
            )
            forwards += (missing - before) * shared.forwards_per_image
            before = missing
        return forwards

    def of_requests(stage: StagePlan) -> float:
        wanted = [
            (method, metric, left(cell, metric))
            for cell, method in zip(stage.cells, stage.methods, strict=True)
            for metric in stage.metrics
        ]
        return optional_forwards(
            plan,
            head_of(plan.backbones[stage.backbone].key, loaded.get(stage.backbone_name)),
            wanted,
        )

    def remaining(stage: StagePlan) -> Remaining:
        by_method = {
            method: max(left(cell, metric) for metric in stage.metrics or ("",))
            for cell, method in zip(stage.cells, stage.methods, strict=True)
        }
        forwards = of_requests(stage) if stage.metrics else of_rows(stage)
        return Remaining(stage, max(by_method.values()), forwards, by_method)

    return [
        remaining(stage) for stage in plan_stages(plan, cells, loaded, cuda=cuda) if stage.cells
    ]
