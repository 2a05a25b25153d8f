"""One batch through one network: what is shared, what a batch may not change, and the edge cases of the specification."""

from __future__ import annotations

from math import isnan

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from evaluator.catalog import method
from evaluator.maps import upsample
from evaluator.methods import all_methods
from evaluator.pipeline import Batch, curve_area, curve_bytes
from evaluator.records import StoredMap
from tests.agreement import VALUES, compare, evaluated, keys_of, small_bench
from tests.evaluator.methods.views import pixels, worst_difference
from tests.networks import CLASSES, NETWORKS, SIDE, Bench, bench, gap_network, random_images, stubborn_network, vgg_like_network
from tests.reference import fake_map, reference_area, reference_curves

FAST = ("fakecam", "gradcam", "xgradcam", "gradcampp", "smoothgradcampp", "scorecam", "ablationcam", "sscam:n=2", "layercam")
STEPS = 16
CURVES = ("deletion", "insertion")


# -- rows -----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("network", ["gap", "vgg-like"])
def test_a_given_target_is_explained_in_place_of_the_predicted_one(network: str) -> None:
    images, targets = random_images(3, seed=5), torch.tensor([9, 0, 4])
    scores = evaluated(small_bench(network), images, "gradcampp", targets)
    assert scores.target == [9, 0, 4] != scores.predicted
    assert compare(small_bench(network), NETWORKS[network](), images, "gradcampp", scores, targets).largest < 1e-5


@pytest.mark.parametrize("spec", FAST)
def test_rows_do_not_depend_on_the_batch(spec: str) -> None:
    """Sizes of batch and micro-batch, company and order: in float32 sums may differ in the last digits, no more."""
    images = random_images(5, seed=3)
    expected = evaluated(small_bench("vgg-like"), images, spec)
    assert worst_difference(evaluated(bench(vgg_like_network(), 2), images, spec), expected) < 2e-5
    for place in (0, 4):
        alone = small_bench("vgg-like").pipeline.rows(
            Batch(images[place : place + 1], keys_of(5)[place : place + 1]), [method(spec)]
        )
        (scores,) = alone.values()
        assert max(abs(getattr(scores, v)[0] - getattr(expected, v)[place]) for v in VALUES) < 2e-5


def test_noise_belongs_to_the_image_not_to_its_place() -> None:
    images, keys = random_images(3, seed=3), keys_of(3)
    smooth = method("smoothgradcampp")
    expected = small_bench("vgg-like").pipeline.rows(Batch(images, keys), [smooth])[smooth.name]
    turned = small_bench("vgg-like").pipeline.rows(Batch(images.flip(0), keys[::-1]), [smooth])[smooth.name]
    other = small_bench("vgg-like").pipeline.rows(Batch(images, [b"1" + key for key in keys]), [smooth])[smooth.name]
    assert worst_difference(turned, expected, order=[2, 1, 0]) < 2e-5
    assert worst_difference(other, expected) > 1e-3


def test_methods_do_not_disturb_one_another() -> None:
    images = random_images(2, seed=4)
    together = small_bench("gap").pipeline.rows(Batch(images, keys_of(2)), [method(spec) for spec in (*FAST, "cam")])
    assert list(together) == [*FAST, "cam"]
    for spec, scores in together.items():
        assert worst_difference(scores, evaluated(small_bench("gap"), images, spec)) < 1e-6


@pytest.mark.parametrize(
    ("specs", "forwards"),
    [
        (("fakecam",), 2),
        (("gradcam",), 2),
        (("gradcam", "cam", "xgradcam"), 2),
        (("gradcampp", "smoothgradcampp:variant=paper"), 2),
        (("gradcam", "gradcampp", "layercam", "fakecam"), 5),
        (("ablationcam",), 2),
        (("smoothgradcampp",), 4),
        (("smoothgradcampp:variant=mean-maps",), 10),
    ],
)
def test_forwards_of_an_image_on_a_gap_network(specs: tuple[str, ...], forwards: int) -> None:
    """Clean pass, one masked pass for every distinct map, noisy passes: the budget of the specification, and what is planned."""
    made = bench(gap_network())
    made.pipeline.rows(Batch(random_images(3), keys_of(3)), [method(spec) for spec in specs])
    assert made.network.forwards == 3 * forwards
    distinct = {method(spec).map_identity(True): method(spec) for spec in specs}
    assert 1 + sum(one.forwards(12, gap_linear=True) for one in distinct.values()) == forwards


@pytest.mark.parametrize(("spec", "forwards"), [("smoothgradcampp", 10), ("gradcam", 2), ("ablationcam", 2), ("iscam:n=2", 42)])
def test_forwards_of_an_image_on_a_vgg_like_network(spec: str, forwards: int) -> None:
    made = bench(vgg_like_network())
    evaluated(made, random_images(3, seed=1), spec)
    assert made.network.forwards == 3 * forwards
    assert 1 + method(spec).forwards(10, gap_linear=False) == forwards


