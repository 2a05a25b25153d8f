"""Average drop: exact numbers, and undefined where there was no confidence to lose."""

from __future__ import annotations

import pytest
import torch

from evaluator.metrics.average_drop import average_drop
from tests import reference


def test_by_hand() -> None:
    clean, masked = torch.tensor([0.5, 0.5, 0.5, 0.5]), torch.tensor([0.5, 0.25, 0.75, 0.0])
    assert average_drop(clean, masked).tolist() == [0.0, 0.5, 0.0, 1.0]


def test_undefined_without_confidence() -> None:
    drop = average_drop(
        torch.tensor([0.0, 0.0, 1e-300], dtype=torch.float64),
        torch.tensor([0.0, 0.5, 0.0], dtype=torch.float64),
    )
    assert drop.isnan().tolist() == [True, True, False]
    assert drop[2] == 1


def test_agrees_with_the_slow_one_image_by_image() -> None:
    clean, masked = torch.rand(
        2, 50, generator=torch.Generator().manual_seed(0), dtype=torch.float64
    )
    expected = [
        reference.average_drop(y, o) for y, o in zip(clean.tolist(), masked.tolist(), strict=True)
    ]
    assert average_drop(clean, masked).tolist() == pytest.approx(expected, abs=1e-15)
