"""``camtui worst``."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.camtui.cli.support import typed, validated
from tests.evaluator.store.runs import begun, result, row

pytestmark = pytest.mark.usefixtures("two_runs")


def test_worst_and_best_images() -> None:
    worst = validated(
        "worst", typed("worst", "good", "--cell", "vgg16/gradcam", "-n", "5", "--json")
    )
    values = [image["adcc"] for image in worst["images"]]
    assert values == sorted(values)
    best = validated(
        "worst", typed("worst", "good", "--cell", "vgg16/gradcam", "-n", "5", "--best", "--json")
    )
    assert [image["adcc"] for image in best["images"]] == sorted(
        (i["adcc"] for i in best["images"]), reverse=True
    )
    assert best["images"][0]["adcc"] > values[-1]
    drop = validated(
        "worst",
        typed(
            "worst", "good", "--by", "average_drop", "--cell", "vgg16/gradcam", "-n", "3", "--json"
        ),
    )
    assert drop["images"][0]["average_drop"] == max(
        image["average_drop"] for image in drop["images"]
    )
    assert drop["images"][0]["predicted_name"].startswith("class ")


def test_worst_without_a_cell_takes_the_leading_one() -> None:
    result = typed("worst", "good", "-n", "3")
    assert "resnet18/gradcampp" in result.stdout
    assert "conf→masked" in result.stdout
    assert len([line for line in result.stdout.splitlines() if ".png" in line]) == 3


def test_a_part_of_a_name_that_only_one_cell_has_is_enough(two_runs: Path) -> None:
    assert "resnet18/gradcampp" in typed("worst", "good", "--cell", "18/gradcampp").stdout


def test_what_is_undefined_has_its_reason(two_runs: Path) -> None:
    by_map = typed("worst", "good", "--cell", "vgg16/gradcam", "--by", "coherency", "-n", "40")
    assert "average drop and ADCC of 1 image are undefined: y is 0" in by_map.stdout
    with begun(two_runs / "runs" / "blank.db") as writer:
        writer.rows.commit(result(row(1, 0, drop=None), row(1, 1, drop=None)))
    refused = typed("worst", "blank")
    assert "no image of the run has an ADCC, undefined: y is 0" in refused.stderr
    refused = typed("worst", "blank", "--cell", "gradcam")
    assert "has no adcc, undefined: y is 0" in refused.stderr
    assert "–" in typed("worst", "blank", "--cell", "gradcam", "--by", "coherency").stdout
    shown = typed("show", "blank").stdout
    assert "average drop and ADCC of none of 2 images; undefined: y is 0" in shown
