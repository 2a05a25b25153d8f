"""ROAD: which pixels are missing, ties by hand, and pytorch-grad-cam's own on maps without ties
with its noise fed in.
"""

from __future__ import annotations

import warnings
from itertools import product
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import Tensor

from evaluator.measuring.imputation import NOISE
from evaluator.measuring.optional_metrics import MapProbe, ProbedImages
from evaluator.measuring.saliency import MapOfImage, Saliency
from evaluator.metrics.base import Explained
from evaluator.metrics.curves import pixel_ranks
from evaluator.metrics.road import METRIC, measure, missing_by_percentile, missing_by_rank
from evaluator.plan import RunPlan
from evaluator.records import StoredMap
from tests.agreement import keys_of, small_bench
from tests.evaluator.measuring.test_imputation import slow as solved
from tests.networks import NETWORKS, SIDE, Bench, normalising, random_images

PIXELS = SIDE * SIDE


def maps_without_ties(count: int) -> Tensor:
    generator = torch.Generator().manual_seed(5)
    return torch.stack(
        [
            torch.randperm(PIXELS, generator=generator).view(SIDE, SIDE) / PIXELS
            for _ in range(count)
        ]
    )


MEAN, STD = (0.5, 0.4, 0.6), (0.02, 0.03, 0.05)


def probe_of(
    images: Tensor, targets: list[int], network: str = "gap", made: Bench | None = None
) -> MapProbe:
    made = made or small_bench(network)
    maps = [
        MapOfImage(place, "gradcam", StoredMap(target, 0.5, 0.5, b""))
        for place, target in enumerate(targets)
    ]
    return MapProbe(ProbedImages(made.network, made.pipeline, images, keys_of(len(images))), maps)


def road(
    maps: Tensor, images: Tensor, targets: list[int], removal: str = "rank", network: str = "gap"
) -> Tensor:
    confidence = torch.full((len(maps),), 0.5, dtype=torch.float64)
    settings = SimpleNamespace(road_removal=removal)
    probe = probe_of(images, targets, network)
    return measure(
        Explained(
            confidence, confidence, Saliency(maps, SIDE, SIDE), probe=probe, settings=settings
        )
    )


def test_a_fifth_of_ten_pixels_is_two() -> None:
    values = torch.tensor([[[0.9, 0.1, 0.8, 0.2, 0.7], [0.3, 0.6, 0.4, 0.5, 0.0]]])
    missing = missing_by_rank(pixel_ranks(values))[0]
    assert missing.flatten(1).sum(1).tolist() == [2, 4, 6, 8, 2, 4, 6, 8]
    assert missing[0].int().tolist() == [[1, 0, 1, 0, 0], [0, 0, 0, 0, 0]]
    assert missing[4].int().tolist() == [[0, 1, 0, 0, 0], [0, 0, 0, 0, 1]]
    assert torch.equal(missing, missing_by_percentile(values)[0])


def test_of_a_map_half_zero_ranks_take_sixty_percent_and_a_percentile_everything() -> None:
    """The example of the page: at 60 % the threshold of a percentile is 0, and no pixel is below
    it.
    """
    values = torch.tensor([[[0.9, 0.8, 0.7, 0.6, 0.5], [0.0, 0.0, 0.0, 0.0, 0.0]]])
    by_rank, released = missing_by_rank(pixel_ranks(values))[0], missing_by_percentile(values)[0]
    assert by_rank.flatten(1).sum(1).tolist() == [2, 4, 6, 8, 2, 4, 6, 8]
    assert by_rank[2].int().tolist() == [[1, 1, 1, 1, 1], [1, 0, 0, 0, 0]]
    assert by_rank[4].int().tolist() == [[0, 0, 0, 0, 0], [0, 0, 0, 1, 1]]
    assert released.flatten(1).sum(1).tolist() == [2, 4, 10, 10, 5, 5, 6, 8]


def test_eight_forwards_an_image() -> None:
    images = random_images(3, seed=2)
    network = small_bench("gap").network
    before = network.forwards
    road(maps_without_ties(3), images, [1, 2, 3])
    assert network.forwards - before == 3 * METRIC.forwards == 24


def test_the_range_and_the_sign() -> None:
    """A map and its reverse, whose pixels leave the other way round, have opposite values but for
    the noise.
    """
    images, maps = random_images(3, seed=2), maps_without_ties(3)
    there, back = road(maps, images, [1, 2, 3]), road(1 - 1 / PIXELS - maps, images, [1, 2, 3])
    assert bool((there.abs() <= 0.5).all())
    assert (there + back).abs().max() < 0.02
    assert there.abs().max() > 1e-4


