"""Results of an evaluator are checked before they are stored."""

from __future__ import annotations

from dataclasses import replace

import pytest

from evaluator.execution.worker import checked, failed
from evaluator.records import Failure, UnitResult
from tests.evaluator.execution.units import CURVES, IMAGES, ROWS
from tests.fake_session import fake_measurement, fake_row


def test_what_an_evaluator_leaves_out_or_gets_wrong_becomes_a_failure() -> None:
    good, absurd = fake_row(10, "n", "a", 0), fake_row(10, "n", "a", 1)._replace(coherency=1.5)
    result = checked(replace(ROWS, cells=(10,), images=IMAGES[:3]), UnitResult(rows=(good, absurd)))
    assert result.rows == (good,)
    assert [(f.image, f.reason) for f in result.failures] == [(1, "out-of-range"), (2, "no-result")]
    curve = fake_measurement(10, "n", "a", 0, "deletion")._replace(value=float("inf"))
    unit = replace(CURVES, cells=(10,), images=IMAGES[:1], metrics=("deletion",))
    result = checked(unit, UnitResult(measurements=(curve,)))
    assert result.failures == (Failure(10, 0, "deletion", "not-finite", "deletion is inf"),)


def test_a_unit_as_failures() -> None:
    assert len(failed(CURVES, "kills-worker", "signal 9").failures) == 2 * 5 * 2


@pytest.mark.parametrize(
    ("value", "good"), [(1 + 5e-7, True), (-5e-7, True), (1 + 2e-6, False), (-2e-6, False)]
)
def test_rounding_is_forgiven_and_nothing_else(value: float, good: bool) -> None:
    row = fake_row(10, "n", "a", 0)._replace(complexity=value)
    result = checked(replace(ROWS, cells=(10,), images=IMAGES[:1]), UnitResult(rows=(row,)))
    assert result.rows == ((row,) if good else ())
