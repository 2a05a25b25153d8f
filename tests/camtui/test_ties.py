from __future__ import annotations

from pathlib import Path

import pytest

from camtui.feed import Feed, Snapshot
from camtui.format import cell_views
from camtui.ties import Ties, best_in_backbone
from evaluator.metrics import all_metrics
from evaluator.store.reader import RunReader
from tests.synthetic import make_run


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return make_run(tmp_path / "run.db", images=30)


def look(run: Path) -> Snapshot:
    feed = Feed(run)
    snapshot = feed.poll()
    feed.close()
    assert snapshot is not None
    return snapshot


@pytest.mark.parametrize("metric", ["adcc", "average_drop", "deletion"])
def test_once_worked_out_the_marks_are_those_of_the_tables(run: Path, metric: str) -> None:
    snapshot, ties = look(run), Ties(run)
    while ties.work(snapshot, metric):
        pass
    with RunReader(run) as reader:
        views = cell_views(reader, [all_metrics()[metric]])
    expected = {
        (view.cell.id, metric): view.marks[metric] for view in views if metric in view.marks
    }
    assert ties.marks(snapshot, metric) == expected
    ties.close()


def test_before_that_the_best_is_marked_and_nothing_ties(run: Path) -> None:
    snapshot, ties = look(run), Ties(run)
    marks = ties.marks(snapshot, "adcc")
    assert "best" in marks.values()
    assert "tie" not in marks.values()


def test_a_chosen_cell_is_compared_though_ranks_do_not_need_it(run: Path) -> None:
    snapshot, ties = look(run), Ties(run)
    fake = snapshot.cell("vgg16", "fakecam")
    assert fake is not None
    while ties.work(snapshot, "adcc", fake.id):
        pass
    best = best_in_backbone(snapshot, ties.marks(snapshot, "adcc"), "adcc", fake.id)
    assert best is not None
    with RunReader(run) as reader:
        assert ties.difference("adcc", best, fake.id) == reader.averages.paired(
            "adcc", best, fake.id
        )
    ties.close()


def test_a_pair_is_tested_once_while_it_does_not_grow(run: Path) -> None:
    snapshot, ties = look(run), Ties(run)
    while ties.work(snapshot, "adcc"):
        pass
    assert not ties.work(snapshot, "adcc")
    ties.close()


def test_a_cell_that_is_not_there_has_no_best(run: Path) -> None:
    assert best_in_backbone(look(run), {}, "adcc", None) is None
    assert best_in_backbone(look(run), {}, "adcc", 999) is None
