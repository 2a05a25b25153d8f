"""``camtui methods``, ``metrics`` and ``backbones``."""

from __future__ import annotations

import json
from pathlib import Path

from evaluator.methods import all_methods
from evaluator.metrics import all_metrics
from tests.camtui.cli.support import typed


def test_methods_and_backbones(home: Path) -> None:
    listed = json.loads(typed("methods", "--json").stdout)["methods"]
    assert [method["key"] for method in listed] == list(all_methods())
    controls = {method["key"] for method in listed if method["control"]}
    assert {"fakecam", "randomcam", "centre"} <= controls < set(all_methods())
    text = typed("methods").stdout
    assert text.count("a control: not ranked") == len(controls)
    assert {method["key"] for method in listed if method["optimises"]} == {"opticam"}
    assert "optimises the drop; options steps=50, lr=0.1" in text
    assert text.count("needs attention blocks over all tokens") == 3
    assert "4,097 passes an image at 2,048 channels" in text
    assert "options n=4" in text or "variant=" in text
    backbones = json.loads(typed("backbones", "--json").stdout)
    assert {"resnet50", "efficientnet_lite0"} <= {
        backbone["key"] for backbone in backbones["backbones"]
    }
    assert "densenet121" in backbones["others"]
    assert "vgg16-397923af.pth" in typed("backbones").stdout or "here" in typed("backbones").stdout


def test_every_metric_with_definition_and_direction() -> None:
    text = typed("metrics").stdout
    for key, metric in all_metrics().items():
        assert f"{metric.title} {metric.arrow}: {metric.definition}" in text
        assert key in text
    assert "optional: --metric deletion" in text
    assert "optional: --metric adcc" not in text


def test_as_json() -> None:
    listed = {one["key"]: one for one in json.loads(typed("metrics", "--json").stdout)["metrics"]}
    assert list(listed) == list(all_metrics())
    assert listed["average_drop"]["better"] == "lower"
    assert listed["adcc"]["always"]
    assert listed["deletion"]["curve"]
