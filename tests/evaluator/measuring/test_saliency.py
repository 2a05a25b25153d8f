"""Sums over the pixels from low-resolution values: equal to sums over the upsampled map, whatever
the sizes.
"""

from __future__ import annotations

from fractions import Fraction
from itertools import product

import pytest
import torch
from torch import Tensor

from evaluator.measuring.saliency import Saliency, masked, upsample, upsample_exactly
from evaluator.metrics.curves import pixel_ranks

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


def exact_pixels(values: Tensor, height: int, width: int) -> list[Fraction]:
    """Bilinear upsampling of one map in fractions, pixel by pixel, row by row."""

    def shares(place: int, low: int, high: int) -> list[tuple[int, Fraction]]:
        centre = max(Fraction(2 * place + 1, 2) * Fraction(low, high) - Fraction(1, 2), Fraction(0))
        first = int(centre)
        return [(first, 1 - (centre - first)), (min(first + 1, low - 1), centre - first)]

    table = [[Fraction(value) for value in row] for row in values.tolist()]
    down = [shares(row, len(table), height) for row in range(height)]
    across = [shares(column, len(table[0]), width) for column in range(width)]
    return [
        sum((table[i][j] * p * q for i, p in rows for j, q in columns), Fraction(0))
        for rows, columns in product(down, across)
    ]


@pytest.mark.parametrize(("height", "width"), [(24, 30), (32, 32), (5, 3)])
@pytest.mark.parametrize("levels", [3, 2**20])
def test_pixels_are_ordered_as_exact_fractions_order_them(
    height: int, width: int, levels: int
) -> None:
    """Three levels make plateaus: their pixels are equal, though float32 rounds them apart."""
    drawn = torch.randint(0, levels, (7, 7), generator=torch.Generator().manual_seed(4))
    values = drawn / (levels - 1)
    exact = exact_pixels(values, height, width)
    order = sorted(range(height * width), key=lambda index: (-exact[index], index))
    ranks = Saliency(values[None], height, width).ranks().flatten().tolist()
    assert [ranks[index] for index in order] == list(range(height * width))


def test_pixels_of_a_plateau_go_by_index() -> None:
    flat = torch.full((1, 7, 7), 0.1)
    flat[0, 6, 6] = 1
    exact = Saliency(flat, 240, 240).ranks().flatten()
    plateau = (Saliency(flat, 240, 240).pixels() < 0.1001).flatten()
    assert (exact[plateau].diff() > 0).all()


def test_the_order_of_a_fixed_map_is_that_of_its_pixels() -> None:
    fixed = torch.rand(1, 8, 8, generator=torch.Generator().manual_seed(2))
    assert Saliency(fixed, 8, 8).ranks().equal(pixel_ranks(fixed))


@pytest.mark.parametrize("side", [224, 240, 4096])
def test_every_sum_of_the_order_is_a_whole_number_that_float64_holds(side: int) -> None:
    found = upsample_exactly(torch.full((1, 7, 7), 1.0), side, side)[0, ::97, ::97]
    assert (found == found.round()).all()
    assert found.max() < 2**53
    assert found.max() > 2**50, "and no bit is given away"
