"""The reader: hostile files are refused, nothing is ever written, and every question is answered
from what is stored.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from evaluator.errors import NotFound, StoreError, UsageError
from evaluator.records import StoredMap
from evaluator.statistics import harmonic_adcc
from evaluator.store import schema
from evaluator.store.audit import repair
from evaluator.store.reader import RankedImage, RunReader
from evaluator.store.writer import RunWriter
from tests.evaluator.execution.concurrent_readers import race
from tests.evaluator.store.runs import (
    HOSTILE,
    PATHS,
    begun,
    empty_run,
    failure,
    manifest,
    measurement,
    plan,
    raw,
    result,
    row,
)
from tests.synthetic import make_run


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A run of four images: three rows of Grad-CAM, one failure; two of Fake-CAM; curves of two."""
    file = tmp_path / "run.db"
    with begun(file) as writer:
        writer.rows.commit(
            result(
                row(1, 0),
                row(1, 1, drop=None),
                row(1, 2, drop=0.5),
                failure(1, 3),
                row(2, 0),
                row(2, 2),
            )
        )
        writer.rows.commit(result(measurement(1, 0), measurement(1, 2), failure(2, 0, "deletion")))
        writer.set_state("stopped")
    return file


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_run(tmp_path_factory.mktemp("whole") / "whole.db", images=60)


# -- hostile and odd files
# --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "message"),
    [*HOSTILE, (Path.touch, "is an empty database: was a run copied while it ran, without its")],
)
def test_a_file_that_is_not_a_run(
    tmp_path: Path, make: Callable[[Path], None], message: str
) -> None:
    file = tmp_path / "odd\x1b[31m.db"
    make(file)
    before = file.read_bytes()
    with pytest.raises(StoreError, match=message or "is not a run of camtui") as caught:
        RunReader(file)
    assert "\x1b" not in caught.value.message
    assert file.read_bytes() == before


def test_no_file_is_made(tmp_path: Path) -> None:
    for name in ("none.db", "no/folder.db"):
        with pytest.raises(NotFound, match="no such run file"):
            RunReader(tmp_path / name)
    with pytest.raises(StoreError, match="is a directory, no run"):
        RunReader(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_name_that_sqlite_would_read_as_options(tmp_path: Path) -> None:
    for name in ("a?mode=rwc.db", "b#c.db", "d%20e.db", os.fsdecode(b"f\xff.db")):
        empty_run(tmp_path / "plain.db")
        (tmp_path / "plain.db").rename(tmp_path / name)
        with RunReader(tmp_path / name) as reader:
            assert reader.info().name == "small"


def test_nothing_can_be_written(path: Path) -> None:
    with RunReader(path) as reader, pytest.raises(sqlite3.OperationalError, match="readonly"):
        reader.connection.execute("UPDATE run SET name = 'mine'")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"data": 1}',
        '{"data": "/d", "backbones": ["resnet18"], "methods": ["x"], "no": 1}',
    ],
)
def test_a_plan_that_is_none(path: Path, text: str) -> None:
    raw(path, "UPDATE run SET plan = ?", (text,))
    with RunReader(path) as reader, pytest.raises(StoreError, match="holds no plan"):
        reader.plan()


def test_sums_of_no_cell_are_not_shown(path: Path) -> None:
    raw(path, "INSERT INTO sums VALUES (77, 'adcc', '', 1, 1)")
    with RunReader(path) as reader:
        assert [summary.cell for summary in reader.averages.summaries()] == [1, 2]


def test_a_file_without_a_run_yet(tmp_path: Path) -> None:
    RunWriter(tmp_path / "run.db").close()
    with RunReader(tmp_path / "run.db") as reader:
        for ask in (reader.info, reader.plan, reader.stages, reader.manifest_sha256):
            with pytest.raises(StoreError, match="holds no run yet"):
                ask()
        assert reader.cells() == []
        assert reader.averages.summaries() == []


# -- readers beside the writer
# --------------------------------------------------------------------------------------------------


