"""Sparseness: the Gini index by hand, its ends, and what Quantus makes of the same maps."""

from __future__ import annotations

import warnings

import pytest
import torch

from evaluator.metrics.sparseness import measure
from tests.localisation import by_hand, explained, random_case


def test_by_hand() -> None:
    """Of 1, 2, 3, 4: (−3·1 − 1·2 + 1·3 + 3·4) / (4 · 10)."""
    assert measure(by_hand([[3.0, 1.0], [4.0, 2.0]], [[1, 0], [0, 0]])).tolist() == [10 / 40]


def test_its_ends() -> None:
    maps = torch.stack([torch.ones(4, 4), torch.zeros(4, 4), torch.zeros(4, 4)])
    maps[2, 1, 1] = 1
    assert measure(explained(maps, torch.ones(3, 4, 4))).tolist() == [0.0, 0.0, 15 / 16]


def test_as_quantus_has_it() -> None:
    maps, objects = random_case(4, 16, seed=4)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from quantus.metrics.complexity.sparseness import Sparseness

        metric = Sparseness(abs=False, normalise=False, disable_warnings=True)
        expected = metric.evaluate_batch(x_batch=maps.numpy(), a_batch=maps.double().numpy() + 1e-9)
    assert measure(explained(maps, objects)).tolist() == pytest.approx(
        [float(value) for value in expected], abs=1e-5
    )
