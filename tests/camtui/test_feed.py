"""What a screen sees: snapshots, and ranks whose ties are tested behind its back."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from camtui.feed import TREND_KEPT, Feed, Snapshot, Trends
from camtui.format import cell_views
from camtui.ties import Ties, best_in_backbone
from evaluator.errors import NotFound, StoreError
from evaluator.metrics import all_metrics
from evaluator.records import Failure, UnitResult, WorkerState
from evaluator.statistics import harmonic_adcc
from evaluator.store.reader import RunReader
from evaluator.store.writer import RunWriter
from tests.holder import held
from tests.synthetic import make_run


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return make_run(tmp_path / "run.db", images=12, state="running", partial={"vgg16/scorecam": 5})


@pytest.fixture
def feed(run: Path) -> Iterator[Feed]:
    made = Feed(run)
    yield made
    made.close()


def seen(feed: Feed, *now: float) -> Snapshot:
    """What a look shows that has something new."""
    snapshot = feed.poll(*now)
    assert snapshot is not None
    return snapshot


def test_the_first_look_is_whole_and_the_next_is_nothing(feed: Feed) -> None:
    snapshot = seen(feed)
    assert snapshot.backbones == ("resnet18", "vgg16")
    assert len(snapshot.views) == 12
    assert snapshot.metrics[-1] == "adcc"
    assert snapshot.status.state == "crashed"
    assert feed.poll() is None


def test_averages_are_those_of_the_rows(run: Path, feed: Feed) -> None:
    snapshot = seen(feed)
    with RunReader(run) as reader:
        for cell in snapshot.cells:
            rows = [row for row, _, _ in reader.rows.of_cell(cell.id)]
            for metric in ("coherency", "complexity", "average_increase"):
                mean = snapshot.mean(cell.id, metric)
                assert mean is not None
                assert mean.value == pytest.approx(
                    sum(getattr(row, metric) for row in rows) / len(rows), abs=1e-9
                )
            parts = [row for row in rows if row.average_drop is not None]
            drop = sum(row.average_drop or 0 for row in parts) / len(parts)
            coherency, complexity = (
                sum(getattr(row, k) for row in parts) / len(parts)
                for k in ("coherency", "complexity")
            )
            adcc = snapshot.mean(cell.id, "adcc")
            assert adcc is not None
            assert adcc.value == pytest.approx(harmonic_adcc(drop, coherency, complexity), abs=1e-9)


def test_a_commit_is_seen_at_the_next_look(run: Path, feed: Feed) -> None:
    feed.poll()
    writer = RunWriter(run)
    cell = next(
        cell
        for cell in RunReader(run).cells()
        if cell.method == "scorecam" and cell.backbone == "vgg16"
    )
    writer.rows.commit(UnitResult(failures=(Failure(cell.id, 6, "", "missing", "no such file"),)))
    snapshot = seen(feed)
    assert snapshot.views[cell.id].summary.failed == 1
    writer.close()


def test_the_driver_dies_without_a_word_and_the_next_look_knows(run: Path, feed: Feed) -> None:
    with held(run):
        snapshot = seen(feed)
        assert snapshot.status.state == "running"
    snapshot = seen(feed)
    assert snapshot.status.state == "crashed"
    assert "camtui resume" in snapshot.status.advice


def test_a_live_run_is_looked_at_again_though_nothing_is_written(run: Path, feed: Feed) -> None:
    snapshot = seen(feed, 1000.0)
    assert not snapshot.status.live
    assert feed.poll(2000.0) is None, "a dead run stays dead"
    with held(run):
        snapshot = seen(feed, 3000.0)
        assert snapshot.status.live
        assert feed.poll(3000.1) is None
        later = seen(feed, 3600.0)  # how long ago it was last heard of has changed
        assert later.taken == 3600.0


def test_a_file_that_vanishes_leaves_the_last_picture_and_a_reason(run: Path, feed: Feed) -> None:
    before = seen(feed)
    run.rename(run.with_name("elsewhere.db"))
    gone = seen(feed)
    assert "is gone" in gone.problem
    assert gone.views == before.views
    assert feed.poll() is None, "said once"
    shutil.copy(run.with_name("elsewhere.db"), run)
    back = seen(feed)
    assert back.problem == ""


def test_a_file_that_becomes_another(run: Path, feed: Feed) -> None:
    feed.poll()
    run.unlink()
    with sqlite3.connect(run) as other:
        other.execute("CREATE TABLE secrets (x)")
    other.close()
    snapshot = seen(feed)
    assert "not a run" in snapshot.problem


def test_no_file_and_foreign_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        Feed(tmp_path / "none.db")
    (tmp_path / "text.db").write_text("hello")
    with pytest.raises(StoreError):
        Feed(tmp_path / "text.db")


def test_trends_hold_the_last_looks_and_no_gap_between_two_units() -> None:
    trends, busy = Trends(), [WorkerState(0, "cuda:0", 1, "computing", 0.0, 0, 50.0)]
    for second in range(200):
        trends.look(float(second), 64 * (second // 10), busy)  # a unit of 64 rows every ten seconds
    assert set(trends.rates) == {6.4}
    assert len(trends.rates) == len(trends.utilisation) == TREND_KEPT
    for second in range(200, 270):
        trends.look(float(second), 64 * 19, busy)
    assert trends.rates[-1] == 0


@pytest.fixture
def finished(tmp_path: Path) -> Path:
    return make_run(tmp_path / "run.db", images=30)


def look(finished: Path) -> Snapshot:
    feed = Feed(finished)
    snapshot = seen(feed)
    feed.close()
    return snapshot


@pytest.mark.parametrize("metric", ["adcc", "average_drop", "deletion"])
def test_once_worked_out_the_marks_are_those_of_the_tables(finished: Path, metric: str) -> None:
    snapshot, ties = look(finished), Ties(finished)
    while ties.work(snapshot, metric):
        pass
    with RunReader(finished) as reader:
        views = cell_views(reader, [all_metrics()[metric]])
    expected = {
        (view.cell.id, metric): view.marks[metric] for view in views if metric in view.marks
    }
    assert ties.marks(snapshot, metric) == expected
    ties.close()


def test_before_that_the_best_is_marked_and_nothing_ties(finished: Path) -> None:
    snapshot, ties = look(finished), Ties(finished)
    marks = ties.marks(snapshot, "adcc")
    assert "best" in marks.values()
    assert "tie" not in marks.values()


def test_a_chosen_cell_is_compared_though_ranks_do_not_need_it(finished: Path) -> None:
    snapshot, ties = look(finished), Ties(finished)
    fake = snapshot.cell("vgg16", "fakecam")
    assert fake is not None
    while ties.work(snapshot, "adcc", fake.id):
        pass
    best = best_in_backbone(snapshot, ties.marks(snapshot, "adcc"), "adcc", fake.id)
    assert best is not None
    with RunReader(finished) as reader:
        assert ties.difference("adcc", best, fake.id) == reader.averages.paired(
            "adcc", best, fake.id
        )
    ties.close()


def test_a_pair_is_tested_once_while_it_does_not_grow(finished: Path) -> None:
    snapshot, ties = look(finished), Ties(finished)
    while ties.work(snapshot, "adcc"):
        pass
    assert not ties.work(snapshot, "adcc")
    ties.close()


def test_a_cell_that_is_not_there_has_no_best(finished: Path) -> None:
    assert best_in_backbone(look(finished), {}, "adcc", None) is None
    assert best_in_backbone(look(finished), {}, "adcc", 999) is None
