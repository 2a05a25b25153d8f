"""Real drivers, real workers, real SQLite: the whole life of a run with an evaluator that is a pure
function.
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import sqlite3
import stat
import threading
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import replace
from itertools import count
from pathlib import Path

import pytest
from PIL import Image

from camtui.format.cells import cell_views
from camtui.format.notes import run_notes
from camtui.launch import Step, launch
from evaluator.backbones import BackboneSpec
from evaluator.errors import (
    BackboneUnavailable,
    CamtuiError,
    Mismatch,
    RunFailed,
    StoreError,
    TryAgain,
    UsageError,
)
from evaluator.execution.driver import carry_out
from evaluator.execution.request import DriverSettings
from evaluator.images import find_images
from evaluator.labels import Listing
from evaluator.store.files import lock_holder, lock_path
from evaluator.store.reader import RunReader
from evaluator.store.writer import RunWriter
from tests.evaluator.execution.conftest import NewRun
from tests.evaluator.execution.support import (
    Run,
    check,
    complete,
    each_row,
    kill,
    make_data,
    make_plan,
    read_units,
    wait_until_gone,
    workers_of,
)
from tests.evaluator.store.test_withdrawal import temporary_tables

Knobs = Callable[..., None]

TWO = (BackboneSpec("resnet50"), BackboneSpec("vgg16"))


def test_a_start_says_what_is_being_done(new_run: NewRun) -> None:
    told: list[Step] = []
    run = new_run(20)
    launch(run.request(), progress=told.append)
    assert run.wait().state == "complete"
    assert told == [
        Step("images", "20 images listed and hashed", 1.0),
        Step("worker", "starting on cpu"),
        Step("network", "resnet50: loading its weights, trying it on an image"),
    ]


def test_a_run_computes_everything_once_and_leaves_no_process(
    new_run: NewRun, knobs: Knobs, tmp_path: Path
) -> None:
    knobs(log=str(tmp_path / "units"))
    run = new_run(
        20,
        bad=2,
        backbones=TWO,
        methods=("gradcam", "cam", "scorecam"),
        metrics=("deletion", "insertion"),
    )
    handoff = run.launch()
    assert run.wait().state == "complete"
    check(run)
    wait_until_gone(handoff.pid)
    with RunReader(run.db) as reader:
        notes = {
            (cell.backbone, cell.method): (cell.applicable, cell.note) for cell in reader.cells()
        }
        assert reader.failure_count() == 2 * 5
        assert reader.info().versions["fake"] == "1"
    assert notes["resnet50", "cam"] == (True, "identical to gradcam by construction")
    assert notes["vgg16", "cam"][0] is False
    begun = [
        (tuple(unit["methods"]), tuple(unit["images"]), tuple(unit["metrics"]))
        for unit in read_units(tmp_path / "units")
    ]
    assert not [
        unit for unit in set(begun) if unit[1] and begun.count(unit) > 2
    ]  # the two backbones have equal units
    assert begun[0][0] == ("gradcam", "cam")
    assert begun[-1][0] == ("scorecam",)


def test_files_are_private_and_the_log_tells_the_story(new_run: NewRun) -> None:
    run = new_run(3)
    handoff = run.launch()
    run.wait()
    for path in (handoff.db, handoff.log, lock_path(run.db)):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [line.split()[2] for line in run.log().splitlines()] == ["info"] * len(
        run.log().splitlines()
    )
    assert any(text.startswith("started: 3 images") for text in run.events())
    assert run.events()[-1] == "complete"
    assert (
        run.db.with_name(f"{run.db.name}-wal").stat().st_size == 0
    )  # the one file is the whole run


def test_growing_computes_only_what_is_missing(
    new_run: NewRun, knobs: Knobs, tmp_path: Path
) -> None:
    run = new_run(40, limit=10, methods=("gradcam",))
    run.end()
    knobs(log=str(tmp_path / "units"))
    run.plan = replace(run.plan, limit=20, methods=("gradcampp",))
    complete(run)
    computed = [
        (method, image)
        for unit in read_units(tmp_path / "units")
        for image in unit["images"]
        for method in unit["methods"]
    ]
    assert len(computed) == len(set(computed)) == 10 + 20
    assert ("gradcam", 3) not in computed
    assert run.end().state == "complete"
    assert len(read_units(tmp_path / "units")) == len(
        {json.dumps(unit) for unit in read_units(tmp_path / "units")}
    )


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL])
def test_the_same_rows_whatever_the_workers_the_units_and_the_interruptions(
    new_run: NewRun, knobs: Knobs, tmp_path: Path, end: int
) -> None:
    """1, then 3, then 2 workers; the second time in the larger units of a GPU; a worker is killed
    each time, then the driver.
    """
    run = new_run(60, backbones=TWO, metrics=("deletion",))
    run.end()
    knobs(seconds=0.005, log=str(tmp_path / "units"))
    other = Run(tmp_path / "other.db", run.plan, run.settings)
    for devices in (("cpu",), ("cuda:0",) * 3, ("cpu",) * 2):
        other.settings = replace(other.settings, devices=devices)
        driver = other.launch().pid
        other.wait_for_rows(min(other.count_rows() + 40, 300))
        for worker in workers_of(driver)[:1]:
            kill(worker)
        with suppress(ProcessLookupError):  # on a busy machine it may be through before
            os.kill(driver, end)
        other.wait()
    other.end()
    check(other)
    assert list(each_row(run)) == list(each_row(other))
    assert len({len(unit["images"]) for unit in read_units(tmp_path / "units")}) > 1, (
        "units of one size only"
    )


def test_stopping_finishes_the_units_in_flight(new_run: NewRun, knobs: Knobs) -> None:
    knobs(seconds=0.05)
    run = new_run(200)
    handoff = run.launch()
    run.wait_for_rows(1)
    os.kill(handoff.pid, signal.SIGHUP)
    os.kill(handoff.pid, signal.SIGTERM)
    status = run.wait()
    assert status.state == "stopped"
    assert status.advice == f"camtui resume {run.db}"
    assert 0 < run.count_rows() < 600
    assert run.count_rows() % 2 == 0  # whole units of two methods
    check(run, complete=False)
    wait_until_gone(handoff.pid)
    knobs()
    complete(run, plan=None)


def test_a_second_signal_ends_it_at_once(new_run: NewRun, knobs: Knobs) -> None:
    run = new_run(5)
    knobs(gate=str(run.db.parent))  # which is there for ever: no unit ends
    handoff = run.launch()
    os.kill(handoff.pid, signal.SIGTERM)
    os.kill(handoff.pid, signal.SIGINT)
    assert run.wait().state == "stopped"
    wait_until_gone(handoff.pid)


def test_a_second_driver_is_refused(new_run: NewRun, knobs: Knobs) -> None:
    run = new_run(5)
    knobs(gate=str(run.db.parent))
    handoff = run.launch()
    with pytest.raises(TryAgain, match=f"already running, pid {handoff.pid}"):
        run.launch()
    assert lock_holder(run.db) == handoff.pid
    os.kill(handoff.pid, signal.SIGTERM)
    os.kill(handoff.pid, signal.SIGINT)
    run.wait()


def test_of_racing_starts_one_wins(new_run: NewRun, knobs: Knobs) -> None:
    race(new_run(30), knobs, starters=6)


def race(run: Run, knobs: Knobs, starters: int) -> None:
    """Start so many drivers of one run at once: exactly one gets it, the others say who has it."""
    closed = run.db.with_name("closed")
    closed.touch()
    knobs(gate=str(closed))
    outcomes: list[object] = []
    gate = threading.Barrier(starters)

    def start() -> None:
        gate.wait()
        try:
            outcomes.append(run.launch())
        except CamtuiError as error:
            outcomes.append(error)

    threads = [threading.Thread(target=start) for _ in range(starters)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    closed.unlink()
    assert sum(isinstance(outcome, TryAgain) for outcome in outcomes) == starters - 1, outcomes
    assert run.wait().state == "complete"
    check(run)


def test_weights_that_cannot_be_loaded_leave_nothing(new_run: NewRun, knobs: Knobs) -> None:
    knobs(unavailable=["resnet50"])
    run = new_run(5)
    with pytest.raises(BackboneUnavailable, match="no weights for resnet50") as caught:
        run.launch()
    assert caught.value.hint == "put them there"
    assert {path.name for path in run.db.parent.iterdir()} == {"data", "fake.json"}, (
        "the images, and the knobs of the fake"
    )


def test_a_backbone_whose_answers_change_while_it_runs_is_left_out_with_exit_4(
    new_run: NewRun, knobs: Knobs
) -> None:
    """Its rows so far are told to be worth nothing; the other one is measured to its end."""
    knobs(unstable=["resnet50"])
    run = new_run(40, backbones=TWO)
    status = run.end()
    assert (status.state, status.exit_code) == ("failed", 4)
    assert "answers differently each time" in status.message
    assert sum(one == "vgg16" for one, *_ in each_row(run)) == 40 * 3
    assert sum(one == "resnet50" for one, *_ in each_row(run)) < 40 * 3
    with RunReader(run.db) as reader:
        (resnet,) = (one for name, one in reader.backbones().items() if name == "resnet50")
        assert resnet is not None
        assert resnet.remarks[0].startswith("left out, what was computed before counts for nothing")
        errors = [event.text for event in reader.events() if event.level == "error"]
    assert sum(text.startswith("resnet50 is left out, while it ran") for text in errors) == 1


def test_a_backbone_that_fails_later_does_not_cost_the_others(
    new_run: NewRun, knobs: Knobs
) -> None:
    knobs(unavailable=["vgg16"])
    run = new_run(5, backbones=TWO)
    status = run.end()
    assert status.state == "failed"
    assert "no weights for vgg16" in status.message
    assert run.count_rows() == 5 * 3
    knobs()
    complete(run, plan=None)


def test_the_first_backbone_may_fail_too_where_there_are_others(
    new_run: NewRun, knobs: Knobs
) -> None:
    knobs(unavailable=["resnet50"])
    run = new_run(5, backbones=TWO)
    status = run.end()
    assert status.state == "failed"
    assert "no weights for resnet50" in status.message
    with RunReader(run.db) as reader:
        counts = {summary.cell: summary.n for summary in reader.averages.summaries()}
        done = {cell.backbone: counts[cell.id] for cell in reader.cells()}
        notes = {cell.note for cell in reader.cells() if cell.backbone == "resnet50"}
    assert done == {"resnet50": 0, "vgg16": 5}
    assert notes == {"not loaded: no weights for resnet50"}


def test_a_run_of_which_nothing_could_be_computed_is_not_complete(
    new_run: NewRun, knobs: Knobs
) -> None:
    knobs(nan=list(range(5)))
    run = new_run(5)
    status = run.end()
    assert (status.state, status.exit_code) == ("failed", 5)
    assert status.message == "nothing could be computed: 15 failures, no value"
    knobs(nan=[0])
    assert run.end(plan=None, retry_failed=True).state == "complete", "one value is a result"


def test_a_run_with_a_cell_without_a_value_says_so_each_time_and_what_to_type(
    new_run: NewRun, knobs: Knobs
) -> None:
    knobs(raises=list(range(5)), kills_method="scorecam")
    run = new_run(5, methods=("gradcam", "scorecam"))
    for request in ({}, {"plan": None}):
        status = run.end(**request)
        assert (status.state, status.exit_code) == ("failed", 5)
        assert status.message == "no value in resnet50/scorecam (failed on 5 images: error)"
        assert status.advice == f"camtui errors {run.db}, then camtui retry {run.db}"
    knobs()
    complete(run, plan=None, retry_failed=True)


def test_a_request_that_fails_leaves_the_run_as_it_was(new_run: NewRun, knobs: Knobs) -> None:
    run = new_run(5)
    run.end()
    knobs(unavailable=["vgg16"])
    with pytest.raises(BackboneUnavailable):
        run.launch(plan=replace(run.plan, backbones=TWO))
    assert run.status().state == "complete"
    with RunReader(run.db) as reader:
        assert reader.plan() == run.plan
        assert len(reader.cells()) == 3
    check(run)


def test_a_request_that_fails_leaves_a_file_without_a_run_without_one(
    new_run: NewRun, knobs: Knobs
) -> None:
    run = new_run(5)
    RunWriter(run.db).close()
    knobs(unavailable=["resnet50"])
    with pytest.raises(BackboneUnavailable):
        run.launch()
    with RunReader(run.db) as reader, pytest.raises(StoreError, match="holds no run yet"):
        reader.info()
    knobs()
    complete(run, plan=replace(run.plan, methods=("scorecam",)))
    with RunReader(run.db) as reader:
        assert [cell.method for cell in reader.cells()] == ["scorecam"]


def test_a_run_whose_plan_is_damaged_is_not_begun_anew(new_run: NewRun) -> None:
    run = new_run(3, methods=("gradcam",))
    run.end()
    with closing(sqlite3.connect(run.db)) as connection:
        connection.execute("UPDATE run SET plan = substr(plan, 1, length(plan) - 3)")
        connection.commit()
    before = run.db.read_bytes()
    for plan in (replace(run.plan, methods=("scorecam",), target="predicted"), None):
        with pytest.raises(StoreError, match=r"run\.db holds no plan: ") as caught:
            run.launch(plan=plan)
        assert caught.value.hint
        assert run.db.read_bytes() == before


def test_copies_for_a_withdrawal_are_dropped_once_the_run_is_under_way(
    new_run: NewRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    left: list[list[str]] = []
    close = RunWriter.close

    def look_and_close(writer: RunWriter) -> None:
        left.append(temporary_tables(writer))
        close(writer)

    monkeypatch.setattr(RunWriter, "close", look_and_close)
    mask = os.umask(0o077)
    run = new_run(3)
    try:
        codes = [carry_out(run.request(), lambda line: None) for _ in ("new", "there already")]
    finally:
        os.umask(mask)
    assert (codes, left) == ([0, 0], [[], []])


def test_a_retry_that_cannot_begin_forgets_no_failure(new_run: NewRun, knobs: Knobs) -> None:
    run = new_run(5, bad=2)
    assert run.end().failures == 2 * 3
    with RunReader(run.db) as reader:
        before = list(reader.failures()), reader.info()
    knobs(unavailable=["resnet50"])
    with pytest.raises(BackboneUnavailable):
        run.launch(plan=None, retry_failed=True)
    with RunReader(run.db) as reader:
        assert (list(reader.failures()), reader.info()) == before
    check(run)


def test_labels_that_differ_are_refused_and_those_that_are_added_are_told(
    new_run: NewRun, tmp_path: Path
) -> None:
    run = new_run(3)
    files = [tmp_path / f"{name}.csv" for name in "abc"]
    for file, lines in zip(
        files, ["img00000.jpg,1", "img00001.jpg,2", "img00000.jpg,2"], strict=True
    ):
        file.write_text(f"{lines}\n")
    first, second, third = (replace(run.plan, labels=str(file)) for file in files)
    run.end(plan=first)
    run.end(plan=second)
    assert f"labels from {files[1]} are added to those from {files[0]}" in run.events()
    with pytest.raises(Mismatch, match=r"c\.csv gives other labels .* is 1 in the run, 2 there"):
        run.launch(plan=third)
    with RunReader(run.db) as reader:
        labels = {image.path: image.label for image in reader.images.between(0, 2)}
        assert reader.plan().labels == str(files[1])
    assert labels == {b"img00000.jpg": 1, b"img00001.jpg": 2, b"img00002.jpg": None}


def test_a_run_of_an_earlier_version_grows_by_the_hidden_images_that_it_has(
    new_run: NewRun,
) -> None:
    run = new_run(4, limit=3)
    data = Path(run.plan.data)
    for name in (".ipynb_checkpoints/img00000-checkpoint.jpg", "._img00001.jpg"):
        (data / name).parent.mkdir(exist_ok=True)
        (data / name).write_bytes(b"xx")
    files = sorted(os.fsencode(file.relative_to(data)) for file in data.rglob("*.jpg"))
    digest = hashlib.sha256()
    for file in files:
        digest.update(b"%s\0%d\n" % (file, (data / os.fsdecode(file)).stat().st_size))
    stored = Listing(digest.hexdigest(), 3, None, "")
    manifest = find_images(data, seed=run.plan.seed, limit=3, stored=stored)
    writer = RunWriter(run.db)
    writer.begin("run", run.plan, manifest)
    writer.close()
    assert run.end().state == "complete"
    complete(run, plan=replace(run.plan, limit=None))
    with RunReader(run.db) as reader:
        assert sorted(image.path for image in reader.images.between(0, 9)) == files
        assert reader.manifest_sha256() == stored.sha256
    assert "counted as images when this run began" in " ".join(run.events())


def test_labels_that_an_earlier_version_took_are_no_obstacle(
    new_run: NewRun, tmp_path: Path
) -> None:
    run = new_run(3)
    file = tmp_path / "labels.csv"
    file.write_text("img00000.jpg,1\nimg00001.jpg,7\n")
    run.plan = replace(run.plan, labels=str(file))
    run.end()
    file.write_text("img00000.jpg,2\nimg00000.jpg,1\nimg00001.jpg,7\n")
    with pytest.raises(UsageError, match=r"line 2: img00000\.jpg is 1, and 2 in line 1"):
        run.launch()
    with closing(sqlite3.connect(run.db)) as connection, connection:
        connection.execute("UPDATE run SET versions = json_remove(versions, '$.labels')")
    run.end()
    assert any("line 2: img00000.jpg is 1, and 2 in line 1" in text for text in run.events())
    with RunReader(run.db) as reader:
        labels = {image.path: image.label for image in reader.images.between(0, 2)}
    assert labels == {b"img00000.jpg": 1, b"img00001.jpg": 7, b"img00002.jpg": None}


def test_other_weights_at_resume_are_refused(new_run: NewRun, knobs: Knobs) -> None:
    run = new_run(20, limit=5)
    run.end()
    knobs(weights="other")
    with pytest.raises(Mismatch, match="sha256"):
        run.launch(plan=replace(run.plan, limit=10))
    knobs()
    with pytest.raises(Mismatch, match="seed: 0 → 1"):
        run.launch(plan=replace(run.plan, seed=1))
    make_data(Path(run.plan.data), 21)
    run.end()  # a file more, which is none of the first five
    with RunReader(run.db) as reader:
        file = Path(run.plan.data) / os.fsdecode(reader.images.get(0).path)
    file.write_bytes(file.read_bytes() + b"more")
    with pytest.raises(Mismatch, match="data folder has changed"):
        run.launch()
    check(run)


def test_a_run_goes_on_at_the_layer_that_it_was_begun_with(new_run: NewRun, knobs: Knobs) -> None:
    """Also where the rule finds another one now; a layer that is refused now ends it."""
    run = new_run(20, limit=5)
    run.end()
    knobs(layer="another")
    assert run.end(plan=replace(run.plan, limit=10)).state == "complete"
    with RunReader(run.db) as reader:
        assert {one.layer for one in reader.backbones().values() if one} == {"layer"}
    knobs(refused_layers=["layer"])
    with pytest.raises(Mismatch, match="layer 'layer' is refused now"):
        run.launch(plan=replace(run.plan, limit=15))
    check(run)


def test_too_many_failures_stop_the_run(new_run: NewRun) -> None:
    run = new_run(60, bad=30)
    run.settings = replace(run.settings, max_failures="10%")
    status = run.end()
    assert (status.state, status.exit_code) == ("failed", 5)
    assert "above --max-failures 10%" in status.message


def test_targets_by_label_need_labels(new_run: NewRun) -> None:
    run = new_run(4, target="label")
    with pytest.raises(UsageError, match="no image has one"):
        run.launch()
    assert not run.db.exists()


def test_folders_named_like_classes_give_labels(tmp_path: Path) -> None:
    for folder in ("goldfish", "Shark", "other"):
        make_data(tmp_path / "named" / folder, 2)
    run = Run(tmp_path / "labels.db", make_plan(tmp_path / "named"))
    run.end()
    with RunReader(run.db) as reader:
        labels = {image.path.split(b"/")[0]: image.label for image in reader.images.between(0, 5)}
    assert labels == {b"goldfish": 1, b"Shark": 2, b"other": None}
    assert any(text.startswith("labels: 4 of 6 images, ") for text in run.events())


def test_retrying_forgets_failures(new_run: NewRun) -> None:
    run = new_run(10, bad=2)
    run.end()
    for path in Path(run.plan.data).glob("bad*"):
        os.utime(path)
    assert run.end(plan=None, retry_failed=True).failures == 2 * 3


def test_a_driver_that_dies_without_a_word(
    new_run: NewRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CAMTUI_CRASH_AT", "after-schema")
    run = new_run(3)
    with pytest.raises(RunFailed, match=r"died before the run began \(signal 9\)"):
        run.launch()
    monkeypatch.delenv("CAMTUI_CRASH_AT")
    assert run.status().state == "crashed"
    complete(run, plan=None)


def test_a_session_that_cannot_open(new_run: NewRun) -> None:
    run = new_run(3)
    run.settings = replace(run.settings, session="tests.fake_session:nothing_of_the_kind")
    with pytest.raises(RunFailed, match="cannot start"):
        run.launch()
    assert not run.db.exists()


def test_a_foreign_database_is_left_alone(new_run: NewRun) -> None:
    import sqlite3

    run = new_run(3)
    with sqlite3.connect(run.db) as connection:
        connection.execute("CREATE TABLE mine (x)")
    connection.close()
    before = run.db.read_bytes()
    with pytest.raises(CamtuiError, match="not a run of camtui") as caught:
        run.launch()
    assert caught.value.exit_code == 4
    assert run.db.read_bytes() == before


def test_ctrl_c_in_the_hand_off_leaves_no_process(new_run: NewRun, knobs: Knobs) -> None:
    knobs(load_seconds=30)
    run = new_run(3)
    timer = threading.Timer(1.0, lambda: os.kill(os.getpid(), signal.SIGINT))
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        launch(run.request())
    timer.join()
    assert lock_holder(run.db) is None
    assert not run.db.exists()


def test_only_the_time_of_sessions_counts_and_a_complete_run_keeps_its_timings(
    new_run: NewRun, knobs: Knobs
) -> None:
    run = new_run(8)
    knobs(seconds=0.01)
    first = run.end()
    with RunReader(run.db) as reader:
        timed = [(stage.title, stage.seconds, stage.timed_images) for stage in reader.stages()]
    assert all(seconds > 0 for _, seconds, _ in timed)
    with closing(sqlite3.connect(run.db)) as connection:  # as if it had ended an hour ago
        connection.execute(
            "UPDATE run SET started = started - 3600, resumed = resumed - 3600, finished = "
            "finished - 3600"
        )
        connection.commit()
    second = run.end()
    assert first.elapsed_seconds <= second.elapsed_seconds < first.elapsed_seconds + 60
    with RunReader(run.db) as reader:
        assert [
            (stage.title, stage.seconds, stage.timed_images) for stage in reader.stages()
        ] == timed


def boxed(run: Run, folder: Path, corner: int = 1) -> str:
    """A box file for the first image of a run; the folder."""
    folder.mkdir(exist_ok=True)
    name = sorted(file.stem for file in Path(run.plan.data).iterdir())[0]
    box = f"<bndbox><xmin>{corner}</xmin><ymin>1</ymin><xmax>9</xmax><ymax>9</ymax></bndbox>"
    size = "<size><width>9</width><height>9</height></size>"
    (folder / f"{name}.xml").write_text(
        f"<annotation>{size}<object><name>a</name>{box}</object></annotation>"
    )
    return str(folder)


def test_a_truth_is_added_to_a_complete_run_and_one_that_has_changed_is_refused(
    new_run: NewRun, tmp_path: Path
) -> None:
    run = new_run(3, methods=("gradcam",))
    run.end()
    truth = boxed(run, tmp_path / "truth")
    run.plan = replace(run.plan, truth=truth, metrics=(*run.plan.metrics, "mass_accuracy"))
    assert run.end().state == "complete"
    with RunReader(run.db) as reader:
        recorded = reader.info().versions["truth"]
        assert reader.averages.summaries()[0].means["mass_accuracy"].n == 3
    assert len(recorded) == 64
    boxed(run, tmp_path / "truth", corner=2)
    with pytest.raises(Mismatch, match="is not that which the run was measured with"):
        run.launch()
    boxed(run, tmp_path / "truth")
    moved = (tmp_path / "truth").rename(tmp_path / "moved")
    run.plan = replace(run.plan, truth=str(moved))
    assert run.end().state == "complete"
    run.plan = replace(run.plan, truth=str(tmp_path / "nowhere"))
    with pytest.raises(UsageError, match="no truth in"):
        run.launch()


@pytest.mark.long
def test_images_without_a_truth_are_counted_and_no_failures(tmp_path: Path) -> None:
    """Real networks on real files: two images, one mask."""
    for name in ("a", "b"):
        (tmp_path / "data").mkdir(exist_ok=True)
        Image.new("RGB", (300, 240), (90, 60, 30)).save(tmp_path / f"data/{name}.png")
    (tmp_path / "truth").mkdir()
    Image.new("L", (300, 240), 1).save(tmp_path / "truth/a.png")
    plan = make_plan(
        tmp_path / "data",
        backbones=(BackboneSpec("resnet18", "random:0"),),
        methods=("fakecam",),
        metrics=("mass_accuracy", "rank_accuracy"),
        truth=str(tmp_path / "truth"),
    )
    run = Run(tmp_path / "run.db", plan, DriverSettings(max_failures="0"))
    run.launch()
    assert run.wait(120).state == "complete"
    with RunReader(run.db) as reader:
        assert (reader.failure_count(), reader.without_truth()) == (0, 1)
        means = reader.averages.summaries()[0].means
        assert (
            means["mass_accuracy"].n,
            means["mass_accuracy"].value,
            means["rank_accuracy"].value,
        ) == (1, 1.0, 1.0)
        *_, note = run_notes(reader, cell_views(reader))
        assert note == "1 image without a truth: no value of Mass Accuracy, Rank Accuracy"


CHANGES = {
    "removed": lambda data: (data / "img00003.jpg").unlink(),
    "resized": lambda data: (data / "img00003.jpg").write_bytes(b"y" * 99),
    "added": lambda data: (data / "new.jpg").write_bytes(b"x"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_run_goes_on_with_its_images_where_changes_are_accepted(
    new_run: NewRun, knobs: Knobs, change: str
) -> None:
    knobs(files=True)
    run = new_run(8, methods=("gradcam",))
    run.launch()
    assert run.wait().state == "complete"
    CHANGES[change](Path(run.plan.data))
    more = replace(run.plan, methods=("gradcam", "gradcampp"))
    with pytest.raises(Mismatch) as caught:
        run.launch(plan=more)
    assert caught.value.hint.startswith("--accept-data-changes keeps")
    run.launch(plan=more, accept_data_changes=True)
    run.wait_for_lock()
    with RunReader(run.db) as reader:
        failures = [failure.reason for failure in reader.failures()]
        rows = [summary.n for summary in reader.averages.summaries()]
    assert failures == {"removed": ["missing"], "resized": ["changed"], "added": []}[change]
    assert rows == [8, 8 - len(failures)]
    assert any(text.startswith("the run keeps its images: ") for text in run.events())
    run.launch(plan=None, retry_failed=True)
    assert run.wait().images == 8, "what was accepted once is not asked again"


@pytest.mark.parametrize("change", ["added", "resized"])
def test_files_beyond_the_limit_stop_no_run(new_run: NewRun, change: str) -> None:
    run = new_run(20, methods=("gradcam",), limit=5)
    run.launch()
    run.wait()
    order = find_images(Path(run.plan.data), seed=0).images
    if change == "resized":
        (Path(run.plan.data) / os.fsdecode(order[9].path)).write_bytes(b"y" * 99)
    else:
        names = (f"late{number}.jpg" for number in count())
        for name in names:
            (Path(run.plan.data) / name).write_bytes(b"x")
            if find_images(Path(run.plan.data), seed=0, limit=5).images == order[:5]:
                break
            (Path(run.plan.data) / name).unlink()
    run.launch(plan=replace(run.plan, methods=("gradcam", "gradcampp")))
    assert run.wait().state == "complete"
    with RunReader(run.db) as reader:
        assert [summary.n for summary in reader.averages.summaries()] == [5, 5]
