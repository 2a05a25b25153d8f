"""Class sensitivity: correlations by hand, and methods that cannot see the class."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch
from torch import Tensor

from evaluator.measuring.saliency import Saliency
from evaluator.metrics.base import Explained
from evaluator.metrics.class_sensitivity import measure
from tests.localisation import Unasked


@dataclass
class Other(Unasked):
    """A network that gives these maps for the least likely class."""

    maps: Tensor

    def least_likely(self) -> Saliency:
        return Saliency(self.maps, *self.maps.shape[1:])


def sensitivity(maps: list[list[float]], others: list[list[float]]) -> list[float]:
    """Of maps of two by two pixels."""
    own, other = (torch.tensor(one).view(-1, 2, 2) for one in (maps, others))
    half = torch.full((len(own),), 0.5, dtype=torch.float64)
    return [
        float(v) for v in measure(Explained(half, half, Saliency(own, 2, 2), probe=Other(other)))
    ]


def test_by_hand() -> None:
    ramp, back, across = [0.0, 1.0, 2.0, 3.0], [3.0, 2.0, 1.0, 0.0], [1.0, 0.0, 0.0, 1.0]
    assert sensitivity([ramp] * 3, [ramp, back, across]) == pytest.approx([0.0, 1.0, 0.5])


def test_constant_maps() -> None:
    flat, ramp = [0.0] * 4, [0.0, 1.0, 2.0, 3.0]
    assert sensitivity([flat, ramp, flat], [flat, flat, ramp]) == [0.0, 0.5, 0.5]
