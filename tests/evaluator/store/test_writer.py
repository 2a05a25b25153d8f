"""The writer: what is committed together, what is dropped, what is refused, and how an older file
becomes a newer one.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path
from stat import S_IMODE
from typing import Any

import pytest

from evaluator.errors import Mismatch, StoreError, UsageError
from evaluator.records import (
    Failure,
    LoadedBackbone,
    Measurement,
    Preprocessing,
    Row,
    Stage,
    WorkerState,
)
from evaluator.statistics import average_arcc, quantise
from evaluator.store import schema
from evaluator.store.audit import audit, repair
from evaluator.store.reader import RunReader
from evaluator.store.sums import sums_of
from evaluator.store.writer import RunWriter
from tests.evaluator.store.runs import (
    PATHS,
    begun,
    failure,
    manifest,
    measurement,
    plan,
    raw,
    result,
    row,
)

HALF = Preprocessing(mean=(0.5, 0.5, 0.5), std=(0.2, 0.2, 0.2))

Sums = dict[tuple[int, str, str], tuple[int, int]]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "run.db"


def count(path: Path, table: str) -> int:
    return int(raw(path, f"SELECT count(*) FROM {table}")[0][0])


def stored_sums(path: Path) -> Sums:
    return {
        (cell, a, b): (n, total)
        for cell, a, b, n, total in raw(path, "SELECT cell_id, a, b, n, total FROM sums")
    }


def recomputed_sums(path: Path) -> Sums:
    """From the tables themselves, by SQLite's own arithmetic on rounded values, value by value."""
    sums: dict[tuple[int, str, str], list[int]] = {}

    def add(key: tuple[int, str, str], value: float) -> None:
        entry = sums.setdefault(key, [0, 0])
        entry[0] += 1
        entry[1] += round(value * 2**40)

    names = ("average_drop", "average_increase", "coherency", "complexity", "adcc")
    for cell, degenerate, *values in raw(
        path, f"SELECT cell_id, degenerate, {', '.join(names)} FROM results"
    ):
        known = {
            name: value for name, value in zip(names, values, strict=True) if value is not None
        }
        add((cell, "degenerate", ""), degenerate)
        for name, value in known.items():
            add((cell, name, ""), value)
            add((cell, name, name), value**2)
        for a, b in (
            ("average_drop", "coherency"),
            ("average_drop", "complexity"),
            ("coherency", "complexity"),
        ):
            if {a, b} <= set(known):
                add((cell, a, b), known[a] * known[b])
    for cell, name, value in raw(path, "SELECT cell_id, metric, value FROM measurements"):
        add((cell, name, ""), value)
        add((cell, name, name), value**2)
    return {key: (n, total) for key, (n, total) in sums.items()}


# -- opening
# --------------------------------------------------------------------------------------------------


def test_a_new_file_is_ours_alone(path: Path) -> None:
    with begun(path):
        files = {file.name: S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}
    assert files == {"run.db": 0o600, "run.db-wal": 0o600, "run.db-shm": 0o600}
    assert [file.name for file in path.parent.iterdir()] == ["run.db"], "closing folds the log in"
    assert raw(path, "PRAGMA application_id") == [(schema.APPLICATION_ID,)]
    assert raw(path, "PRAGMA user_version") == [(schema.SCHEMA_VERSION,)]


@pytest.mark.parametrize("place", [".", "no/such/folder/run.db", "/proc/run.db"])
def test_a_place_that_cannot_be_written(tmp_path: Path, place: str) -> None:
    with pytest.raises(UsageError, match="cannot write") as caught:
        RunWriter(tmp_path / place)
    assert "--db" in caught.value.hint


def make_text(path: Path) -> None:
    path.write_text("Dear diary, this is not a database. " * 100)


def make_other(path: Path) -> None:
    raw(path, "CREATE TABLE bookmarks (url TEXT)")


def make_newer(path: Path) -> None:
    with begun(path):
        pass
    raw(path, f"PRAGMA user_version={schema.SCHEMA_VERSION + 1}")


def make_truncated(path: Path) -> None:
    with begun(path):
        pass
    path.write_bytes(path.read_bytes()[:5000])


def make_trigger(path: Path) -> None:
    with begun(path):
        pass
    raw(path, "CREATE TRIGGER t AFTER INSERT ON results BEGIN DELETE FROM results; END")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (make_trigger, "holds code"),
        (make_text, "cannot be used as a run"),
        (make_other, "is a database, but not a run of camtui"),
        (
            make_newer,
            f"is of version {schema.SCHEMA_VERSION + 1}; this camtui knows {schema.SCHEMA_VERSION}",
        ),
        (make_truncated, "cannot be used as a run"),
    ],
)
def test_a_file_that_is_not_a_run_is_refused_and_left_alone(
    path: Path, make: Any, message: str
) -> None:
    make(path)
    before = path.read_bytes()
    with pytest.raises(StoreError, match=message):
        RunWriter(path)
    assert path.read_bytes() == before


