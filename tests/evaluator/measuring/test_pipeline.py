"""One batch through one network: what is shared, what a batch may not change, and the edge cases of
the specification.
"""

from __future__ import annotations

from math import isnan

import pytest
import torch

from evaluator.catalog import method
from evaluator.measuring.pipeline import Batch
from evaluator.methods import all_methods
from tests.agreement import VALUES, compare, evaluated, keys_of, small_bench
from tests.attention import transformer_bench
from tests.evaluator.methods.views import pixels, worst_difference
from tests.networks import (
    NETWORKS,
    SIDE,
    bench,
    gap_network,
    random_images,
    stubborn_network,
    vgg_like_network,
)

FAST = (
    "fakecam",
    "gradcam",
    "xgradcam",
    "gradcampp",
    "smoothgradcampp",
    "scorecam",
    "ablationcam",
    "sscam:n=2",
    "layercam",
)


# -- rows
# --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("network", ["gap", "vgg-like"])
def test_a_given_target_is_explained_in_place_of_the_predicted_one(network: str) -> None:
    images, targets = random_images(3, seed=5), torch.tensor([9, 0, 4])
    scores = evaluated(small_bench(network), images, "gradcampp", targets)
    assert scores.target == [9, 0, 4] != scores.predicted
    assert (
        compare(
            small_bench(network), NETWORKS[network](), images, "gradcampp", scores, targets
        ).largest
        < 1e-5
    )


@pytest.mark.parametrize("spec", FAST)
def test_rows_do_not_depend_on_the_batch(spec: str) -> None:
    """Sizes of batch and micro-batch, company and order: in float32 sums may differ in the last
    digits, no more.
    """
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
    turned = small_bench("vgg-like").pipeline.rows(Batch(images.flip(0), keys[::-1]), [smooth])[
        smooth.name
    ]
    other = small_bench("vgg-like").pipeline.rows(
        Batch(images, [b"1" + key for key in keys]), [smooth]
    )[smooth.name]
    assert worst_difference(turned, expected, order=[2, 1, 0]) < 2e-5
    assert worst_difference(other, expected) > 1e-3


def test_methods_do_not_disturb_one_another() -> None:
    images = random_images(2, seed=4)
    together = small_bench("gap").pipeline.rows(
        Batch(images, keys_of(2)), [method(spec) for spec in (*FAST, "cam")]
    )
    assert list(together) == [*FAST, "cam"]
    for spec, scores in together.items():
        assert worst_difference(scores, evaluated(small_bench("gap"), images, spec)) < 1e-6


@pytest.mark.parametrize(
    ("specs", "forwards"),
    [
        (("fakecam",), 2),
        (("gradcam",), 2),
        (("gradcam", "cam", "xgradcam"), 2),
        (("gradcampp", "smoothgradcampp:variant=mean-gradient"), 2),
        (("smoothgradcampp:variant=paper", "smoothgradcampp:variant=paper,n=2"), 2),
        (("gradcam", "gradcampp", "layercam", "fakecam"), 5),
        (("ablationcam",), 2),
        (("smoothgradcampp",), 4),
        (("smoothgradcampp:variant=mean-maps",), 10),
    ],
)
def test_forwards_of_an_image_on_a_gap_network(specs: tuple[str, ...], forwards: int) -> None:
    """Clean pass, one masked pass for every distinct map, noisy passes: the budget of the
    specification, and what is planned.
    """
    made = bench(gap_network())
    made.pipeline.rows(Batch(random_images(3), keys_of(3)), [method(spec) for spec in specs])
    assert made.network.forwards == 3 * forwards
    distinct = {method(spec).map_identity(True): method(spec) for spec in specs}
    assert 1 + sum(one.forwards(12, gap_linear=True) for one in distinct.values()) == forwards


@pytest.mark.parametrize(
    ("spec", "forwards"),
    [("smoothgradcampp", 10), ("gradcam", 2), ("ablationcam", 2), ("iscam:n=2", 42)],
)
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


# -- edge cases
# --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "spec", ["cam", "gradcam", "gradcampp", "smoothgradcampp", "ablationcam", "layercam"]
)
def test_a_zero_map_is_flagged_and_scores_zero(spec: str) -> None:
    made, images = bench(stubborn_network()), random_images(3, seed=6)
    scores = evaluated(made, images, spec)
    baseline = float(made.network.baseline_confidence()[3])
    assert scores.target == [3, 3, 3]
    assert scores.degenerate == [True] * 3
    assert scores.adcc == scores.coherency == scores.complexity == [0.0] * 3
    assert scores.o == pytest.approx([baseline] * 3, abs=1e-6)
    assert all(pixels(stored).abs().max() == 0 for stored in scores.maps)
    assert not any(scores.problem(place) for place in range(3))
    assert compare(made, stubborn_network(), images, spec, scores).largest < 1e-5


@pytest.mark.parametrize("spec", sorted(all_methods()))
@pytest.mark.parametrize("image", ["black", "constant", "huge"])
def test_odd_images_give_numbers_in_range(spec: str, image: str) -> None:
    """A black image has a zero explanation map whatever the method; a huge one saturates every
    probability.
    """
    images = {
        "black": torch.zeros(1, 3, SIDE, SIDE),
        "constant": torch.ones(1, 3, SIDE, SIDE),
        "huge": 1e4 * random_images(1),
    }[image]
    many = ("sscam", "iscam", "rise", "ig", "smoothgrad", "gradientshap")
    short = f"{spec}:n=2" if spec in many else spec
    made = (
        transformer_bench("torchvision")
        if all_methods()[spec].needs_attention
        else small_bench("gap")
    )
    scores = evaluated(made, images, short)
    assert not scores.problem(0)
    assert all(0 <= getattr(scores, value)[0] <= 1 for value in VALUES)
    assert (
        0
        <= pixels(scores.maps[0] or b"\0\0\0\0").min()
        <= pixels(scores.maps[0] or b"\0\0\0\0").max()
        <= 1
    )


def test_the_explanation_of_a_black_image_is_the_image() -> None:
    scores = evaluated(small_bench("gap"), torch.zeros(1, 3, SIDE, SIDE), "gradcam")
    assert scores.average_drop == [0.0]
    assert scores.average_increase == [0.0]


def test_confidence_that_underflows_leaves_the_drop_undefined() -> None:
    model = gap_network()
    model.get_submodule("fc").get_parameter("bias").data[5] = -1e4
    scores = evaluated(bench(model), random_images(2), "gradcam", torch.tensor([5, 5]))
    assert scores.y == [0.0, 0.0]
    assert all(isnan(value or 0) for value in (*scores.average_drop, *scores.adcc))
    assert not any(scores.problem(place) for place in range(2)), (
        "undefined is not an error: it is stored as NULL"
    )


def test_a_network_that_returns_nan_is_noticed() -> None:
    images = random_images(2)
    images[1] = float("nan")
    scores = evaluated(small_bench("gap"), images, "gradcam")
    assert [bool(scores.problem(place)) for place in range(2)] == [False, True]
