"""The driver's loop on events of an executor that follows a script."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from evaluator.backbone_spec import BackboneSpec
from evaluator.errors import BackboneUnavailable, CamtuiError, RunFailed, UsageError
from evaluator.execution.backbone_registration import _unavailable
from evaluator.execution.journal import Journal
from evaluator.execution.loop import Loop
from evaluator.execution.request import DriverSettings
from evaluator.execution.stopping import StopRequest
from evaluator.images import find_images
from evaluator.interfaces import DeviceFigures, Done, Error, ExecutorEvent, Figures, LeftOut, Ready
from evaluator.records import LoadedBackbone, Preprocessing, Unit, UnitResult, WorkerState
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

    def __init__(self, folder: Path) -> None:
        self.names = ("resnet50", "vgg16")
        self.plan = make_plan(
            make_data(folder / "data", 40),
            backbones=tuple(map(BackboneSpec, self.names)),
            methods=("gradcam",),
        )
        self.manifest = find_images(Path(self.plan.data), seed=self.plan.seed)
        self.writer = RunWriter(folder / "run.db")
        self.writer.begin("run", self.plan, self.manifest)
        self.reader = RunReader(folder / "run.db")

    def drive(self, *script: Answer) -> Scripted:
        executor = Scripted(script, self.names)
        journal = Journal(self.writer, retry_seconds=0.1, tell=lambda _: None, needed=lambda: 0)
        Loop(
            plan=self.plan,
            manifest=self.manifest,
            settings=DriverSettings(devices=("cpu",)),
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
    assert error.hint == (hint or "list the backbones and their weights: camtui backbones")
