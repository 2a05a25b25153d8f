"""SmoothGrad and its squares beside a loop over noisy copies with the same noise, and by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch
from torch import Tensor

from tests.evaluator.methods.image_maps import (
    apart,
    by_hand,
    collapsed,
    gradient_at,
    image_method,
    ramp,
    weights,
)
from tests.networks import NETWORKS

if TYPE_CHECKING:
    from tests.reference import Explained


def slow(seen: Explained, n: int = 50, sigma: float = 0.15, form: str = "absolute") -> Tensor:
    spread = float(seen.x.max()) - float(seen.x.min())
    noisy = [
        seen.x + sigma * spread * seen.noise("smoothgrad", step, 3, seen.masked).double()
        for step in range(n)
    ]
    gradients = [gradient_at(seen, x) for x in noisy]
    size, square, mean = (torch.zeros_like(seen.x) for _ in range(3))
    for one in gradients:
        size += one.abs() / n
        square += one**2 / n
        mean += one / n
    found = {"absolute": size, "square": square, "variance": square - mean**2}[form]
    return collapsed(found, "absolute")


@pytest.mark.parametrize(
    "spec",
    ["smoothgrad:n=7", "smoothgrad:n=4,form=square,sigma=0.3", "smoothgrad:n=5,form=variance"],
)
@pytest.mark.parametrize("network", NETWORKS)
def test_agrees_with_the_slow_formula(network: str, spec: str) -> None:
    assert apart(network, spec) < 1e-5


def test_by_hand() -> None:
    """Noise changes no gradient of a linear network."""
    assert (by_hand("smoothgrad:n=3", ramp()) - weights().abs()).abs().max() < 1e-5
    assert (by_hand("smoothgrad:n=3,form=square", ramp()) - weights() ** 2).abs().max() < 1e-4
    assert by_hand("smoothgrad:n=4,form=variance", ramp()).abs().max() < 1e-4


def test_the_noise_it_draws_is_announced() -> None:
    asked = image_method("smoothgrad:n=3")
    assert asked.noisy_passes(False) == [("smoothgrad", step) for step in range(3)]
    assert asked.forwards(1, gap_linear=True) == 1 + 2 * 3 * 3


def test_an_even_image_is_not_disturbed() -> None:
    assert torch.equal(by_hand("smoothgrad:n=2", torch.ones(4, 4)), weights().abs())
