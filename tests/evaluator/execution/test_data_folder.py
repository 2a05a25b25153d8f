"""A data folder that goes away while a run is under way: the run pauses, records no failure, and
goes on when the folder is back.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path

import pytest

from camtui.launch import Step, launch
from camtui.runs import reference
from evaluator.errors import ImageUnreadable
from evaluator.execution.failures import DataFolder
from evaluator.execution.journal import Journal
from evaluator.images import find_images
from evaluator.records import Failure, ImageRef, Unit, UnitResult
from evaluator.sources import read_image
from evaluator.store.reader import RunReader
from evaluator.store.writer import RunWriter
from tests.evaluator.execution.conftest import NewRun
from tests.evaluator.execution.support import (
    Run,
    camtui,
    check,
    make_data,
    make_plan,
    wait_until_gone,
)
from tests.evaluator.execution.test_disk import wait_for_state

Knobs = Callable[..., None]


class Away:
    """Ways in which a folder is not there for a while."""

    def __init__(self, data: Path) -> None:
        self.data = data
        self.kept = data.with_name("kept")

    def moved(self) -> None:
        self.data.rename(self.kept)

    def an_empty_folder_in_its_place(self) -> None:
        self.data.rename(self.kept)
        self.data.mkdir()

    def a_file_in_its_place(self) -> None:
        self.data.rename(self.kept)
        self.data.touch()

    def another_folder_in_its_place(self) -> None:
        """Of the same names; the files have other sizes."""
        other = make_data(self.data.with_name("other"), 150)
        for file in other.iterdir():
            file.write_bytes(b"another")
        self.data.rename(self.kept)
        other.rename(self.data)

    def a_link_to_another_folder_in_its_place(self) -> None:
        self.another_folder_in_its_place()
        self.data.rename(self.data.with_name("other"))
        self.data.symlink_to(self.data.with_name("other"))

    def its_images_moved(self) -> None:
        self.kept.mkdir()
        for file in self.data.iterdir():
            file.rename(self.kept / file.name)

    def back(self) -> None:
        if self.data.is_symlink() or self.data.is_file():
            self.data.unlink()
        elif self.data.is_dir():
            for file in self.data.iterdir():
                file.unlink()
            self.data.rmdir()
        self.kept.rename(self.data)


WAYS = sorted(name for name in vars(Away) if not name.startswith("_") and name != "back")


@pytest.fixture
def gate(tmp_path: Path, knobs: Knobs) -> Path:
    """A file: while it is there, a worker computes one unit and waits before it reads another."""
    made = tmp_path / "gate"
    made.touch()
    knobs(files=True, gate=str(made), free=1)
    return made


@pytest.fixture
def under_way(new_run: NewRun, gate: Path) -> Run:
    """A run of 150 images that has begun, and waits at the gate."""
    run = new_run(150, methods=("gradcam", "gradcampp"))
    run.launch()
    run.wait_for_rows(1)
    return run


def assert_complete(run: Run) -> None:
    status = run.wait()
    assert (status.state, status.failures, status.message) == ("complete", 0, ""), run.log()
    assert run.count_rows() == 300
    check(run)


@pytest.mark.parametrize("way", WAYS)
def test_a_folder_that_is_gone_pauses_the_run_and_nothing_fails(
    under_way: Run, gate: Path, way: str
) -> None:
    away = Away(Path(under_way.plan.data))
    getattr(away, way)()
    gate.unlink()
    wait_for_state(under_way, "paused")
    status = under_way.status()
    assert status.message.startswith(f"the data folder is gone: {under_way.plan.data} (")
    assert status.message.endswith("; goes on by itself")
    assert status.advice == f"bring it back, or end it: camtui stop {reference(under_way.db)}"
    assert "paused, pid" in camtui("status", str(under_way.db)).stdout
    assert under_way.count_rows() < 300
    away.back()
    assert_complete(under_way)
    assert any(
        text.startswith("goes on after a pause (the data folder is gone")
        for text in under_way.events()
    )


def test_a_run_that_is_paused_can_be_stopped_and_resumed(under_way: Run, gate: Path) -> None:
    away = Away(Path(under_way.plan.data))
    away.moved()
    gate.unlink()
    wait_for_state(under_way, "paused")
    driver = under_way.status().pid
    assert camtui("stop", str(under_way.db), "-y").returncode == 0
    status = under_way.wait()
    assert (status.state, status.failures) == ("stopped", 0)
    assert driver is not None
    wait_until_gone(driver)
    check(under_way, complete=False)
    away.back()
    under_way.launch(plan=None)
    assert_complete(under_way)


def test_single_images_that_are_deleted_are_failures(under_way: Run, gate: Path) -> None:
    last = find_images(Path(under_way.plan.data), seed=under_way.plan.seed).images[-2:]
    for image in last:
        (Path(under_way.plan.data) / os.fsdecode(image.path)).unlink()
    gate.unlink()
    status = under_way.wait()
    assert (status.state, status.failures) == ("complete", 4)
    with RunReader(under_way.db) as reader:
        assert {(f.image, f.reason) for f in reader.failures()} == {
            (148, "missing"),
            (149, "missing"),
        }


@pytest.fixture
def mounted(tmp_path: Path) -> Iterator[Path]:
    """A folder of images on a file system of its own; skipped where this user may mount nothing."""
    make_data(tmp_path / "disk", 150)
    (tmp_path / "data").mkdir()
    bind = ["mount", "--bind", str(tmp_path / "disk"), str(tmp_path / "data")]
    if subprocess.run(bind, capture_output=True, check=False).returncode:
        pytest.skip("cannot mount a folder")
    yield tmp_path / "data"
    subprocess.run(["umount", "--lazy", str(tmp_path / "data")], check=False)


def test_a_disk_that_is_unmounted_pauses_the_run(mounted: Path, tmp_path: Path, gate: Path) -> None:
    run = Run(tmp_path / "run.db", make_plan(mounted, methods=("gradcam", "gradcampp")))
    run.launch()
    run.wait_for_rows(1)
    subprocess.run(["umount", "--lazy", str(mounted)], check=True)
    gate.unlink()
    wait_for_state(run, "paused")
    subprocess.run(["mount", "--bind", str(tmp_path / "disk"), str(mounted)], check=True)
    assert_complete(run)


def test_what_was_missing_for_a_while_is_computed_at_the_end(
    new_run: NewRun, knobs: Knobs, tmp_path: Path
) -> None:
    """Two images, and the folder is there all the time: their rows, and their curves."""
    run = new_run(150, methods=("gradcam", "gradcampp"), metrics=("deletion",))
    loading, gate = tmp_path / "loading", tmp_path / "gate"
    loading.touch()
    gate.touch()
    knobs(files=True, load_gate=str(loading), gate=str(gate), free=3)
    third_unit = find_images(Path(run.plan.data), seed=run.plan.seed).images[32:48]

    def take_away(step: Step) -> None:
        if step.step == "network":  # the images have been listed, none has been read
            for image in third_unit[:2]:
                (Path(run.plan.data) / os.fsdecode(image.path)).rename(tmp_path / f"{image.id}.jpg")
            loading.unlink()

    launch(run.request(), progress=take_away)
    run.wait_for_rows(2 * 46)
    assert run.status().failures == 4
    for image in third_unit[:2]:
        (tmp_path / f"{image.id}.jpg").rename(Path(run.plan.data) / os.fsdecode(image.path))
    gate.unlink()
    assert_complete(run)


# -- what the driver judges when a unit comes back
# --------------------------------------------------------------------------------------------------


class Judged:
    """The data folder of a run of twelve images, of which nothing is computed."""

    def __init__(self, folder: Path) -> None:
        self.data = make_data(folder / "data", 12)
        plan = make_plan(self.data, methods=("gradcam",))
        manifest = find_images(self.data, seed=0)
        self.images = manifest.images
        self.writer = RunWriter(folder / "run.db")
        self.writer.begin("run", plan, manifest)
        self.reader = RunReader(folder / "run.db")
        self.journal = Journal(
            self.writer, retry_seconds=0.0, tell=lambda _: None, needed=lambda: 0
        )
        self.folder = DataFolder(manifest.root, self.images, self.reader, self.journal, 0.0)

    def path(self, image: ImageRef) -> Path:
        return self.data / os.fsdecode(image.path)

    def sift(self, *failed: ImageRef, reason: str = "missing") -> tuple[list[int], list[int]]:
        """Ids of the images whose failure is stored, and of those that are computed again."""
        unit = Unit(1, 1, 0, (1,), ("gradcam",), self.images)
        failures = tuple(Failure(1, image.id, "", reason, "") for image in failed)
        result, again = self.folder.sift(unit, UnitResult(failures=failures))
        stored = [failure.image for failure in result.failures]
        return stored, [image.id for image in again.images] if again else []


@pytest.fixture
def judged(tmp_path: Path) -> Iterator[Judged]:
    made = Judged(tmp_path)
    yield made
    made.reader.close()
    made.writer.close()


@pytest.mark.parametrize(
    "reason", ["missing", "permission", "changed", "not-a-file", "outside-root", "io-error"]
)
def test_what_is_over_before_the_driver_looks_is_computed_again_a_few_times(
    judged: Judged, reason: str
) -> None:
    image = judged.images[5]
    for _ in range(3):
        assert judged.sift(image, reason=reason) == ([], [5])
    assert judged.sift(image, reason=reason) == ([5], [])
    assert judged.folder.trouble == ""


def test_an_image_of_which_the_file_system_says_nothing_is_judged_as_it_came(
    judged: Judged,
) -> None:
    assert judged.sift(judged.images[5], reason="not-an-image") == ([5], [])
    judged.path(judged.images[3]).unlink()
    assert judged.sift(judged.images[3], judged.images[4]) == ([3], [4])


def test_what_was_missing_from_a_folder_that_then_went_away_is_computed_when_it_is_back(
    judged: Judged,
) -> None:
    kept = judged.data.with_name("kept")
    kept.mkdir()
    first, *others = judged.images
    judged.path(first).rename(kept / "first")
    assert judged.sift(first) == ([0], [])
    assert judged.folder.readable_again() == []
    judged.data.rename(kept / "data")
    assert judged.sift(*others[:2]) == ([], [1, 2])
    (kept / "data").rename(judged.data)
    (kept / "first").rename(judged.path(first))
    judged.folder.look_again()
    (unit,) = judged.folder.readable_again()
    assert unit.images == (first,)
    assert judged.folder.readable_again() == []


def test_an_image_with_another_content_is_not_computed_again(judged: Judged) -> None:
    image = judged.images[5]
    content = sha256(judged.path(image).read_bytes()).digest()
    judged.writer.rows.commit(UnitResult(contents={5: content}))
    judged.path(image).write_bytes(b"y" * image.size)
    assert judged.sift(image, reason="changed") == ([5], [])


def test_the_same_images_in_another_place_are_the_folder(judged: Judged) -> None:
    """A file system that is mounted again has another number."""
    other = judged.data.with_name("other")
    other.mkdir()
    for image in judged.images:
        (other / os.fsdecode(image.path)).write_bytes(judged.path(image).read_bytes())
    judged.data.rename(judged.data.with_name("kept"))
    other.rename(judged.data)
    assert judged.sift() == ([], [])
    assert judged.folder.trouble == ""


def test_rows_from_another_folder_are_not_stored(judged: Judged) -> None:
    """Of the same names and sizes: told by the content of images that have rows."""
    contents = {
        image.id: sha256(judged.path(image).read_bytes()).digest() for image in judged.images
    }
    judged.writer.rows.commit(UnitResult(contents=contents))
    judged.data.rename(judged.data.with_name("kept"))
    judged.data.mkdir()
    for image in judged.images:
        judged.path(image).write_bytes(b"z" * image.size)
    assert judged.sift() == ([], [image.id for image in judged.images])
    assert "another one is in its place" in judged.folder.trouble


def test_an_error_of_the_disk_is_no_damage_of_the_image(tmp_path: Path) -> None:
    """``/proc/self/mem`` is a regular file, and reading its beginning is an I/O error."""
    with pytest.raises(ImageUnreadable) as caught:
        read_image(Path("/proc/self"), b"mem")
    assert caught.value.reason == "io-error"


def test_masks_that_go_away_are_waited_for(judged: Judged, tmp_path: Path) -> None:
    truth = make_data(tmp_path / "truth", 3)
    folder = DataFolder(judged.data, judged.images, judged.reader, judged.journal, 0.0, truth=truth)
    judged.folder = folder
    truth.rename(tmp_path / "kept")
    assert judged.sift(judged.images[2], reason="truth-broken") == ([], [2])
    assert folder.trouble.startswith(f"the data folder is gone: {truth}")
    (tmp_path / "kept").rename(truth)
    folder.look_again()
    assert folder.trouble == ""
