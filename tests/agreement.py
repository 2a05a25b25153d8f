"""The evaluator beside ``tests.reference`` on the small networks: same images, same noise, row by
row.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn

from evaluator.catalog import method
from evaluator.measuring.optional_metrics import ProbedImages
from evaluator.measuring.pipeline import Batch, Scores
from evaluator.measuring.saliency import MapOfImage
from evaluator.measuring.views import BatchView
from evaluator.networks.network import Observation
from evaluator.records import StoredMap
from tests.networks import NETWORKS, Bench, bench, random_images
from tests.reference import Noise, reference_row

VALUES = ("y", "o", "average_drop", "average_increase", "coherency", "complexity", "adcc")
IMAGES = 4


@dataclass(frozen=True)
class Agreement:
    """How far two implementations are apart on some images.

    Attributes:
        largest: difference over all values and all pixels of the low-resolution maps. varied:
        whether drop, coherency and complexity differ between the images, so that agreement means
        something.
    """

    largest: float
    varied: bool


def keys_of(count: int) -> list[bytes]:
    """One noise key per image, as a run of seed 0 would have."""
    return [b"0\0%d.png" % place for place in range(count)]


def noise_of(made: Bench, key: bytes) -> Noise:
    """The evaluator's noise for one image, as the reference asks for it.

    That the explanation map has a key of its own, and which, is part of the protocol: a change
    would change stored numbers.
    """
    empty = Observation(torch.zeros(1), torch.zeros(1))
    return _ViewNoise(
        [
            BatchView(made.network, lambda: torch.zeros(1), empty, torch.zeros(1), [own])
            for own in (key, key + b"\0masked")
        ]
    )


class _ViewNoise:
    """The noise of two views, of the image and of its explanation map."""

    def __init__(self, views: Sequence[BatchView]) -> None:
        self._views = views

    def __call__(self, name: str, step: int, channels: int, masked: bool) -> Tensor:
        return self._views[masked].noise(name, step, channels)[0]

    def uniform(self, name: str, count: int, masked: bool) -> Tensor:
        return self._views[masked].uniform(name, count)[0]


@cache
def small_bench(network: str) -> Bench:
    """The network of that name, ready to run."""
    return bench(NETWORKS[network]())


def compared(network: str, spec: str) -> Agreement:
    """One method on the images of ``random_images``: the evaluator in float32 in one batch, the
    reference in float64.
    """
    images = random_images(IMAGES, seed=1)
    scores = evaluated(small_bench(network), images, spec)
    return compare(small_bench(network), NETWORKS[network](), images, spec, scores)


def evaluated(made: Bench, images: Tensor, spec: str, targets: Tensor | None = None) -> Scores:
    """The evaluator's scores of one method."""
    asked = method(spec)
    return made.pipeline.rows(Batch(images, keys_of(len(images)), targets), [asked])[asked.name]


def stored(made: Bench, images: Tensor, spec: str) -> list[MapOfImage]:
    """The maps of one method as a run stores them."""
    scores = evaluated(made, images, spec)
    return [
        MapOfImage(
            place,
            spec,
            StoredMap(scores.target[place], scores.y[place], scores.o[place], scores.maps[place]),
        )
        for place in range(len(images))
    ]


def probed(made: Bench, images: Tensor, redrawn: Bench | None = None) -> ProbedImages:
    """The images, to be asked about again.

    Args:
        redrawn: the network with other weights.
    """
    return ProbedImages(
        made.network,
        made.pipeline,
        images,
        keys_of(len(images)),
        redrawn=(lambda: redrawn.pipeline) if redrawn else None,
    )


def compare(
    made: Bench,
    model: nn.Module,
    images: Tensor,
    spec: str,
    scores: Scores,
    targets: Tensor | None = None,
) -> Agreement:
    """The evaluator's scores beside the reference's rows; what is no number must agree exactly."""
    slow = deepcopy(model).double().requires_grad_(False)
    layer = slow.get_submodule(made.network.backbone.facts.layer)
    differences = [0.0]
    rows: list[dict[str, Any]] = []
    for place, (image, key) in enumerate(zip(images, keys_of(len(images)), strict=True)):
        target = None if targets is None else int(targets[place])
        row = reference_row(
            slow, layer, image.double(), spec, target=target, noise=noise_of(made, key)
        )
        rows.append(row)
        for name in ("target", "predicted", "degenerate"):
            assert getattr(scores, name)[place] == row[name], f"image {place}: {name}"
        differences += [abs(getattr(scores, name)[place] - row[name]) for name in VALUES]
        differences.append(_map_difference(scores.maps[place], row["map"]))
    return Agreement(
        max(differences),
        all(len({row[n] for row in rows}) > 1 for n in ("coherency", "complexity", "o")),
    )


def _map_difference(stored: bytes | None, expected: Tensor | None) -> float:
    if stored is None or expected is None:
        assert stored is None and expected is None, "only one of the two has a low-resolution map"  # noqa: PT018 - one fact
        return 0.0
    values = torch.frombuffer(bytearray(stored), dtype=torch.float32).view(expected.shape)
    return float((values - expected).abs().max())
