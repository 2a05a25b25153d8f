"""The schedule: order, blocks, what is missing; and a state machine over schedule and store that
loses units and grows plans.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from evaluator.backbones import BackboneSpec
from evaluator.execution.schedule import CHUNK, Schedule
from evaluator.execution.stages import block_size, plan_stages
from evaluator.images import find_images
from evaluator.plan import RunPlan
from evaluator.records import Failure, Unit, UnitResult
from evaluator.store.audit import audit
from evaluator.store.reader import RunReader
from evaluator.store.writer import RunWriter
from tests.evaluator.execution.support import make_data, make_plan
from tests.fake_session import fake_measurement, fake_row

NAMES = ["resnet50", "vgg16"]
BOTH = tuple(map(BackboneSpec, NAMES))


@contextmanager
def stored(folder: Path, plan: RunPlan) -> Iterator[tuple[RunWriter, RunReader]]:
    """A run's file with its images and cells."""
    writer = RunWriter(folder / "run.db")
    writer.begin("run", plan, find_images(Path(plan.data), seed=plan.seed, limit=plan.limit))
    with RunReader(folder / "run.db") as reader:
        yield writer, reader
    writer.close()


@contextmanager
def begun(folder: Path, images: int, **changes: Any) -> Iterator[tuple[RunWriter, RunReader]]:
    """The file of a run of Grad-CAM over so many images."""
    plan = make_plan(make_data(folder / "data", images), **{"methods": ("gradcam",), **changes})
    with stored(folder, plan) as run:
        yield run


def make_schedule(reader: RunReader, *, in_rounds: bool = False) -> Schedule:
    stages = plan_stages(reader.plan(), reader.cells(), reader.backbones(), cuda=False)
    return Schedule(reader, stages, reader.info().image_count, in_rounds=in_rounds)


def taken(schedule: Schedule) -> Unit:
    """The next unit; there is one."""
    unit = schedule.next_unit({0, 1})
    assert unit is not None
    return unit


def result_of(unit: Unit, backbone: str) -> UnitResult:
    """The fake evaluator's result of a unit; image 3 has no values."""
    rows, measurements, failures = [], [], []
    for cell, method in zip(unit.cells, unit.methods, strict=True):
        for image in unit.images:
            if image.id == 3:
                failures += [
                    Failure(cell, 3, metric, "bad", "") for metric in unit.metrics or ("",)
                ]
            elif unit.metrics:
                measurements += [
                    fake_measurement(cell, backbone, method, image.id, metric)
                    for metric in unit.metrics
                ]
            else:
                rows.append(fake_row(cell, backbone, method, image.id))
    return UnitResult(tuple(rows), tuple(measurements), tuple(failures), 0.1, 5)


def all_units(schedule: Schedule, writer: RunWriter, names: list[str]) -> list[Unit]:
    loaded = set(range(len(names)))
    units = []
    while (unit := schedule.next_unit(loaded)) is not None:
        units.append(unit)
        writer.rows.commit(result_of(unit, names[unit.backbone]))
        schedule.finish(unit.id)
    return units


def test_cheap_methods_of_every_backbone_first_then_curves_then_the_expensive_ones(
    tmp_path: Path,
) -> None:
    methods = ("iscam", "gradcam", "scorecam", "fakecam")
    with begun(tmp_path, 5, backbones=BOTH, methods=methods, metrics=("deletion",)) as (
        writer,
        reader,
    ):
        units = all_units(make_schedule(reader), writer, NAMES)
    order = list(dict.fromkeys((unit.backbone, unit.methods, unit.metrics) for unit in units))
    cheap = ("gradcam", "fakecam")
    assert order == [
        (0, cheap, ()),
        (1, cheap, ()),
        (0, cheap, ("deletion",)),
        (1, cheap, ("deletion",)),
        (1, ("scorecam",), ()),
        (0, ("scorecam",), ()),
        (1, ("iscam",), ()),
        (0, ("iscam",), ()),
        (1, ("scorecam",), ("deletion",)),
        (0, ("scorecam",), ("deletion",)),
        (1, ("iscam",), ("deletion",)),
        (0, ("iscam",), ("deletion",)),
    ]


