"""Notes that belong under a table, and no others."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from random import Random

from camtui.export.records import run_record
from camtui.format import long_table, pivot_table, plain_text, summary_table
from camtui.format.table import grouped_table
from camtui.status import state_now
from evaluator.store.reader import RunReader
from evaluator.store.writer import RunWriter
from tests.evaluator.store.runs import begun, failure, measurement, result, row
from tests.holder import held
from tests.synthetic import make_run


def text_of(path: Path) -> str:
    with RunReader(path) as reader:
        return plain_text(summary_table(reader))


def test_what_must_be_said_is_said(reader: RunReader) -> None:
    text = plain_text(summary_table(reader))
    assert "cam             not applicable: CAM needs a GAP + linear head" in text
    assert "xgradcam: identical to gradcam by construction" in text
    assert "degenerate (the map is all zero: ADCC 0): cam 3, gradcam 3, xgradcam 3" in text
    assert "failed: 1 in every method" in text
    assert "~ not every image yet" in text
    assert "~17" in text
    assert "= not separated from the best: paired t test, 5 %, Holm over 3 to 4 methods" in text
    assert "Fake-CAM, the control, is not ranked" in text


def test_one_test_needs_no_correction_for_many(tmp_path: Path) -> None:
    path = make_run(tmp_path / "a.db", methods=["gradcam", "gradcampp"], backbones=["vgg16"])
    text = text_of(path)
    assert ": paired t test, 5 %\n" in text
    assert "Holm" not in text


def test_several_controls_are_named(tmp_path: Path) -> None:
    path = make_run(
        tmp_path / "a.db",
        methods=["gradcam", "centre", "gradcampp", "fakecam"],
        backbones=["vgg16"],
    )
    assert "Centre and Fake-CAM, the controls, are not ranked" in text_of(path)


def test_a_method_that_optimises_a_metric_is_named(tmp_path: Path) -> None:
    path = make_run(tmp_path / "a.db", methods=["gradcam", "opticam"], backbones=["vgg16"])
    assert "Opti-CAM optimises the drop: that value is what it was made for" in text_of(path)


def test_choices_of_earlier_versions_are_said_where_they_count(tmp_path: Path) -> None:
    def notes(name: str, **plan: object) -> str:
        return text_of(
            make_run(tmp_path / name, methods=["gradcam"], backbones=["vgg16"], plan=plan)
        )

    noise, blur = "ROAD's noise after normalisation", "insertion starts from torchvision's blur"
    old = {"road_noise": "normalised", "insertion_start": "blur-torchvision"}
    text = notes("old.db", metrics=["insertion", "arcc"], **old)
    assert noise in text
    assert blur in text
    for name, plan in (("a.db", {"metrics": ["deletion"], **old}), ("b.db", {"metrics": ["all"]})):
        assert noise not in notes(name, **plan)
        assert "torchvision" not in notes(name, **plan)


def test_a_complete_run_without_failures_says_none_of_that(tmp_path: Path) -> None:
    text = text_of(
        make_run(tmp_path / "a.db", methods=["gradcampp"], backbones=["vgg16"], failures=False)
    )
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
    text = text_of(path)
    assert "random weights, untrained" in text
    assert "limited to the first 9 images" in text
    assert "resize 256" in text


def test_a_limit_that_leaves_no_image_out_is_not_said(tmp_path: Path) -> None:
    path = make_run(tmp_path / "a.db", backbones=["vgg16"], plan={"limit": 20}, images=9)
    assert "limited to" not in text_of(path)


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


def test_a_mean_says_what_it_is_over_and_why(tmp_path: Path) -> None:
    path = make_run(tmp_path / "a.db", backbones=["vgg16"], methods=["gradcam", "gradcampp"])
    over = "average drop and ADCC of 38 of 39 images; the others undefined: y is 0"
    with RunReader(path) as reader:
        for table in (summary_table(reader), long_table(reader), pivot_table(reader, "adcc")):
            assert over.removeprefix("average drop and ") in plain_text(table)
        assert f"  {over}" in plain_text(summary_table(reader)).splitlines()
        assert "coherency of" not in plain_text(summary_table(reader))
        groups = plain_text(grouped_table(reader, "correct"))
    assert "average drop and ADCC of" in groups
    assert "undefined: y is 0" in groups


def test_a_mean_of_nothing_says_so(tmp_path: Path) -> None:
    with begun(tmp_path / "run.db") as writer, RunReader(tmp_path / "run.db") as reader:
        blank = [
            row(1, i, drop=None)._replace(coherency=0.0, complexity=0.0, degenerate=True)
            for i in range(4)
        ]
        writer.rows.commit(result(*blank))
        text = plain_text(summary_table(reader))
    assert "average drop and ADCC of none of 4 images; undefined: y is 0" in text
    assert "degenerate (the map is all zero: ADCC 0, undefined where y is 0): gradcam 4" in text
    assert "deletion of none of 4 images: not measured" in text


def test_values_that_failed_are_counted_by_reason(tmp_path: Path) -> None:
    with begun(tmp_path / "run.db") as writer, RunReader(tmp_path / "run.db") as reader:
        writer.rows.commit(
            result(
                row(1, 0),
                row(1, 1),
                row(1, 2),
                measurement(1, 0),
                failure(1, 1, "deletion"),
                failure(1, 2, "deletion"),
            )
        )
        text = plain_text(summary_table(reader))
    assert "deletion of 1 of 3 images: truncated 2" in text


def test_few_images_and_what_cannot_be_ranked_are_said(tmp_path: Path) -> None:
    text = text_of(make_run(tmp_path / "few.db", images=9, backbones=["vgg16"]))
    assert "fewer than 10 images tell no methods apart: none of * and =" in text
    assert not any(line.endswith(("*", "=")) for line in text.splitlines() if "±" in line)
    more = text_of(make_run(tmp_path / "more.db", images=30, backbones=["vgg16"]))
    assert "fewer than 10" not in more
    text = text_of(constant_run(tmp_path / "constant.db"))
    assert "the network answers every image alike: not ranked" in text
    assert "* best" not in text


def constant_run(path: Path) -> Path:
    """Of a network that says the same of every image, and of every explanation map."""
    methods = ("gradcam", "gradcampp")
    none = dict.fromkeys((f"vgg16/{method}" for method in methods), 0)
    make_run(path, images=12, backbones=["vgg16"], methods=methods, partial=none)
    writer = RunWriter(path)
    random = Random(0)
    writer.rows.commit(
        result(
            *(
                row(cell, image, drop=0.0)._replace(
                    y=0.3 + 1e-8 * random.random(),
                    o=0.3,
                    complexity=random.random(),
                )
                for cell in (1, 2)
                for image in range(12)
            )
        )
    )
    writer.close()
    return path