# -- migration
# --------------------------------------------------------------------------------------------------

STEP = "ALTER TABLE run ADD COLUMN mood TEXT NOT NULL DEFAULT 'calm';\nCREATE TABLE extra (id INTEGER PRIMARY KEY) STRICT;\n"


def newer_camtui(monkeypatch: pytest.MonkeyPatch, step: str = STEP) -> None:
    monkeypatch.setattr(schema, "MIGRATIONS", (*schema.MIGRATIONS, step))
    monkeypatch.setattr(schema, "SCHEMA_VERSION", schema.SCHEMA_VERSION + 1)


def test_an_older_file_is_copied_then_brought_up_to_date(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = schema.SCHEMA_VERSION
    with begun(path) as writer:
        writer.commit(result(row(1, 0)))
    newer_camtui(monkeypatch)
    RunWriter(path).close()
    backup = path.with_name(f"run.db.v{old}")
    assert raw(path, "PRAGMA user_version") == [(old + 1,)]
    assert raw(path, "SELECT mood FROM run") == [("calm",)]
    assert count(path, "extra") == 0
    assert count(path, "results") == 1
    assert raw(backup, "PRAGMA user_version") == [(old,)]
    assert count(backup, "results") == 1
    assert S_IMODE(backup.stat().st_mode) == 0o600


def test_a_migration_that_fails_changes_nothing(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = schema.SCHEMA_VERSION
    with begun(path):
        pass
    newer_camtui(monkeypatch, STEP + "CREATE TABLE run (again TEXT);\n")
    with pytest.raises(StoreError, match="already exists"):
        RunWriter(path)
    assert raw(path, "PRAGMA user_version") == [(old,)]
    assert "mood" not in {column for _, column, *_ in raw(path, "PRAGMA table_info(run)")}


def test_a_file_of_this_version_is_not_copied(path: Path) -> None:
    with begun(path):
        pass
    RunWriter(path).close()
    assert [file.name for file in path.parent.iterdir()] == ["run.db"]


# -- beginning and growing
# --------------------------------------------------------------------------------------------------


def test_a_run_begins_with_its_images_backbones_and_cells(path: Path) -> None:
    with begun(path, backbones=["resnet18", "vgg16"]):
        pass
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
        writer.commit(result(row(1, 0)))
        before = {table: raw(path, f"SELECT * FROM {table}") for table in tables}
        writer.set_state("complete")
        writer.begin("another name", plan(), manifest())
        assert {table: raw(path, f"SELECT * FROM {table}") for table in tables} == before
    assert raw(path, "SELECT name, state, finished FROM run") == [("small", "starting", None)]


def test_a_larger_limit_adds_images_and_a_new_method_adds_cells(path: Path) -> None:
    writer = RunWriter(path)
    writer.begin("small", plan(limit=2), manifest(2))
    writer.commit(result(row(1, 0), row(1, 1), row(2, 0)))
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
    with RunReader(path) as reader:
        before = reader.info()
    writer.begin("small", plan(), manifest(labels=[6, 7, 8]))
    writer.withdraw(plan(), before)
    assert raw(path, "SELECT label FROM images ORDER BY id") == [(5,), (None,), (None,), (None,)]
    writer.begin("small", plan(), manifest(labels=[6, 9]))
    writer.close()
    assert raw(path, "SELECT label FROM images ORDER BY id") == [(5,), (9,), (None,), (None,)]
    with RunReader(path) as reader:
        assert list(reader.damaged_records()) == []


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


# -- committing
# --------------------------------------------------------------------------------------------------


def test_sums_are_those_of_the_rows(path: Path) -> None:
    with begun(path) as writer:
        assert (
            writer.commit(
                result(row(1, 0), row(1, 1, drop=None), row(2, 0, drop=1.0), measurement(1, 0))
            )
            == 4
        )
        assert (
            writer.commit(result(row(1, 2, degenerate=True), measurement(1, 2), failure(2, 2))) == 2
        )
    assert stored_sums(path) == recomputed_sums(path)
    assert stored_sums(path)[1, "degenerate", ""] == (3, 2**40)
    assert stored_sums(path)[1, "average_drop", ""] == (2, quantise(0.25) * 2), (
        "an undefined drop is left out"
    )


def test_sums_do_not_depend_on_the_order_of_commits(path: Path, tmp_path: Path) -> None:
    records = [row(cell, image, drop=0.1 + image / 7) for cell in (1, 2) for image in range(4)]
    other = tmp_path / "other.db"
    with begun(path) as first, begun(other) as second:
        first.commit(result(*records))
        for record in reversed(records):
            second.commit(result(record))
    assert stored_sums(path) == stored_sums(other)


def test_what_is_there_already_is_dropped(path: Path) -> None:
    with begun(path) as writer:
        unit = result(row(1, 0), row(2, 0), measurement(1, 0))
        assert writer.commit(unit) == 3
        before = (
            stored_sums(path),
            raw(path, "SELECT * FROM results"),
            raw(path, "SELECT * FROM histograms"),
        )
        assert writer.commit(unit) == 0
        assert writer.commit(result(row(1, 0, drop=0.9), row(1, 1))) == 1
        assert raw(path, "SELECT average_drop FROM results WHERE cell_id = 1 AND image_id = 0") == [
            (0.25,)
        ]
    assert before[0] != stored_sums(path) == recomputed_sums(path)


def test_rows_and_sums_appear_together_or_not_at_all(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    with begun(path) as writer:
        writer.commit(result(row(1, 0), failure(1, 1)))
        monkeypatch.setattr(writer, "_add_to_sums", full)
        with pytest.raises(sqlite3.OperationalError, match="full"):
            writer.commit(result(row(1, 1), measurement(1, 0), failure(2, 0)))
        assert (count(path, "results"), count(path, "measurements"), count(path, "failures")) == (
            1,
            0,
            1,
        )
        monkeypatch.undo()
        assert writer.commit(result(row(1, 1), measurement(1, 0), failure(2, 0))) == 2
    assert stored_sums(path) == recomputed_sums(path)


def test_a_reader_never_sees_rows_without_their_sums(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with begun(path) as writer, RunReader(path) as reader:
        seen = []
        add = writer._add_to_sums

        def watched(*parts: Any) -> None:
            add(*parts)
            seen.append((reader.summaries()[0].n, reader.row(1, 0)))

        monkeypatch.setattr(writer, "_add_to_sums", watched)
        writer.commit(result(row(1, 0)))
        assert seen == [(0, None)]
        assert (reader.summaries()[0].n, reader.row(1, 0)) == (1, row(1, 0))


def test_a_row_mends_its_failure(path: Path) -> None:
    with begun(path) as writer:
        assert (
            writer.commit(
                result(failure(1, 0), failure(2, 0), failure(1, 0, "deletion"), failure(1, 1))
            )
            == 0
        )
        assert writer.commit(result(failure(1, 0))) == 0
        assert count(path, "failures") == 4
        writer.commit(result(row(1, 0)))
        assert raw(path, "SELECT cell_id, image_id, metric FROM failures") == [
            (1, 0, "deletion"),
            (1, 1, ""),
            (2, 0, ""),
        ]
        writer.commit(result(measurement(1, 0)))
        assert raw(path, "SELECT cell_id, image_id, metric FROM failures") == [
            (1, 1, ""),
            (2, 0, ""),
        ]


def test_a_failure_of_what_is_done_is_dropped(path: Path) -> None:
    with begun(path) as writer:
        writer.commit(result(row(1, 0)))
        writer.commit(result(failure(1, 0), failure(1, 0, "deletion")))
    assert raw(path, "SELECT metric FROM failures") == [("deletion",)]


def test_failures_can_be_forgotten(path: Path) -> None:
    with begun(path) as writer:
        writer.commit(result(failure(1, 0), failure(2, 1)))
        assert writer.forget_failures() == 2
        assert writer.forget_failures() == 0


def test_a_row_of_no_cell_is_refused(path: Path) -> None:
    with begun(path) as writer, pytest.raises(sqlite3.IntegrityError, match="FOREIGN KEY"):
        writer.commit(result(row(99, 0)))
    assert count(path, "results") == 0


def test_histograms_count_every_value_once(path: Path) -> None:
    with begun(path) as writer:
        writer.commit(
            result(
                row(1, 0, drop=0.0), row(1, 1, drop=1.0), row(1, 2, drop=0.05), row(1, 3, drop=None)
            )
        )
    bins = dict(
        raw(path, "SELECT bin, n FROM histograms WHERE cell_id = 1 AND metric = 'average_drop'")
    )
    assert bins == {0: 1, 1: 1, 19: 1}


def test_sums_of_one_row_by_hand() -> None:
    sums, bins = sums_of([row(1, 0, drop=0.5)], [])
    assert sums[1, "average_drop", ""] == [1, 2**39]
    assert sums[1, "average_drop", "average_drop"] == [1, 2**38]
    assert sums[1, "average_drop", "coherency"] == [1, quantise(0.45)]
    assert bins[1, "average_drop", 10] == 1
    assert len(sums) == 1 + 2 * 5 + 3


def test_rebuilt_sums_are_those_that_were_kept(path: Path) -> None:
    with begun(path) as writer:
        writer.commit(result(row(1, 0), row(2, 1), measurement(1, 0)))
        kept = stored_sums(path), raw(path, "SELECT * FROM histograms")
        raw(path, "UPDATE sums SET total = total + 1")
        with RunReader(path) as reader:
            writer.rebuild_sums(list(reader.every_row()), list(reader.every_measurement()))
    assert (stored_sums(path), raw(path, "SELECT * FROM histograms")) == kept


# -- the rest of a run's life
# --------------------------------------------------------------------------------------------------

LOADED = LoadedBackbone(
    "resnet18",
    "random:0",
    "f" * 64,
    "layer4",
    512,
    7,
    7,
    True,
    ("tench",),
    Preprocessing(mean=(0.5, 0.5, 0.5), std=(0.2, 0.2, 0.2)),
)


def test_a_backbone_must_come_back_as_it_was(path: Path) -> None:
    with begun(path) as writer, RunReader(path) as reader:
        assert reader.backbones() == {"resnet18": None}
        writer.set_backbone(0, LOADED)
        writer.set_backbone(0, LOADED)
        assert reader.backbones() == {"resnet18": LOADED}
        changed = LoadedBackbone(
            **{name: getattr(LOADED, name) for name in LOADED.__slots__} | {"sha256": "e" * 64}
        )
        with pytest.raises(Mismatch, match="resnet18: sha256 is eee"):
            writer.set_backbone(0, changed)


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
        writer.commit(type(unit)(unit.rows, seconds=2.5), stage=0, images=1)
        (found,) = reader.stages()
        assert (found.seconds, found.timed_images, found.done, found.images) == (2.5, 1, 1, 4)
        writer.commit(result(row(1, 1)), stage=0)
        (found,) = reader.stages()
        assert found.timed_images == 1, "results whose time nobody took count for no time"
        writer.set_stages([stage])
        (found,) = reader.stages()
        assert (found.seconds, found.timed_images, found.done) == (0.0, 0, 1)


def test_every_record_comes_back_as_it_went_in(path: Path) -> None:
    rows: list[Row] = [row(1, 0), row(1, 1, drop=None), row(1, 2, degenerate=True)]
    curve: Measurement = measurement(1, 0)
    bad: Failure = failure(1, 3)
    with begun(path) as writer, RunReader(path) as reader:
        writer.commit(result(*rows, curve, bad))
        assert [found for found, _, _ in reader.rows(1)] == rows
        assert reader.measurements(1, 0) == {"deletion": curve}
        assert reader.failures() == [bad]


def test_arcc_is_averaged_as_adcc_is_and_checked(path: Path) -> None:
    """Rows, ROAD and ARCC may come in one unit or one after the other; the sums are those of what
    is stored.
    """
    with begun(path) as writer:
        writer.commit(result(row(1, 0), row(1, 1), row(2, 0)))
        writer.commit(result(Measurement(1, 0, "road", 0.3), Measurement(1, 0, "arcc", 0.6)))
        writer.commit(result(Measurement(1, 1, "road", -0.2), Measurement(2, 0, "road", 0.1)))
        writer.commit(result(Measurement(1, 1, "arcc", 0.0), Measurement(2, 0, "arcc", 0.4)))
        writer.commit(result(Measurement(1, 1, "arcc", 0.0)))
    with RunReader(path) as reader:
        first = reader.summaries()[0]
        rows = [reader.row(1, image) for image in (0, 1)]
        sources = [
            {"coherency": one.coherency, "complexity": one.complexity, "road": road}
            for one, road in zip(rows, (0.3, -0.2), strict=True)
            if one is not None
        ]
        assert first.means["arcc"].value == pytest.approx(average_arcc(sources), abs=1e-9)
        assert first.means["arcc"].n == 2
        assert first.mean_image_arcc is not None
        assert first.mean_image_arcc.value == pytest.approx(0.3)
        assert first.means["road"].value == pytest.approx(0.05)
        assert not [name for name in first.means if "/" in name]
        difference = reader.paired("arcc", 1, 2)
        assert difference is not None
        assert difference.n == 1
        assert audit(reader) == []
    raw(path, "UPDATE sums SET total = total + 1 WHERE a = 'arcc/road' AND b = ''")
    with RunReader(path) as reader:
        assert audit(reader) == [
            f"cell {cell}: the sum of arcc/road is not that of its rows" for cell in (1, 2)
        ]
    repair(path)
    with RunReader(path) as reader:
        assert audit(reader) == []
