"""``camtui compare``, with other runs and with the paper."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.camtui.cli.support import METHODS, typed, validated
from tests.synthetic import make_run

pytestmark = pytest.mark.usefixtures("two_runs")


def test_compare_runs() -> None:
    result = typed("compare", "good", "worse")
    assert result.exit_code == 0
    assert "good → worse" in result.stdout
    assert result.stdout.count("  worse") >= 4
    document = validated(
        "compare", typed("compare", "good", "worse", "--json", "--metric", "adcc,average_drop")
    )
    cells = document["comparisons"][0]["cells"]
    assert {cell["metric"] for cell in cells} == {"adcc", "average_drop"}
    assert {cell["verdict"] for cell in cells if "grad" in cell["method"]} == {"worse"}


def test_fail_on_drop_ends_with_5_after_the_table() -> None:
    failed = typed("compare", "good", "worse", "--fail-on-drop", "0.5")
    assert failed.exit_code == 5
    assert "good → worse" in failed.stdout
    assert "more than 0.5" in failed.stderr
    assert typed("compare", "good", "worse", "--fail-on-drop", "50").exit_code == 0
    assert typed("compare", "worse", "good", "--fail-on-drop", "0").exit_code == 0
    as_json = typed("compare", "good", "worse", "--fail-on-drop", "0.5", "--json")
    assert as_json.exit_code == 5
    assert json.loads(as_json.stdout)["comparisons"]


def test_compare_refuses_another_protocol_and_says_which(two_runs: Path) -> None:
    make_run(two_runs / "runs" / "wide.db", methods=METHODS, plan={"resize": 256})
    result = typed("compare", "good", "wide")
    assert result.exit_code == 4
    assert "resize: 224 → 256" in result.stderr
    assert "paired by force: resize" in typed("compare", "good", "wide", "--force").stdout


def test_compare_with_the_paper(two_runs: Path) -> None:
    text = typed("compare", "good", "--paper").stdout
    assert "this run is not the paper's protocol" in text
    assert "40 images; the paper averages the 50,000" in text
    cells = validated("compare-paper", typed("compare", "good", "--paper", "--json"))["cells"]
    mine = next(
        cell
        for cell in cells
        if (cell["backbone"], cell["method"], cell["metric"]) == ("vgg16", "gradcam", "adcc")
    )
    assert mine["paper"] == pytest.approx(0.5352)
    assert mine["difference"] == pytest.approx(mine["ours"]["mean"] - 0.5352)
    make_run(two_runs / "runs" / "lite.db", backbones=["efficientnet_lite0"], methods=["gradcam"])
    refused = typed("compare", "lite", "--paper")
    assert refused.exit_code == 4
    assert "vgg16" in refused.stderr