def test_readers_and_the_writer_do_not_wait_for_one_another(path: Path) -> None:
    with closing(RunWriter(path)) as writer, RunReader(path) as slow, RunReader(path) as reader:
        rows = slow.rows.of_cell(1)
        first = next(rows)  # a query under way holds its snapshot
        with writer.transaction():
            writer.execute("UPDATE run SET message = 'half done'")
            assert reader.info().message == ""
        assert reader.info().message == "half done"
        writer.rows.commit(result(row(1, 3)))
        assert reader.rows.get(1, 3) == row(1, 3)
        assert [first[0].image, *(found.image for found, _, _ in rows)] == [0, 1, 2]
        assert [found.image for found, _, _ in slow.rows.of_cell(1)] == [0, 1, 2, 3]


def test_five_readers_beside_a_writer_of_two_thousand_rows_a_second(tmp_path: Path) -> None:
    """Nobody is refused and no half of a batch is seen; how long a look takes:
    ``execution/fault_campaigns.py``.
    """
    figures = race(tmp_path, seconds=2)
    assert figures.rows == 4000
    assert len(figures.looks) >= 5


def test_an_idle_look_says_whether_anything_changed(path: Path) -> None:
    with closing(RunWriter(path)) as writer, RunReader(path) as reader:
        before = reader.data_version()
        assert reader.data_version() == before
        writer.rows.commit(result(row(1, 3)))
        assert reader.data_version() != before


READ = """
import sys
from pathlib import Path
from evaluator.store.reader import RunReader
print(RunReader(Path(sys.argv[1])).info().state)
"""


def read_without_privileges(path: Path) -> subprocess.CompletedProcess[str]:
    """In a process for which permissions count even if the tests run as root."""
    drop = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"] if os.geteuid() == 0 else []
    if drop and not shutil.which("setpriv"):
        pytest.skip("root without setpriv may write everywhere")
    root = Path(schema.__file__).parents[2]
    return subprocess.run(
        [*drop, sys.executable, "-c", READ, str(path)],
        capture_output=True,
        text=True,
        check=False,
        cwd=root,
    )


@pytest.mark.parametrize("mode", [0o555, 0o755])
def test_a_finished_run_in_a_folder_that_cannot_be_written(path: Path, mode: int) -> None:
    path.chmod(0o444)
    path.parent.chmod(mode)
    try:
        done = read_without_privileges(path)
    finally:
        path.parent.chmod(0o755)
    assert (done.stdout, done.returncode) == ("stopped\n", 0), done.stderr


def test_an_unfinished_log_in_a_folder_that_cannot_be_written(path: Path, tmp_path: Path) -> None:
    """Without the log the file is old, and SQLite cannot read the log there: say so instead of
    showing old numbers.
    """
    away = tmp_path / "away"
    away.mkdir()
    with closing(RunWriter(path)) as writer:
        writer.set_state("running")
        shutil.copy(path, away)
        shutil.copy(f"{path}-wal", away)
    away.chmod(0o555)
    try:
        done = read_without_privileges(away / "run.db")
    finally:
        away.chmod(0o755)
    assert done.returncode != 0
    assert "StoreError: cannot read" in done.stderr


# -- what it answers
# --------------------------------------------------------------------------------------------------


def test_the_run_itself(path: Path) -> None:
    with RunReader(path) as reader:
        info = reader.info()
        assert (info.name, info.state, info.image_count) == ("small", "stopped", 4)
        assert reader.plan() == plan()
        assert reader.manifest_sha256() == manifest().sha256
        assert [
            (cell.id, cell.backbone, cell.method, cell.applicable) for cell in reader.cells()
        ] == [
            (1, "resnet18", "gradcam", True),
            (2, "resnet18", "fakecam", True),
        ]


def test_images_by_rank_path_and_name(path: Path) -> None:
    with RunReader(path) as reader:
        assert [image.path for image in reader.images.between(0, 3)] == list(PATHS)
        assert [image.id for image in reader.images.between(1, 2)] == [1, 2]
        assert reader.images.find("3").path == b"d.png"
        assert reader.images.find("n01440764/a.png").id == 0
        assert reader.images.find(os.fsdecode(PATHS[1])).id == 1
        assert reader.images.find("break").id == 2
        assert reader.images.find("d.png").id == 3, "an exact path wins over a part of another"
        for text, message in (
            (".png", "4 images match"),
            ("zebra", "no images match"),
            ("99", "the run has no image 99"),
        ):
            with pytest.raises(NotFound, match=message):
                reader.images.find(text)


