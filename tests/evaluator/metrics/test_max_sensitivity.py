"""Max-sensitivity: by hand, by the slow methods through a whole network, and by Quantus."""

from __future__ import annotations

import warnings
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from evaluator.measuring.optional_metrics import MapProbe, ProbedImages
from evaluator.measuring.saliency import MapOfImage, Saliency, saliency_of
from evaluator.metrics.base import Alteration, Explained
from evaluator.metrics.max_sensitivity import MOST, RADIUS, SAMPLES, distances, measure
from tests.agreement import keys_of, noise_of, probed, small_bench, stored
from tests.localisation import Unasked
from tests.networks import NETWORKS, SIDE, Bench, normalising, random_images
from tests.reference import Explained as Seen
from tests.reference import bilinear, combination, min_max

MEAN, STD = (0.5, 0.4, 0.6), (0.5, 0.2, 0.1)


@dataclass
class Moving(Unasked):
    """A method whose map moves by a step's worth."""

    maps: list[Tensor]
    asked: list[tuple[str, int]] = field(default_factory=list)

    def explained(self, alter: Alteration, name: str, step: int) -> Saliency:
        self.asked.append((name, step))
        return Saliency(self.maps[step], 2, 2)


def found_for(own: list[list[float]], maps: list[list[list[float]]]) -> Tensor:
    half = torch.full((len(own),), 0.5, dtype=torch.float64)
    probe = Moving([torch.tensor(one).view(-1, 2, 2) for one in maps])
    saliency = Saliency(torch.tensor(own).view(-1, 2, 2), 2, 2)
    return distances(Explained(half, half, saliency, probe=probe))


def test_by_hand() -> None:
    """‖(0, 0, 3, 4)‖ is 5; the third step moves it by (3, 4, 0, 0), the others not at all."""
    still = [[0.0, 0.0, 3.0, 4.0]]
    found = found_for(still, [still, still, [[3.0, 4.0, 3.0, 4.0]], *[still] * 7])
    assert found.tolist() == [[0, 0, 1, 0, 0, 0, 0, 0, 0, 0]]


def test_maps_of_nothing_and_great_distances() -> None:
    own, nothing = [[0.0] * 4, [0.0] * 4, [0.1, 0, 0, 0]], [0.0] * 4
    found = found_for(own, [[nothing, [0, 0, 0, 1.0], [1.0] * 4]] * SAMPLES)
    assert found.amax(1).tolist() == [0.0, MOST, MOST]


def test_every_pixel_moves_by_two_hundredths_at_most_the_same_way_each_time() -> None:
    made = normalising(small_bench("gap"), MEAN, STD)
    images = random_images(2, seed=1)
    asked = probed(made, images)
    moved = RADIUS * asked.uniform("perturbation", 3) * torch.tensor(STD)[:, None, None]
    assert 0.0199 < float(moved.abs().max()) <= 0.02
    assert abs(float(moved.mean())) < 5e-4
    again = probed(made, images[:1]).uniform("perturbation", 3)
    assert torch.equal(asked.uniform("perturbation", 3)[:1], again), "whatever else is in the batch"
    assert not torch.equal(asked.uniform("perturbation", 4)[:1], again)
    assert not torch.equal(*asked.uniform("perturbation", 3))


def fast(made: Bench, images: Tensor, maps: list[MapOfImage]) -> tuple[ProbedImages, Explained]:
    asked = probed(made, images)
    clean = torch.full((len(images),), 0.5, dtype=torch.float64)
    saliency = saliency_of(maps, made.network)
    return asked, Explained(clean, clean, saliency, probe=MapProbe(asked, maps))


@pytest.mark.parametrize("network", ["gap", "vgg-like", "smooth"])
@pytest.mark.parametrize("spec", ["gradcam", "smoothgradcampp"])
def test_as_the_slow_method_on_each_perturbed_image(network: str, spec: str) -> None:
    made, images = small_bench(network), random_images(2, seed=5)
    maps = stored(made, images, spec)
    asked, explained = fast(made, images, maps)
    found = distances(explained)
    model = deepcopy(NETWORKS[network]()).double().requires_grad_(False)
    layer = model.get_submodule(made.network.backbone.facts.layer)
    for place, key in enumerate(keys_of(2)):

        def slow(image: Tensor, place: int = place, key: bytes = key) -> Tensor:
            seen = Seen(model, layer, image, maps[place].stored.target, noise_of(made, key), False)
            return bilinear(min_max(combination(spec, seen).clamp(min=0)), SIDE, SIDE)

        image = images[place].double()
        own = slow(image)
        for step in range(SAMPLES):
            noise = asked.uniform("perturbation", step)[place].double()
            expected = (slow(image + 0.02 * noise) - own).norm() / own.norm()
            assert float(found[place, step]) == pytest.approx(float(expected), abs=1e-4)
    assert 1e-4 < float(found.min()) < float(found.max()) < MOST
    assert torch.equal(measure(explained), found.amax(1))


def test_as_quantus_has_it() -> None:
    made, images = small_bench("vgg-like"), random_images(3, seed=6)
    maps = stored(made, images, "layercam")
    asked, explained = fast(made, images, maps)
    probe = explained.probe
    assert probe is not None
    assert measure(explained).tolist() == pytest.approx(
        quantus("max_sensitivity", "MaxSensitivity", asked, probe, explained), abs=1e-6
    )


def quantus(
    module: str, name: str, asked: ProbedImages, probe: Any, explained: Explained
) -> list[float]:
    """Quantus's, with our draws and our maps of what it has perturbed."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from importlib import import_module

        kind = getattr(import_module(f"quantus.metrics.robustness.{module}"), name)
        steps = iter(range(SAMPLES))

        def perturb(arr: Any, indices: Any, **_: Any) -> Any:
            noise = asked.uniform("perturbation", next(steps)).flatten(1).numpy()
            return arr + RADIUS * noise

        metric = kind(
            nr_samples=SAMPLES,
            abs=False,
            normalise=False,
            perturb_func=perturb,
            disable_warnings=True,
        )
        calls = iter(range(SAMPLES))

        def explain(_model: Any, x_batch: Any, _targets: Any) -> Any:
            seen = torch.from_numpy(np.asarray(x_batch)).float()
            made = probe.explained(lambda _i, _n: seen, "of Quantus", next(calls))
            return made.pixels().double().numpy()

        metric.explain_batch = explain
        values = metric.evaluate_batch(
            model=None,
            x_batch=asked.images.numpy(),
            y_batch=None,
            a_batch=explained.saliency.pixels().double().numpy(),
        )
    return [float(value) for value in np.asarray(values)]
