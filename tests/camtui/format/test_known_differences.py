"""Differences of a large run are worked out once, and anew as soon as anything has changed."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from camtui.format import TableOptions, best_of, rank_cells
from camtui.format.cells import cell_views, shown_metrics
from camtui.format.known_differences import FEWEST_IMAGES, differences_file
from evaluator.catalog import known_metrics
from evaluator.store.queries import Averages
from evaluator.store.reader import RunReader
from tests.synthetic import make_run

METHODS = ("gradcam", "gradcampp", "smoothgradcampp")


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that is large enough."""
    place = tmp_path_factory.mktemp("large") / "large.db"
    return make_run(
        place, images=FEWEST_IMAGES, backbones=["resnet18"], methods=METHODS, curves=False
    )


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    """The metric of every question that goes to the run's rows."""
    monkeypatch.setenv("CAMTUI_HOME", str(tmp_path / "home"))
    (tmp_path / "home").mkdir(mode=0o700)
    questions: list[str] = []
    original = Averages.paired

    def paired(self: Averages, metric: str, first: int, second: int) -> object:
        questions.append(metric)
        return original(self, metric, first, second)

    monkeypatch.setattr(Averages, "paired", paired)
    return questions


def marks(path: Path) -> list[dict[str, str]]:
    with RunReader(path) as reader:
        return [dict(view.marks) for view in cell_views(reader, shown_metrics(reader))]


def test_the_second_table_asks_nothing(large: Path, asked: list[str]) -> None:
    first = marks(large)
    assert asked
    with RunReader(large) as reader:
        views = cell_views(reader)
        for metric in shown_metrics(reader):
            ranks = rank_cells(views, known_metrics()[metric.key], reader.averages.paired)
            own = {view.cell.id: view.marks.get(metric.key) for view in views} | ranks
            assert [own[view.cell.id] for view in views] == [
                found.get(metric.key) for found in first
            ]
    asked.clear()
    assert marks(large) == first
    assert not asked


def test_the_second_sentence_asks_nothing(large: Path, asked: list[str]) -> None:
    with RunReader(large) as reader:
        first = best_of(reader, TableOptions())
    assert first
    assert asked
    asked.clear()
    with RunReader(large) as reader:
        assert best_of(reader, TableOptions()) == first
    assert not asked


def test_a_small_run_is_not_kept(tmp_path: Path, asked: list[str]) -> None:
    small = make_run(tmp_path / "small.db", backbones=["resnet18"], methods=METHODS)
    marks(small)
    assert asked
    assert not differences_file().exists()


def added(path: Path) -> None:
    make_run(path, images=FEWEST_IMAGES + 1, backbones=["resnet18"], methods=METHODS, curves=False)


def damaged(path: Path) -> None:
    differences_file().write_text('{"format": 1, "differences": {"a": [1, "x"]}}')


def writable(path: Path) -> None:
    differences_file().chmod(0o666)


def foreign_folder(path: Path) -> None:
    differences_file().parent.chmod(0o777)


def moved(path: Path) -> None:
    shutil.copy(path, path.with_name("copy.db"))
    path.with_name("copy.db").replace(path)


@pytest.mark.parametrize("change", [added, damaged, writable, foreign_folder, moved])
def test_it_asks_anew(large: Path, asked: list[str], tmp_path: Path, change: object) -> None:
    path = tmp_path / "run.db"
    shutil.copy(large, path)
    marks(path)
    asked.clear()
    if change is added:
        path.unlink()
    assert callable(change)
    change(path)
    marks(path)
    assert asked


def test_a_run_that_is_called_as_in_its_bundle_is_asked_itself(
    large: Path, asked: list[str]
) -> None:
    with RunReader(large) as reader:
        reader.path = Path("run.db")
        assert [dict(v.marks) for v in cell_views(reader, shown_metrics(reader))] == marks(large)
    assert asked
    assert differences_file().exists()
