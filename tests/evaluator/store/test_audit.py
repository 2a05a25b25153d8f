"""What has been changed behind camtui's back is found, named and put right from the rows."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from evaluator.errors import StoreError, TryAgain
from evaluator.store.audit import repair
from evaluator.store.reader import RunReader
from evaluator.store.row_writer import RunningSums
from tests.evaluator.store.runs import begun, problems, raw, result, row
from tests.holder import held


@pytest.mark.parametrize(
    ("lie", "problem"),
    [
        (
            "UPDATE sums SET total = total + 1 WHERE cell_id = 1 AND a = 'coherency' AND b = ''",
            "resnet18/gradcam: the sum of coherency",
        ),
        (
            "UPDATE sums SET n = n - 1 WHERE cell_id = 2 AND a = 'coherency' AND b = 'complexity'",
            "resnet18/fakecam: the sum of coherency × complexity",
        ),
        (
            "DELETE FROM sums WHERE cell_id = 1 AND a = 'degenerate'",
            "resnet18/gradcam: the sum of degenerate",
        ),
        ("INSERT INTO sums VALUES (1, 'beauty', '', 3, 5)", "resnet18/gradcam: the sum of beauty"),
        (
            "UPDATE histograms SET n = n + 1 WHERE cell_id = 2 AND metric = 'adcc'",
            "resnet18/fakecam: the histogram of adcc",
        ),
        (
            "DELETE FROM histograms WHERE cell_id = 1 AND metric = 'coherency' AND n = 1 AND bin ="
            " (SELECT bin FROM histograms WHERE cell_id = 1 AND metric = 'coherency' AND n = 1 "
            "LIMIT 1)",
            "resnet18/gradcam: the histogram of coherency",
        ),
        (
            "INSERT INTO histograms VALUES (1, 'complexity', 19, 1)",
            "resnet18/gradcam: the histogram of complexity",
        ),
    ],
)
def test_a_lie_is_found_named_once_and_repaired(stored: Path, lie: str, problem: str) -> None:
    assert problems(stored) == []
    with closing(sqlite3.connect(stored)) as connection, connection:
        assert connection.execute(lie).rowcount > 0
    assert problems(stored) == [f"{problem} is not that of its rows"]
    repair(stored)
    assert problems(stored) == []


def test_a_run_that_is_under_way_is_not_repaired(stored: Path) -> None:
    with (
        held(stored) as holder,
        pytest.raises(TryAgain, match=f"already running, pid {holder.pid}"),
    ):
        repair(stored)
    repair(stored)


@pytest.mark.parametrize("born", [2, 3])
def test_a_repair_that_is_interrupted_leaves_no_sums_that_count_a_dropped_row(
    path: Path, monkeypatch: pytest.MonkeyPatch, born: int
) -> None:
    with begun(path) as writer:
        writer.rows.commit(result(row(1, 0), row(1, 1), row(1, 2), row(2, 0)))
        writer.execute("UPDATE run SET born = ?", (born,))
        if born < 3:
            writer.execute("DELETE FROM sum_checksums")
        writer.set_state("complete")
    raw(path, "UPDATE results SET coherency = 0.1 WHERE cell_id = 1 AND image_id = 1")

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(RunningSums, "rebuild", interrupted)
        with pytest.raises(KeyboardInterrupt):
            repair(path)
    assert raw(path, "SELECT count(*) FROM results") == [(3,)]
    assert raw(path, "SELECT state FROM run") == [("stopped",)]

    def refused() -> None:
        with RunReader(path) as reader:
            with pytest.raises(StoreError, match="the running sums of resnet18/gradcam are not"):
                reader.averages.summaries()
            with pytest.raises(StoreError, match="the histograms of resnet18/gradcam are not"):
                reader.averages.histogram(1, "coherency")
            reader.averages.histogram(2, "coherency")

    refused()
    with begun(path) as writer:
        assert writer.rows.commit(result(row(1, 1))) == 1
    refused()
    assert repair(path) == 0
    assert problems(path) == []
    with RunReader(path) as reader:
        assert [summary.n for summary in reader.averages.summaries()] == [3, 1]


def test_a_checksum_of_sums_that_are_not_there_is_found_and_repaired(path: Path) -> None:
    with begun(path) as writer:
        writer.rows.commit(result(row(1, 0)))
    raw(path, "INSERT INTO sum_checksums SELECT 2, sums, histograms FROM sum_checksums")
    assert problems(path) == ["resnet18/fakecam: its sums and histograms do not fit their checksum"]
    repair(path)
    assert problems(path) == []
