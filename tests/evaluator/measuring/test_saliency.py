"""Sums over the pixels from low-resolution values: equal to sums over the upsampled map, whatever
the sizes.
"""

from __future__ import annotations

import pytest
import torch

from evaluator.measuring.maps import upsample
from evaluator.measuring.saliency import Saliency, masked

SIZES = [(7, 7, 224, 224), (14, 14, 224, 224), (5, 9, 31, 17), (1, 1, 8, 8), (8, 8, 8, 8)]


@pytest.mark.parametrize(("low", "width", "height", "broad"), SIZES)
def test_mean_and_scatter_are_those_of_the_pixels(
    low: int, width: int, height: int, broad: int
) -> None:
    first, second = torch.rand(
        2, 3, low, width, dtype=torch.float64, generator=torch.Generator().manual_seed(0)
    )
    small = Saliency(first, height, broad), Saliency(second, height, broad)
    large = [upsample(values, height, broad) for values in (first, second)]
    assert [one.pixels().equal(pixels) for one, pixels in zip(small, large, strict=True)] == [
        True,
        True,
    ]
    assert torch.allclose(small[0].mean(), large[0].mean((1, 2)), atol=1e-14)
    centred = [pixels - pixels.mean((1, 2), keepdim=True) for pixels in large]
    for one, other in ((0, 0), (0, 1), (1, 0)):
        expected = (centred[one] * centred[other]).sum((1, 2))
        assert torch.allclose(small[one].scatter(small[other]), expected, rtol=1e-12, atol=1e-12)


def test_one_map_stands_for_all_images() -> None:
    images = torch.rand(5, 3, 8, 8, generator=torch.Generator().manual_seed(1))
    one = Saliency(torch.rand(1, 8, 8, generator=torch.Generator().manual_seed(2)), 8, 8)
    assert one.part(2, 4) is one
    assert masked(images, one).equal(images * one.values)


def test_a_part_of_the_maps() -> None:
    maps = Saliency(torch.rand(5, 4, 4, generator=torch.Generator().manual_seed(3)), 8, 8)
    assert maps.part(1, 3).pixels().equal(maps.pixels()[1:3])
