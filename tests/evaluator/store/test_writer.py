"""The run itself: how it begins, what is added to it, its states and its times."""

from __future__ import annotations

from pathlib import Path

import pytest

from evaluator.errors import Mismatch
from evaluator.records import (
    Stage,
    WorkerState,
)
from evaluator.store.reader import RunReader
from evaluator.store.writer import RunWriter
from tests.evaluator.store.runs import (
    PATHS,
    begun,
    count,
    empty_run,
    manifest,
    plan,
    raw,
    result,
    row,
)


def test_a_run_begins_with_its_images_backbones_and_cells(path: Path) -> None:
    empty_run(path, backbones=["resnet18", "vgg16"])
    assert [bytes(p) for (p,) in raw(path, "SELECT path FROM images ORDER BY id")] == list(PATHS)
    assert raw(path, "SELECT id, name FROM backbones") == [(0, "resnet18"), (1, "vgg16")]
    assert raw(path, "SELECT backbone_id, method FROM cells ORDER BY id") == [
        (0, "gradcam"),
        (0, "fakecam"),
        (1, "gradcam"),
        (1, "fakecam"),
    ]
    assert raw(path, "SELECT name, state, image_count FROM run") == [("small", "starting", 4)]


def test_beginning_again_changes_nothing_but_times(path: Path) -> None:
    tables = ("images", "backbones", "cells", "results", "sums")
    with begun(path) as writer:
        writer.rows.commit(result(row(1, 0)))
        before = {table: raw(path, f"SELECT * FROM {table}") for table in tables}
        writer.set_state("complete")
        writer.begin("another name", plan(), manifest())
        assert {table: raw(path, f"SELECT * FROM {table}") for table in tables} == before
    assert raw(path, "SELECT name, state, finished FROM run") == [("small", "starting", None)]


def test_a_larger_limit_adds_images_and_a_new_method_adds_cells(path: Path) -> None:
    writer = RunWriter(path)
    writer.begin("small", plan(limit=2), manifest(2))
    writer.rows.commit(result(row(1, 0), row(1, 1), row(2, 0)))
    writer.begin("small", plan(limit=4, methods=["gradcam", "fakecam", "scorecam"]), manifest(4))
    writer.close()
    assert raw(path, "SELECT image_count FROM run") == [(4,)]
    assert count(path, "images") == 4
    assert raw(path, "SELECT id, method FROM cells ORDER BY id") == [
        (1, "gradcam"),
        (2, "fakecam"),
        (3, "scorecam"),
    ]
    assert count(path, "results") == 3


def test_labels_that_come_later_fill_gaps_and_overwrite_nothing(path: Path) -> None:
    writer = RunWriter(path)
    writer.begin("small", plan(), manifest(labels=[5]))
    writer.begin("small", plan(), manifest(labels=[6, 7]))
    writer.set_labels([(0, 8), (1, 8), (2, 8)])
    writer.close()
    assert raw(path, "SELECT label FROM images ORDER BY id") == [(5,), (7,), (8,), (None,)]


def test_labels_of_a_request_that_is_withdrawn_go_with_it(path: Path) -> None:
    writer = RunWriter(path)
    writer.begin("small", plan(), manifest(labels=[5]))
    writer.begin("small", plan(), manifest(labels=[6, 7, 8]))
    writer.withdraw()
    assert raw(path, "SELECT label FROM images ORDER BY id") == [(5,), (None,), (None,), (None,)]
    writer.begin("small", plan(), manifest(labels=[6, 9]))
    writer.close()
    assert raw(path, "SELECT label FROM images ORDER BY id") == [(5,), (9,), (None,), (None,)]
    with RunReader(path) as reader:
        assert list(reader.checks.damaged_records()) == []


