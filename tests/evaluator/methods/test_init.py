"""The methods there are: one per file, in the paper's order, each with what a listing shows."""

from __future__ import annotations

import pytest
import torch

from evaluator.methods import all_methods
from evaluator.methods.base import ImageMethod
from evaluator.methods.scorecam import ScoreCAM
from evaluator.methods.smoothgradcampp import SmoothGradCAMpp
from tests.agreement import compared, evaluated, small_bench
from tests.attention import TRANSFORMERS, compared_on, transformer_bench
from tests.networks import random_images
from tests.reference import FIXED_MAPS


def test_the_paper_s_order_then_by_name() -> None:
    keys = list(all_methods())
    paper = "fakecam cam gradcam xgradcam gradcampp smoothgradcampp scorecam"
    assert " ".join(keys[:7]) == paper
    assert keys[7:] == sorted(keys[7:])
    assert {"ablationcam", "iscam", "layercam", "sscam"} <= set(keys)


BOTH, ALL_THREE = "gap vgg-like", "gap vgg-like smooth"
NETWORKS_OF = {
    "cam": "gap",
    "liftcam": "gap",
    "eigengradcam": ALL_THREE,
    "finercam": ALL_THREE,
    "hirescam": ALL_THREE,
    "shapleycam": ALL_THREE,
    "gradattention": " ".join(TRANSFORMERS),
    "legrad": " ".join(TRANSFORMERS),
    "rollout": " ".join(TRANSFORMERS),
}
OPTIONS_OF = {
    "fem": ["", "k=1"],
    "finercam": ["", "gamma=1", "n=50"],
    "iscam": ["n=1", "n=4"],
    "kpcacam": ["kernel=sigmoid", "kernel=rbf"],
    "legrad": ["", "blocks=2", "score=read"],
    "reciprocam": ["", "mask=hard"],
    "scorecam": [f"variant={one}" for one in ScoreCAM.choices["variant"]],
    "smoothgradcampp": [
        f"variant={variant},{options}"
        for variant in SmoothGradCAMpp.choices["variant"]
        for options in ("n=4,sigma=0.3", "n=2,sigma=0.1")
    ],
    "sscam": ["n=3", "n=2,sigma=0.5"],
    "wrongclass": ["of=gradcam", "of=layercam", "of=scorecam", "of=ablationcam"],
}
"""What is tried where it is not the defaults on both networks."""

CASES = [
    (network, f"{key}:{options}".rstrip(":"))
    for key, kind in all_methods().items()
    if not issubclass(kind, ImageMethod)  # whose maps are coarser: in their own tests
    for network in NETWORKS_OF.get(key, BOTH).split()
    for options in OPTIONS_OF.get(key, [""])
    if (key, network) != ("smoothgradcampp", "vgg-like") or "n=4" in options
]


@pytest.mark.parametrize(("network", "spec"), CASES)
def test_agrees_with_the_slow_formula(network: str, spec: str) -> None:
    """In ``tests.reference`` or, as ``slow``, in the method's own test.

    5e-5 for Recipro-CAM, where one position changes the confidence by a few thousandths before the
    maps are stretched to [0, 1], and for Smooth Grad-CAM++ behind a curved head, whose denominator
    nearly cancels at some positions.
    """
    key = spec.partition(":")[0]
    found = compared_on(network, spec) if network in TRANSFORMERS else compared(network, spec)
    assert found.varied or key in FIXED_MAPS
    digits_lost = key == "reciprocam" or (key, network) == ("smoothgradcampp", "vgg-like")
    assert found.largest < (5e-5 if digits_lost else 1e-5)


@pytest.mark.parametrize("key", sorted(set(all_methods()) - set(FIXED_MAPS) - {"randomcam"}))
def test_the_class_plays_a_part_unless_the_listing_says_otherwise(key: str) -> None:
    kind, images = all_methods()[key], random_images(2, seed=1)
    attention, gap = kind.needs_attention, kind.needs_gap_linear
    made = (
        transformer_bench("torchvision") if attention else small_bench("gap" if gap else "vgg-like")
    )
    spec = {"sscam": "sscam:n=2", "iscam": "iscam:n=2"}.get(key, key)
    maps = [evaluated(made, images, spec, torch.full((2,), target)).maps for target in (1, 8)]
    assert (maps[0] == maps[1]) == kind.weighs_by.endswith("whatever the class")


def test_controls_are_those_that_explain_nothing() -> None:
    controls = {key for key, kind in all_methods().items() if kind.control}
    assert controls == {"fakecam", "randomcam", "centre", "wrongclass"}


@pytest.mark.parametrize("key", list(all_methods()))
def test_a_listing_has_what_it_shows(key: str) -> None:
    kind = all_methods()[key]
    assert kind.key == key
    assert kind.title
    assert kind.paper
    assert kind.weighs_by
    assert kind.__doc__
    assert kind().forwards(64, gap_linear=True) >= 1
    assert all(
        default in choices
        for name, choices in kind.choices.items()
        for default in [kind().options[name]]
    )