def test_equal_by_construction_means_equal_rows() -> None:
    scores = small_bench("gap").pipeline.rows(
        Batch(random_images(2), keys_of(2)), [method(s) for s in ("gradcam", "cam", "xgradcam")]
    )
    assert scores["gradcam"] == scores["cam"] == scores["xgradcam"]


# -- edge cases -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("spec", ["cam", "gradcam", "gradcampp", "smoothgradcampp", "ablationcam", "layercam"])
def test_a_zero_map_is_flagged_and_scores_zero(spec: str) -> None:
    made, images = bench(stubborn_network()), random_images(3, seed=6)
    scores = evaluated(made, images, spec)
    blank = float(made.network.blank_confidence()[3])
    assert scores.target == [3, 3, 3]
    assert scores.degenerate == [True] * 3
    assert scores.adcc == scores.coherency == scores.complexity == [0.0] * 3
    assert scores.o == pytest.approx([blank] * 3, abs=1e-6)
    assert all(pixels(stored).abs().max() == 0 for stored in scores.maps)
    assert all(scores.finite(place) for place in range(3))
    assert compare(made, stubborn_network(), images, spec, scores).largest < 1e-5


@pytest.mark.parametrize("spec", sorted(all_methods()))
@pytest.mark.parametrize("image", ["black", "constant", "huge"])
def test_odd_images_give_numbers_in_range(spec: str, image: str) -> None:
    """A black image has a zero explanation map whatever the method; a huge one saturates every probability."""
    images = {
        "black": torch.zeros(1, 3, SIDE, SIDE), "constant": torch.ones(1, 3, SIDE, SIDE), "huge": 1e4 * random_images(1),
    }[image]  # fmt: skip
    short = {"sscam": "sscam:n=2", "iscam": "iscam:n=2"}.get(spec, spec)
    scores = evaluated(small_bench("gap"), images, short)
    assert scores.finite(0)
    assert all(0 <= getattr(scores, value)[0] <= 1 for value in VALUES)
    assert 0 <= pixels(scores.maps[0] or b"\0\0\0\0").min() <= pixels(scores.maps[0] or b"\0\0\0\0").max() <= 1


def test_the_explanation_of_a_black_image_is_the_image() -> None:
    scores = evaluated(small_bench("gap"), torch.zeros(1, 3, SIDE, SIDE), "gradcam")
    assert scores.average_drop == [0.0]
    assert scores.average_increase == [0.0]


def test_confidence_that_underflows_leaves_the_drop_undefined() -> None:
    model = gap_network()
    model.get_submodule("fc").get_parameter("bias").data[5] = -1e4
    scores = evaluated(bench(model), random_images(2), "gradcam", torch.tensor([5, 5]))
    assert scores.y == [0.0, 0.0]
    assert all(isnan(value) for value in (*scores.average_drop, *scores.adcc))
    assert all(scores.finite(place) for place in range(2)), "undefined is not an error: it is stored as NULL"


def test_a_network_that_returns_nan_is_noticed() -> None:
    images = random_images(2)
    images[1] = float("nan")
    scores = evaluated(small_bench("gap"), images, "gradcam")
    assert [scores.finite(place) for place in range(2)] == [True, False]


# -- curves ---------------------------------------------------------------------------------------------------------------------


def stored(made: Bench, images: Tensor, spec: str) -> list[StoredMap]:
    scores = evaluated(made, images, spec)
    return [StoredMap(*known) for known in zip(scores.target, scores.y, scores.maps, strict=True)]


@pytest.mark.parametrize("network", ["gap", "vgg-like"])
@pytest.mark.parametrize("insertion_start", ["zero", "blur"])
def test_curves_agree_with_the_slow_loop(network: str, insertion_start: str) -> None:
    made, images = small_bench(network), random_images(3, seed=7)
    specs = ("gradcampp", "scorecam", "fakecam")
    rows = [place for _ in specs for place in range(3)]
    maps = [known for spec in specs for known in stored(made, images, spec)]
    methods = [spec for spec in specs for _ in range(3)]
    found = made.pipeline.curves(images, rows, methods, maps, CURVES, steps=STEPS, insertion_start=insertion_start)
    model = NETWORKS[network]().requires_grad_(False)
    for place, known in enumerate(maps):
        slow = reference_curves(
            model, images[rows[place]], saliency(known), known.target, steps=STEPS, insertion_start=insertion_start
        )
        for metric in CURVES:
            assert found[metric][place] == pytest.approx(slow[metric], abs=2e-6)
            assert curve_area(found[metric][place]) == pytest.approx(reference_area(slow[metric]), abs=2e-6)
    assert found["deletion"][0] != found["insertion"][0]


