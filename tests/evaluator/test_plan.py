"""A plan: its defaults, its text there and back, its identity and that of its cells."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from evaluator.backbones import known_backbone
from evaluator.catalog import ROW_METRICS
from evaluator.errors import UsageError
from evaluator.execution.driver import begun_layers
from evaluator.plan import (
    RunPlan,
    as_loaded,
    cell_identity,
    parse_metrics,
    todays_names,
    validated,
    validated_plan,
)
from evaluator.records import LoadedBackbone, Preprocessing

SMALL: dict[str, Any] = {"data": "/data", "backbones": ["resnet18"], "methods": ["gradcam"]}


def plan(**values: Any) -> RunPlan:
    return validated_plan({**SMALL, **values})


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
    assert (made.truth, made.pointing_margin, made.road_removal) == (None, 15, "rank")
    assert made.road_noise == "pixels"


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
    assert RunPlan.from_json(made.to_json()) == made == validated_plan(made.to_dict())
    assert RunPlan.from_json(made.to_json()).sha256 == made.sha256


def test_a_stored_plan_can_be_read_when_its_weights_have_gone(tmp_path: Path) -> None:
    file = tmp_path / "mine.pth"
    file.touch()
    text = plan(backbones=[f"resnet18:weights={file}"]).to_json()
    file.unlink()
    assert RunPlan.from_json(text).backbones[0].weights == str(file)
    with pytest.raises(UsageError, match="no such weights file"):
        validated(RunPlan.from_json(text))


def earlier(**values: Any) -> dict[str, Any]:
    """A plan as an earlier version stored it."""
    return {key: value for key, value in plan(**values).to_dict().items() if key != "road_noise"}


def test_a_plan_of_an_earlier_version_keeps_its_meaning() -> None:
    old = earlier(
        methods=["smoothgradcampp:variant=paper,n=2", "smoothgradcampp", "gradcam"],
        insertion_start="blur",
    )
    found = RunPlan.from_json(json.dumps(old))
    assert found.methods == (
        "smoothgradcampp:variant=mean-gradient,n=2",
        "smoothgradcampp",
        "gradcam",
    )
    assert (found.road_noise, found.insertion_start) == ("normalised", "blur-torchvision")
    assert RunPlan.from_json(found.to_json()) == found, "translated once"
    assert RunPlan.from_json(json.dumps(earlier())).insertion_start == "zero"


def test_a_plan_of_today_means_what_it_says() -> None:
    made = plan(
        methods=["smoothgradcampp:variant=paper"], insertion_start="blur", road_noise="normalised"
    )
    assert RunPlan.from_json(made.to_json()) == made


@pytest.mark.parametrize("methods", [None, "smoothgradcampp:variant=paper", [3]])
def test_a_damaged_plan_of_an_earlier_version_is_refused(methods: Any) -> None:
    with pytest.raises(UsageError, match="methods"):
        RunPlan.from_json(json.dumps({**earlier(), "methods": methods}))


@pytest.mark.parametrize(
    "text",
    ["mysmoothgradcampp:variant=paper", "smoothgradcampp:variant=paperback", "scorecam", ""],
)
def test_other_names_stay(text: str) -> None:
    assert todays_names(text) == text


def test_names_within_a_line_are_brought_to_those_of_today() -> None:
    line = "resnet50/smoothgradcampp:variant=paper,n=2 is ahead, x:smoothgradcampp:variant=paper"
    assert todays_names(line) == line.replace("=paper", "=mean-gradient")


@pytest.mark.parametrize("text", ["", "[]", "null", "{", '"plan"'])
def test_what_is_no_plan_at_all(text: str) -> None:
    with pytest.raises(ValueError):
        RunPlan.from_json(text)


def test_equal_plans_have_equal_identities_and_others_do_not() -> None:
    assert plan().sha256 == plan(methods=("gradcam",)).sha256
    assert len({plan(seed=seed).sha256 for seed in range(5)}) == 5
    assert json.loads(plan().to_json())["resize"] == 224


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


def test_a_network_that_is_shown_something_else_than_before_is_another_cell() -> None:
    """Cells of earlier versions, by their formula, are none of this version's, and stay theirs."""
    made = plan(backbones=["densenet121"])
    parts = ("weights", "layer4", "gradcam", made.resize, made.target, made.seed, made.precision)
    earlier = hashlib.sha256(json.dumps(parts).encode()).hexdigest()
    spec = made.backbones[0]
    now = known_backbone("densenet121").preprocessing
    assert now == Preprocessing(resize=256)
    assert cell_identity(made, spec, LOADED, "gradcam") == earlier
    assert cell_identity(made, spec, replace(LOADED, preprocessing=now), "gradcam") != earlier


def test_transform_input_makes_another_cell_of_a_file_alone() -> None:
    made = plan(backbones=["googlenet:weights=random:0"])
    spec = made.backbones[0]
    ours = replace(LOADED, transform_input=True)
    assert cell_identity(made, spec, LOADED, "gradcam") != cell_identity(
        made, spec, ours, "gradcam"
    )
    published = replace(spec, weights="default")
    assert cell_identity(made, published, LOADED, "gradcam") == cell_identity(
        made, published, ours, "gradcam"
    )


def test_a_run_goes_on_with_what_its_networks_were_shown() -> None:
    made = plan(backbones=["densenet121", "googlenet:weights=random:0", "vgg16", "resnet34"])
    now = known_backbone("resnet34").preprocessing
    assert now is not None
    stored = {
        "densenet121": LOADED,  # of an earlier version
        "googlenet:weights=random:0": LOADED,
        "vgg16": LOADED,
        "resnet34": replace(LOADED, preprocessing=now),
    }
    found = as_loaded(made, stored).backbones
    for spec, name in zip(found, stored, strict=True):
        usual = known_backbone(spec.key).preprocessing
        assert usual is not None
        assert spec.preprocessing(usual, 224) == stored[name].preprocessing
    assert [spec.transform_input for spec in found] == [None, "no", None, None]
    assert as_loaded(made, {}) == made
    assert begun_layers(made, stored) == dict.fromkeys(range(4), "layer4"), "under their own names"


def test_a_method_with_another_name_keeps_its_cells_and_leaves_them_to_no_other() -> None:
    made = plan()
    for options in ("", ",n=2"):
        former = f"smoothgradcampp:variant=paper{options}"
        parts = ("weights", "layer4", former, made.resize, made.target, made.seed, made.precision)
        was = hashlib.sha256(json.dumps(parts).encode()).hexdigest()
        assert identity(method=todays_names(former)) == was
        assert identity(method=former) != was
