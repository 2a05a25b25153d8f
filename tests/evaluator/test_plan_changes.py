"""What a later request may add to a stored plan, and what it may not change."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from evaluator.errors import Mismatch
from evaluator.plan import RunPlan, as_begun, earlier_choices, extended, validated_plan

SMALL: dict[str, Any] = {"data": "/data", "backbones": ["resnet18"], "methods": ["gradcam"]}


def plan(**values: Any) -> RunPlan:
    return validated_plan({**SMALL, **values})


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


@pytest.mark.parametrize(
    "changed",
    [
        {"pointing_margin": 0},
        {"road_removal": "released"},
        {"road_noise": "normalised"},
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
        extended(plan(), plan(**changed))


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
    assert "--insertion-start blur-torchvision" in blur
    assert f"{NOW} is what earlier versions called variant=paper" in renamed
    assert list(earlier_choices(plan(**OLD), begun_earlier=False)) == [noise, blur]
    quiet = plan(**{**OLD, "metrics": [], "methods": ["gradcam"]})
    assert list(earlier_choices(quiet, begun_earlier=True)) == []
    assert list(earlier_choices(plan(metrics=["all"]), begun_earlier=False)) == []
