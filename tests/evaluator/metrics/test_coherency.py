"""Coherency: exact correlations, 0 for constant maps, invariance that a correlation has."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from evaluator.measuring.saliency import Saliency
from evaluator.metrics.coherency import coherency as coherency_of
from tests import reference

RISING = torch.tensor([[[0.0, 1 / 3], [2 / 3, 1.0]]])


def coherency(first: Tensor, second: Tensor) -> Tensor:
    """Of maps given as pixels."""
    return coherency_of(*(Saliency(pixels, *pixels.shape[1:]) for pixels in (first, second)))


def test_by_hand() -> None:
    falling, crossed = 1 - RISING, torch.tensor([[[1.0, 0.0], [0.0, 1.0]]])
    assert coherency(RISING, RISING).tolist() == pytest.approx([1.0])
    assert coherency(RISING, falling).tolist() == pytest.approx([0.0], abs=1e-7)
    assert coherency(RISING, crossed).tolist() == pytest.approx([0.5])


@pytest.mark.parametrize("value", [0.0, 0.3, 1.0])
def test_a_constant_map_has_none(value: float) -> None:
    constant = torch.full((1, 224, 224), value)
    varied = torch.rand(1, 224, 224, generator=torch.Generator().manual_seed(0))
    assert coherency(varied, constant).tolist() == [0.0]
    assert coherency(constant, varied).tolist() == [0.0]
    assert coherency(constant, constant).tolist() == [0.0]


def test_one_different_pixel_is_enough() -> None:
    """Fake-CAM's map differs from a constant one at a single pixel of 50 176."""
    fake = reference.fake_map(224, 224)[None]
    assert coherency(fake, fake).tolist() == pytest.approx([1.0], abs=1e-12)


def test_each_image_by_itself_as_the_slow_one() -> None:
    first, second = torch.rand(2, 6, 9, 9, generator=torch.Generator().manual_seed(1))
    expected = [reference.coherency(a, b) for a, b in zip(first, second, strict=True)]
    assert coherency(first, second).tolist() == pytest.approx(expected, abs=1e-12)
    assert coherency(first, second).dtype == torch.float64


def test_rounding_does_not_lead_out_of_the_range() -> None:
    """The correlation of some of these pairs is -1 less a few units in the last place."""
    maps = torch.rand(200, 20, 20, generator=torch.Generator().manual_seed(0))
    opposite, same = coherency(maps, 1 - maps), coherency(maps, maps)
    assert 0 <= opposite.min() <= opposite.max() < 1e-12
    assert 1 - 1e-12 < same.min() <= same.max() <= 1
