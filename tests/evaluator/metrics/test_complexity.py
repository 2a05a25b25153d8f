"""Complexity: the mean, with the digits that Fake-CAM needs."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from evaluator.measuring.saliency import Saliency
from evaluator.metrics.complexity import complexity as complexity_of
from tests.reference import fake_map


def complexity(pixels: Tensor) -> Tensor:
    """Of maps given as pixels."""
    return complexity_of(Saliency(pixels, *pixels.shape[1:]))


def test_by_hand() -> None:
    maps = torch.tensor(
        [[[0.0, 1.0], [0.5, 0.5]], [[0.0, 0.0], [0.0, 0.0]], [[1.0, 1.0], [1.0, 0.0]]]
    )
    assert complexity(maps).tolist() == [0.5, 0.0, 0.75]


def test_fake_cam_is_exact_at_full_resolution() -> None:
    assert complexity(fake_map(224, 224)[None].float()).tolist() == [1 - 1 / 50176]


def test_summed_in_float64() -> None:
    """0.1 is no float32 number: a float32 mean of 50 176 of them is off by more than 1e-9."""
    assert complexity(torch.full((1, 224, 224), 0.1)).tolist() == pytest.approx(
        [float(torch.tensor(0.1))], abs=1e-12
    )
