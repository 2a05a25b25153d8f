"""What has been changed behind camtui's back is found, named and put right from the rows."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from evaluator.errors import TryAgain
from evaluator.store.audit import audit, repair
from evaluator.store.reader import RunReader
from tests.holder import held
from tests.synthetic import make_run


@pytest.fixture
def stored(tmp_path: Path) -> Path:
    return make_run(
        tmp_path / "run.db", images=12, backbones=["resnet18"], methods=["gradcam", "fakecam"]
    )


def found(path: Path) -> list[str]:
    with RunReader(path) as reader:
        return audit(reader)


@pytest.mark.parametrize(
    ("lie", "problem"),
    [
        (
            "UPDATE sums SET total = total + 1 WHERE cell_id = 1 AND a = 'coherency' AND b = ''",
            "cell 1: the sum of coherency",
        ),
        (
            "UPDATE sums SET n = n - 1 WHERE cell_id = 2 AND a = 'coherency' AND b = 'complexity'",
            "cell 2: the sum of coherency × complexity",
        ),
        (
            "DELETE FROM sums WHERE cell_id = 1 AND a = 'degenerate'",
            "cell 1: the sum of degenerate",
        ),
        ("INSERT INTO sums VALUES (1, 'beauty', '', 3, 5)", "cell 1: the sum of beauty"),
        (
            "UPDATE histograms SET n = n + 1 WHERE cell_id = 2 AND metric = 'adcc'",
            "cell 2: the histogram of adcc",
        ),
        (
            "DELETE FROM histograms WHERE cell_id = 1 AND metric = 'coherency' AND n = 1 AND bin ="
            " (SELECT bin FROM histograms WHERE cell_id = 1 AND metric = 'coherency' AND n = 1 "
            "LIMIT 1)",
            "cell 1: the histogram of coherency",
        ),
        (
            "INSERT INTO histograms VALUES (1, 'complexity', 19, 1)",
            "cell 1: the histogram of complexity",
        ),
    ],
)
def test_a_lie_is_found_named_once_and_repaired(stored: Path, lie: str, problem: str) -> None:
    assert found(stored) == []
    with closing(sqlite3.connect(stored)) as connection, connection:
        assert connection.execute(lie).rowcount > 0
    assert found(stored) == [f"{problem} is not that of its rows"]
    repair(stored)
    assert found(stored) == []


def test_a_run_that_is_under_way_is_not_repaired(stored: Path) -> None:
    with (
        held(stored) as holder,
        pytest.raises(TryAgain, match=f"already running, pid {holder.pid}"),
    ):
        repair(stored)
    repair(stored)