def test_a_file_with_other_labels_is_refused_and_one_with_more_is_not(path: Path) -> None:
    writer = RunWriter(path)
    writer.begin("small", plan(labels="/a.csv"), manifest(labels=[5, 6], label_file="/a.csv"))
    writer.begin("small", plan(labels="/b.csv"), manifest(labels=[5, None, 7], label_file="/b.csv"))
    with pytest.raises(Mismatch, match=r"is 5 in the run, 6 there, and 1 other$") as raised:
        writer.begin(
            "small", plan(labels="/c.csv"), manifest(labels=[6, 6, 8, 9], label_file="/c.csv")
        )
    assert raised.value.message.startswith("/c.csv gives other labels than the run has: ")
    assert "camtui run --name NAME --labels FILE" in raised.value.hint
    writer.close()
    assert raw(path, "SELECT label FROM images ORDER BY id") == [(5,), (6,), (7,), (None,)]
    with RunReader(path) as reader:
        assert reader.plan().labels == "/b.csv"


def test_other_data_are_refused_and_nothing_is_added(path: Path) -> None:
    with begun(path) as writer:
        with pytest.raises(
            Mismatch, match=r"4 have another size \(such as n01440764/a\.png\)"
        ) as caught:
            writer.begin("small", plan(methods=["cam"]), manifest(sha256="b" * 64, sizes=200))
        assert "--name" in caught.value.hint
        with pytest.raises(
            Mismatch,
            match=r"2 of its images are not among the first now \(such as line\\x0abreak.png\)",
        ):
            writer.begin("small", plan(), manifest(2, sha256="b" * 64))
        with pytest.raises(Mismatch, match="files were added or removed"):
            writer.begin("small", plan(), manifest(sha256="b" * 64))
    assert count(path, "cells") == 2


def test_states_and_times(path: Path) -> None:
    with begun(path) as writer, RunReader(path) as reader:
        started = reader.info().started
        writer.set_state("running")
        assert (reader.info().state, reader.info().finished) == ("running", None)
        writer.set_state("failed", "no device")
        info = reader.info()
        assert (info.state, info.message) == ("failed", "no device")
        assert info.finished is not None
        assert started is not None
        assert info.finished >= started


def test_the_driver_s_signs_of_life(path: Path) -> None:
    worker = WorkerState(0, "cpu", 4242, "computing", 1.0, 0, 50.0, 10, 20, None, None)
    with begun(path) as writer, RunReader(path) as reader:
        before = reader.info().heartbeat or 0
        writer.heartbeat([worker])
        writer.heartbeat([worker])
        assert reader.workers() == [worker]
        assert (reader.info().heartbeat or 0) >= before
        writer.begin("small", plan(), manifest())
        assert reader.workers() == []


def test_events_are_one_printable_line(path: Path) -> None:
    with begun(path) as writer, RunReader(path) as reader:
        writer.event("warning", "bad\nname \x1b[31m" + "x" * 3000)
        (event,) = reader.events()
        assert event.level == "warning"
        assert event.text.startswith("bad\\x0aname \\x1b[31m")
        assert len(event.text) == 2000


def test_versions_are_added_to(path: Path) -> None:
    with begun(path) as writer, RunReader(path) as reader:
        writer.add_versions({"torch": "2.9", "device": "cpu"})
        writer.add_versions({"torch": "2.10"})
        assert reader.info().versions == {"device": "cpu", "torch": "2.10"}


def test_stages_start_anew_and_gather_time(path: Path) -> None:
    stage = Stage(0, "rows", "resnet18", (1, 2), (), 4, 0, 0.0, 0, 4.0)
    with begun(path) as writer, RunReader(path) as reader:
        writer.set_stages([stage])
        unit = result(row(1, 0), row(2, 0))
        writer.rows.commit(type(unit)(unit.rows, seconds=2.5), stage=0, images=1)
        (found,) = reader.stages()
        assert (found.seconds, found.timed_images, found.done, found.images) == (2.5, 1, 1, 4)
        writer.rows.commit(result(row(1, 1)), stage=0)
        (found,) = reader.stages()
        assert found.timed_images == 1, "results whose time nobody took count for no time"
        writer.set_stages([stage])
        (found,) = reader.stages()
        assert (found.seconds, found.timed_images, found.done) == (0.0, 0, 1)
