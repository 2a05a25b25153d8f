"""Poly-CAM beside a loop over channels and resolutions, by hand, and what it costs."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tests.agreement import IMAGES, small_bench
from tests.attention import transformer_bench
from tests.evaluator.methods.image_maps import apart, by_hand, image_method, layers_of, view_of
from tests.networks import NETWORKS, random_images
from tests.reference import Explained, bilinear


def slow(seen: Explained, variant: str = "both") -> Tensor:
    size, whole = seen.x.shape[1:], seen.probability(seen.x)
    found: Tensor | None = None
    for activation, _ in reversed(layers_of(seen)):
        total = torch.zeros_like(activation[0])
        for k in range(len(activation)):
            mask = bilinear(without_outliers(activation[k]), *size)
            kept, left = seen.probability(seen.x * mask), seen.probability(seen.x * (1 - mask))
            weight = {"plus": kept, "minus": whole - left, "both": kept + whole - left}[variant]
            total += weight.clamp(min=0) * activation[k]
        total = total.clamp(min=0)
        if found is not None:
            shrunk = nn.functional.interpolate(total[None, None], found.shape, mode="bilinear")
            around = bilinear(shrunk[0, 0], *total.shape)
            total = total / around.clamp(min=1e-12) * bilinear(found, *total.shape)
        found = total
    assert found is not None
    return without_outliers(found)


def without_outliers(values: Tensor) -> Tensor:
    low, high = np.percentile(values.numpy(), [0.1, 99.9])
    return ((values - float(low)) / max(float(high), 1e-12)).clamp(0, 1)


@pytest.mark.parametrize("variant", ["both", "plus", "minus"])
@pytest.mark.parametrize("network", NETWORKS)
def test_agrees_with_the_slow_formula(network: str, variant: str) -> None:
    """2e-5 for ``minus``, a difference of two confidences, divided by what is around it."""
    assert apart(network, f"polycam:variant={variant}") < (2e-5 if variant == "minus" else 1e-5)


def test_by_hand() -> None:
    """One layer of one channel, the image itself: the map is the image, whatever its weight."""
    pixels = torch.eye(4)
    assert (by_hand("polycam:variant=plus", pixels) - pixels).abs().max() < 1e-5


@pytest.mark.parametrize(
    ("variant", "each", "beyond"), [("plus", 1, 3), ("minus", 1, 4), ("both", 2, 4)]
)
def test_every_channel_of_every_resolution_is_a_forward(
    variant: str, each: int, beyond: int
) -> None:
    """Channels of the VGG-like network: 8 at 32, 10 at 16, 10 at 8 pixels."""
    made = small_bench("vgg-like")
    view = view_of(made, random_images(IMAGES, seed=1))
    before, asked = made.network.forwards, image_method(f"polycam:variant={variant}")
    asked.explain(view.image)
    assert made.network.forwards - before == IMAGES * (beyond + each * (8 + 10 + 10))
    assert asked.estimated
    assert asked.forwards(14, gap_linear=False) == 1 + 2 * (beyond + each * 28)


def test_on_a_transformer_one_resolution_is_left() -> None:
    made = transformer_bench("torchvision")
    view = view_of(made, random_images(2, seed=1, side=made.network.side))
    assert image_method("polycam:variant=plus").combine(view).shape == (2, 4, 4)
