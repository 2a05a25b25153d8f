"""Eigen-CAM beside a singular value decomposition, and on activations whose answer is known."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch
from torch import Tensor

from tests.evaluator.methods.views import StillView

if TYPE_CHECKING:
    from tests.reference import Explained


def slow(seen: Explained) -> Tensor:
    """``O v`` by a singular value decomposition, turned so that its sum is not negative."""
    activation, _, _ = seen.passed(seen.x)
    positions = activation.flatten(1).T
    total: Tensor = positions @ torch.linalg.svd(positions).Vh[0]
    return (total if total.sum() >= 0 else -total).view(activation.shape[1:])


def explained(activation: Tensor) -> Tensor:
    return StillView(activation, torch.zeros_like(activation)).combine("eigencam")


def test_an_activation_of_rank_one_gives_its_pattern_back() -> None:
    pattern = torch.tensor([[0.0, 1.0], [2.0, 4.0]])
    activation = torch.tensor([3.0, 4.0]).view(1, 2, 1, 1) * pattern
    assert explained(activation)[0].allclose(5 * pattern)


@pytest.mark.parametrize("shape", [(3, 40, 3, 3), (3, 4, 6, 6)])
def test_either_side_of_the_product_gives_the_singular_vector(shape: tuple[int, ...]) -> None:
    activation = torch.randn(shape, generator=torch.Generator().manual_seed(0)) + 0.3
    for one, found in zip(activation, explained(activation), strict=True):
        left, values, _ = torch.linalg.svd(one.flatten(1).T)
        expected = (left[:, 0] * left[:, 0].sum().sign() * values[0]).view(shape[2:])
        assert found.allclose(expected, atol=1e-4)


def test_the_sign_makes_the_map_mostly_positive() -> None:
    activation = torch.tensor([[[[-3.0, -2.0, 1.0]], [[-3.0, -2.0, 1.0]]]])
    assert explained(activation).sum() > 0
    assert explained(activation).allclose(explained(-activation))
    nowhere_negative = torch.rand(5, 8, 4, 4, generator=torch.Generator().manual_seed(0))
    assert explained(nowhere_negative).min() >= 0


def test_nothing_seen_is_nothing_shown_and_one_bad_image_is_alone() -> None:
    activation = torch.rand(3, 4, 2, 2, generator=torch.Generator().manual_seed(0))
    alone = explained(activation[2:])
    activation[0] = 0
    activation[1, 0, 0, 0] = torch.nan
    found = explained(activation)
    assert found[0].abs().max() == 0
    assert found[1].isnan().any()
    assert found[2:].equal(alone)
