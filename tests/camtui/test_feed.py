from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path

import pytest

from camtui.feed import TREND_KEPT, Feed, Trends
from evaluator.errors import NotFound, StoreError
from evaluator.records import Failure, UnitResult, WorkerState
from evaluator.statistics import harmonic_adcc
from evaluator.store.reader import RunReader
from evaluator.store.writer import RunWriter
from tests.holder import held
from tests.synthetic import make_run


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return make_run(tmp_path / "run.db", images=12, state="running", partial={"vgg16/scorecam": 5})


def test_the_first_look_is_whole_and_the_next_is_nothing(run: Path) -> None:
    feed = Feed(run)
    snapshot = feed.poll()
    assert snapshot is not None
    assert snapshot.backbones == ("resnet18", "vgg16")
    assert len(snapshot.views) == 12
    assert snapshot.metrics[-1] == "adcc"
    assert snapshot.status.state == "crashed"
    assert feed.poll() is None
    feed.close()


def test_averages_are_those_of_the_rows(run: Path) -> None:
    feed = Feed(run)
    snapshot = feed.poll()
    assert snapshot is not None
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
    feed.close()


def test_a_commit_is_seen_at_the_next_look(run: Path) -> None:
    feed = Feed(run)
    feed.poll()
    writer = RunWriter(run)
    cell = next(
        cell
        for cell in RunReader(run).cells()
        if cell.method == "scorecam" and cell.backbone == "vgg16"
    )
    writer.rows.commit(UnitResult(failures=(Failure(cell.id, 6, "", "missing", "no such file"),)))
    snapshot = feed.poll()
    assert snapshot is not None
    assert snapshot.views[cell.id].summary.failed == 1
    writer.close()
    feed.close()


def test_the_driver_dies_without_a_word_and_the_next_look_knows(run: Path) -> None:
    feed = Feed(run)
    with held(run):
        snapshot = feed.poll()
        assert snapshot is not None
        assert snapshot.status.state == "running"
    snapshot = feed.poll()
    assert snapshot is not None
    assert snapshot.status.state == "crashed"
    assert "camtui resume" in snapshot.status.advice
    feed.close()


def test_a_live_run_is_looked_at_again_though_nothing_is_written(run: Path) -> None:
    feed = Feed(run)
    snapshot = feed.poll(1000.0)
    assert snapshot is not None
    assert not snapshot.status.live
    assert feed.poll(2000.0) is None, "a dead run stays dead"
    with held(run):
        snapshot = feed.poll(3000.0)
        assert snapshot is not None
        assert snapshot.status.live
        assert feed.poll(3000.1) is None
        later = feed.poll(3600.0)
        assert later is not None, "how long ago it was last heard of has changed"
        assert later.taken == 3600.0
    feed.close()


def test_a_file_that_vanishes_leaves_the_last_picture_and_a_reason(run: Path) -> None:
    feed = Feed(run)
    before = feed.poll()
    assert before is not None
    run.rename(run.with_name("elsewhere.db"))
    gone = feed.poll()
    assert gone is not None
    assert "is gone" in gone.problem
    assert gone.views == before.views
    assert feed.poll() is None, "said once"
    shutil.copy(run.with_name("elsewhere.db"), run)
    back = feed.poll()
    assert back is not None
    assert back.problem == ""
    feed.close()


def test_a_file_that_becomes_another(run: Path, tmp_path: Path) -> None:
    feed = Feed(run)
    feed.poll()
    run.unlink()
    with sqlite3.connect(run) as other:
        other.execute("CREATE TABLE secrets (x)")
    other.close()
    snapshot = feed.poll()
    assert snapshot is not None
    assert "not a run" in snapshot.problem
    feed.close()


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
