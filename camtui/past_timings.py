"""Worker seconds of an image, or of a forward, in earlier runs on this machine."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from socket import gethostname
from typing import NamedTuple

from camtui.runs import list_runs
from evaluator.errors import CamtuiError
from evaluator.execution.work_left import Remaining
from evaluator.plan import RunPlan
from evaluator.store.reader import RunReader

_MOST = 30
"""Runs that are looked into, the newest first."""


class StageTiming(NamedTuple):
    """Time of one stage of an earlier run."""

    backbone: str
    methods: frozenset[str]
    metrics: tuple[str, ...]
    seconds: float
    images: int
    forwards: float


def timings(plan: RunPlan, first: Path, *, cuda: bool) -> list[StageTiming]:
    """Return stages timed here with a plan's precision and device, the run's own first."""
    paths = dict.fromkeys([*([first] if first.is_file() else []), *list_runs()[:_MOST]])
    return [timed for path in paths for timed in _of_run(path, plan, cuda=cuda)]


def _of_run(path: Path, plan: RunPlan, *, cuda: bool) -> Iterator[StageTiming]:
    try:
        with RunReader(path) as reader:
            info = reader.info()
            on_cuda = not info.versions.get("device", "cpu").startswith("cpu")
            if (
                info.host != gethostname()
                or on_cuda != cuda
                or reader.plan().precision != plan.precision
            ):
                return
            methods = {cell.id: cell.method for cell in reader.cells()}
            stages = reader.stages()
    except CamtuiError:
        return  # a file that cannot be read has nothing to say here
    for stage in stages:
        if stage.timed_images and stage.seconds:
            names = frozenset(methods[cell] for cell in stage.cells if cell in methods)
            yield StageTiming(
                stage.backbone,
                names,
                stage.metrics,
                stage.seconds,
                stage.timed_images,
                stage.timed_images * stage.forwards_per_image,
            )


def expected_seconds(work: Sequence[Remaining], known: Sequence[StageTiming]) -> float | None:
    """Return worker seconds of the work left; ``None`` where a backbone was never timed here."""
    prices = [_seconds(one, known) for one in work if one.images]
    if any(price is None for price in prices):
        return None
    return sum(filter(None, prices))


def _seconds(one: Remaining, known: Iterable[StageTiming]) -> float | None:
    stage = one.stage
    of_backbone = [timed for timed in known if timed.backbone == stage.backbone_name]
    for timed in of_backbone:
        if timed.methods == frozenset(stage.methods) and timed.metrics == stage.metrics:
            whole = stage.forwards_per_image * one.images
            share = one.forwards / whole if whole else 1.0  # some cells may be further than others
            return share * one.images * timed.seconds / timed.images
    forwards = sum(timed.forwards for timed in of_backbone)
    return (
        one.forwards * sum(timed.seconds for timed in of_backbone) / forwards if forwards else None
    )
