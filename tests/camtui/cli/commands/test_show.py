"""``camtui show``."""

from __future__ import annotations

import tomllib
from dataclasses import replace
from pathlib import Path

import pytest

from camtui.cli.commands.show import _backbone
from evaluator.plan import validated_plan
from evaluator.records import LoadedBackbone, Preprocessing
from evaluator.store.reader import RunReader
from tests.camtui.cli.support import METHODS, typed, validated
from tests.synthetic import make_run

pytestmark = pytest.mark.usefixtures("two_runs")


def test_show_says_what_the_run_is() -> None:
    text = typed("show", "good").stdout
    for part in (
        "good · 40 images · complete",
        "IMAGENET1K_V1",
        "target predicted, resize each network's own",
        "torch",
        "vgg16 curves",
    ):
        assert part in text
    assert "torch" in typed("show", "good", "--env").stdout
    assert "protocol" not in typed("show", "good", "--env").stdout
    assert "passes" in typed("show", "good", "--timings").stdout
    assert validated("show", typed("show", "good", "--json"))["run"]["plan"]["resize"] == 224


def test_what_a_network_is_shown_is_said_where_it_is_not_the_usual() -> None:
    usual = LoadedBackbone("resnet18", "w", "0" * 64, "layer4", 512, 7, 7, True, ())
    halves = (0.5, 0.5, 0.5)
    large = Preprocessing(480, 480, "bicubic", halves, halves)
    for loaded, words in (
        (usual, "layer layer4, cut by its graph, 224 × 224"),
        (replace(usual, preprocessing=Preprocessing(resize=256)), "resized to 256 (bilinear)"),
        (
            replace(usual, preprocessing=large),
            "480 × 480, resized to 480 (bicubic), mean 0.5/0.5/0.5, std 0.5/0.5/0.5",
        ),
        (replace(usual, transform_input=True), "224 × 224, transform_input yes"),
    ):
        assert _backbone(loaded).endswith(words)


@pytest.mark.parametrize(
    ("plan", "said"),
    [
        ({}, "imputation  pixels by rank, noise 0.01 in pixels"),
        ({"road_noise": "normalised"}, "as before   ROAD's noise after normalisation"),
        ({"insertion_start": "blur-torchvision"}, "insertion starts from blur-torchvision"),
        ({"removed": "black"}, "28 steps, insertion starts from zero, removed pixels become black"),
        ({"masking": "pixels"}, "masking     before normalisation, to black"),
    ],
)
def test_how_optional_metrics_were_measured(
    two_runs: Path, plan: dict[str, object], said: str
) -> None:
    make_run(two_runs / "runs" / "measured.db", methods=METHODS, plan={"metrics": ["all"], **plan})
    assert said in typed("show", "measured").stdout


def test_the_printed_plan_is_the_plan(two_runs: Path) -> None:
    path = make_run(
        two_runs / "runs" / "other.db",
        backbones=["vgg16:layer=features.29"],
        methods=METHODS,
        plan={"limit": 40, "resize": 256},
    )
    text = typed("show", "other", "--config").stdout
    reader = RunReader(path)
    assert validated_plan(tomllib.loads(text)) == reader.plan()
    assert reader.plan().limit == 40
