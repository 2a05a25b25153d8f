"""Recipro-CAM beside a loop over positions through the whole network; its cost, and that chunks
change nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch
from torch import Tensor

from evaluator.measuring.views import BatchView
from tests.agreement import IMAGES, evaluated, keys_of, small_bench
from tests.evaluator.methods.views import combined, worst_difference
from tests.networks import NETWORKS, bench, random_images

if TYPE_CHECKING:
    from tests.reference import Explained


def slow(seen: Explained, mask: str = "gaussian") -> Tensor:
    total = seen.zeros
    for i in range(total.shape[0]):
        for j in range(total.shape[1]):
            around = torch.zeros_like(total)
            for a in range(total.shape[0]):
                for b in range(total.shape[1]):
                    away = abs(a - i) + abs(b - j)
                    if mask == "hard":
                        around[a, b] = float(away == 0)
                    elif max(abs(a - i), abs(b - j)) <= 1:
                        around[a, b] = (4, 2, 1)[away] / 16
            total[i, j] = seen.logits_where(around.mul).softmax(0)[seen.c]
    return total


def test_the_closed_form_is_the_head_on_every_masked_activation() -> None:
    made = small_bench("gap")
    images = random_images(IMAGES, seed=1)
    observed = made.network.observe(IMAGES, lambda start, stop: images[start:stop])
    view = BatchView(
        made.network, lambda: images, observed, observed.logits.argmax(1), keys_of(IMAGES)
    )
    masks = torch.rand(5, 8, 8, generator=torch.Generator().manual_seed(0))
    found = view.masked_confidence(masks)
    assert found.shape == (IMAGES, 5)
    for place, mask in enumerate(masks):
        logits = made.network.backbone.head(view.activation * mask)
        expected = logits.softmax(1).gather(1, view.targets[:, None])[:, 0]
        assert torch.allclose(found[:, place], expected, atol=1e-6)


@pytest.mark.parametrize("batch_size", [1, 5, 64])
def test_chunks_change_nothing(batch_size: int) -> None:
    images = random_images(3, seed=2)
    expected = evaluated(small_bench("vgg-like"), images, "reciprocam")
    found = evaluated(bench(NETWORKS["vgg-like"](), batch_size), images, "reciprocam")
    assert worst_difference(found, expected) < 5e-5


@pytest.mark.parametrize("network", ["gap", "vgg-like"])
def test_the_trunk_is_not_run_again(network: str) -> None:
    made = bench(NETWORKS[network]())
    evaluated(made, random_images(2, seed=1), "reciprocam")
    assert made.network.forwards == 2 + 2, "the clean pass and the masked pass"


def test_masks_are_two_different_maps() -> None:
    assert not torch.allclose(
        combined("gap", "reciprocam"), combined("gap", "reciprocam:mask=hard"), rtol=0.01
    )
