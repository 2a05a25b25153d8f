"""``camtui metrics``: every metric, its definition and its direction."""

from __future__ import annotations

import json

from evaluator.metrics import all_metrics
from tests.camtui.cli.support import typed


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
