"""Views for tests of the formulas: a small network's clean pass, and one made of given numbers."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import cast

import torch
from torch import Tensor

from evaluator.catalog import method
from evaluator.measuring.pipeline import Scores
from evaluator.measuring.views import BatchView
from evaluator.methods.base import View
from tests.agreement import IMAGES, VALUES, keys_of, small_bench
from tests.networks import random_images


def clean_view(network: str) -> BatchView:
    """The clean pass over the images of ``random_images``, predicted classes."""
    images = random_images(IMAGES, seed=1)
    net = small_bench(network).network
    observed = net.observe(len(images), lambda start, stop: images[start:stop])
    return BatchView(net, lambda: images, observed, observed.logits.argmax(1), keys_of(IMAGES))


def combined(network: str, spec: str) -> Tensor:
    """``L`` of a method by its own formula on that view."""
    return method(spec).combine(clean_view(network))


class StillView:
    """A view that only has an activation and a gradient ``[B, K, h, w]``."""

    def __init__(self, activation: Tensor, gradient: Tensor) -> None:
        self._view = SimpleNamespace(activation=activation, gradient=gradient, gap_linear=False)

    def combine(self, spec: str) -> Tensor:
        """``L`` of a method."""
        return method(spec).combine(cast("View", self._view))


def worst_difference(found: Scores, expected: Scores, order: Sequence[int] | None = None) -> float:
    """Largest difference of two batches' scores in any value or pixel; ``order``: where each
    expected image is found.
    """
    places = order or range(len(expected.y))
    differences: list[float] = [
        abs(getattr(found, v)[p] - e)
        for v in VALUES
        for p, e in zip(places, getattr(expected, v), strict=True)
    ]
    for place, stored in zip(places, expected.maps, strict=True):
        if stored is not None:
            differences.append(float((pixels(found.maps[place]) - pixels(stored)).abs().max()))
    return max(differences)


def pixels(stored: bytes | None) -> Tensor:
    """A stored map as values."""
    assert stored is not None
    return torch.frombuffer(bytearray(stored), dtype=torch.float32)
