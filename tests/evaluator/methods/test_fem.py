"""FEM beside the paper's formula, by hand, and beside pytorch-grad-cam's, which is another."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch
from torch import Tensor

from tests.agreement import IMAGES
from tests.evaluator.methods.views import StillView, clean_view, combined
from tests.networks import NETWORKS, random_images
from tests.peers import gradcam_package

if TYPE_CHECKING:
    from tests.reference import Explained


def slow(seen: Explained, k: float = 2.0) -> Tensor:
    activation, _, _ = seen.passed(seen.x)
    total = seen.zeros
    for channel in activation:
        mean = channel.sum() / channel.numel()
        deviation = (((channel - mean) ** 2).sum() / channel.numel()) ** 0.5
        for i in range(total.shape[0]):
            for j in range(total.shape[1]):
                if channel[i, j] > mean + k * deviation:
                    total[i, j] += mean
    return total


def test_by_hand() -> None:
    """Nine positions, one of them 9: mean 1, deviation √8 = 2.83, 1 + 2 · 2.83 < 9; a constant
    channel adds nothing.
    """
    channel = torch.zeros(3, 3)
    channel[1, 2] = 9
    view = StillView(
        torch.stack([channel, torch.full((3, 3), 0.1), channel * 0.1])[None],
        torch.zeros(1, 3, 3, 3),
    )
    found = view.combine("fem")[0]
    assert found[1, 2] == pytest.approx(1.1)
    assert found.sum() == pytest.approx(1.1)


def test_pytorch_grad_cam_weighs_the_activation_by_the_share_of_such_positions() -> None:
    """Its map is put together here from our parts, so that what it makes otherwise is known, and
    nothing else.
    """
    activation = clean_view("vgg-like").activation
    theirs = gradcam_package("FEM", NETWORKS["vgg-like"](), random_images(IMAGES, seed=1), [])
    high = activation > activation.mean((2, 3), keepdim=True) + 2 * activation.std(
        (2, 3), correction=0, keepdim=True
    )
    assert torch.allclose(
        (high.double().mean((2, 3), keepdim=True) * activation).sum(1), theirs, atol=1e-5
    )
    assert not torch.allclose(combined("vgg-like", "fem"), theirs, rtol=0.5)
