"""``camtui bench``: a real measurement of a small network, and an estimate that follows from it by
arithmetic.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import Any

import jsonschema
import pytest

from camtui.cli.commands.bench import _measured, _print_figures, _table, estimate
from evaluator.errors import UsageError
from tests.camtui.cli.support import typed
from tests.evaluator.execution.support import camtui

bench_module = sys.modules["camtui.cli.commands.bench"]

FOUND: dict[str, Any] = {
    "backbone": "resnet50",
    "measuring": 100.0,
    "weighing": 400.0,
    "rows": 90.0,
    "masks": 300.0,
    "channels": 2048,
    "gap_linear": True,
}


def test_the_estimate_is_forwards_over_what_was_measured() -> None:
    seconds = estimate(FOUND, 10)["seconds"]
    curves = 2 * 27 / 100
    assert seconds["gradcam"] == pytest.approx(10 * (1 / 90 + curves))
    assert seconds["smoothgradcampp"] == pytest.approx(10 * (3 / 90 + curves))
    assert seconds["scorecam"] == pytest.approx(10 * (4096 / 300 + 1 / 90 + curves))
    assert estimate(FOUND, 10)["total"] == pytest.approx(sum(seconds.values()))
    assert "xgradcam" not in seconds, "Grad-CAM's rows are copied"
    assert "xgradcam" in estimate(FOUND | {"backbone": "vgg16", "gap_linear": False}, 10)["seconds"]


@pytest.mark.long
def test_a_real_measurement() -> None:
    done = camtui(
        "bench", "-b", "shufflenet_v2_x0_5", "--device", "cpu", "--images", "100", "--json"
    )
    document = json.loads(done.stdout)
    jsonschema.validate(document, json.loads(typed("schema", "bench").stdout))
    (found,) = document["backbones"]
    assert found["backbone"] == "shufflenet_v2_x0_5"
    assert found["channels"] == 1024
    assert found["gap_linear"] is True
    assert min(found[rate] for rate in ("measuring", "weighing", "rows", "masks")) > 0
    assert found["seconds"]["scorecam"] > 10 * found["seconds"]["gradcam"]


@pytest.mark.parametrize(("device", "precision"), [("cpu", "fp32"), ("cuda:0", "mixed")])
def test_it_measures_what_a_run_would_compute_in(
    monkeypatch: pytest.MonkeyPatch, device: str, precision: str
) -> None:
    asked: list[tuple[str, str]] = []

    def measured(names: list[str], where: str, how: str) -> Iterator[dict[str, Any]]:
        asked.append((where, how))
        return iter(())

    monkeypatch.setattr(bench_module, "choose_devices", lambda *_: (device,))
    monkeypatch.setattr(bench_module, "_measured", measured)
    bench_module.bench(backbone=["resnet18"], device=device, precision=None, images=10, json=True)
    assert asked == [(device, precision)]


def test_what_people_read(capsys: pytest.CaptureFixture[str]) -> None:
    found = {**FOUND, "precision": "bf16", "batch_sizes": {"fp32": 16, "bf16": 32}}
    _print_figures(found)
    line = capsys.readouterr().out
    assert "resnet50" in line
    assert "100.0 passes/s raw" in line
    assert "gradient rows  90 %" in line
    assert "score-cam masks  75 % of 400.0" in line
    assert line.endswith("batch 32\n")
    head, names, row = _table([estimate(found, 10)], 10)
    assert head.startswith("10 images with all seven metrics")
    assert [name for name in ("fakecam", "gradcam", "scorecam", "total") if name not in names] == []
    assert row.split()[0] == "resnet50"


def test_a_measurement_that_fails_says_why() -> None:
    with pytest.raises(UsageError, match="unknown network 'nosuch'"):
        list(_measured(["nosuch"], "cpu", "fp32"))
