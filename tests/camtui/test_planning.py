"""From what was typed to a plan: defaults, plan files, and what a run that is there already
decides.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from camtui.compute import choose_devices, count_gpus
from camtui.planning import PlanOptions, default_name, plan_diff, resolve_plan
from evaluator import catalog
from evaluator.backbones import BackboneSpec
from evaluator.errors import Mismatch, UsageError
from evaluator.images import DEMO_LABELS
from evaluator.plan import RunPlan, extended, validated_plan


def planned(typed: PlanOptions, stored: RunPlan | None = None, *, cuda: bool = False) -> RunPlan:
    return resolve_plan(typed, stored, cuda=cuda).plan


def test_the_demo_needs_nothing_else() -> None:
    plan = planned(PlanOptions(demo=True))
    assert [backbone.key for backbone in plan.backbones] == [
        "efficientnet_lite0",
        "efficientnet_lite1",
        "efficientnet_lite2",
    ]
    controls = [catalog.is_control(method) for method in plan.methods]
    assert (sum(controls), controls) == (2, sorted(controls)), "they stand behind the methods"
    assert plan.labels == str(DEMO_LABELS)
    assert (plan.demo, plan.precision) == (True, "fp32")
    assert default_name(PlanOptions(demo=True)) == "demo"


def test_options_of_backbones_and_methods(tmp_path: Path) -> None:
    typed = PlanOptions(
        data=tmp_path,
        backbones=["resnet50,vgg16:layer=features.29"],
        methods=["gradcam,scorecam:variant=cic", "gradcam"],
        metrics=["all"],
        choices={"layer": "layer3", "weights": "random:1"},
    )
    plan = planned(typed, cuda=True)
    assert plan.backbones == (
        BackboneSpec("resnet50", "random:1", "layer3"),
        BackboneSpec("vgg16", "random:1", "features.29"),
    )
    assert plan.methods == ("gradcam", "scorecam:variant=cic")
    assert {"deletion", "insertion"} <= {*plan.metrics}
    assert plan.precision == "mixed"


def test_the_side_is_for_every_network_that_has_none_of_its_own(tmp_path: Path) -> None:
    typed = PlanOptions(
        data=tmp_path, backbones=["inception_v3,resnet18:side=256"], choices={"side": 331}
    )
    plan = planned(typed)
    assert [backbone.name for backbone in plan.backbones] == [
        "inception_v3:side=331",
        "resnet18:side=256",
    ]
    alone = planned(replace(typed, backbones=None), plan)
    assert alone == plan, "those of a plan have a side by now"
    (config := tmp_path / "plan.toml").write_text('data = "."\nbackbones = ["vgg16"]\n')
    (of_file,) = planned(PlanOptions(config=config, choices={"side": 96})).backbones
    assert of_file.name == "vgg16:side=96"
    with pytest.raises(UsageError, match="side= takes a whole number from 8 to 4096, not '0'"):
        planned(replace(typed, choices={"side": 0}))


def test_options_win_over_the_file_and_that_over_defaults(tmp_path: Path) -> None:
    config = tmp_path / "plan.toml"
    config.write_text(
        'data = "images"\nbackbones = ["resnet18"]\nmethods = ["gradcam"]\nseed = 3\nlimit = 5\n'
    )
    plan = planned(PlanOptions(config=config, choices={"seed": 4}))
    assert (plan.data, plan.seed, plan.limit) == (str(tmp_path / "images"), 4, 5)
    assert default_name(PlanOptions(config=config)) == "plan"
    config.write_text("data = ")
    with pytest.raises(UsageError, match="is not TOML"):
        planned(PlanOptions(config=config))
    config.write_text("dat = 1")
    with pytest.raises(UsageError, match="a plan has no 'dat'"):
        planned(PlanOptions(config=config, backbones=["resnet18"]))


def test_a_run_that_is_there_decides_what_is_not_typed(tmp_path: Path) -> None:
    stored = planned(
        PlanOptions(
            data=tmp_path,
            backbones=["resnet18"],
            methods=["gradcam"],
            choices={"seed": 7, "limit": 9},
        ),
        None,
        cuda=True,
    )
    extended = planned(PlanOptions(methods=["layercam"]), stored)
    assert (extended.methods, extended.seed, extended.precision, extended.limit) == (
        ("layercam",),
        7,
        "mixed",
        9,
    )
    whole = planned(PlanOptions(data=tmp_path, backbones=["resnet18"]), stored)
    assert (whole.methods, whole.seed, whole.limit) == (("gradcam",), 7, None)


FORMER, NOW = "smoothgradcampp:variant=paper", "smoothgradcampp:variant=mean-gradient"


@pytest.mark.parametrize("spec", [FORMER, "Smooth Grad-CAM++:variant=paper"])
def test_what_is_typed_for_an_earlier_version_s_run_means_what_it_meant(
    tmp_path: Path, spec: str
) -> None:
    asked = {"data": tmp_path, "backbones": ["resnet18"], "metrics": ["insertion", "road"]}
    blur = {"insertion_start": "blur"}
    same = PlanOptions(**asked, methods=[spec], choices=blur)  # type: ignore[arg-type]  # keyword bag of a test
    new = planned(same)
    assert (new.methods, new.insertion_start, new.road_noise) == ((FORMER,), "blur", "pixels")
    old = RunPlan.from_json(
        json.dumps({key: value for key, value in new.to_dict().items() if key != "road_noise"})
    )
    assert resolve_plan(same, old, cuda=False, earlier=True).plan == old
    assert extended(old, resolve_plan(same, old, cuda=False, earlier=True).plan) == old
    for contradiction in (
        replace(same, choices={**blur, "road_noise": "pixels"}),
        replace(same, choices={"insertion_start": "zero"}),
    ):
        with pytest.raises(Mismatch):
            extended(old, resolve_plan(contradiction, old, cuda=False, earlier=True).plan)
    with pytest.raises(Mismatch, match="insertion_start"):
        extended(old, resolve_plan(same, old, cuda=False).plan)


@pytest.mark.parametrize(
    ("folder", "name"),
    [("imagenet/val", "imagenet-val"), ("my images", "my-images"), ("x/Train", "x-Train")],
)
def test_the_name_comes_from_the_data(tmp_path: Path, folder: str, name: str) -> None:
    assert default_name(PlanOptions(data=tmp_path / folder)) == name


def test_devices(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert choose_devices(None, None, tmp_path) == ("cpu",)
    assert choose_devices(None, 3, tmp_path) == ("cpu", "cpu", "cpu")
    with pytest.raises(UsageError, match="there is no GPU"):
        choose_devices("cuda", None, tmp_path)
    for name in ("nvidia0", "nvidia1", "nvidia2", "nvidiactl", "nvidia-uvm"):
        (tmp_path / name).touch()
    assert choose_devices(None, None, tmp_path) == ("cuda:0", "cuda:1", "cuda:2")
    assert choose_devices("cuda:0,cuda:2", 3, tmp_path) == ("cuda:0", "cuda:2", "cuda:0")
    assert choose_devices("cpu", None, tmp_path) == ("cpu",)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2,0")
    assert count_gpus(tmp_path) == 2
    for wrong in ("gpu", "cuda:2", "cuda:x", ""):
        with pytest.raises(UsageError):
            choose_devices(wrong or "cpu", None if wrong else 0, tmp_path)


def small(**changes: Any) -> RunPlan:
    return validated_plan(
        {"data": "/data", "backbones": ["resnet18"], "methods": ["gradcam"], **changes}
    )


@pytest.mark.parametrize(
    ("stored", "asked", "clauses"),
    [
        ({}, {}, []),
        ({"limit": 8}, {"limit": 8}, []),
        ({"methods": ["gradcam", "fakecam"]}, {}, []),
        ({"limit": 8}, {}, ["all images instead of the first 8, for every method it has"]),
        (
            {"limit": 8},
            {"limit": 16},
            ["the first 16 instead of the first 8, for every method it has"],
        ),
        (
            {"limit": 8},
            {"limit": 4},
            ["it keeps the first 8, a run does not shrink: another --name for 4"],
        ),
        ({}, {"limit": 4}, ["it keeps all images, a run does not shrink: another --name for 4"]),
        ({}, {"methods": ["layercam", "gradcampp"]}, ["new methods layercam, gradcampp"]),
        (
            {},
            {"backbones": ["vgg16"], "metrics": ["deletion"]},
            ["new network vgg16", "new metric deletion"],
        ),
        (
            {},
            {"backbones": ["vgg16"], "methods": ["layercam"]},
            [
                "new network vgg16",
                "new method layercam",
                "a run is a full grid: resnet18 × layercam, vgg16 × gradcam are added too "
                "(another --name keeps it apart)",
            ],
        ),
        (
            {"methods": ["gradcam", "layercam"]},
            {"backbones": ["vgg16"], "methods": ["layercam"]},
            [
                "new network vgg16",
                "a run is a full grid: vgg16 × gradcam is added too (another --name keeps it "
                "apart)",
            ],
        ),
        (
            {"backbones": ["resnet50", "vgg11"], "methods": ["gradcam", "cam"]},
            {"backbones": ["vgg16"], "methods": ["layercam"]},
            [
                "new network vgg16",
                "new method layercam",
                "a run is a full grid: resnet50 × layercam, vgg11 × layercam, vgg16 × gradcam "
                "are added too (another --name keeps it apart)",
            ],
        ),
    ],
)
def test_what_a_request_adds(
    stored: dict[str, Any], asked: dict[str, Any], clauses: list[str]
) -> None:
    assert plan_diff(small(**stored), small(**asked)) == clauses


def test_the_split_of_new_data_is_chosen_and_that_of_a_run_kept(tmp_path: Path) -> None:
    for split in ("val", "train"):
        (tmp_path / split).mkdir()
        (tmp_path / split / "a.jpg").touch()
    asked = PlanOptions(data=tmp_path, backbones=["resnet50"], methods=["gradcam"])
    found = resolve_plan(asked, None, cuda=False)
    assert found.plan.data == str(tmp_path / "val")
    assert found.part.startswith("the split val and not train of ")
    assert planned(asked, found.plan) == found.plan
    earlier = replace(found.plan, data=str(tmp_path))
    assert planned(asked, earlier).data == str(tmp_path), "it was begun on all of the folder"
    assert planned(replace(asked, split="train"), None).data == str(tmp_path / "train")


@pytest.mark.parametrize(
    ("data", "name"),
    [
        ("photos.tar", "photos"),
        ("imagenet/val.tar", "imagenet-val"),
        ("all.zip/val", "all-val"),
        ("pets-{000..049}.tar", "pets"),
        ("in/validation-*.parquet", "in-validation"),
    ],
)
def test_the_name_of_a_run_over_an_archive(tmp_path: Path, data: str, name: str) -> None:
    assert default_name(PlanOptions(data=tmp_path / "x" / data)) == name
