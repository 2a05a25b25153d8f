"""Summaries and histograms from what the writer keeps beside the rows."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from evaluator.catalog import TABLE2_METHODS
from evaluator.store.reader import RunReader
from evaluator.store.schema import HISTOGRAM_BINS
from evaluator.store.writer import RunWriter
from tests.evaluator.store.runs import begun, failure, result, row
from tests.synthetic import make_run


def test_failed_images_are_counted_where_there_are_any(tmp_path: Path) -> None:
    with begun(tmp_path / "run.db") as writer, RunReader(tmp_path / "run.db") as reader:
        writer.rows.commit(
            result(row(1, 0), row(2, 0), failure(1, 1), failure(1, 2), failure(1, 3, "deletion"))
        )
        assert [(summary.n, summary.failed) for summary in reader.averages.summaries()] == [
            (1, 2),
            (1, 0),
        ]
        assert reader.failed_images() == (3, 3)
        writer.rows.commit(result(failure(2, 2), failure(1, 3, "insertion")))
        assert reader.failure_count() == 5
        assert reader.failed_images() == (3, 4), "an image once, and once in each cell"


def test_every_bin_has_its_place_and_none_beyond_them_is_believed(path: Path) -> None:
    with begun(path) as writer:
        writer.rows.commit(result(row(1, 0)))
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("DELETE FROM histograms")
        connection.executemany(
            "INSERT INTO histograms VALUES (1, 'coherency', ?, ?)",
            [(place, 100 + place) for place in range(-2, HISTOGRAM_BINS + 2)],
        )
    with RunReader(path) as reader:
        assert reader.averages.unverified_histogram(1, "coherency") == [
            100 + place for place in range(HISTOGRAM_BINS)
        ]


def test_a_headline_without_any_drop_is_asked_for_in_vain(tmp_path: Path) -> None:
    with begun(tmp_path / "run.db") as writer, RunReader(tmp_path / "run.db") as reader:
        writer.rows.commit(
            result(row(1, 0, drop=None), row(1, 1, drop=None), row(2, 0, drop=None), row(2, 1))
        )
        first, second = reader.averages.summaries()
        assert "adcc" not in first.means
        assert first.means["coherency"].n == 2
        assert second.means["adcc"].n == 1
        assert second.means["coherency"].n == 2


def test_rows_without_a_drop_are_found_by_an_index(tmp_path: Path) -> None:
    """Without it each look at a run of 50 000 images scans every cell."""
    with begun(tmp_path / "run.db") as writer, RunReader(tmp_path / "run.db") as reader:
        writer.rows.commit(result(row(1, 0, drop=None), row(1, 1)))
        asked: list[str] = []
        reader.connection.set_trace_callback(asked.append)
        reader.averages.summaries()
        reader.connection.set_trace_callback(None)
        (query,) = [text for text in asked if "average_drop IS NULL" in text]
        ((*_, plan),) = reader.all(f"EXPLAIN QUERY PLAN {query}")
    assert "INDEX results_by_adcc (cell_id=? AND adcc=?)" in plan


def test_a_network_that_answers_every_image_alike_is_told(tmp_path: Path) -> None:
    with closing(RunWriter(make_run(tmp_path / "a.db", images=12, partial=NONE))) as writer:
        one = [row(1, image)._replace(y=0.3, o=0.3) for image in range(12)]
        writer.rows.commit(result(*one))
        # by label: another confidence for another class, the same for each
        by_label = [r._replace(cell=2, target=r.image % 2, y=r.image % 2 / 4) for r in one]
        writer.rows.commit(result(*(r._replace(o=r.y) for r in by_label)))
        moved = [r._replace(cell=3, o=0.3 if r.image else 0.31) for r in one]
        writer.rows.commit(result(*moved))
        seen = [r._replace(cell=4, predicted=r.image % 2) for r in one]
        writer.rows.commit(result(*seen))
        writer.rows.commit(result(*(r._replace(cell=5) for r in one[:9])))
    with RunReader(tmp_path / "a.db") as reader:
        found = {summary.cell: summary.constant for summary in reader.averages.summaries()}
    assert [found[cell] for cell in range(1, 6)] == [True, True, False, False, False]


NONE = {f"{b}/{m}": 0 for b in ("resnet18", "vgg16") for m in TABLE2_METHODS}
