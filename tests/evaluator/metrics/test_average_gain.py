"""Average gain: exact numbers, and nothing to gain where the confidence is whole."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from evaluator.measuring.saliency import Saliency
from evaluator.metrics.average_drop import average_drop
from evaluator.metrics.average_gain import measure
from evaluator.metrics.base import Explained


def gain(clean: list[float], masked: list[float]) -> Tensor:
    """Of confidences; the map does not matter."""
    y, o = torch.tensor([clean, masked], dtype=torch.float64)
    return measure(Explained(y, o, Saliency(torch.ones(1, 2, 2), 2, 2)))


def test_by_hand() -> None:
    assert gain([0.5, 0.5, 0.5, 0.0], [0.5, 0.75, 0.25, 0.25]).tolist() == [0.0, 0.5, 0.0, 0.25]


def test_nothing_to_gain_where_the_confidence_is_whole() -> None:
    assert gain([1.0, 1.0], [1.0, 0.5]).tolist() == [0.0, 0.0]


def test_it_is_the_drop_of_the_complement() -> None:
    """``1 − o`` has dropped from ``1 − y`` by as much as ``o`` has gained."""
    y, o = torch.rand(2, 50, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    assert gain(y.tolist(), o.tolist()).tolist() == pytest.approx(
        average_drop(1 - y, 1 - o).tolist(), abs=1e-15
    )
