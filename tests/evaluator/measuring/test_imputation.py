"""Noisy linear imputation against a sparse solve, by hand, and where there is nothing to impute
from.
"""

from __future__ import annotations

import pytest
import torch
from scipy.sparse import csc_matrix
from scipy.sparse.linalg import spsolve
from torch import Tensor
from torch.nn.functional import interpolate

from evaluator.measuring.imputation import impute
from evaluator.metrics.curves import pixel_ranks
from evaluator.metrics.road import missing_by_rank
from tests.networks import random_images

WEIGHTS = {
    (row, column): 1 / 6 if 0 in (row, column) else 1 / 12
    for row in (-1, 0, 1)
    for column in (-1, 0, 1)
}
del WEIGHTS[0, 0]


def slow(image: Tensor, missing: Tensor) -> Tensor:
    """The system of Rong et al., an equation for every missing pixel, by SuperLU in float64."""
    height, width = missing.shape
    number = {place: n for n, place in enumerate(map(tuple, missing.nonzero().tolist()))}
    entries, right = {}, torch.zeros(len(number), len(image), dtype=torch.float64)
    for (row, column), n in number.items():
        entries[n, n] = 0.0
        for (down, across), weight in WEIGHTS.items():
            near = row + down, column + across
            if not (0 <= near[0] < height and 0 <= near[1] < width):
                continue
            entries[n, n] += weight
            if near in number:
                entries[n, number[near]] = -weight
            else:
                right[n] += weight * image[:, near[0], near[1]].double()
    rows, columns = zip(*entries, strict=True)
    system = csc_matrix((list(entries.values()), (rows, columns)))
    filled = image.double().clone()
    filled[:, missing] = torch.from_numpy(spsolve(system, right.numpy())).reshape(-1, len(image)).T
    return filled


def salient_holes(side: int, seed: int) -> Tensor:
    """The pixels that ROAD takes out under a smooth map."""
    low = torch.rand(1, 1, 5, 5, generator=torch.Generator().manual_seed(seed))
    return missing_by_rank(pixel_ranks(interpolate(low, size=(side, side), mode="bilinear")[0]))


@pytest.mark.parametrize("side", [48, 75, 33, 8])
def test_as_a_sparse_solve_has_it(side: int) -> None:
    images = random_images(2, seed=side, side=side)
    missing = torch.cat([salient_holes(side, seed) for seed in (1, 2)])
    found = impute(images, missing)
    for image, holes, filled in zip(images, missing, found, strict=True):
        for one, result in zip(holes, filled, strict=True):
            assert (result.double() - slow(image, one)).abs().max() < 1e-5
            assert torch.equal(result[:, ~one], image[:, ~one]), "known pixels stay what they are"


def test_scattered_pixels() -> None:
    side = 40
    image = random_images(1, seed=1, side=side)
    holes = torch.rand(1, 1, side, side, generator=torch.Generator().manual_seed(1)) < 0.8
    assert (impute(image, holes)[0, 0].double() - slow(image[0], holes[0, 0])).abs().max() < 1e-5


def test_by_hand() -> None:
    """The centre of nine pixels, and a corner, whose neighbours weigh 1/6, 1/6 and 1/12 of 5/12."""
    image = torch.arange(9.0).view(1, 1, 3, 3)
    image[0, 0, 1, 1] = 100.0
    holes = torch.zeros(1, 2, 3, 3, dtype=torch.bool)
    holes[0, 0, 1, 1], holes[0, 1, 0, 0] = True, True
    found = impute(image, holes)[0, :, 0]
    assert float(found[0, 1, 1]) == pytest.approx((1 + 3 + 5 + 7) / 6 + (0 + 2 + 6 + 8) / 12)
    assert float(found[1, 0, 0]) == pytest.approx((1 * 2 + 3 * 2 + 100 * 1) / 5, rel=1e-6)


def test_nothing_missing_and_everything_missing() -> None:
    image = random_images(1, seed=1, side=16)
    holes = torch.zeros(1, 2, 16, 16, dtype=torch.bool)
    holes[0, 1] = True
    kept, gone = impute(image, holes)[0]
    assert torch.equal(kept, image[0])
    assert torch.equal(gone, torch.zeros_like(image[0]))


def test_what_is_imputed_does_not_depend_on_its_neighbours_in_the_batch() -> None:
    images = random_images(2, seed=3, side=32)
    missing = torch.cat([salient_holes(32, seed) for seed in (3, 4)])
    together, alone = impute(images, missing), impute(images[1:], missing[1:])
    assert torch.equal(together[1:], alone)
    assert (impute(images[1:], missing[1:, 3:4])[0, 0] - together[1, 3]).abs().max() < 1e-5