def test_rows_with_their_images_and_curves(path: Path) -> None:
    with RunReader(path) as reader:
        assert [(found, image.path, curves) for found, image, curves in reader.rows.of_cell(1)] == [
            (row(1, 0), PATHS[0], {"deletion": 0.1}),
            (row(1, 1, drop=None), PATHS[1], {}),
            (row(1, 2, drop=0.5), PATHS[2], {"deletion": pytest.approx(0.3)}),
        ]
        assert reader.rows.get(1, 3) is None
        assert reader.rows.get(1, 1) == row(1, 1, drop=None)
        assert reader.rows.measurements(1, 1) == {}


def test_the_values_of_one_metric_without_what_is_undefined(path: Path) -> None:
    with RunReader(path) as reader:
        assert reader.rows.values(1, "average_drop") == [(0, 0.25), (2, 0.5)]
        assert [image for image, _ in reader.rows.values(1, "coherency")] == [0, 1, 2]
        assert reader.rows.values(1, "deletion") == [(0, 0.1), (2, pytest.approx(0.3))]
        assert reader.rows.values(2, "insertion") == reader.rows.values(9, "adcc") == []


def test_averages_are_those_of_the_rows(whole: Path) -> None:
    with RunReader(whole) as reader:
        for summary in reader.averages.summaries():
            rows = [found for found, _, _ in reader.rows.of_cell(summary.cell)]
            assert summary.n == len(rows) == 59
            assert summary.failed == 1
            assert summary.degenerate == sum(found.degenerate for found in rows)
            defined = [found for found in rows if found.average_drop is not None]
            assert len(defined) == 58
            drop = sum(found.average_drop or 0 for found in defined) / len(defined)
            coherency = sum(found.coherency or 0 for found in rows) / len(rows)
            assert summary.means["average_drop"].value == pytest.approx(drop, abs=1e-11)
            assert summary.means["coherency"].value == pytest.approx(coherency, abs=1e-11)
            parts = [
                sum(getattr(found, name) for found in defined) / len(defined)
                for name in ("coherency", "complexity")
            ]
            assert summary.means["adcc"].value == pytest.approx(
                harmonic_adcc(drop, *parts), abs=1e-10
            )
            assert summary.means["adcc"].n == 58
            assert summary.mean_image_adcc is not None
            assert summary.mean_image_adcc.value == pytest.approx(
                sum(found.adcc or 0 for found in defined) / 58, abs=1e-11
            )
            assert summary.means["deletion"].n == 59


def test_the_headline_is_that_of_the_run_without_its_incomplete_rows(
    whole: Path, tmp_path: Path
) -> None:
    """To the last digit: a row without a drop must not tip coherency and complexity alone."""
    complete = tmp_path / "complete.db"
    shutil.copy(whole, complete)
    raw(complete, "DELETE FROM results WHERE average_drop IS NULL")
    repair(complete)
    with RunReader(whole) as reader, RunReader(complete) as other:
        mine, theirs = (
            [summary.means["adcc"] for summary in one.averages.summaries()]
            for one in (reader, other)
        )
        assert reader.averages.summaries()[0].n == other.averages.summaries()[0].n + 1
    assert mine == theirs


def test_one_moment_holds_while_the_writer_goes_on(tmp_path: Path) -> None:
    with begun(tmp_path / "run.db") as writer, RunReader(tmp_path / "run.db") as reader:
        with reader.moment():
            before = reader.averages.summaries()
            writer.rows.commit(result(row(1, 0)))
            assert reader.averages.summaries() == before
        assert reader.averages.summaries() != before


def test_histograms_hold_every_value(whole: Path) -> None:
    with RunReader(whole) as reader:
        bins = reader.averages.histogram(2, "coherency")
        assert len(bins) == schema.HISTOGRAM_BINS
        assert sum(bins) == 59
        last = sum(
            found.average_drop is not None and found.average_drop >= 0.95
            for found, _, _ in reader.rows.of_cell(2)
        )
        assert reader.averages.histogram(2, "average_drop")[-1] == last > 0
        assert reader.averages.histogram(2, "nothing") == [0] * schema.HISTOGRAM_BINS


