"""The cost of a request: the images and forwards that a new or a stored run has left to do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from evaluator.execution.stages import StagePlan, head_of, optional_forwards, plan_stages
from evaluator.plan import RunPlan
from evaluator.records import Cell, LoadedBackbone


class Remaining(NamedTuple):
    """A stage, the images that some of its cells lack, and the forwards that these take.

    Attributes:
        by_method: images that each method lacks.
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
    """Every stage that has cells, with the work that is left in it.

    Args:
        plan: as it will be.
        cells: of that plan.
        loaded: backbones that have been loaded once.
        done: (cell, metric) → images with a value or a failure; metric ``''`` for rows
            (``RunReader.done``).
        images: of that plan.
        cuda: the kind of device, which decides how large a unit is.
    """
    work = _Work(plan, cells, loaded, done, images=images, cuda=cuda)
    return [
        work.remaining(stage)
        for stage in plan_stages(plan, cells, loaded, cuda=cuda)
        if stage.cells
    ]


@dataclass(frozen=True)
class _Work:
    """The arguments of ``remaining_work``, and the work left in a stage by them."""

    plan: RunPlan
    cells: Sequence[Cell]
    loaded: dict[str, LoadedBackbone | None]
    done: Mapping[tuple[int, str], int]
    images: int
    cuda: bool

    def remaining(self, stage: StagePlan) -> Remaining:
        by_method = {
            method: max(self._left(cell, metric) for metric in stage.metrics or ("",))
            for cell, method in zip(stage.cells, stage.methods, strict=True)
        }
        forwards = self._of_optional(stage) if stage.metrics else self._of_rows(stage)
        return Remaining(stage, max(by_method.values()), forwards, by_method)

    def _left(self, cell: int, metric: str) -> int:
        return max(0, self.images - self.done.get((cell, metric), 0))

    def _of_rows(self, stage: StagePlan) -> float:
        """Forwards of rows: the images that a cell lacks are the last ones of one order."""
        forwards, before = 0.0, 0
        for missing in sorted({self._left(cell, "") for cell in stage.cells}):
            still = [
                cell
                for cell in self.cells
                if cell.id in stage.cells and self._left(cell.id, "") >= missing
            ]
            stages = plan_stages(self.plan, still, self.loaded, cuda=self.cuda)
            (shared,) = (one for one in stages if one.cells and not one.metrics)
            forwards += (missing - before) * shared.forwards_per_image
            before = missing
        return forwards

    def _of_optional(self, stage: StagePlan) -> float:
        """Forwards of optional metrics."""
        wanted = [
            (method, metric, self._left(cell, metric))
            for cell, method in zip(stage.cells, stage.methods, strict=True)
            for metric in stage.metrics
        ]
        key = self.plan.backbones[stage.backbone].key
        head = head_of(key, self.loaded.get(stage.backbone_name))
        return optional_forwards(self.plan, head, wanted)
