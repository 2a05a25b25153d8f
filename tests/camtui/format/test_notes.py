"""What must be said under a table, and nothing else."""

from __future__ import annotations

from pathlib import Path

from camtui.format import (
    plain_text,
    summary_table,
)
from evaluator.store.reader import RunReader
from tests.synthetic import make_run


def test_what_must_be_said_is_said(reader: RunReader) -> None:
    text = plain_text(summary_table(reader))
    assert "cam             not applicable: CAM needs a GAP + linear head" in text
    assert "xgradcam: identical to gradcam by construction" in text
    assert "degenerate (the map is all zero: ADCC 0): cam 3, gradcam 3, xgradcam 3" in text
    assert "failed: 1 in every method" in text
    assert "~ not every image yet" in text
    assert "~17" in text
    assert "paired test" in text


def test_a_complete_run_without_failures_says_none_of_that(tmp_path: Path) -> None:
    reader = RunReader(make_run(tmp_path / "a.db", methods=["gradcampp"], backbones=["vgg16"], failures=False))
    text = plain_text(summary_table(reader))
    assert not any(word in text for word in ("not every", "degenerate", "failed", "identical", "random", "first"))


def test_random_weights_and_fewer_images_are_said(tmp_path: Path) -> None:
    path = make_run(tmp_path / "a.db", backbones=["resnet18:weights=random:0"], plan={"limit": 9, "resize": 256}, images=9)
    text = plain_text(summary_table(RunReader(path)))
    assert "random weights, untrained" in text
    assert "not the whole data set: the first 9 images" in text
    assert "resize 256" in text
