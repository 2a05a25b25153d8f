"""RISE beside the authors' formula with the same masks, and by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from torch import Tensor

from evaluator.methods.rise import _enlarging
from tests.evaluator.methods.image_maps import apart, by_hand, image_method, ramp
from tests.networks import NETWORKS

if TYPE_CHECKING:
    from tests.reference import Explained

resize = pytest.importorskip("skimage.transform").resize


def slow(seen: Explained, n: int = 4000, cells: str = "7", keep: str = "0.5") -> Tensor:
    """``rise.py`` of the authors, whose masks are scikit-image's."""
    s, p1, side = int(cells), float(keep), seen.x.shape[1]
    cell = int(np.ceil(side / s))
    drawn = ((seen.noise.uniform("rise", n * (s * s + 2), seen.masked) + 1) / 2).view(n, -1).numpy()
    total = torch.zeros(side, side, dtype=torch.float64)
    for one in drawn:
        grid = (one[: s * s].reshape(s, s) < p1).astype("float64")
        x, y = (int(number * cell) for number in one[s * s :])
        large = resize(grid, ((s + 1) * cell,) * 2, order=1, mode="reflect", anti_aliasing=False)
        mask = torch.from_numpy(large[x : x + side, y : y + side].copy())
        total += seen.probability(seen.x * mask) * mask
    return total / n / p1


@pytest.mark.parametrize("spec", ["rise:n=40", "rise:n=20,cells=4,keep=0.3"])
@pytest.mark.parametrize("network", NETWORKS)
def test_agrees_with_the_authors_formula(network: str, spec: str) -> None:
    assert apart(network, spec) < 1e-5


@pytest.mark.parametrize(("cells", "side"), [(2, 4), (7, 256), (5, 18)])
def test_cells_are_enlarged_as_scikit_image_does(cells: int, side: int) -> None:
    one = np.eye(cells)
    expected = resize(one, (side, cells), order=1, mode="reflect", anti_aliasing=False)
    assert np.abs(np.array(_enlarging(cells, side)) - expected).max() < 1e-6


def test_enlarged_by_hand() -> None:
    assert _enlarging(2, 4) == [[0.75, 0.25], [0.75, 0.25], [0.25, 0.75], [0.25, 0.75]]


def test_by_hand() -> None:
    """Where every cell is kept each mask is all ones: the confidence, by the share kept."""
    confidence = float(torch.tensor([0.0, 1.0 * 15]).softmax(0)[1])
    pixels = torch.zeros(4, 4)
    pixels[3, 3] = 15  # its weight is 1
    found = by_hand("rise:n=5,cells=2,keep=0.99", pixels)
    assert (found <= confidence / 0.99 + 1e-5).all()
    assert image_method("rise").cost() == 4000
    assert not torch.equal(by_hand("rise:n=5", ramp()), torch.zeros(4, 4))
