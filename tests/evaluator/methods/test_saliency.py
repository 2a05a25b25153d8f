"""Gradient saliency beside autograd through the whole network, by hand, and beside captum's."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch
from torch import Tensor

from tests.agreement import small_bench
from tests.evaluator.methods.image_maps import (
    apart,
    by_hand,
    collapsed,
    gradient_at,
    image_method,
    ramp,
    view_of,
    weights,
)
from tests.networks import NETWORKS, random_images
from tests.peers import captum_attributions

if TYPE_CHECKING:
    from tests.reference import Explained


def slow(seen: Explained, channels: str = "sum", sign: str = "absolute") -> Tensor:
    gradient = gradient_at(seen, seen.x)
    if channels == "sum":
        return collapsed(gradient, sign)
    return (gradient.abs() if sign == "absolute" else gradient).max(0).values


@pytest.mark.parametrize(
    "spec", ["saliency", "saliency:sign=positive", "saliency:channels=max",
             "saliency:channels=max,sign=positive"],
)  # fmt: skip
@pytest.mark.parametrize("network", NETWORKS)
def test_agrees_with_the_slow_formula(network: str, spec: str) -> None:
    assert apart(network, spec) < 1e-5


def test_by_hand() -> None:
    assert torch.equal(by_hand("saliency", ramp()), weights())


@pytest.mark.parametrize("network", NETWORKS)
def test_agrees_with_captum(network: str) -> None:
    images = random_images(3, seed=1)
    view = view_of(small_bench(network), images)
    theirs = captum_attributions("Saliency", network, images, view.targets, abs=False)
    assert (image_method("saliency").explain(view.image) - theirs).abs().max() < 1e-5
