"""A plan: its defaults, its text there and back, its identity and that of its cells; what it
accepts, and what a later request may add to it.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from math import inf
from pathlib import Path
from typing import Any

import pytest

from evaluator.backbones import BackboneSpec, known_backbone
from evaluator.catalog import ROW_METRICS
from evaluator.errors import Mismatch, NotApplicable, UsageError
from evaluator.execution.driver import begun_layers
from evaluator.plan import (
    PROTOCOL,
    ProtocolOption,
    RunPlan,
    as_begun,
    as_loaded,
    cell_identity,
    earlier_choices,
    extended,
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
        identity(masking="pixels"),
    ]
    assert len({identity(), *others}) == len(others) + 1
    assert identity() == identity(limit=3, data="/elsewhere", removed="black")


def test_the_side_of_their_maps_is_part_of_image_methods_cells_alone() -> None:
    assert identity(method="ig:n=3") != identity(method="ig:n=3", map_side=28)
    assert identity(method="gradcam") == identity(method="gradcam", map_side=28)
    assert "image maps" not in plan(methods=["gradcam"]).notes()
    assert plan(methods=["gradcam", "ig"]).notes()["image maps"] == "at most 56 × 56"


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


# -- what is accepted
# --------------------------------------------------------------------------------------------------


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
        ({"data": ""}, "the plan names no data", ""),
        ({"methods": []}, "the plan names no methods", ""),
        (
            {"backbones": [{"key": "resnet18", "size": "big"}]},
            "a network of the plan is malformed",
            "key, weights, layer",
        ),
        ({"backbones": ["resnet18:weights=/no/such.pth"]}, "no such weights file", "safetensors"),
        ({"truth": 5}, "the plan's truth cannot be 5", ""),
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
        ({"backbones": ["timm/resnet18:channels=17"]}, "; up to 16 where images are arrays", ""),
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
            "score= takes softmax or sigmoid or probability, not 'sigmod'",
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


@pytest.mark.parametrize(
    "option",
    [one for one in PROTOCOL.values() if one.choices or one.ends],
    ids=lambda option: option.name,
)
def test_a_value_that_an_option_does_not_take(option: ProtocolOption) -> None:
    wrong = f"{option.choices[-1]}x" if option.kind is str else (option.ends or [-1])[0] - 1
    with pytest.raises(
        UsageError, match=rf"{option.within or option.flag} takes .* not '?{wrong}'?$"
    ) as caught:
        plan(**{option.name: wrong})
    assert caught.value.hint
    for value in option.choices or (end for end in option.ends or () if end < inf):
        assert getattr(plan(**{option.name: value}), option.name) == value


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


# -- what a later request may add, and what it may not change
# --------------------------------------------------------------------------------------------------


def test_a_stored_plan_grows() -> None:
    stored = plan(methods=["gradcam"], limit=10)
    asked = plan(
        methods=["scorecam", "gradcam"], backbones=["vgg16"], metrics=["deletion"], limit=20
    )
    both = extended(stored, asked)
    assert both.methods == ("gradcam", "scorecam")
    assert [spec.key for spec in both.backbones] == ["resnet18", "vgg16"]
    assert both.optional_metrics == ("deletion",)
    assert both.limit == 20


@pytest.mark.parametrize(
    ("stored", "asked", "expected"), [(10, 5, 10), (5, 10, 10), (None, 5, None), (5, None, None)]
)
def test_the_limit_never_shrinks(
    stored: int | None, asked: int | None, expected: int | None
) -> None:
    assert extended(plan(limit=stored), plan(limit=asked)).limit == expected


def test_data_may_move_and_labels_may_come() -> None:
    both = extended(plan(data="/old"), plan(data="/new", labels="/labels.csv"))
    assert (both.data, both.labels) == ("/new", "/labels.csv")
    assert extended(plan(labels="/labels.csv"), plan()).labels == "/labels.csv"


def other_value(option: ProtocolOption) -> Any:
    """A value that is not the default."""
    return option.choices[-1] if option.choices else option.default + 1


@pytest.mark.parametrize(
    "option",
    [one for one in PROTOCOL.values() if hasattr(RunPlan, one.name) and not one.extendable],
    ids=lambda option: option.name,
)
def test_another_protocol_is_another_run(option: ProtocolOption) -> None:
    other = other_value(option)
    with pytest.raises(Mismatch, match=f"{option.name}: {option.default} → {other}"):
        extended(plan(), plan(**{option.name: other}))


def test_other_weights_under_the_same_name_are_another_run(tmp_path: Path) -> None:
    files = [tmp_path / name / "mine.pth" for name in ("a", "b")]
    for file in files:
        file.parent.mkdir()
        file.touch()
    stored, asked = (plan(backbones=[f"resnet18:weights={file}"]) for file in files)
    with pytest.raises(Mismatch, match=r"resnet18:weights=mine\.pth weights"):
        extended(stored, asked)


def test_a_truth_is_added_to_a_run_and_may_move() -> None:
    assert extended(plan(), plan(truth="/boxes")).truth == "/boxes"
    assert extended(plan(truth="/boxes"), plan()).truth == "/boxes"
    assert extended(plan(truth="/boxes"), plan(truth="/elsewhere")).truth == "/elsewhere"


# -- runs that an earlier version began
# --------------------------------------------------------------------------------------------------

FORMER, NOW = "smoothgradcampp:variant=paper", "smoothgradcampp:variant=mean-gradient"
OLD: dict[str, Any] = {
    "methods": [NOW, "gradcam"],
    "metrics": ["insertion", "arcc"],
    "road_noise": "normalised",
    "insertion_start": "blur-torchvision",
}


def test_the_same_request_goes_on_with_what_it_meant() -> None:
    same = plan(**{**OLD, "methods": [FORMER, "gradcam"], "insertion_start": "blur",
                   "road_noise": "pixels"})  # fmt: skip
    with pytest.raises(Mismatch):
        extended(plan(**OLD), same)
    assert as_begun(plan(**OLD), same) == plan(**OLD)
    assert extended(plan(**OLD), as_begun(plan(**OLD), same)) == plan(**OLD)


def test_a_formula_that_an_earlier_version_did_not_have_is_added_to_its_run() -> None:
    old = plan(**{**OLD, "methods": ["gradcam"], "insertion_start": "zero"})
    assert as_begun(old, replace(old, methods=(FORMER,))).methods == (FORMER,)
    both = plan(**{**OLD, "methods": [NOW, FORMER]})
    assert as_begun(both, replace(both, methods=(FORMER,))).methods == (FORMER,)


def test_another_start_than_the_run_s_stays_another() -> None:
    old = plan(**{**OLD, "insertion_start": "zero"})
    with pytest.raises(Mismatch, match="insertion_start: zero → blur"):
        extended(old, as_begun(old, replace(old, insertion_start="blur")))


def test_choices_of_an_earlier_version_are_said_where_they_count() -> None:
    noise, blur, renamed = earlier_choices(plan(**OLD), begun_earlier=True)
    assert noise.startswith("ROAD's noise after normalisation")
    assert "--metric insertion:start=blur-torchvision" in blur
    assert f"{NOW} is what earlier versions called variant=paper" in renamed
    assert list(earlier_choices(plan(**OLD), begun_earlier=False)) == [noise, blur]
    quiet = plan(**{**OLD, "metrics": [], "methods": ["gradcam"]})
    assert list(earlier_choices(quiet, begun_earlier=True)) == []
    assert list(earlier_choices(plan(metrics=["all"]), begun_earlier=False)) == []
