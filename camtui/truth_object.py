"""The object in a picture, by the run's ``--truth``, where this user has named its place."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from camtui.data_folders import refuse_unnamed
from camtui.pictures import Mask, seen_by
from evaluator.errors import NotFound, TruthUnusable, UsageError
from evaluator.plan import RunPlan
from evaluator.records import ImageRef, LoadedBackbone
from evaluator.truth.folder import Truths


class TruthObject(NamedTuple):
    """The object's pixels in the input of a network, or why they are unknown."""

    pixels: Mask | None = None
    problem: str = ""


NO_OBJECT = TruthObject()


@lru_cache(maxsize=2)
def _truths(truth: str, data: str) -> Truths:
    return Truths(Path(truth), Path(data))


def object_in(
    plan: RunPlan, image: ImageRef, target: int, loaded: LoadedBackbone | None
) -> TruthObject:
    """Return the object of an image; ``target``: the class that was explained."""
    if plan.truth is None:
        return NO_OBJECT
    try:
        refuse_unnamed(plan.truth)
        found = _truths(plan.truth, plan.data).square(
            image, target, loaded.classes if loaded else (), seen_by(loaded, plan.resize)
        )
    except (NotFound, UsageError, TruthUnusable) as error:
        return TruthObject(None, error.message)
    return TruthObject(found)
