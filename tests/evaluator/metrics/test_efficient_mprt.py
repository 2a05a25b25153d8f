"""Efficient MPRT: histograms by hand and by Quantus, the slow method under other weights."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from math import log

import pytest
import torch
from torch import Tensor

from evaluator.measuring.optional_metrics import measured
from evaluator.measuring.saliency import Saliency, saliency_of
from evaluator.metrics.base import Explained
from evaluator.metrics.efficient_mprt import BINS, histogram_entropy, measure
from tests.agreement import keys_of, noise_of, probed, stored
from tests.localisation import Unasked, random_case
from tests.networks import SIDE, bench, gap_network, random_images, vgg_like_network
from tests.reference import Explained as Seen
from tests.reference import bilinear, combination, min_max


@dataclass
class Untrained(Unasked):
    maps: Tensor

    def random_weights(self) -> Saliency:
        return Saliency(self.maps, *self.maps.shape[1:])


def rise(own: Tensor, other: Tensor) -> list[float]:
    half = torch.full((len(own),), 0.5, dtype=torch.float64)
    saliency = Saliency(own, *own.shape[1:])
    values: list[float] = measure(Explained(half, half, saliency, probe=Untrained(other))).tolist()
    return values


def test_by_hand() -> None:
    """Two values in equal parts have ln 2, four have ln 4, one has 0."""
    two = torch.tensor([[[0.0, 0.0], [1.0, 1.0]]])
    four = torch.tensor([[[0.0, 0.3], [0.6, 1.0]]])
    one = torch.full((1, 2, 2), 0.5)
    assert rise(two, four) == pytest.approx([log(2) / log(100)])
    assert rise(four, two) == pytest.approx([-log(2) / log(100)])
    assert rise(one, four) == pytest.approx([log(4) / log(100)])
    assert rise(one, one) == rise(two, two) == [0.0]


def test_as_quantus_has_the_entropy_and_the_rise() -> None:
    own, _ = random_case(4, 16, seed=4)
    own, other = own**3, own.flip(1).sqrt()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from quantus.functions.complexity_func import discrete_entropy

    before, after = (
        [discrete_entropy(one.double().numpy(), None, n_bins=BINS) for one in maps]
        for maps in (own, other)
    )
    assert histogram_entropy(own).tolist() == pytest.approx(before, abs=1e-9)
    relative = [(b - a) / a for a, b in zip(before, after, strict=True)]  # Quantus's value
    found = [value * log(BINS) / a for value, a in zip(rise(own, other), before, strict=True)]
    assert found == pytest.approx(relative, abs=1e-9)
    assert min(abs(value) for value in relative) > 0.01


@pytest.mark.parametrize("spec", ["gradcam", "layercam"])
def test_as_the_slow_method_under_the_other_weights(spec: str) -> None:
    """For the class that was explained, not that which the other weights predict."""
    images = random_images(3, seed=7)
    made, redrawn = bench(vgg_like_network()), bench(vgg_like_network(5))
    maps = stored(made, images, spec)
    assert [one.stored.target for one in maps] != [
        one.stored.target for one in stored(redrawn, images, spec)
    ]
    found = measured("efficient_mprt", maps, made.network, probed=probed(made, images, redrawn))
    model = vgg_like_network(5).double().requires_grad_(False)
    own = saliency_of(maps, made.network).pixels()
    for place, key in enumerate(keys_of(3)):
        seen = Seen(
            model,
            model.get_submodule("features"),
            images[place].double(),
            maps[place].stored.target,
            noise_of(redrawn, key),
            False,
        )
        other = bilinear(min_max(combination(spec, seen).clamp(min=0)), SIDE, SIDE)
        (expected,) = rise(own[place : place + 1].double(), other[None])
        assert found[place] == pytest.approx(expected, abs=2e-3)  # a pixel at a bin's edge
    assert max(map(abs, found)) > 0.02


def test_a_fixed_map_does_not_rise() -> None:
    made, redrawn, images = bench(gap_network()), bench(gap_network(5)), random_images(2)
    maps = stored(made, images, "centre")
    assert (
        measured("efficient_mprt", maps, made.network, probed=probed(made, images, redrawn))
        == [0.0] * 2
    )
