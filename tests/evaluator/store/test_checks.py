"""Whatever computes from stored rows or running sums says so where they are damaged."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from evaluator.errors import StoreError
from evaluator.store import schema
from evaluator.store.audit import audit, repair, seal
from evaluator.store.reader import RunReader
from evaluator.store.writer import RunWriter
from tests.evaluator.store.runs import begun, change, manifest, measurement, plan, raw, result, row

Query = Callable[[RunReader], object]


def asked(path: Path, query: Query) -> object:
    with RunReader(path) as reader:
        return query(reader)


FROM_ROWS: dict[str, Query] = {
    "ties": lambda reader: reader.averages.paired("adcc", 1, 2),
    "ties of a column": lambda reader: reader.averages.paired("coherency", 1, 2),
    "ties, the cell second": lambda reader: reader.averages.paired("adcc", 2, 1),
    "convergence": lambda reader: list(reader.averages.convergence(1)),
    "values": lambda reader: reader.rows.values(1, "complexity"),
    "rows": lambda reader: list(reader.rows.of_cell(1, verify=True)),
    "looks": lambda reader: reader.checks.verify([1, 2], "", range(12)),
    "worst images": lambda reader: reader.ranking.page(1, "adcc", ascending=True, limit=12),
}


@pytest.mark.parametrize("name", FROM_ROWS)
def test_who_computes_from_a_damaged_row_says_so(stored: Path, name: str) -> None:
    asked(stored, FROM_ROWS[name])
    change(stored, "UPDATE results SET y = 0.123 WHERE cell_id = 1 AND image_id = 7")
    with pytest.raises(StoreError, match="the row of image 7 in resnet18/gradcam") as caught:
        asked(stored, FROM_ROWS[name])
    assert caught.value.hint.endswith(f"camtui doctor {stored} --repair")


def test_averages_take_a_damaged_row_for_no_row_without_a_drop(stored: Path) -> None:
    """ADCC leaves out images whose drop is undefined, and reads their rows for it."""
    asked(stored, lambda reader: reader.averages.summaries())
    change(stored, "UPDATE results SET average_drop = NULL, adcc = NULL WHERE image_id = 7")
    with pytest.raises(StoreError, match="the row of image 7 in resnet18/gradcam"):
        asked(stored, lambda reader: reader.averages.summaries())


FROM_MEASUREMENTS: dict[str, Query] = {
    "ties": lambda reader: reader.averages.paired("deletion", 2, 1),
    "values": lambda reader: reader.rows.values(1, "deletion"),
    "worst images": lambda reader: reader.ranking.page(1, "deletion", ascending=True, limit=12),
}


@pytest.mark.parametrize("name", FROM_MEASUREMENTS)
def test_who_computes_from_a_damaged_optional_metric_says_so(stored: Path, name: str) -> None:
    asked(stored, FROM_MEASUREMENTS[name])
    change(stored, "UPDATE measurements SET value = 0.9 WHERE cell_id = 1 AND image_id = 7")
    with pytest.raises(StoreError, match="deletion of image 7 in resnet18/gradcam"):
        asked(stored, FROM_MEASUREMENTS[name])
    asked(stored, FROM_ROWS["ties"])


@pytest.mark.parametrize(
    ("statement", "query", "what"),
    [
        ("UPDATE sums SET total = total + 1", lambda r: r.averages.summaries(), "running sums"),
        ("UPDATE sums SET n = n + 1", lambda r: r.averages.summaries(), "running sums"),
        ("DELETE FROM sums WHERE a = 'adcc'", lambda r: r.averages.summaries(), "running sums"),
        ("DELETE FROM sum_checksums", lambda r: r.averages.summaries(), "running sums"),
        (
            "UPDATE histograms SET n = n + 1 WHERE metric = 'adcc'",
            lambda r: r.averages.histogram(1, "adcc"),
            "histograms",
        ),
    ],
)
def test_damaged_sums_are_not_shown(stored: Path, statement: str, query: Query, what: str) -> None:
    asked(stored, query)
    change(stored, statement)
    with pytest.raises(StoreError, match=f"the {what} of resnet18/gradcam are not") as caught:
        asked(stored, query)
    assert caught.value.hint.endswith(f"camtui doctor {stored} --repair")
    assert asked(stored, audit) != []
    assert repair(stored) == 0
    asked(stored, query)
    assert asked(stored, audit) == []


def test_what_is_verified_is_verified_again_when_the_file_has_changed(stored: Path) -> None:
    with RunReader(stored) as reader:
        reader.checks.verify([1], "")
        read: list[str] = []
        reader.connection.set_trace_callback(read.append)
        reader.checks.verify([1], "")
        assert not any("FROM results" in statement for statement in read)
        reader.connection.set_trace_callback(None)
        change(stored, "UPDATE results SET y = 0.123 WHERE cell_id = 1 AND image_id = 7")
        with pytest.raises(StoreError, match="the row of image 7"):
            reader.checks.verify([1], "")


def test_a_writer_never_gives_damaged_sums_a_checksum_that_fits(path: Path) -> None:
    with begun(path) as writer:
        writer.rows.commit(result(row(1, 0), measurement(1, 0)))
    change(path, "UPDATE sums SET total = total + 1 WHERE a = 'coherency'")
    with begun(path) as writer:
        writer.rows.commit(result(row(1, 1)))
    with pytest.raises(StoreError, match="the running sums of resnet18/gradcam"):
        asked(path, lambda reader: reader.averages.summaries())
    repair(path)
    asked(path, lambda reader: reader.averages.summaries())


def test_sums_of_an_older_file_are_taken_as_they_are_until_it_is_sealed(path: Path) -> None:
    """A file that was begun before sums had checksums."""
    with begun(path) as writer:
        writer.rows.commit(result(row(1, 0), row(2, 0)))
        writer.execute("UPDATE run SET born = 2")
        writer.execute("DELETE FROM sum_checksums")
    assert asked(path, audit) == []
    with begun(path) as writer:
        writer.rows.commit(result(row(1, 1)))
    assert raw(path, "SELECT cell_id FROM sum_checksums") == [(1,)]
    asked(path, lambda reader: reader.averages.summaries())
    seal(path)
    assert raw(path, "SELECT cell_id FROM sum_checksums") == [(1,), (2,)]
    assert asked(path, audit) == []
    change(path, "UPDATE sums SET n = n + 1 WHERE cell_id = 2")
    with pytest.raises(StoreError, match="the running sums of resnet18/fakecam"):
        asked(path, lambda reader: reader.averages.summaries())


def test_a_commit_that_failed_leaves_the_sums_as_they_were(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with closing(RunWriter(path)) as writer, begun(path):
        writer.rows.commit(result(row(1, 0)))
        monkeypatch.setattr(writer.rows, "_mend", lambda keys: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            writer.rows.commit(result(row(1, 1)))
        monkeypatch.undo()
        seal_sums = writer.rows.sums._seal
        monkeypatch.setattr(writer.rows.sums, "_seal", lambda cells: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            writer.rows.commit(result(row(1, 1)))
        monkeypatch.setattr(writer.rows.sums, "_seal", seal_sums)
        writer.rows.commit(result(row(1, 1)))
    assert asked(path, audit) == []
    assert asked(path, lambda reader: reader.averages.summaries()[0].n) == 2


def test_a_reader_that_stays_open_checks_what_a_migration_has_added(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(schema.VERSION_1)
        connection.execute(f"PRAGMA application_id={schema.APPLICATION_ID}")
        connection.execute("PRAGMA user_version=1")
    with RunReader(path) as reader:
        with begun(path) as writer:
            writer.begin("small", plan(), manifest())  # a second session: the first counts
            writer.rows.commit(result(row(1, 0)))
        assert reader.averages.summaries()[0].n == 1
        assert reader.info().resumed is not None
        change(path, "UPDATE sums SET total = total + 1 WHERE a = 'coherency'")
        with pytest.raises(StoreError, match="the running sums of resnet18/gradcam"):
            reader.averages.summaries()
