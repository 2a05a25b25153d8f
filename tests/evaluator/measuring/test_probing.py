"""Asking a network again: what it sees without pixels, the seeded noise, and the maps of the least
likely class.
"""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from evaluator.catalog import method
from evaluator.measuring.imputation import NOISE, impute
from evaluator.measuring.optional_metrics import MapProbe, ProbedImages, measured
from evaluator.measuring.pipeline import Batch
from evaluator.measuring.saliency import MapOfImage, saliency_of
from evaluator.records import StoredMap
from tests.agreement import keys_of, small_bench
from tests.evaluator.measuring.test_imputation import slow
from tests.networks import SIDE, Bench, bench, gap_network, normalising, random_images


def stored(made: Bench, images: Tensor, spec: str) -> list[MapOfImage]:
    scores = made.pipeline.rows(Batch(images, keys_of(len(images))), [method(spec)])[
        method(spec).name
    ]
    return [
        MapOfImage(
            place,
            spec,
            StoredMap(scores.target[place], scores.y[place], scores.o[place], scores.maps[place]),
        )
        for place in range(len(images))
    ]


def probed(made: Bench, images: Tensor) -> ProbedImages:
    return ProbedImages(made.network, made.pipeline, images, keys_of(len(images)))


def holes(count: int, masks: int) -> Tensor:
    return torch.rand(count, masks, SIDE, SIDE, generator=torch.Generator().manual_seed(9)) < 0.5


@pytest.mark.parametrize("batch_size", [1, 3, 4, 16])
def test_what_the_network_sees_without_pixels(batch_size: int) -> None:
    made, images, missing = bench(gap_network()), random_images(3, seed=1), holes(3, 4)
    made.network.batch_sizes["fp32"] = batch_size
    maps = stored(made, images, "gradcam")
    asked = probed(made, images)
    before = made.network.forwards
    found = MapProbe(asked, maps).without(missing)
    assert made.network.forwards - before == 12
    for place, one in enumerate(maps):
        seen = impute(images[place][None], missing[place][None])[0]
        seen = seen + NOISE * asked.noise(place, 4) * missing[place][:, None]
        logits = made.network.forward(seen, channel_scoring=False).logits
        expected = made.network.confidence(logits, torch.full((4,), one.stored.target))
        assert found[place].tolist() == pytest.approx(expected.tolist(), abs=1e-6)


MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def by_imagenet(images: Tensor, road_noise: str) -> MapProbe:
    """A probe of a network that takes images normalised by ImageNet's statistics."""
    network, pipeline = normalising(small_bench("gap"), MEAN, STD)
    asked = ProbedImages(network, pipeline, images, keys_of(len(images)), road_noise=road_noise)
    return MapProbe(asked, stored(small_bench("gap"), images, "gradcam"))


def test_noise_is_added_to_pixels_as_the_authors_imputer_does() -> None:
    """Rong et al. impute images in [0, 1], add 0.01·N(0, 1) and normalise then."""
    pixels, missing = torch.rand(2, 3, SIDE, SIDE, generator=seeded(3)), holes(2, 2)
    mean, std = (torch.tensor(one)[:, None, None] for one in (MEAN, STD))
    images = (pixels - mean) / std
    made = small_bench("gap")
    seen = by_imagenet(images, "pixels")._versions(missing, 0, 2)
    noise = [probed(made, images).noise(place, 2) for place in range(2)]
    for place, mask in ((0, 0), (0, 1), (1, 0), (1, 1)):
        gone = missing[place, mask]
        filled = slow(pixels[place], gone) + 0.01 * noise[place][mask].double() * gone
        expected = (filled - mean.double()) / std.double()
        assert (seen[place, mask].double() - expected).abs().max() < 1e-4


def test_noise_after_the_normalisation_is_weaker_in_pixels_by_the_standard_deviation() -> None:
    images, missing = random_images(2, seed=1), holes(2, 2)
    pixels, normalised = (
        by_imagenet(images, where)._versions(missing, 0, 2) - impute(images, missing)
        for where in ("pixels", "normalised")
    )
    gone = missing[:, :, None].expand_as(pixels)
    for channel, std in enumerate(STD):
        one, other = (noise[:, :, channel][gone[:, :, channel]] for noise in (pixels, normalised))
        assert float(one.std() / other.std()) == pytest.approx(1 / std, rel=1e-3)
        assert float(other.std()) == pytest.approx(0.01, rel=0.05)
    assert not pixels[~gone].any()


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_noise_is_that_of_the_image_and_of_the_step() -> None:
    made, images = small_bench("gap"), random_images(3, seed=1)
    asked = probed(made, images)
    first, second = asked.noise(0, 8), asked.noise(1, 8)
    assert torch.equal(first[:2], probed(made, images).noise(0, 2)), "whatever was drawn before"
    assert not torch.equal(first, second)
    assert not torch.equal(first[0], first[1])
    assert abs(float(first.std()) - 1) < 0.02


def test_maps_that_are_equal_by_construction_are_asked_about_once() -> None:
    made, images = small_bench("gap"), random_images(2, seed=3)
    grad, layer = stored(made, images, "gradcam"), stored(made, images, "layercam")
    maps = [*grad, *(one._replace(method="xgradcam") for one in grad), *layer]
    before = made.network.forwards
    values = measured("road", maps, made.network, probed=probed(made, images))
    assert made.network.forwards - before == 2 * 8 * 2
    assert values[:2] == values[2:4] != values[4:]


@pytest.mark.parametrize("network", ["gap", "vgg-like"])
def test_maps_of_the_least_likely_class(network: str) -> None:
    made, images = small_bench(network), random_images(3, seed=4)
    least = made.network.observe(3, lambda first, last: images[first:last]).logits.argmin(1)
    asked = probed(made, images)
    before = made.network.forwards
    for spec in ("gradcam", "layercam", "eigencam", "fakecam"):
        maps = stored(made, images, spec)
        others = made.pipeline.rows(Batch(images, keys_of(3), least), [method(spec)])[spec]
        chosen = [maps[2], maps[0]]
        found = MapProbe(asked, chosen).least_likely().pixels().expand(2, -1, -1)
        again = [
            one._replace(stored=one.stored._replace(values=others.maps[one.image]))
            for one in chosen
        ]
        assert (found - saliency_of(again, made.network).pixels()).abs().max() < 1e-6
    rows = 4 * 2 * (3 + 3)
    assert made.network.forwards - before == rows + 3, "one clean pass for all methods"


def test_methods_that_cannot_see_the_class_have_no_sensitivity() -> None:
    made, images = small_bench("vgg-like"), random_images(3, seed=5)
    value = {
        spec: measured(
            "class_sensitivity",
            stored(made, images, spec),
            made.network,
            probed=probed(made, images),
        )
        for spec in ("eigencam", "fakecam", "gradcam")
    }
    assert value["eigencam"] == pytest.approx([0.0] * 3, abs=1e-9)
    assert value["fakecam"] == pytest.approx([0.0] * 3, abs=1e-9)
    assert min(value["gradcam"]) > 0.01
