"""Opti-CAM beside torch's own Adam, by hand, and what it makes of the logit."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from evaluator.methods import all_methods
from tests.agreement import IMAGES, small_bench
from tests.evaluator.methods.image_maps import apart, by_hand, image_method, view_of
from tests.networks import NETWORKS, random_images
from tests.reference import Explained


def slow(seen: Explained, steps: str = "50", lr: str = "0.1") -> Tensor:
    activation = seen.passed(seen.x)[0].clamp(min=0)
    weights = torch.zeros(len(activation), dtype=activation.dtype, requires_grad=True)
    adam = torch.optim.Adam([weights], lr=float(lr), maximize=True)

    def combined() -> Tensor:
        low = sum(share * each for share, each in zip(weights.softmax(0), activation, strict=True))
        assert isinstance(low, Tensor)
        size = tuple(seen.x.shape[1:])
        return torch.nn.functional.interpolate(low[None, None], size, mode="bilinear")[0, 0]

    for _ in range(int(steps)):
        adam.zero_grad()
        found = combined()
        shown = (found - found.min()) / (found.max() - found.min())
        seen.model((seen.x * shown)[None])[0, seen.c].backward()
        adam.step()
    return combined().detach()


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("spec", ["opticam:steps=1", "opticam:steps=10,lr=0.05", "opticam"])
def test_agrees_with_torch_s_adam(network: str, spec: str) -> None:
    """In float64; 50 steps of Adam carry rounding on, and a step more of it after a kink."""
    assert apart(network, spec) < (1e-3 if spec == "opticam" else 1e-5)


def test_by_hand() -> None:
    """One channel has all the weight at every step: the map is the image."""
    pixels = torch.eye(4)
    assert (by_hand("opticam:steps=3", pixels) - pixels).abs().max() < 1e-6


@pytest.mark.parametrize("network", ["gap", "vgg-like"])
def test_the_image_under_its_map_has_a_larger_logit_than_under_equal_weights(network: str) -> None:
    made = small_bench(network)
    images = random_images(IMAGES, seed=1)
    view = view_of(made, images)

    def logits(steps: int) -> Tensor:
        maps = image_method(f"opticam:steps={steps},lr=0.1").combine(view)
        low = maps.amin((1, 2), keepdim=True)
        shown = images * ((maps - low) / (maps.amax((1, 2), keepdim=True) - low))[:, None]
        found = made.network.observe(IMAGES, lambda start, stop: shown[start:stop]).logits
        return found.gather(1, view.targets[:, None])[:, 0]

    assert (logits(50) > logits(1)).all()


def test_it_says_what_it_optimises() -> None:
    assert {key for key, kind in all_methods().items() if kind.optimises} == {"opticam"}
