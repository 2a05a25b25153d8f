"""ARCC of an image by hand; the headline of a cell stands with the statistics."""

from __future__ import annotations

import pytest
import torch

from evaluator.catalog import sources_of
from evaluator.measuring.saliency import Saliency
from evaluator.metrics.arcc import METRIC, measure
from evaluator.metrics.base import Explained


def arcc(coherency: list[float], complexity: list[float], road: list[float]) -> list[float]:
    columns = {"coherency": coherency, "complexity": complexity, "road": road}
    values = {key: torch.tensor(column, dtype=torch.float64) for key, column in columns.items()}
    found = measure(
        Explained(
            values["road"], values["road"], Saliency(torch.ones(1, 2, 2), 2, 2), values=values
        )
    )
    return [float(value) for value in found]


def test_by_hand() -> None:
    assert arcc([0.5], [0.5], [0.25]) == pytest.approx([0.5])
    assert arcc([1.0], [0.25], [0.3]) == pytest.approx([3 / (1 / 1.0 + 1 / 0.75 + 1 / 0.6)])


def test_a_component_of_nothing_makes_nothing_of_it() -> None:
    assert arcc([0.9, 0.0, 0.9, 0.9], [0.3, 0.3, 1.0, 0.3], [-0.2, 0.3, 0.3, 0.0]) == [
        0.0,
        0.0,
        0.0,
        0.0,
    ]


def test_road_counts_no_more_than_half() -> None:
    assert arcc([1.0], [0.0], [0.5]) == [1.0]


def test_it_brings_road_along() -> None:
    assert METRIC.of == ("coherency", "complexity", "road")
    assert sources_of(["arcc", "road"]) == METRIC.of
