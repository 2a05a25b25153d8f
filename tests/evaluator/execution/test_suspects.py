"""How a unit that killed its worker is halved, and remembered."""

from __future__ import annotations

from dataclasses import replace

import pytest

from evaluator.execution.checking import pairs_of
from evaluator.execution.suspects import Suspects, halves
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
    suspects = Suspects()
    assert suspects.blamed(ROWS) == 1
    suspects.renamed(ROWS, replace(ROWS, id=2))
    assert suspects.blamed(replace(ROWS, id=2)) == 2
    suspects.half_of(replace(ROWS, id=3))
    assert suspects.blamed(replace(ROWS, id=3)) == 2
    suspects.cleared(3)
    assert suspects.blamed(replace(ROWS, id=3)) == 1
