"""Gradient-weighted attention beside the paper's rule by full-model autograd, and by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import pytest
import torch
from torch import Tensor

from evaluator.catalog import method
from evaluator.methods.base import View
from tests.attention import (
    AttentionView,
    attended,
    map_of,
)

if TYPE_CHECKING:
    from tests.reference import Explained


def slow(seen: Explained) -> Tensor:
    """``R ← R + Ā R`` from the first block on."""
    blocks = attended(seen)
    total = torch.eye(blocks[0].weights.shape[-1]).to(seen.x)
    for weights, gradient in blocks:
        relevant = torch.zeros_like(total)
        for head in range(len(weights)):
            relevant += (weights[head] * gradient[head]).clamp(min=0) / len(weights)
        total = total + relevant @ total
    return map_of(total, seen.model)


def test_by_hand() -> None:
    """A class token and two positions, two heads: what has a negative gradient counts nothing, in
    each head by itself.
    """
    weights = torch.tensor([[0.0, 0.5, 0.5], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]).expand(1, 2, 3, 3)
    gradient = torch.zeros(1, 2, 3, 3)
    gradient[0, :, 0, 1] = torch.tensor([4.0, -8.0])  # the class token asks position 1
    gradient[0, :, 0, 2] = torch.tensor([1.0, 1.0])
    found = method("gradattention").combine(cast("View", AttentionView([weights], [gradient])))
    assert found.tolist() == [[[pytest.approx(1.0), pytest.approx(0.5)]]]
