"""A plan: what it accepts, what it refuses and why, its identity, and what may be added to a stored
one.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from evaluator.catalog import ROW_METRICS
from evaluator.errors import Mismatch, NotApplicable, UsageError
from evaluator.plan import (
    BackboneSpec,
    RunPlan,
    cell_identity,
    grown,
    parse_backbone,
    parse_metrics,
    validated,
)
from evaluator.records import LoadedBackbone, Preprocessing

SMALL: dict[str, Any] = {"data": "/data", "backbones": ["resnet18"], "methods": ["gradcam"]}


def plan(**values: Any) -> RunPlan:
    return RunPlan.from_dict({**SMALL, **values})


def test_defaults_are_the_protocol_s() -> None:
    made = plan()
    assert made.metrics == tuple(parse_metrics([]))
    assert set(made.metrics) == set(ROW_METRICS)
    assert (made.target, made.resize, made.curve_steps, made.insertion_start) == (
        "predicted",
        224,
        28,
        "zero",
    )
    assert (made.seed, made.limit, made.precision) == (0, None, "fp32")
    assert made.curves == ()
    assert (made.truth, made.pointing_margin, made.road_removal) == (None, 15, "rank")


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
    assert plan(metrics=["arcc"]).requested == ("arcc", "road")


def test_there_and_back() -> None:
    made = plan(
        backbones=[
            "vgg16:layer=features.29",
            {"key": "resnet18", "weights": "random:3"},
            "resnet18:side=96,mean=0.1/0.2/0.3,std=0.5,score=sigmoid,interpolation=bicubic",
        ],
        methods=["scorecam:variant=cic", "fakecam"],
        metrics=["all"],
        limit=7,
        seed=2,
        resize=256,
        target="label",
        curve_steps=224,
        insertion_start="blur",
        labels="/l.csv",
    )
    assert RunPlan.from_json(made.to_json()) == made == RunPlan.from_dict(made.to_dict())
    assert RunPlan.from_json(made.to_json()).sha256 == made.sha256
    assert made.curves == ("deletion", "insertion")


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
        ({"methods": ["gradcm"]}, "unknown method 'gradcm'", "did you mean 'gradcam'?"),
        ({"metrics": ["adc"]}, "unknown metric 'adc'", "did you mean 'adcc'?"),
        ({"backbones": ["resnet19"]}, "unknown backbone 'resnet19'", "did you mean 'resnet1"),
        (
            {"backbones": [{"key": "resnet18", "size": "big"}]},
            "a backbone of the plan is malformed",
            "key, weights, layer",
        ),
        (
            {"backbones": ["resnet18:size=big"]},
            "backbone 'resnet18' has no option 'size'",
            "it has weights, layer",
        ),
        ({"backbones": ["resnet18:weights=random:x"]}, "'random:x' names no seed", "random:0"),
        ({"backbones": ["resnet18:weights=/no/such.pth"]}, "no such weights file", "safetensors"),
        (
            {"backbones": ["resnet18:weights=w.onnx"]},
            "cannot read weights from 'w.onnx'",
            "safetensors",
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
        ({"precision": "fp16"}, "--precision takes fp32 or mixed or bf16", ""),
        ({"resize": 255}, "--resize takes 224 or 256, not 255", "--resize 256"),
        ({"limit": 0}, "--limit takes a number from 1, not 0", "every image"),
        ({"pointing_margin": -1}, "--pointing-margin takes pixels from 0, not -1", ""),
        (
            {"road_removal": "percentile"},
            "--road-removal takes rank or released",
            "--road-removal rank",
        ),
        ({"truth": 5}, "the plan's truth cannot be 5", ""),
        ({"curve_steps": 1}, "--curve-steps takes a number from 2 to 50176, not 1", "28"),
        (
            {"backbones": ["resnet18:side=big"]},
            "side= takes a whole number from 8 to 4096, not 'big'",
            "side=224",
        ),
        (
            {"backbones": ["resnet18:channels=2"]},
            "channels= takes 1 (grey) or 3 (RGB), not '2'",
            "channels=1",
        ),
        (
            {"backbones": ["resnet18:mean=0.5/0.5"]},
            "mean= takes one number for all channels, or three",
            "mean=0.485/0.456/0.406",
        ),
        (
            {"backbones": ["resnet18:std=0"]},
            "std= takes one number for all channels, or three with / between them, above 0",
            "",
        ),
        (
            {"backbones": ["resnet18:score=sigmod"]},
            "score= takes softmax or sigmoid, not 'sigmod'",
            "did you mean 'sigmoid'?",
        ),
        (
            {"backbones": ["resnet18:classes=/no/such"]},
            "no such class names file",
            "--classes FILE",
        ),
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


@pytest.mark.parametrize("missing", ["data", "backbones", "methods"])
def test_what_must_be_there(missing: str) -> None:
    with pytest.raises(UsageError, match=f"the plan names no {missing}"):
        RunPlan.from_dict({key: value for key, value in SMALL.items() if key != missing})


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


def test_a_stored_plan_can_be_read_when_its_weights_have_gone(tmp_path: Path) -> None:
    file = tmp_path / "mine.pth"
    file.touch()
    text = plan(backbones=[f"resnet18:weights={file}"]).to_json()
    file.unlink()
    assert RunPlan.from_json(text).backbones[0].weights == str(file)
    with pytest.raises(UsageError, match="no such weights file"):
        validated(RunPlan.from_json(text))


@pytest.mark.parametrize("text", ["", "[]", "null", "{", '"plan"'])
def test_what_is_no_plan_at_all(text: str) -> None:
    with pytest.raises(ValueError):
        RunPlan.from_json(text)


@pytest.mark.parametrize(
    ("spec", "name"),
    [
        ("resnet18", "resnet18"),
        ("vgg16:layer=features.29", "vgg16:layer=features.29"),
        ("vgg16:weights=random:0,layer=features.29", "vgg16:layer=features.29,weights=random:0"),
        ("resnet18:weights=/a/b/mine.pth", "resnet18:weights=mine.pth"),
    ],
)
def test_a_backbone_s_name_holds_what_differs(spec: str, name: str) -> None:
    assert parse_backbone(spec).name == name


def test_metrics_come_in_the_paper_s_order() -> None:
    assert parse_metrics(["insertion", "deletion"])[:4] == (
        "average_drop",
        "average_increase",
        "deletion",
        "insertion",
    )
    assert set(parse_metrics(["all"])) >= {"deletion", "insertion", *ROW_METRICS}


def test_equal_plans_have_equal_identities_and_others_do_not() -> None:
    assert plan().sha256 == plan(methods=("gradcam",)).sha256
    assert len({plan(seed=seed).sha256 for seed in range(5)}) == 5
    assert json.loads(plan().to_json())["resize"] == 224


# -- growing
# --------------------------------------------------------------------------------------------------


def test_a_stored_plan_grows() -> None:
    stored = plan(methods=["gradcam"], limit=10)
    asked = plan(
        methods=["scorecam", "gradcam"], backbones=["vgg16"], metrics=["deletion"], limit=20
    )
    both = grown(stored, asked)
    assert both.methods == ("gradcam", "scorecam")
    assert [spec.key for spec in both.backbones] == ["resnet18", "vgg16"]
    assert both.curves == ("deletion",)
    assert both.limit == 20


@pytest.mark.parametrize(
    ("stored", "asked", "expected"), [(10, 5, 10), (5, 10, 10), (None, 5, None), (5, None, None)]
)
def test_the_limit_never_shrinks(
    stored: int | None, asked: int | None, expected: int | None
) -> None:
    assert grown(plan(limit=stored), plan(limit=asked)).limit == expected


def test_data_may_move_and_labels_may_come() -> None:
    both = grown(plan(data="/old"), plan(data="/new", labels="/labels.csv"))
    assert (both.data, both.labels) == ("/new", "/labels.csv")
    assert grown(plan(labels="/labels.csv"), plan()).labels == "/labels.csv"


@pytest.mark.parametrize(
    "changed",
    [
        {"pointing_margin": 0},
        {"road_removal": "released"},
        {"seed": 1},
        {"resize": 256},
        {"target": "label"},
        {"precision": "bf16"},
        {"curve_steps": 224},
        {"insertion_start": "blur"},
    ],
)
def test_another_protocol_is_another_run(changed: dict[str, Any]) -> None:
    (name,) = changed
    with pytest.raises(Mismatch, match=f"{name}: {getattr(plan(), name)} → {changed[name]}"):
        grown(plan(), plan(**changed))


def test_other_weights_under_the_same_name_are_another_run(tmp_path: Path) -> None:
    files = [tmp_path / name / "mine.pth" for name in ("a", "b")]
    for file in files:
        file.parent.mkdir()
        file.touch()
    stored, asked = (plan(backbones=[f"resnet18:weights={file}"]) for file in files)
    with pytest.raises(Mismatch, match=r"resnet18:weights=mine\.pth weights"):
        grown(stored, asked)


# -- cells
# --------------------------------------------------------------------------------------------------


LOADED = LoadedBackbone("resnet18", "w", "weights", "layer4", 512, 7, 7, True, ())


def identity(loaded: LoadedBackbone = LOADED, method: str = "gradcam", **values: Any) -> str:
    made = plan(**values)
    resize = made.backbones[0].preprocessing(Preprocessing(), made.resize)
    as_seen = (
        replace(loaded, preprocessing=resize) if loaded.preprocessing == Preprocessing() else loaded
    )
    return cell_identity(made, made.backbones[0], as_seen, method)


def test_a_cell_is_what_its_numbers_depend_on() -> None:
    others = [
        identity(seed=1),
        identity(resize=256),
        identity(target="label"),
        identity(precision="bf16"),
        identity(replace(LOADED, sha256="other")),
        identity(replace(LOADED, layer="layer3")),
        identity(method="gradcam:x=1"),
        identity(replace(LOADED, source="code")),
        identity(replace(LOADED, preprocessing=Preprocessing(side=256))),
        identity(backbones=["resnet18:mean=0.5"]),
        identity(backbones=["resnet18:score=sigmoid"]),
    ]
    assert len({identity(), *others}) == len(others) + 1
    assert identity() == identity(limit=3, data="/elsewhere")


def test_a_cell_of_version_1_is_the_same_cell() -> None:
    """The formula of camtui 0.1, which stands in files that go on."""
    made = plan()
    parts = ("weights", "layer4", "gradcam", made.resize, made.target, made.seed, made.precision)
    assert identity() == hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def test_a_side_brings_its_short_side_along() -> None:
    wide = Preprocessing(side=256, resize=292)
    assert BackboneSpec("resnet18", side=128).preprocessing(wide).resize == 146
    assert BackboneSpec("resnet18", side=128, resize=200).preprocessing(wide).resize == 200
    assert BackboneSpec("resnet18").preprocessing(Preprocessing(), 256).resize == 256
    assert (
        BackboneSpec("resnet18").preprocessing(Preprocessing(side=240, resize=240), 256).resize
        == 274
    )


def test_grey_images_take_one_number() -> None:
    grey = BackboneSpec("resnet18", channels=1).preprocessing(Preprocessing())
    assert (len(grey.mean), len(grey.std)) == (1, 1)
    assert BackboneSpec("resnet18", mean=(0.5,)).preprocessing(Preprocessing()).mean == (0.5,) * 3
    with pytest.raises(UsageError, match="mean has 3 numbers, and the images have 1 channel"):
        BackboneSpec("resnet18", channels=1, mean=(0.1, 0.2, 0.3)).preprocessing(Preprocessing())


def test_a_truth_is_added_to_a_run_and_may_move() -> None:
    assert grown(plan(), plan(truth="/boxes")).truth == "/boxes"
    assert grown(plan(truth="/boxes"), plan()).truth == "/boxes"
    assert grown(plan(truth="/boxes"), plan(truth="/elsewhere")).truth == "/elsewhere"