def test_convergence_is_in_the_order_of_evaluation(whole: Path) -> None:
    with RunReader(whole) as reader:
        points = list(reader.averages.convergence(2))
        rows = [found for found, _, _ in reader.rows.of_cell(2) if found.average_drop is not None]
        assert [tuple(point) for point in points] == [
            (r.average_drop, r.coherency, r.complexity) for r in rows
        ]


@pytest.mark.parametrize("metric", ["adcc", "complexity", "deletion", "average_drop"])
@pytest.mark.parametrize("ascending", [True, False])
def test_pages_of_a_ranking_are_the_whole_ranking(
    whole: Path, metric: str, ascending: bool
) -> None:
    with RunReader(whole) as reader:
        expected = sorted(
            ((value, image) for image, value in values(reader, 2, metric).items()),
            reverse=not ascending,
        )
        found: list[RankedImage] = []
        for _ in range(10):
            found += reader.ranking.page(
                2, metric, ascending=ascending, limit=7, after=found[-1] if found else None
            )
        assert [(place.value, place.image) for place in found] == expected
        for place, entry in enumerate(found, 1):
            assert reader.ranking.rank_of(2, metric, entry.image, ascending=ascending) == (
                place,
                len(found),
            )


@pytest.mark.parametrize("metric", ["adcc", "complexity", "deletion"])
def test_pages_of_some_images_are_their_part_of_the_ranking(whole: Path, metric: str) -> None:
    with RunReader(whole) as reader:
        everything = reader.ranking.page(2, metric, ascending=True, limit=10_000)
        some = [place.image for place in everything][::3]
        found: list[RankedImage] = []
        for _ in range(10):
            after = found[-1] if found else None
            found += reader.ranking.page(
                2, metric, ascending=True, limit=5, after=after, among=some
            )
        assert found == everything[::3]


def test_images_are_found_by_path_label_and_prediction(whole: Path) -> None:
    with RunReader(whole) as reader:
        images = reader.images.between(0, 10_000)
        rows = {row.image: row for row, _, _ in reader.rows.of_cell(2)}
        one = images[3]
        name = one.path.decode().rpartition("/")[2].upper()
        assert reader.images.matching(2, name, ()) == [one.id]
        assert reader.images.matching(2, "", ()) == [image.id for image in images]
        for chosen in (one.label, rows[5].predicted):
            assert chosen is not None
            expected = [
                image.id
                for image in images
                if image.label == chosen
                or (image.id in rows and rows[image.id].predicted == chosen)
            ]
            assert reader.images.matching(2, "no such path", (chosen,)) == expected != []


@pytest.mark.parametrize(
    "lie",
    [
        "DELETE FROM histograms",
        "UPDATE histograms SET n = 999",
        "UPDATE histograms SET bin = bin - 99",
    ],
)
@pytest.mark.parametrize("limit", [5, 59])
def test_a_histogram_that_lies_costs_time_and_no_image(
    whole: Path, tmp_path: Path, lie: str, limit: int
) -> None:
    liar = tmp_path / "liar.db"
    shutil.copy(whole, liar)
    raw(liar, lie)
    with RunReader(whole) as reader, RunReader(liar) as other:
        expected = reader.ranking.page(2, "complexity", ascending=True, limit=limit)
        assert other.ranking.page(2, "complexity", ascending=True, limit=limit) == expected


def test_ties_of_a_ranking_go_by_image(whole: Path) -> None:
    """Fake-CAM's complexity is one constant: nothing may be listed twice or lost between pages."""
    with RunReader(whole) as reader:
        assert reader.cells()[0].method == "fakecam"
        first = reader.ranking.page(1, "complexity", ascending=True, limit=30)
        second = reader.ranking.page(1, "complexity", ascending=True, limit=40, after=first[-1])
        assert [entry.image for entry in first + second] == list(range(59))


