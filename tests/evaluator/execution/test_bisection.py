"""A unit that fails is tried again, halved, and its failures are counted across ids."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import pytest

from evaluator.backbones import BackboneSpec
from evaluator.execution.failures import MOST_DEATHS, Bisection, Deaths, halves
from evaluator.execution.worker import pairs_of
from evaluator.plan import RunPlan
from evaluator.records import Cell, ImageRef, Unit, UnitResult
from evaluator.user_code_facts import Code
from tests.evaluator.execution.units import CURVES, ROWS
from tests.fake_session import fake_row


@pytest.mark.parametrize("unit", [ROWS, CURVES])
def test_halving_ends_in_single_pairs_and_loses_none(unit: Unit) -> None:
    pending, single = [unit], []
    while pending:
        part = pending.pop()
        parts = halves(part)
        pending += parts
        if not parts:
            single.append(part)
    assert all(len(list(pairs_of(part))) == 1 for part in single)
    assert sorted(pair for part in single for pair in pairs_of(part)) == sorted(pairs_of(unit))
    for part in single:
        pairs = {(c, i.id) for c in part.cells for i in part.images}
        assert set(part.maps) == (pairs if unit.maps else set())


class Requeued:
    """Units that are handed out again, each under a new id."""

    def __init__(self) -> None:
        self.units: list[Unit] = []

    def __call__(self, units: Iterable[Unit]) -> list[Unit]:
        renewed = [replace(unit, id=100 + len(self.units) + n) for n, unit in enumerate(units)]
        self.units += renewed
        return renewed


def test_the_second_failure_of_a_unit_halves_it_and_one_of_a_half_halves_that() -> None:
    requeued = Requeued()
    bisection = Bisection(requeued)
    assert bisection.narrow(ROWS)
    (again,) = requeued.units
    assert again.images == ROWS.images
    assert bisection.narrow(again), "its failures are those of the unit before"
    first, second = requeued.units[1:]
    assert first.images + second.images == ROWS.images
    assert bisection.narrow(first)
    assert len(requeued.units) == 5


def test_a_certain_failure_halves_at_once_down_to_a_pair_that_has_failed_for_good() -> None:
    requeued = Requeued()
    bisection = Bisection(requeued)
    unit = ROWS
    while bisection.narrow(unit, certain=True):
        unit = requeued.units[-1]
    assert (len(unit.images), len(unit.cells)) == (1, 1)


def test_a_unit_that_is_handed_out_again_keeps_its_failures_until_it_is_done() -> None:
    requeued = Requeued()
    bisection = Bisection(requeued)
    bisection.narrow(ROWS)
    bisection.retry(requeued.units[-1])
    bisection.narrow(requeued.units[-1])
    assert len(requeued.units) == 4, "halved at its second failure"
    bisection.clear(requeued.units[-1].id)
    bisection.narrow(requeued.units[-1])
    assert requeued.units[-1].images == requeued.units[-2].images, "a first failure again"


PLAN = RunPlan(
    data="/data",
    backbones=(BackboneSpec("resnet50"),),
    methods=ROWS.methods,
    code=(
        Code("method", ROWS.methods[0], "x.py:X", "0" * 64),
        Code("metric", CURVES.metrics[0], "x.py:M", "0" * 64),
    ),
)


def deaths() -> Deaths:
    return Deaths(
        PLAN,
        [
            Cell(cell, "resnet50", method, True, "")
            for cell, method in zip(ROWS.cells, ROWS.methods, strict=True)
        ],
    )


@pytest.mark.parametrize("unit", [ROWS, CURVES])
def test_whoever_is_suspected_is_set_apart_and_no_pair_is_lost(unit: Unit) -> None:
    found = deaths()
    pending, single = [unit], []
    while pending:
        part = pending.pop()
        parts = found.parts(part)
        pending += parts
        if not parts:
            single.append(part)
    assert sorted(pair for part in single for pair in pairs_of(part)) == sorted(pairs_of(unit))
    others, suspected = found.parts(unit)
    assert not {*pairs_of(others)} & {*pairs_of(suspected)}
    assert (suspected.metrics or suspected.methods)[0] in (ROWS.methods[0], CURVES.metrics[0])


def pair(image: int, method: int = 0) -> Unit:
    return replace(
        ROWS,
        cells=(ROWS.cells[method],),
        methods=(ROWS.methods[method],),
        images=(replace_image(image),),
    )


def replace_image(image: int) -> ImageRef:
    return ImageRef(image, b"x.png", 1, None)


def test_one_is_given_up_after_three_images_and_the_rest_of_a_unit_goes_on() -> None:
    found = deaths()
    told = [found.record(pair(image), "kills-worker", "lost: exit code 3") for image in range(5)]
    assert [bool(words) for words in told] == [False, False, True, False, False]
    assert "on 3 images (exit code 3)" in told[MOST_DEATHS - 1]
    left, (lost,) = found.spare(ROWS)
    assert left is not None
    assert left.methods == ROWS.methods[1:]
    assert {failure.cell for failure in lost.failures} == {ROWS.cells[0]}
    assert len(lost.failures) == len(ROWS.images)


def test_images_that_kill_every_method_are_not_a_methods_fault() -> None:
    found = deaths()
    for image in range(5):
        for method in (1, 0):
            assert not found.record(pair(image, method), "kills-worker", "lost: signal 11")
    assert found.spare(ROWS) == (ROWS, [])


def test_one_of_camtuis_own_that_has_brought_rows_is_not_given_up() -> None:
    found = deaths()
    found.note(UnitResult((fake_row(ROWS.cells[1], "resnet50", ROWS.methods[1], 9),)))
    for image in range(5):
        assert not found.record(pair(image, 1), "kills-worker", "lost: signal 9")
