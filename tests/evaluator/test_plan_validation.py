"""A plan: what it accepts, what it refuses and why."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from evaluator.backbones import BackboneSpec
from evaluator.catalog import ROW_METRICS
from evaluator.errors import NotApplicable, UsageError
from evaluator.plan import RunPlan, parse_metrics, validated_plan

SMALL: dict[str, Any] = {"data": "/data", "backbones": ["resnet18"], "methods": ["gradcam"]}


def plan(**values: Any) -> RunPlan:
    return validated_plan({**SMALL, **values})


def test_metrics_that_need_a_truth_are_not_meant_by_all_where_there_is_none() -> None:
    needing = {"mass_accuracy", "rank_accuracy", "pointing_game"}
    assert needing.isdisjoint(plan(metrics=["all"]).metrics)
    assert needing <= set(plan(metrics=["all"], truth="/boxes").metrics)
    with pytest.raises(
        UsageError, match="mass_accuracy needs to know where the objects are"
    ) as caught:
        plan(metrics=["mass_accuracy"])
    assert caught.value.hint == "--metric mass_accuracy --truth DIR"


def test_a_metric_brings_along_those_that_it_is_computed_from() -> None:
    assert plan(metrics=["arcc"]).optional_metrics == ("arcc", "road")


def test_names_become_canonical_and_duplicates_fall_away() -> None:
    made = plan(
        backbones=["resnet18", "resnet18"],
        methods=["scorecam:variant=released", "scorecam", "sscam:sigma=2"],
    )
    assert made.backbones == (BackboneSpec("resnet18"),)
    assert made.methods == ("scorecam", "sscam")
    assert made == plan(methods=["scorecam", "sscam"])


@pytest.mark.parametrize(
    ("values", "message", "hint"),
    [
        ({"metod": ["gradcam"]}, "a plan has no 'metod'", "did you mean 'methods'?"),
        ({"data": ""}, "the plan names no data", ""),
        ({"methods": []}, "the plan names no methods", ""),
        (
            {"backbones": [{"key": "resnet18", "size": "big"}]},
            "a backbone of the plan is malformed",
            "key, weights, layer",
        ),
        (
            {"target": "labels"},
            "--target takes predicted or label, not 'labels'",
            "did you mean 'label'?",
        ),
        (
            {"insertion_start": "blurred"},
            "--insertion-start takes zero or blur",
            "did you mean 'blur'?",
        ),
        ({"pointing_margin": -1}, "--pointing-margin takes pixels from 0, not -1", ""),
        (
            {"road_removal": "percentile"},
            "--road-removal takes rank or released",
            "--road-removal rank",
        ),
        ({"truth": 5}, "the plan's truth cannot be 5", ""),
        ({"backbones": [{"key": "resnet18", "side": "64"}]}, "the plan's backbones cannot be", ""),
        ({"limit": "ten"}, "the plan's limit cannot be 'ten'", "camtui show"),
        ({"limit": True}, "the plan's limit cannot be True", ""),
        ({"seed": None}, "the plan's seed cannot be None", ""),
        ({"demo": "yes"}, "the plan's demo cannot be 'yes'", ""),
        ({"methods": "gradcam"}, "the plan's methods cannot be 'gradcam'", ""),
        ({"methods": [3]}, "the plan's methods cannot be [3]", ""),
        ({"backbones": [{"key": 3}]}, "the plan's backbones cannot be", ""),
        ({"target": 1}, "the plan's target cannot be 1", ""),
    ],
)
def test_what_cannot_be_met(values: dict[str, Any], message: str, hint: str) -> None:
    with pytest.raises(UsageError) as caught:
        plan(**values)
    assert message in caught.value.message
    assert hint in caught.value.hint


@pytest.mark.parametrize(
    ("spec", "message", "hint"),
    [
        ("resnet19", "unknown backbone 'resnet19'", "did you mean 'resnet1"),
        ("resnet18:size=big", "backbone 'resnet18' has no option 'size'", "it has weights, layer"),
        ("resnet18:weights=random:x", "'random:x' names no seed", "random:0"),
        ("resnet18:weights=/no/such.pth", "no such weights file", "safetensors"),
        ("resnet18:weights=w.onnx", "cannot read weights from 'w.onnx'", "safetensors"),
        ("resnet18:side=big", "side= takes a whole number from 8 to 4096, not 'big'", "side=224"),
        ("resnet18:channels=2", "channels= takes 1 (grey) or 3 (RGB), not '2'", "channels=1"),
        (
            "resnet18:mean=0.5/0.5",
            "mean= takes one number for all channels, or three",
            "mean=0.485/0.456/0.406",
        ),
        (
            "resnet18:std=0",
            "std= takes one number for all channels, or three with / between them, above 0",
            "",
        ),
        (
            "resnet18:score=sigmod",
            "score= takes softmax or sigmoid or probability, not 'sigmod'",
            "did you mean 'sigmoid'?",
        ),
        ("resnet18:classes=/no/such", "no such class names file", "--classes FILE"),
    ],
)
def test_what_no_backbone_can_be(spec: str, message: str, hint: str) -> None:
    test_what_cannot_be_met({"backbones": [spec]}, message, hint)


@pytest.mark.parametrize("missing", ["data", "backbones", "methods"])
def test_what_must_be_there(missing: str) -> None:
    with pytest.raises(UsageError, match=f"the plan names no {missing}"):
        validated_plan({key: value for key, value in SMALL.items() if key != missing})


def test_some_cell_must_be_possible() -> None:
    with pytest.raises(NotApplicable, match="cam does not apply to vgg16"):
        plan(backbones=["vgg16"], methods=["cam"])
    assert plan(backbones=["vgg16", "resnet18"], methods=["cam"]).methods == ("cam",)
    assert plan(backbones=["densenet121"], methods=["cam"]).methods == ("cam",), (
        "an unknown head gets the benefit of the doubt"
    )


def test_weights_of_a_file_become_an_absolute_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mine.pth").touch()
    monkeypatch.chdir(tmp_path)
    (spec,) = plan(backbones=["resnet18:weights=mine.pth"]).backbones
    assert spec.weights == str(tmp_path.resolve() / "mine.pth")
    assert spec.name == "resnet18:weights=mine.pth"


def test_metrics_come_in_the_paper_s_order() -> None:
    assert parse_metrics(["insertion", "deletion"])[:4] == (
        "average_drop",
        "average_increase",
        "deletion",
        "insertion",
    )
    assert set(parse_metrics(["all"])) >= {"deletion", "insertion", *ROW_METRICS}
