"""Average increase: strict, 0 or 1."""

from __future__ import annotations

import torch

from evaluator.metrics.average_increase import average_increase


def test_only_more_is_an_increase() -> None:
    clean = torch.tensor([0.5, 0.5, 0.5, 0.0], dtype=torch.float64)
    masked = torch.tensor([0.5, 0.5 + 1e-12, 0.4, 0.1], dtype=torch.float64)
    assert average_increase(clean, masked).tolist() == [0.0, 1.0, 0.0, 1.0]
