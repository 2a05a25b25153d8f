"""Asking a network again: what it sees without pixels, the seeded noise, and the maps of the least
likely class.
"""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from evaluator.backbones import parse_backbone
from evaluator.catalog import method
from evaluator.execution.stages import Head, optional_forwards
from evaluator.measuring.imputation import NOISE, impute
from evaluator.measuring.optional_metrics import MapProbe, ProbedImages, measured
from evaluator.measuring.pipeline import Batch
from evaluator.measuring.saliency import MapOfImage, saliency_of
from evaluator.metrics import all_metrics
from evaluator.plan import RunPlan
from tests.agreement import evaluated, keys_of, probed, small_bench, stored
from tests.evaluator.measuring.test_imputation import slow
from tests.networks import NETWORKS, SIDE, Bench, bench, gap_network, normalising, random_images


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


ASKING = sorted(
    key
    for key, metric in all_metrics().items()
    if metric.pixels and not metric.curve and not metric.of
)


def declared(made: Bench, maps: list[MapOfImage], keys: list[str]) -> float:
    facts = made.network.backbone.facts
    plan = RunPlan("data", (parse_backbone("resnet18"),), ("gradcam",), tuple(keys))
    wanted = [(spec, key, 3) for spec in {one.method: 0 for one in maps} for key in keys]
    return optional_forwards(plan, Head(facts.channels, facts.gap_linear), wanted)


@pytest.mark.parametrize("network", ["gap", "vgg-like"])
@pytest.mark.parametrize(
    ("methods", "keys"),
    [
        *((["gradcam"], [key]) for key in ASKING),
        (["scorecam"], ["efficient_mprt"]),
        (["gradcam", "layercam"], ["average_sensitivity", "max_sensitivity", "efficient_mprt"]),
        (["smoothgradcampp", "fakecam"], ASKING),
    ],
)
def test_forwards_declared_are_those_counted(
    network: str, methods: list[str], keys: list[str]
) -> None:
    made, redrawn = bench(NETWORKS[network]()), bench(NETWORKS[network]())
    images = random_images(3)
    maps = [one for spec in methods for one in stored(made, images, spec)]
    asked = probed(made, images, redrawn)
    before = made.network.forwards
    for key in keys:
        assert len(measured(key, maps, made.network, probed=asked)) == len(maps)
    counted, told = made.network.forwards - before, declared(made, maps, keys)
    if "scorecam" in methods:  # of K channels, those that are not constant are masked
        assert 0 < counted <= told
    else:
        assert counted == told > 0


@pytest.mark.parametrize("batch_size", [1, 3, 16])
def test_versions_of_images_fill_batches_across_maps(batch_size: int) -> None:
    made, images = bench(gap_network()), random_images(3, seed=1)
    made.network.batch_sizes["fp32"] = batch_size
    maps = stored(made, images, "gradcam")
    probe = MapProbe(probed(made, images), [maps[2], maps[0]])
    shares = torch.tensor([1.0, 0.5, 0.1, 0.0])
    before = made.network.forwards

    def darker(place: int, first: int, last: int) -> Tensor:
        assert 0 <= first < last <= 4
        return probe.images[place] * shares[first:last, None, None, None]

    found = probe.confidence(darker, 4)
    assert made.network.forwards - before == 8
    for row, one in zip(found, (maps[2], maps[0]), strict=True):
        seen = images[one.image] * shares[:, None, None, None]
        logits = made.network.forward(seen, channel_scoring=False).logits
        expected = made.network.confidence(logits, torch.full((4,), one.stored.target))
        assert row.tolist() == pytest.approx(expected.tolist(), abs=1e-6)
    assert found[:, 3].tolist() == pytest.approx(probe.baseline_confidence().tolist(), abs=1e-6)


def test_altered_images_are_explained_for_the_stored_class_once_for_all_who_ask() -> None:
    made, images = small_bench("vgg-like"), random_images(3, seed=4)
    maps = [
        one._replace(stored=one.stored._replace(target=target))
        for one, target in zip(stored(made, images, "gradcam"), (4, 7, 1), strict=True)
    ]
    asked = probed(made, images)
    before = made.network.forwards
    found = MapProbe(asked, maps).explained(lambda x, noise: x / 2 + noise, "half", 0).pixels()
    again = MapProbe(asked, maps[1:]).explained(lambda x, noise: x / 2 + noise, "half", 0)
    assert made.network.forwards - before == 3
    assert torch.equal(again.pixels(), found[1:])
    halved = images / 2 + asked.uniform("half", 0)
    scores = evaluated(made, halved, "gradcam", torch.tensor([4, 7, 1]))
    other = [
        one._replace(stored=one.stored._replace(values=scores.maps[one.image])) for one in maps
    ]
    assert (found - saliency_of(other, made.network).pixels()).abs().max() < 1e-6