def saliency(known: StoredMap) -> Tensor:
    """``U`` as the evaluator upsamples it: which of two nearly equal pixels goes first depends on the last bit."""
    if known.values is None:
        return fake_map(SIDE, SIDE)
    return upsample(pixels(known.values).view(1, 8, 8), SIDE, SIDE)[0]


class ExactNetwork(nn.Module):
    """Sums of small integers: every order of addition gives the same float, so that curves can be compared bit by bit."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Conv2d(3, 3, 1, bias=False)
        self.head = nn.Linear(3 * SIDE * SIDE, CLASSES, bias=False)
        generator = torch.Generator().manual_seed(0)
        self.features.weight.data.copy_(torch.eye(3)[:, :, None, None])
        self.head.weight.data.copy_(torch.randint(-4, 5, self.head.weight.shape, generator=generator) / 1024)

    def forward(self, images: Tensor) -> Tensor:
        return self.head(torch.flatten(self.features(images), 1))  # type: ignore[no-any-return]  # nn.Module.__call__ is Any


@pytest.mark.parametrize("kind", ["random", "fake", "zero", "tied"])
def test_curves_are_exactly_the_slow_loop_where_sums_are_exact(kind: str) -> None:
    """Ties by index: Fake-CAM's map and a zero map are all ties, and their curves are defined by that order."""
    made = bench(ExactNetwork(), batch_size=5)
    generator = torch.Generator().manual_seed(1)
    image = torch.randint(-2, 3, (3, SIDE, SIDE), generator=generator).float()
    low = {
        "random": torch.rand(SIDE, SIDE, generator=generator),
        "tied": torch.randint(0, 4, (SIDE, SIDE), generator=generator) / 3,
        "zero": torch.zeros(SIDE, SIDE),
        "fake": fake_map(SIDE, SIDE).float(),
    }[kind]
    y = float(made.network.observe(1, lambda *_: image[None]).logits[0].double().softmax(0)[2])
    known = StoredMap(2, y, None if kind == "fake" else low.numpy().astype("<f4").tobytes())
    spec = "fakecam" if kind == "fake" else "gradcam"
    found = made.pipeline.curves(image[None], [0], [spec], [known], CURVES, steps=STEPS, insertion_start="zero")
    slow = reference_curves(ExactNetwork().requires_grad_(False), image, low, 2, steps=STEPS)
    assert len(found["deletion"][0]) == STEPS + 1
    for metric in CURVES:
        assert found[metric][0][1:-1] == pytest.approx(slow[metric][1:-1], abs=1e-14)
        assert found[metric][0] == pytest.approx(slow[metric], abs=1e-8)  # the zero image's confidence is kept in float32


def test_known_ends_are_not_recomputed() -> None:
    made, images = bench(gap_network()), random_images(2, seed=8)
    maps = stored(made, images, "gradcam")
    before = made.network.forwards
    found = made.pipeline.curves(images, [0, 1], ["gradcam"] * 2, maps, CURVES, steps=STEPS, insertion_start="zero")
    assert made.network.forwards - before == 2 * 2 * (STEPS - 1) + 1, "and the zero image once"
    assert [curve[0] for curve in found["deletion"]] == [known.confidence for known in maps]
    assert [curve[-1] for curve in found["insertion"]] == [known.confidence for known in maps]


def test_equal_maps_share_their_curves() -> None:
    made, images = bench(gap_network()), random_images(1, seed=8)
    (known,) = stored(made, images, "gradcam")
    made.network.blank_confidence()
    before = made.network.forwards
    found = made.pipeline.curves(images, [0, 0], ["gradcam", "cam"], [known] * 2, CURVES, steps=STEPS, insertion_start="zero")
    assert made.network.forwards - before == 2 * (STEPS - 1)
    assert found["deletion"][0] == found["deletion"][1]


def test_curves_do_not_depend_on_the_batch() -> None:
    images = random_images(3, seed=9)
    maps = stored(small_bench("vgg-like"), images, "layercam")
    arguments = ([0, 1, 2], ["layercam"] * 3, maps, CURVES)
    expected = small_bench("vgg-like").pipeline.curves(images, *arguments, steps=STEPS, insertion_start="blur")
    found = bench(vgg_like_network(), 7).pipeline.curves(images, *arguments, steps=STEPS, insertion_start="blur")
    for metric in CURVES:
        assert np.abs(np.array(found[metric]) - np.array(expected[metric])).max() < 1e-6


def test_a_curve_as_stored() -> None:
    assert curve_area([1.0, 0.5, 0.0]) == 0.5
    assert curve_area([1.0, 0.0, 0.0, 0.0]) == pytest.approx(1 / 6)
    assert np.frombuffer(curve_bytes([1.0, 0.25, 0.0]), "<f2").tolist() == [1.0, 0.25, 0.0]
