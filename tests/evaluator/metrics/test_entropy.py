"""Entropy: by hand, its ends, and what Quantus calls complexity."""

from __future__ import annotations

import warnings
from math import log

import pytest
import torch

from evaluator.metrics.entropy import measure
from tests.localisation import by_hand, explained, random_case


def test_by_hand() -> None:
    """Of the shares 1/2, 1/4, 1/4, 0: ln 2 / 2 + ln 4 / 2, of ln 4."""
    value = measure(by_hand([[0.4, 0.2], [0.2, 0.0]], [[1, 0], [0, 0]])).tolist()
    assert value == pytest.approx([0.75], abs=1e-7)


def test_its_ends() -> None:
    maps = torch.stack([torch.ones(4, 4), torch.zeros(4, 4), torch.zeros(4, 4)])
    maps[2, 1, 1] = 1
    assert measure(explained(maps, torch.ones(3, 4, 4))).tolist() == [1.0, 1.0, 0.0]


def test_as_quantus_has_complexity() -> None:
    maps, objects = random_case(4, 16, seed=4)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from quantus.metrics.complexity.complexity import Complexity

        metric = Complexity(abs=False, normalise=False, disable_warnings=True)
        expected = metric.evaluate_batch(x_batch=maps.numpy(), a_batch=maps.double().numpy())
    assert measure(explained(maps, objects)).tolist() == pytest.approx(
        [float(value) / log(256) for value in expected], abs=1e-6
    )
