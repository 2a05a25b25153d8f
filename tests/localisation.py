"""Maps and objects of a few pixels for the tests of the localisation metrics, and Quantus 0.6
beside them.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import torch
from torch import Tensor

from evaluator.measuring.saliency import Saliency
from evaluator.metrics.base import Alteration, Explained, Versions
from evaluator.plan import RunPlan

MAP = (
    (0.0, 0.1, 0.2, 0.0),
    (0.3, 1.0, 0.4, 0.0),
    (0.2, 0.5, 0.3, 0.0),
    (0.0, 0.0, 0.0, 0.0),
)
OBJECT = (
    (0, 0, 0, 0),
    (0, 1, 1, 0),
    (0, 1, 1, 0),
    (0, 0, 0, 1),
)


def explained(maps: Tensor, objects: Tensor, settings: Any = RunPlan) -> Explained:
    """Of ``[B, H, W]`` maps, one of which may stand for all, and objects."""
    confidence = torch.full((len(objects),), 0.5, dtype=torch.float64)
    saliency = Saliency(maps, *maps.shape[1:])
    return Explained(confidence, confidence, saliency, truth=objects.bool(), settings=settings)


def by_hand(values: Any = MAP, pixels: Any = OBJECT, settings: Any = RunPlan) -> Explained:
    """One map and one object, rows of numbers."""
    return explained(torch.tensor([values], dtype=torch.float32), torch.tensor([pixels]), settings)


class Unasked:
    """``metrics.base.Probe`` that is asked nothing; a test answers what its metric asks."""

    @property
    def images(self) -> Tensor:
        raise AssertionError("no image is looked at")

    def without(self, missing: Tensor) -> Tensor:
        raise AssertionError("no pixel is taken out")

    def confidence(self, versions: Versions, count: int) -> Tensor:
        raise AssertionError("no image is altered")

    def baseline_confidence(self) -> Tensor:
        raise AssertionError("the empty image is not shown")

    def explained(self, alter: Alteration, name: str, step: int) -> Saliency:
        raise AssertionError("no altered image is explained")

    def least_likely(self) -> Saliency:
        raise AssertionError("no other class is explained")

    def random_weights(self) -> Saliency:
        raise AssertionError("no other network is asked")


def random_case(count: int, side: int, seed: int) -> tuple[Tensor, Tensor]:
    """Maps without ties, and objects that are rectangles."""
    generator = torch.Generator().manual_seed(seed)
    pixels = side * side
    maps = torch.stack(
        [
            torch.randperm(pixels, generator=generator).view(side, side) / pixels
            for _ in range(count)
        ]
    )
    objects = torch.zeros(count, side, side, dtype=torch.bool)
    for place in range(count):
        top, left, high, wide = torch.randint(1, side // 2, (4,), generator=generator).tolist()
        objects[place, top : top + high, left : left + wide] = True
    return maps, objects


def quantus(name: str, maps: Tensor, objects: Tensor) -> list[float]:
    """What Quantus makes of them."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from quantus.metrics import localisation

        metric = getattr(localisation, name)(abs=False, normalise=False, disable_warnings=True)
        values = metric.evaluate_batch(a_batch=maps.double().numpy(), s_batch=objects.numpy())
    return [float(value) for value in np.asarray(values)]
