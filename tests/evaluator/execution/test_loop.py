"""The driver's loop on events of an executor that follows a script."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from threading import Timer
from typing import Any

import pytest

from evaluator.backbones import BackboneSpec
from evaluator.errors import (
    BackboneUnavailable,
    CamtuiError,
    Mismatch,
    RunFailed,
    ThresholdPassed,
    UsageError,
)
from evaluator.execution.journal import Journal
from evaluator.execution.loop import Loop, StopRequest
from evaluator.execution.registration import _unavailable
from evaluator.execution.request import DriverSettings
from evaluator.images import find_images
from evaluator.interfaces import (
    BLIND,
    DeviceFigures,
    Done,
    Error,
    ExecutorEvent,
    Figures,
    LeftOut,
    Ready,
)
from evaluator.records import Failure, LoadedBackbone, Preprocessing, Unit, UnitResult, WorkerState
from evaluator.store.reader import RunReader
from evaluator.store.writer import RunWriter
from tests.evaluator.execution.support import make_data, make_plan
from tests.fake_session import CLASSES, fake_row

HALF = Preprocessing(mean=(0.5, 0.5, 0.5), std=(0.2, 0.2, 0.2))

Answer = Callable[[Unit], list[ExecutorEvent]]


def loaded(name: str) -> LoadedBackbone:
    return LoadedBackbone(
        name,
        "fake",
        "0" * 64,
        "layer",
        8,
        2,
        2,
        True,
        CLASSES,
        Preprocessing(mean=(0.5, 0.5, 0.5), std=(0.2, 0.2, 0.2)),
    )


class Scripted:
    """An executor that answers every unit at once, by its script for as long as that goes, then as
    it should.
    """

    def __init__(self, script: Sequence[Answer], names: Sequence[str]) -> None:
        self._script, self._names = deque(script), names
        self._events: list[ExecutorEvent] = []
        self.units: list[Unit] = []
        self.killed: list[int] = []

    def start(self) -> None: ...

    def close(self) -> None: ...

    def capacity(self) -> int:
        return 0 if self._events else 1

    def takes(self, unit: Unit) -> bool:
        return True

    def submit(self, unit: Unit, timeout: Callable[[], float]) -> None:
        self.units.append(unit)
        answer = self._script.popleft() if self._script else self.well
        self._events += answer(unit)

    def poll(self, timeout: float) -> Sequence[ExecutorEvent]:
        events, self._events = self._events, []
        return events

    def kill(self, worker: int) -> None:
        self.killed.append(worker)

    def workers(self) -> Sequence[WorkerState]:
        return ()

    def well(self, unit: Unit) -> list[ExecutorEvent]:
        name = self._names[unit.backbone]
        rows = [
            fake_row(cell, name, method, ref.id)
            for cell, method in zip(unit.cells, unit.methods, strict=True)
            for ref in unit.images
        ]
        ready = Ready(1, unit.backbone, loaded(name), {})
        return [ready, Done(1, unit.id, UnitResult(tuple(rows), seconds=0.1, forwards=7))]


class Run:
    """A run of two backbones and forty images, about to be driven."""

    def __init__(self, folder: Path, **plan: Any) -> None:
        self.names = ("resnet50", "vgg16")
        self.plan = make_plan(
            make_data(folder / "data", 40),
            backbones=tuple(map(BackboneSpec, self.names)),
            methods=("gradcam",),
            **plan,
        )
        self.manifest = find_images(Path(self.plan.data), seed=self.plan.seed)
        self.writer = RunWriter(folder / "run.db")
        self.writer.begin("run", self.plan, self.manifest)
        self.reader = RunReader(folder / "run.db")

    def drive(self, *script: Answer) -> Scripted:
        return self.drive_with(Scripted(script, self.names))

    def drive_with(self, executor: Scripted) -> Scripted:
        journal = Journal(self.writer, retry_seconds=0.1, tell=lambda _: None, needed=lambda: 0)
        Loop(
            plan=self.plan,
            manifest=self.manifest,
            settings=DriverSettings(devices=("cpu",), retry_seconds=0.1),
            reader=self.reader,
            journal=journal,
            executor=executor,
            stop=StopRequest(),
            hand_off=lambda: None,
            run_reference="run",
        ).run()
        return executor

    def counts(self) -> list[int]:
        return [summary.n for summary in self.reader.averages.summaries()]

    def events(self) -> str:
        return "\n".join(event.text for event in self.reader.events())

    def close(self) -> None:
        self.reader.close()
        self.writer.close()


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    made = Run(tmp_path)
    yield made
    made.close()


def well(unit: Unit) -> list[ExecutorEvent]:
    return Scripted((), ("resnet50", "vgg16")).well(unit)


def test_all_goes_well(run: Run) -> None:
    executor = run.drive()
    assert run.counts() == [40, 40]
    assert [unit.images for unit in executor.units[:1]] == [()], (
        "the backbone is loaded before its units are cut"
    )


def test_units_of_a_node_that_is_left_out_are_computed_elsewhere(run: Run) -> None:
    executor = run.drive(
        well, lambda unit: [LeftOut(2, "it cannot see the images", (unit.id, 4711))]
    )
    assert run.counts() == [40, 40]
    assert "worker 2 is left out: it cannot see the images" in run.events()
    assert executor.units[1].images == executor.units[2].images


def test_a_run_without_any_worker_ends(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        Scripted, "workers", lambda _: [WorkerState(1, "cuda:0", 0, "ended", 0.0, 3)]
    )
    with pytest.raises(RunFailed, match="no worker is left: its process on cuda:0 cannot be ended"):
        run.drive(
            well,
            lambda unit: [LeftOut(1, "its process on cuda:0 cannot be ended (killed)", (unit.id,))],
        )


def test_figures_and_what_came_twice_change_nothing(run: Run) -> None:
    figures = Figures(1, DeviceFigures(utilisation=50.0))
    run.drive(
        well,
        lambda unit: [
            figures,
            *well(unit),
            *well(unit),
            Error(1, unit.id, "error", "late"),
        ],
    )
    assert run.counts() == [40, 40]
    assert "late" not in run.events()


def test_what_a_worker_has_to_say_is_in_the_history(run: Run) -> None:
    def with_a_note(unit: Unit) -> list[ExecutorEvent]:
        rows = tuple(
            fake_row(cell, "resnet50", "gradcam", ref.id)
            for cell in unit.cells
            for ref in unit.images
        )
        return [Done(3, unit.id, UnitResult(rows, notes=("batch size now 8",)))]

    run.drive(well, with_a_note)
    assert run.counts() == [40, 40]
    assert "worker 3: batch size now 8" in run.events()


def test_a_backbone_that_cannot_be_loaded_later_is_left_out_and_said_once(run: Run) -> None:
    def no_vgg(unit: Unit) -> list[ExecutorEvent]:
        return (
            well(unit)
            if unit.backbone == 0
            else [Error(1, unit.id, "weights", "no weights", loading=True)]
        )

    with pytest.raises(BackboneUnavailable, match="no weights"):
        run.drive(*[no_vgg] * 20)
    assert run.counts() == [40, 0]
    assert run.events().count("vgg16 is left out, it cannot be loaded: no weights") == 1


def test_a_lost_device_costs_its_worker(run: Run) -> None:
    executor = run.drive(well, lambda unit: [Error(1, unit.id, "error", "CUDA error", fatal=True)])
    assert run.counts() == [40, 40]
    assert executor.killed == [1]


def fails(reason: str, metric: str = "") -> Answer:
    """Answer a unit with nothing but failures."""

    def answer(unit: Unit) -> list[ExecutorEvent]:
        failures = tuple(
            Failure(cell, ref.id, metric, reason, "") for cell in unit.cells for ref in unit.images
        )
        return [Done(1, unit.id, UnitResult(failures=failures))]

    return answer


def test_a_cell_without_a_value_is_named_also_when_nothing_is_left_to_do(run: Run) -> None:
    """Of the first backbone every image fails, of the second none."""
    bad = [fails("not-finite")] * 3
    words = r"^no value in resnet50/gradcam \(failed on 40 images: not-finite\)$"
    with pytest.raises(ThresholdPassed, match=words) as caught:
        run.drive(well, *bad)
    assert (caught.value.exit_code, run.counts()) == (5, [0, 40])
    with pytest.raises(ThresholdPassed, match=words):
        run.drive()


def test_a_metric_without_a_value_is_named(tmp_path: Path) -> None:
    run = Run(tmp_path, metrics=("deletion",))
    rows = [well] * 8
    with pytest.raises(ThresholdPassed) as caught:
        run.drive(*rows, *[fails("metric-raised", "deletion")] * 30)
    assert caught.value.message == (
        "no value in deletion of resnet50/gradcam (failed on 40 images: metric-raised), "
        "nor in 1 other"
    )
    run.close()


def test_a_cell_in_which_adcc_is_undefined_everywhere_is_named(run: Run) -> None:
    """The confidence in the label is 0 on every image: rows, and no drop."""

    def without_drop(unit: Unit) -> list[ExecutorEvent]:
        rows = tuple(
            fake_row(cell, "vgg16", "gradcam", ref.id)._replace(y=0.0, average_drop=None, adcc=None)
            for cell in unit.cells
            for ref in unit.images
        )
        return [Done(1, unit.id, UnitResult(rows))]

    with pytest.raises(ThresholdPassed, match=r"^no value in vgg16/gradcam \(ADCC is undefined"):
        run.drive(*[well] * 5, *[without_drop] * 3)
    assert run.counts() == [40, 40]


def test_a_backbone_that_answers_otherwise_ends_the_run_before_a_row_is_stored(run: Run) -> None:
    def otherwise(unit: Unit) -> list[ExecutorEvent]:
        words = "image 3 (3.jpg): y of class 1 is 0.3 in the run, 0.4 now"
        return [Ready(1, unit.backbone, loaded("resnet50"), {}, words), *well(unit)[1:]]

    with pytest.raises(Mismatch, match=r"^resnet50 answers otherwise .*0\.3 in the run, 0\.4 now"):
        run.drive(otherwise)
    assert run.counts() == [0, 0]


class Blind(Scripted):
    """Its worker does not see the images of the second unit, until it is asked three more times."""

    asked = 0

    def submit(self, unit: Unit, timeout: Callable[[], float]) -> None:
        assert not 0 < self.asked < 3, "a unit is handed out while the run is paused"
        super().submit(unit, timeout)

    def poll(self, timeout: float) -> Sequence[ExecutorEvent]:
        events = list(super().poll(timeout))
        if len(self.units) == 2 and not events:
            self.asked += 1
        return [Ready(1, None, None, {})] if self.asked == 3 and not events else events


def test_a_run_pauses_while_its_workers_do_not_see_the_images(run: Run) -> None:
    executor = Blind([], run.names)
    executor._script.extend(
        [executor.well, lambda unit: [Error(1, unit.id, BLIND, "no such folder", loading=True)]]
    )
    run.drive_with(executor)
    assert executor.asked >= 3
    assert run.counts() == [40, 40]
    assert "left out" not in run.events()
    paused = "the data folder is gone: no such folder"
    assert f"paused: {paused}; goes on by itself\n" in run.events()
    assert f"goes on after a pause ({paused})" in run.events()


def test_units_carry_stored_answers_once_there_are_rows(run: Run) -> None:
    units = run.drive().units
    assert units[0].answers == ()
    of_last = [answer.image.id for answer in units[-1].answers]
    assert len(of_last) == 8
    assert {answer.y for answer in units[-1].answers} == {
        fake_row(2, "vgg16", "gradcam", image).y for image in of_last
    }


def test_what_cannot_be_loaded_while_the_data_folder_is_gone_is_not_left_out(run: Run) -> None:
    """A network may lie on the disk that was unplugged."""
    data, kept = Path(run.plan.data), Path(run.plan.data).with_name("kept")
    data.rename(kept)

    def no_such_file(unit: Unit) -> list[ExecutorEvent]:
        return [Error(1, unit.id, "error", "no such file", loading=True)]

    timer = Timer(0.5, lambda: kept.rename(data))
    timer.start()
    run.drive(no_such_file)
    timer.join()
    assert run.counts() == [40, 40]
    assert "paused: the data folder is gone" in run.events()
    assert "left out" not in run.events()


@pytest.mark.parametrize(
    ("kind", "code", "hint", "expected"),
    [
        ("usage", 2, "choose another layer", UsageError),
        (BackboneUnavailable.kind, 1, "fetch it elsewhere", BackboneUnavailable),
        ("error", 1, "", RunFailed),
    ],
)
def test_a_backbone_that_cannot_be_loaded_keeps_its_words_and_its_exit_code(
    kind: str, code: int, hint: str, expected: type[CamtuiError]
) -> None:
    error = _unavailable(
        Error(1, 7, kind, "no such layer", hint=hint, exit_code=code, loading=True)
    )
    assert type(error) is expected
    assert (error.message, error.exit_code) == ("no such layer", expected.exit_code)
    assert error.hint == (hint or "list the networks and their weights: camtui backbones")
