"""How a unit that killed its worker is halved, and remembered."""

from __future__ import annotations

from dataclasses import replace

import pytest

from evaluator.execution.bisection import Bisection, halves
from evaluator.execution.checking import pairs_of
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
    assert all(
        set(part.maps) == {(c, i.id) for c in part.cells for i in part.images if unit.maps}
        for part in single
    )


def test_a_suspect_keeps_its_record_under_another_id() -> None:
    bisection = Bisection()
    assert bisection.record_failure(ROWS) == 1
    bisection.rename(ROWS, replace(ROWS, id=2))
    assert bisection.record_failure(replace(ROWS, id=2)) == 2
    bisection.record_half(replace(ROWS, id=3))
    assert bisection.record_failure(replace(ROWS, id=3)) == 2
    bisection.clear(3)
    assert bisection.record_failure(replace(ROWS, id=3)) == 1
