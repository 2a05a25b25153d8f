"""Notes that belong under a table, and no others."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from camtui.export.records import run_record
from camtui.format import (
    plain_text,
    summary_table,
)
from camtui.status import state_now
from evaluator.store.reader import RunReader
from tests.holder import held
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
    assert "Fake-CAM, the control, is not ranked" in text


def test_several_controls_are_named(tmp_path: Path) -> None:
    path = make_run(
        tmp_path / "a.db",
        methods=["gradcam", "centre", "gradcampp", "fakecam"],
        backbones=["vgg16"],
    )
    assert "Centre and Fake-CAM, the controls, are not ranked" in plain_text(
        summary_table(RunReader(path))
    )


def test_choices_of_earlier_versions_are_said_where_they_count(tmp_path: Path) -> None:
    def notes(name: str, **plan: object) -> str:
        made = make_run(tmp_path / name, methods=["gradcam"], backbones=["vgg16"], plan=plan)
        return plain_text(summary_table(RunReader(made)))

    noise, blur = "ROAD's noise after normalisation", "insertion starts from torchvision's blur"
    old = {"road_noise": "normalised", "insertion_start": "blur-torchvision"}
    text = notes("old.db", metrics=["insertion", "arcc"], **old)
    assert noise in text
    assert blur in text
    for name, plan in (("a.db", {"metrics": ["deletion"], **old}), ("b.db", {"metrics": ["all"]})):
        assert noise not in notes(name, **plan)
        assert "torchvision" not in notes(name, **plan)


def test_a_complete_run_without_failures_says_none_of_that(tmp_path: Path) -> None:
    reader = RunReader(
        make_run(tmp_path / "a.db", methods=["gradcampp"], backbones=["vgg16"], failures=False)
    )
    text = plain_text(summary_table(reader))
    assert not any(
        word in text
        for word in ("not every", "degenerate", "failed", "identical", "random", "first")
    )


def test_random_weights_and_fewer_images_are_said(tmp_path: Path) -> None:
    path = make_run(
        tmp_path / "a.db",
        backbones=["resnet18:weights=random:0"],
        plan={"limit": 9, "resize": 256},
        images=9,
    )
    text = plain_text(summary_table(RunReader(path)))
    assert "random weights, untrained" in text
    assert "limited to the first 9 images" in text
    assert "resize 256" in text


def test_a_limit_that_leaves_no_image_out_is_not_said(tmp_path: Path) -> None:
    path = make_run(tmp_path / "a.db", backbones=["vgg16"], plan={"limit": 20}, images=9)
    with RunReader(path) as reader:
        assert "limited to" not in plain_text(summary_table(reader))


def test_a_run_whose_driver_was_killed_is_crashed_here_too(tmp_path: Path) -> None:
    path = make_run(tmp_path / "a.db", backbones=["vgg16"], methods=["gradcam"], state="running")
    with RunReader(path) as reader:
        with reader.moment():
            assert plain_text(summary_table(reader)).splitlines()[0].endswith("· crashed")
            assert run_record(reader)["state"] == "crashed"
        with held(path):
            assert plain_text(summary_table(reader)).splitlines()[0].endswith("· running")
            assert run_record(reader)["state"] == "running"


def test_a_run_that_ended_after_the_moment_began_is_not_crashed(tmp_path: Path) -> None:
    path = make_run(tmp_path / "a.db", backbones=["vgg16"], methods=["gradcam"], state="running")
    with RunReader(path) as reader, reader.moment():
        assert reader.info().state == "running"
        with closing(sqlite3.connect(path)) as writer, writer:
            writer.execute("UPDATE run SET state = 'complete'")
        assert (reader.info().state, state_now(reader)) == ("running", "complete")