@pytest.mark.parametrize("removal", ["rank", "released"])
@pytest.mark.parametrize("network", ["gap", "vgg-like"])
def test_as_pytorch_grad_cam_has_it_where_there_are_no_ties(network: str, removal: str) -> None:
    images, maps, targets = random_images(2, seed=7), maps_without_ties(2), [1, 4]
    expected = released_road(network, images, maps, targets)
    assert road(maps, images, targets, removal, network).tolist() == pytest.approx(
        expected, abs=1e-4
    )


@pytest.mark.parametrize("network", ["gap"])
def test_the_released_variant_is_theirs_with_ties_too(network: str) -> None:
    images, maps = random_images(1, seed=7), maps_without_ties(1)
    maps = torch.where(maps < 0.5, 0.0, maps)
    expected = released_road(network, images, maps, [1])
    assert road(maps, images, [1], "released", network).tolist() == pytest.approx(
        expected, abs=1e-4
    )
    assert road(maps, images, [1], "rank", network).tolist() != pytest.approx(expected, abs=1e-3)


def test_as_the_authors_imputer_and_a_loop_have_it() -> None:
    """Rong et al. impute pixels in [0, 1] and add 0.01·N(0, 1) to them; the network's input is
    normalised afterwards. One sparse solve for every mask, in float64.
    """
    mean, std = (torch.tensor(one)[:, None, None] for one in (MEAN, STD))
    images = random_images(2, seed=7)
    pixels = images * std + mean
    maps, targets = maps_without_ties(2), [1, 4]
    made = normalising(small_bench("gap"), MEAN, STD)
    probe = probe_of(images, targets, made=made)
    clean = torch.full((2,), 0.5, dtype=torch.float64)
    saliency = Saliency(maps, SIDE, SIDE)
    found = measure(Explained(clean, clean, saliency, probe=probe, settings=RunPlan))
    model = NETWORKS["gap"]().double()
    for place, target in enumerate(targets):
        noise = probe._probed.noise(place, METRIC.forwards).double()
        order = maps[place].flatten().argsort(descending=True)
        scores: dict[str, list[float]] = {"morf": [], "lerf": []}
        for step, (name, percent) in enumerate(product(scores, (20, 40, 60, 80))):
            count = -(-PIXELS * percent // 100)
            gone = torch.zeros(PIXELS, dtype=torch.bool)
            gone[order[:count] if name == "morf" else order[PIXELS - count :]] = True
            gone = gone.view(SIDE, SIDE)
            filled = solved(pixels[place], gone) + 0.01 * noise[step] * gone
            with torch.no_grad():
                logits = model(((filled - mean) / std)[None])[0]
            scores[name].append(float(logits.softmax(0)[target]))
        expected = (sum(scores["lerf"]) - sum(scores["morf"])) / 4 / 2
        assert float(found[place]) == pytest.approx(expected, abs=1e-5)
    weaker = road(maps, images, targets)  # by a network that normalises nothing
    assert (weaker - found).abs().min() > 5e-5, "noise after the normalisation is another number"


def released_road(network: str, images: Tensor, maps: Tensor, targets: list[int]) -> list[float]:
    """pytorch-grad-cam's metric, whose noise is that of the evaluator."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from pytorch_grad_cam.metrics.perturbation_confidence import (
            PerturbationConfidenceMetric,
            RemoveLeastRelevantFirst,
            RemoveMostRelevantFirst,
        )
        from pytorch_grad_cam.metrics.road import NoisyLinearImputer
        from pytorch_grad_cam.utils.model_targets import ClassifierOutputSoftmaxTarget

    model = NETWORKS[network]()
    values = []
    for place, target in enumerate(targets):
        fields = probe_of(images, targets, network)._probed.noise(place, METRIC.forwards)
        scores = []
        for step, (kind, percentile) in enumerate(
            [
                (kind, p)
                for kind in (RemoveMostRelevantFirst, RemoveLeastRelevantFirst)
                for p in (80, 60, 40, 20)
            ]
        ):

            class WithNoise(NoisyLinearImputer):  # type: ignore[misc]  # pytorch-grad-cam ships no types
                noise_field = fields[step]

                def __call__(self, image: Tensor, mask: Tensor) -> Tensor:
                    filled: Tensor = super().__call__(image, mask)
                    return filled + NOISE * self.noise_field * (mask == 0)

            metric = PerturbationConfidenceMetric(kind(percentile, WithNoise(noise=0)))
            given = images[place : place + 1], maps[place : place + 1].numpy()
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # numpy's, of what it does with tensors
                found = metric(
                    *given, [ClassifierOutputSoftmaxTarget(target)], model, return_diff=False
                )
            scores.append(float(np.asarray(found)[0]))
        values.append((sum(scores[4:]) / 4 - sum(scores[:4]) / 4) / 2)
    return values
