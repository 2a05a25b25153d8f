"""Occlusion beside a loop over pixels and windows, by hand, and beside captum's."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch
from torch import Tensor

from tests.agreement import small_bench
from tests.evaluator.methods.image_maps import (
    apart,
    baseline_of,
    by_hand,
    image_method,
    ramp,
    view_of,
    weights,
)
from tests.networks import NETWORKS, bench, random_images
from tests.peers import captum_attributions

if TYPE_CHECKING:
    from tests.reference import Explained


def slow(
    seen: Explained,
    window: str = "50",
    stride: str = "25",
    baseline: str = "zero",
    sign: str = "positive",
) -> Tensor:
    side, nothing = seen.x.shape[1], baseline_of(seen, baseline)
    starts: list[int] = []
    at = 0
    while not starts or starts[-1] + int(window) < 224:
        starts.append(at)
        at += int(stride)
    edges = [(round(a * side / 224), round((a + int(window)) * side / 224)) for a in starts]
    logit = seen.logits(seen.x)[seen.c]
    falls: list[list[list[float]]] = [[[] for _ in range(side)] for _ in range(side)]
    for top, bottom in edges:
        for left, right in edges:
            hidden = seen.x.clone()
            hidden[:, top:bottom, left:right] = nothing[:, top:bottom, left:right]
            fall = float(logit - seen.logits(hidden)[seen.c])
            for y in range(top, min(bottom, side)):
                for x in range(left, min(right, side)):
                    falls[y][x].append(fall)
    found = torch.tensor(
        [[sum(each) / max(1, len(each)) for each in row] for row in falls]
    ).double()
    return found.abs() if sign == "absolute" else found


@pytest.mark.parametrize(
    "spec",
    [
        "occlusion",
        "occlusion:window=64,stride=56,baseline=black",
        "occlusion:window=30,stride=90,sign=absolute",
    ],
)
@pytest.mark.parametrize("network", NETWORKS)
def test_agrees_with_the_slow_formula(network: str, spec: str) -> None:
    assert apart(network, spec) < 1e-5


def test_by_hand() -> None:
    """Four windows of 2 × 2 pixels: each takes away the sum of its pixels times their weights."""
    shares = ramp() * weights()
    expected = shares.view(2, 2, 2, 2).sum((1, 3)).repeat_interleave(2, 0).repeat_interleave(2, 1)
    assert (by_hand("occlusion:window=112,stride=112", ramp()) - expected).abs().max() < 1e-4


@pytest.mark.parametrize("window", [50, 224, 10])
def test_the_windows_are_as_many_on_every_input(window: int) -> None:
    asked = image_method(f"occlusion:window={window},stride=40")
    made = bench(NETWORKS["gap"](), side=48)
    before = made.network.forwards
    asked.combine(view_of(made, random_images(1, seed=1, side=48)))
    assert made.network.forwards - before == 1 + asked.cost()


@pytest.mark.parametrize("network", NETWORKS)
def test_agrees_with_captum(network: str) -> None:
    """Windows of 8 pixels every 4, of an input of 32."""
    images = random_images(2, seed=1)
    view = view_of(small_bench(network), images)
    windows = {"sliding_window_shapes": (3, 8, 8), "strides": (3, 4, 4)}
    theirs = captum_attributions("Occlusion", network, images, view.targets, **windows)
    found = image_method("occlusion:window=56,stride=28").explain(view.image)
    assert (found - theirs[:, :1]).abs().max() < 1e-5
