"""GradientSHAP beside a loop over its baselines with the same draws, and by hand."""

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


def slow(seen: Explained, n: int = 50, sigma: float = 1.0, sign: str = "positive") -> Tensor:
    places = (seen.noise.uniform("gradientshap", n, seen.masked).double() + 1) / 2
    total = torch.zeros_like(seen.x)
    for step in range(n):
        start = sigma * seen.noise("gradientshap", step, 3, seen.masked).double()
        between = start + places[step] * (seen.x - start)
        total += (seen.x - start) * gradient_at(seen, between)
    return collapsed(total / n, sign)


@pytest.mark.parametrize("spec", ["gradientshap:n=7", "gradientshap:n=3,sigma=0.5,sign=absolute"])
@pytest.mark.parametrize("network", NETWORKS)
def test_agrees_with_the_slow_formula(network: str, spec: str) -> None:
    assert apart(network, spec) < 1e-5


def test_by_hand() -> None:
    """Without noise it is the way from zero: on a linear network the pixel times its weight."""
    found = by_hand("gradientshap:n=3,sigma=1e-9", ramp())
    assert (found - ramp() * weights()).abs().max() < 1e-4


def test_the_noise_it_draws_is_announced() -> None:
    passes = image_method("gradientshap:n=2").noisy_passes(True)
    assert passes == [("gradientshap", 0), ("gradientshap", 1)]
