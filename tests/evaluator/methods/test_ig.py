"""Integrated gradients beside a loop over numpy's nodes, by hand, and beside captum's."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from torch import Tensor

from evaluator.methods.ig import gauss_legendre
from tests.agreement import small_bench
from tests.evaluator.methods.image_maps import (
    apart,
    baseline_of,
    by_hand,
    collapsed,
    gradient_at,
    image_method,
    ramp,
    view_of,
    weights,
)
from tests.networks import NETWORKS, normalising, random_images
from tests.peers import captum_attributions

if TYPE_CHECKING:
    from tests.reference import Explained


def slow(seen: Explained, n: int = 50, baseline: str = "zero", sign: str = "positive") -> Tensor:
    start = baseline_of(seen, baseline)
    way, total = seen.x - start, torch.zeros_like(seen.x)
    for node, weight in zip(*np.polynomial.legendre.leggauss(n), strict=True):
        total += weight / 2 * gradient_at(seen, start + (node + 1) / 2 * way)
    return collapsed(way * total, sign)


@pytest.mark.parametrize("spec", ["ig", "ig:n=7,sign=absolute", "ig:n=3,baseline=black"])
@pytest.mark.parametrize("network", NETWORKS)
def test_agrees_with_the_slow_formula(network: str, spec: str) -> None:
    assert apart(network, spec) < 1e-5


@pytest.mark.parametrize("n", [1, 2, 5, 50, 200])
def test_nodes_and_weights_are_numpy_s(n: int) -> None:
    nodes, shares = gauss_legendre(n)
    expected, their_shares = np.polynomial.legendre.leggauss(n)
    assert nodes == pytest.approx((expected + 1) / 2, abs=1e-12)
    assert shares == pytest.approx(their_shares / 2, abs=1e-12)


def test_by_hand() -> None:
    """A linear network has one gradient: every pixel's share is its weight times its value."""
    assert (by_hand("ig:n=3", ramp()) - ramp() * weights()).abs().max() < 1e-4


@pytest.mark.parametrize("baseline", ["zero", "black", "blur"])
@pytest.mark.parametrize("network", NETWORKS)
def test_shares_add_up_to_what_the_logit_gains(network: str, baseline: str) -> None:
    made = normalising(small_bench(network), (0.1, 0.2, 0.3), (0.5, 0.6, 0.7))
    view = view_of(made, random_images(3, seed=1))
    start = view.image.reference(baseline)
    nothing = made.network.observe(3, lambda first, last: start[first:last]).logits
    gained = (view.logits - nothing).gather(1, view.targets[:, None])[:, 0]
    shares = image_method(f"ig:n=200,baseline={baseline}").explain(view.image).sum((1, 2, 3))
    assert gained.abs().min() > 0.1
    assert (shares - gained).abs().max() < 1e-2 * gained.abs().max()


@pytest.mark.parametrize("network", NETWORKS)
def test_agrees_with_captum(network: str) -> None:
    images = random_images(3, seed=1)
    view = view_of(small_bench(network), images)
    theirs = captum_attributions(
        "IntegratedGradients", network, images, view.targets, n_steps=20, method="gausslegendre"
    )
    found = image_method("ig:n=20").explain(view.image)
    assert (found - theirs).abs().max() < 1e-5
