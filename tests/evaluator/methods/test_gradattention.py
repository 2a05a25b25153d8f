"""Gradient-weighted attention beside the paper's rule by full-model autograd, and by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import pytest
import torch
from torch import Tensor

from evaluator.catalog import method
from evaluator.methods.base import View
from tests.agreement import evaluated
from tests.attention import (
    TRANSFORMERS,
    AttentionView,
    attended,
    compared_on,
    map_of,
    transformer_bench,
)
from tests.networks import random_images

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


@pytest.mark.parametrize("network", list(TRANSFORMERS))
def test_agrees_with_the_slow_formula(network: str) -> None:
    found = compared_on(network, "gradattention")
    assert found.varied
    assert found.largest < 1e-5


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


def test_classes_have_maps_of_their_own() -> None:
    images = random_images(2, seed=1)
    made = transformer_bench("torchvision")
    maps = [evaluated(made, images, "gradattention", torch.full((2,), c)).maps for c in (0, 7)]
    assert maps[0] != maps[1]