def test_what_has_no_rank(path: Path) -> None:
    with RunReader(path) as reader:
        assert reader.ranking.rank_of(1, "adcc", 1, ascending=True) is None, "its drop is undefined"
        assert reader.ranking.rank_of(1, "adcc", 3, ascending=True) is None
        with pytest.raises(UsageError, match="the run has no metric 'insertion'"):
            reader.ranking.page(1, "insertion", ascending=True, limit=1)
        with pytest.raises(UsageError, match="the run has no metric"):
            reader.ranking.page(1, "adcc; DROP TABLE run", ascending=True, limit=1)


@pytest.mark.parametrize("metric", ["adcc", "coherency", "average_drop", "deletion"])
def test_paired_differences_are_over_common_images(whole: Path, metric: str) -> None:
    with RunReader(whole) as reader:
        found = reader.averages.paired(metric, 2, 4)
        assert found is not None
        assert found.n == (59 if metric in ("coherency", "deletion") else 58)
        opposite = reader.averages.paired(metric, 4, 2)
        assert opposite is not None
        assert opposite.value == pytest.approx(-found.value)
        assert opposite.se == pytest.approx(found.se)
        if metric != "adcc":
            own, other = values(reader, 2, metric), values(reader, 4, metric)
            differences = [own[image] - other[image] for image in set(own) & set(other)]
            assert found.value == pytest.approx(sum(differences) / len(differences))


def values(reader: RunReader, cell: int, metric: str) -> dict[int, float]:
    """Image → value, images without one left out."""
    found = {
        image.id: curves.get(metric, getattr(row, metric, None))
        for row, image, curves in reader.rows.of_cell(cell)
    }
    return {image: value for image, value in found.items() if value is not None}


def test_paired_with_itself_or_with_nothing(path: Path) -> None:
    with RunReader(path) as reader:
        same = reader.averages.paired("coherency", 1, 1)
        assert same is not None
        assert (same.n, same.value, same.se) == (3, 0.0, 0.0)
        assert reader.averages.paired("deletion", 1, 2) is None


# -- what is missing
# --------------------------------------------------------------------------------------------------


def test_what_needs_nothing_more(path: Path) -> None:
    with RunReader(path) as reader:
        assert reader.rows.finished([1, 2], "", 0, 3) == {
            (1, 0),
            (1, 1),
            (1, 2),
            (1, 3),
            (2, 0),
            (2, 2),
        }
        assert reader.rows.finished([1], "", 1, 2) == {(1, 1), (1, 2)}
        assert reader.rows.finished([1, 2], "deletion", 0, 3) == {(1, 0), (1, 2), (1, 3), (2, 0)}, (
            "no row, no curve"
        )
        assert reader.rows.finished([], "", 0, 3) == set()


def test_maps_for_what_is_requested(path: Path) -> None:
    with RunReader(path) as reader:
        maps, damaged = reader.rows.stored_maps([1, 2], 0, 1)
        assert not damaged
        assert set(maps) == {(1, 0), (1, 1), (2, 0)}
        assert maps[1, 0] == StoredMap(3, 0.5, 0.4, bytes(16))


def test_failures_and_their_number(path: Path) -> None:
    with RunReader(path) as reader:
        assert reader.failures() == [failure(2, 0, "deletion"), failure(1, 3)]
        assert reader.failures(cell=1) == [failure(1, 3)]
        assert len(reader.failures(limit=1)) == 1
        assert reader.failure_count() == 2


def test_the_newest_events_oldest_first(path: Path) -> None:
    with closing(RunWriter(path)) as writer, RunReader(path) as reader:
        for number in range(5):
            writer.event("info", f"event {number}")
        assert [event.text for event in reader.events(limit=2)] == ["event 3", "event 4"]
        last = reader.events()[-2]
        assert [event.text for event in reader.events(after=last.id)] == ["event 4"]


def test_damage_is_found(path: Path) -> None:
    with RunReader(path) as reader:
        assert reader.checks.integrity() == []
    raw(path, "DELETE FROM images WHERE id = 2")
    with RunReader(path) as reader:
        assert any("results" in line for line in reader.checks.integrity())
