"""Progress of a run and the time that is left, with a price for each stage."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from evaluator.records import Stage


def expected(stages: Sequence[Stage], images: int | None) -> list[Stage]:
    """Return the stages of a run that is expected to end after so many images, ``None``: all."""
    return (
        list(stages)
        if images is None
        else [replace(stage, images=min(stage.images, images)) for stage in stages]
    )


def under_way(stages: Sequence[Stage]) -> Stage | None:
    """Return the first stage that is not done, ``None`` where all are."""
    return next((stage for stage in stages if stage.cells and stage.done < stage.images), None)


def share_done(stages: Sequence[Stage]) -> float:
    """Return the share of the planned forwards that is done, 0 to 1."""
    planned = sum(stage.forwards_per_image * stage.images for stage in stages)
    if not planned:
        return 0.0
    return min(
        1.0,
        sum(stage.forwards_per_image * min(stage.done, stage.images) for stage in stages) / planned,
    )


def images_per_second(stage: Stage, workers: int) -> float | None:
    """Return the rate of a stage, ``None`` before it is measured."""
    return (
        workers * stage.timed_images / stage.seconds
        if stage.timed_images and stage.seconds
        else None
    )


def seconds_left(stages: Sequence[Stage], workers: int) -> float | None:
    """Return the time until every stage is done; ``None`` where none is planned or timed."""
    if not stages:
        return None
    per_forward = _per_forward(stages)
    left = 0.0
    for stage in stages:
        if stage.cells and stage.done < stage.images:
            price = _seconds_per_image(stage, per_forward)
            if price is None:
                return None
            left += (stage.images - stage.done) * price
    return left / workers


def _seconds_per_image(stage: Stage, per_forward: float | None) -> float | None:
    """Return worker time for one image: as measured in this stage, else by its forwards."""
    if stage.timed_images:
        return stage.seconds / stage.timed_images
    return None if per_forward is None else stage.forwards_per_image * per_forward


def _per_forward(stages: Sequence[Stage]) -> float | None:
    """Return seconds of one forward over all that has been timed, ``None`` where nothing has."""
    forwards = sum(stage.timed_images * stage.forwards_per_image for stage in stages)
    return sum(stage.seconds for stage in stages) / forwards if forwards else None