def test_blocks_are_cut_alike_whatever_is_done_already(tmp_path: Path) -> None:
    with begun(tmp_path, 70) as (writer, reader):
        (cell,) = reader.cells()
        rows = tuple(fake_row(cell.id, "resnet50", "gradcam", image) for image in (0, 1, 40))
        writer.rows.commit(UnitResult(rows))
        units = all_units(make_schedule(reader), writer, ["resnet50"])
        assert make_schedule(reader).next_unit({0}) is None
    size = block_size(2, curves=False, cuda=False)
    assert [image.id for unit in units for image in unit.images] == [
        n for n in range(70) if n not in (0, 1, 40)
    ]
    assert all(len({image.id // size for image in unit.images}) == 1 for unit in units)


def test_images_that_lack_the_same_are_computed_together(tmp_path: Path) -> None:
    with begun(tmp_path, 8, methods=("gradcam", "gradcampp")) as (writer, reader):
        first = reader.cells()[0]
        rows = tuple(fake_row(first.id, "resnet50", "gradcam", image) for image in (1, 5))
        writer.rows.commit(UnitResult(rows))
        units = all_units(make_schedule(reader), writer, ["resnet50"])
    found = {unit.methods: [image.id for image in unit.images] for unit in units}
    assert found == {("gradcam", "gradcampp"): [0, 2, 3, 4, 6, 7], ("gradcampp",): [1, 5]}


def test_curves_wait_until_their_rows_are_there(tmp_path: Path) -> None:
    with begun(tmp_path, 4, metrics=("deletion",)) as (writer, reader):
        schedule = make_schedule(reader)
        rows = taken(schedule)
        assert schedule.next_unit({0}) is None
        writer.rows.commit(result_of(rows, "resnet50"))
        schedule.finish(rows.id)
        curves = taken(schedule)
        assert curves.metrics == ("deletion",)
        assert {image for _, image in curves.maps} == {image.id for image in curves.images}
        assert 3 not in {image.id for image in curves.images}  # its row has failed


def test_a_run_that_ends_early_hands_out_nothing_beyond_its_last_image(tmp_path: Path) -> None:
    """Neither of what is cut already nor of what comes back, and it waits for nothing that is
    beyond.
    """
    with begun(tmp_path, 200, methods=("gradcam", "gradcampp")) as (writer, reader):
        schedule = make_schedule(reader, in_rounds=True)
        first, second, beyond = (taken(schedule) for _ in range(3))
        lost = second.images[3].id
        schedule.requeue([schedule.finish(second.id) or second])
        schedule.end_at(lost)
        assert list(schedule.in_flight) == [first.id]
        again = taken(schedule)
        assert [image.id for image in again.images] == list(range(second.images[0].id, lost))
        schedule.requeue([beyond])
        assert schedule.next_unit({0}) is None, "a worker was lost with it after the end was known"
        for unit in (first, again):
            writer.rows.commit(result_of(unit, "resnet50"))
            schedule.finish(unit.id)
        assert all(map(schedule.ended, schedule.stages))
        assert not schedule.busy


def test_a_cell_that_is_dropped_is_in_no_unit_any_more(tmp_path: Path) -> None:
    with begun(tmp_path, 200, methods=("gradcam", "gradcampp", "scorecam")) as (_, reader):
        cells = {cell.method: cell.id for cell in reader.cells()}
        schedule = make_schedule(reader, in_rounds=True)
        before = taken(schedule)
        assert set(before.methods) == {"gradcam", "gradcampp"}
        schedule.drop({cells["gradcampp"], cells["scorecam"]})
        units = []
        while (unit := schedule.next_unit({0})) is not None:
            units.append(unit)
        assert {unit.methods for unit in units} == {("gradcam",)}
        assert [image.id for unit in units for image in unit.images] == list(
            range(len(before.images), 200)
        )


def test_a_backbone_is_asked_for_only_where_it_has_work(tmp_path: Path) -> None:
    with begun(tmp_path, 4, backbones=BOTH) as (writer, reader):
        schedule = make_schedule(reader)
        assert schedule.needed_backbone(set()) == 0
        assert schedule.next_unit(set()) is None
        unit = taken(schedule)
        writer.rows.commit(result_of(unit, "resnet50"))
        assert make_schedule(reader).needed_backbone(set()) == 1


def test_skipping_a_backbone_leaves_the_others(tmp_path: Path) -> None:
    with begun(tmp_path, 4, backbones=BOTH) as (writer, reader):
        schedule = make_schedule(reader)
        first, second = taken(schedule), taken(schedule)
        assert [NAMES[unit.backbone] for unit in (first, second)] == NAMES
        for unit in (first, second):
            schedule.finish(unit.id)
        schedule.requeue([first, second])
        schedule.skip_backbone(0)
        left = all_units(schedule, writer, NAMES)
    assert {unit.backbone for unit in left} == {1}
    assert sum(len(unit.images) for unit in left) == 4


def test_a_backbone_that_is_skipped_at_once_has_ended_and_the_other_is_whole(
    tmp_path: Path,
) -> None:
    with begun(tmp_path, 4, backbones=BOTH) as (writer, reader):
        schedule = make_schedule(reader)
        schedule.skip_backbone(0)
        ended = {stage.backbone: schedule.ended(stage.id) for stage in schedule.stages.values()}
        assert ended == {0: True, 1: False}
        left = all_units(schedule, writer, NAMES)
    assert [unit.backbone for unit in left] == [1]
    assert len(left[0].images) == 4


def test_what_is_given_back_comes_before_anything_new_and_only_to_a_loaded_backbone(
    tmp_path: Path,
) -> None:
    with begun(tmp_path, 40) as (_, reader):
        schedule = make_schedule(reader)
        lost, other = taken(schedule), taken(schedule)
        schedule.finish(lost.id)
        schedule.finish(other.id)
        assert not schedule.busy
        (renewed,) = schedule.requeue([lost])
        assert schedule.busy
        assert renewed.id not in (lost.id, other.id)
        assert schedule.next_unit(set()) is None
        assert schedule.next_unit({0}) == renewed
        assert schedule.busy


def test_a_probe_loads_a_backbone_and_belongs_to_no_stage(tmp_path: Path) -> None:
    with begun(tmp_path, 2) as (_, reader):
        schedule = make_schedule(reader)
        probe = schedule.probe(0)
        assert (probe.backbone, probe.images, probe.cells) == (0, (), ())
        assert probe.stage not in schedule.stages
        assert schedule.busy
        assert schedule.finish(probe.id) == probe
        assert schedule.finish(probe.id) is None
        assert not schedule.busy


class ScheduleAndStore(RuleBasedStateMachine):
    """Units are handed out, finished, finished twice, lost, halved; drivers restart; the plan
    grows: the file is always right.
    """

    def __init__(self) -> None:
        super().__init__()
        self._folder = tempfile.TemporaryDirectory()
        folder = Path(self._folder.name)
        self.plan = make_plan(make_data(folder / "data", 40), methods=("gradcam",), limit=6)
        self.writer = RunWriter(folder / "run.db")
        self._begin()
        self.reader = RunReader(folder / "run.db")
        self.schedule = make_schedule(self.reader)
        self.held: list[Unit] = []

    def _begin(self) -> None:
        images = find_images(Path(self.plan.data), seed=0, limit=self.plan.limit)
        self.writer.begin("run", self.plan, images)

    @rule()
    def hand_out(self) -> None:
        unit = self.schedule.next_unit({0})
        if unit is not None:
            self.held.append(unit)

    @precondition(lambda self: self.held)
    @rule(place=st.integers(0, 99), twice=st.booleans())
    def finish(self, place: int, twice: bool) -> None:
        unit = self.held.pop(place % len(self.held))
        for _ in range(2 if twice else 1):
            self.writer.rows.commit(result_of(unit, "resnet50"))
        self.schedule.finish(unit.id)

    @precondition(lambda self: self.held)
    @rule(place=st.integers(0, 99), after_commit=st.booleans())
    def lose(self, place: int, after_commit: bool) -> None:
        unit = self.held.pop(place % len(self.held))
        if after_commit:
            self.writer.rows.commit(result_of(unit, "resnet50"))
        self.schedule.finish(unit.id)
        self.schedule.requeue([unit])

    @rule(
        limit=st.integers(6, 40),
        method=st.sampled_from(["gradcam", "scorecam", "gradcampp"]),
        metrics=st.sampled_from([(), ("deletion",), ("deletion", "insertion")]),
    )
    def restart_with_more(self, limit: int, method: str, metrics: tuple[str, ...]) -> None:
        self.plan = replace(
            self.plan,
            limit=max(limit, self.plan.limit or 0),
            methods=tuple(dict.fromkeys([*self.plan.methods, method])),
            metrics=tuple(dict.fromkeys([*self.plan.metrics, *metrics])),
        )
        self._begin()
        self.schedule = make_schedule(self.reader)
        self.held = []

    def teardown(self) -> None:
        self.schedule = make_schedule(self.reader)
        all_units(self.schedule, self.writer, ["resnet50"])
        images = self.reader.info().image_count
        for cell in self.reader.cells():
            rows = list(self.reader.rows.of_cell(cell.id))
            assert [row.image for row, _, _ in rows] == [n for n in range(images) if n != 3]
            assert all(
                row == fake_row(cell.id, "resnet50", cell.method, row.image) for row, _, _ in rows
            )
            assert all(set(curves) == set(self.plan.optional_metrics) for _, _, curves in rows)
        assert audit(self.reader) == []
        self.reader.close()
        self.writer.close()
        self._folder.cleanup()


TestScheduleAndStore = ScheduleAndStore.TestCase
TestScheduleAndStore.settings = settings(
    max_examples=12, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
)


@pytest.mark.parametrize("cuda", [False, True])
@pytest.mark.parametrize("curves", [False, True])
def test_no_block_lies_in_two_chunks(curves: bool, cuda: bool) -> None:
    assert CHUNK % block_size(0, curves=curves, cuda=cuda) == 0, (
        "the largest block; the others are powers of two below it"
    )
