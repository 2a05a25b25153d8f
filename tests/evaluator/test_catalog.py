"""Names and what they stand for: every spec that is accepted, every one that is refused,
torchvision's own list.
"""

from __future__ import annotations

import pytest

from evaluator import catalog
from evaluator.errors import UsageError
from evaluator.methods import all_methods


@pytest.mark.parametrize("key", list(all_methods()))
def test_a_method_by_name(key: str) -> None:
    assert catalog.method(key).name == key
    assert catalog.method(f" {key} ") == catalog.method(f"{key}:") == all_methods()[key]()


def test_options_are_read_as_their_defaults_kind() -> None:
    method = catalog.method("smoothgradcampp:n=2, sigma=0.5,variant=paper")
    assert method.options == {"variant": "paper", "n": 2, "sigma": 0.5}
    assert catalog.method(method.name) == method


@pytest.mark.parametrize(
    ("spec", "message", "hint"),
    [
        ("gradcamm", "unknown method 'gradcamm'", "did you mean 'gradcam'?"),
        ("", "unknown method ''", "camtui methods"),
        ("gradcam:n=3", "method 'gradcam' has no option 'n'", "it has no options"),
        ("sscam:steps=3", "method 'sscam' has no option 'steps'", "it has n, sigma"),
        (
            "scorecam:variant=cik",
            "scorecam:variant takes released or raw or softmax-logit or cic, not 'cik'",
            "did you mean 'cic'?",
        ),
        (
            "scorecam:variant",
            "'scorecam:variant': option 'variant' has no value",
            "write scorecam:variant=VALUE",
        ),
        ("scorecam:variant=", "has no value", "write scorecam:variant=VALUE"),
        ("iscam:n=0", "iscam:n takes a whole number from 1, not '0'", "-m iscam:n=10"),
        ("iscam:n=2.5", "takes a whole number from 1", "-m iscam:n=10"),
        ("iscam:n=-1", "takes a whole number from 1", ""),
        ("sscam:sigma=nan", "sscam:sigma takes a number above 0, not 'nan'", ""),
        ("sscam:sigma=inf", "takes a number above 0", ""),
        ("sscam:sigma=0", "takes a number above 0", ""),
    ],
)
def test_a_spec_that_cannot_be_met(spec: str, message: str, hint: str) -> None:
    with pytest.raises(UsageError) as caught:
        catalog.method(spec)
    assert message in caught.value.message
    assert hint in caught.value.hint


def test_controls_are_known_by_their_spec_and_what_is_unknown_is_none() -> None:
    found = {
        spec: catalog.is_control(spec)
        for spec in ("fakecam", "randomcam:", "scorecam:variant=cic", "./mine.py:Mine", "")
    }
    assert found == {
        "fakecam": True,
        "randomcam:": True,
        "scorecam:variant=cic": False,
        "./mine.py:Mine": False,
        "": False,
    }


def test_a_method_of_somebody_else_is_a_control_where_it_says_so() -> None:
    assert not catalog.is_control("edges:k=2")
    with catalog.scoped_registry():
        edges = type("Edges", (all_methods()["centre"],), {"key": "edges"})
        catalog.register_method(edges)
        assert catalog.is_control("edges:k=2")
    assert not catalog.is_control("edges:k=2"), "forgotten with its scope"


def test_a_metric_by_name() -> None:
    assert catalog.metric("adcc").title == "ADCC"
    with pytest.raises(UsageError, match="unknown metric 'adc'") as caught:
        catalog.metric("adc")
    assert "did you mean 'adcc'?" in caught.value.hint


def test_lists_with_commas_keep_the_options_of_a_spec_together() -> None:
    assert catalog.split_list(
        ["gradcam, scorecam:variant=cic", "smoothgradcampp:n=2,sigma=0.5,cam", "gradcam,,"]
    ) == [
        "gradcam",
        "scorecam:variant=cic",
        "smoothgradcampp:n=2,sigma=0.5",
        "cam",
    ]
    assert catalog.split_list([]) == []


@pytest.mark.parametrize(
    ("spelled", "key"),
    [
        ("GradCAM++", "gradcampp"),
        ("Grad-CAM", "gradcam"),
        ("grad_cam", "gradcam"),
        ("Smooth Grad-CAM++", "smoothgradcampp"),
        ("Score-CAM:variant=cic", "scorecam:variant=cic"),
        ("XGradCAM", "xgradcam"),
        ("CAM", "cam"),
    ],
)
def test_methods_in_any_usual_spelling(spelled: str, key: str) -> None:
    assert catalog.method(spelled).name == key


def test_groups_of_methods() -> None:
    assert catalog.expand_methods(["paper", "layercam"]) == [*catalog.TABLE2_METHODS, "layercam"]
    assert catalog.expand_methods(["gradcam", "all"])[0] == "gradcam"
    cams, of_images = (catalog.expand_methods([group]) for group in ("all", "image"))
    assert sorted([*cams, *of_images, "lrp"]) == sorted(all_methods()), "it needs an extra"
    assert {"gradcam", "rollout", "centre"} < set(cams)
    assert {"saliency", "ig", "rise", "occlusion"} < set(of_images)
    assert all(map(catalog.is_of_images, [*of_images, "ig:n=3"]))
    assert not any(map(catalog.is_of_images, [*cams, "nobody's"]))
