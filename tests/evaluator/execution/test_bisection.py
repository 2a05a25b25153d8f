"""A unit that fails is tried again, halved, and its failures are counted across ids."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import pytest

from evaluator.execution.failures import Bisection, halves
from evaluator.execution.worker import pairs_of
from evaluator.records import Unit
from tests.evaluator.execution.units import CURVES, ROWS


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
