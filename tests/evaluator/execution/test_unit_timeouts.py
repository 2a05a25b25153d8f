"""Timeouts follow the measured time of a forward, and are never shorter than the least."""

from __future__ import annotations

from dataclasses import replace

import pytest

from evaluator.execution.loop import UnitTimeouts
from evaluator.execution.stages import StagePlan
from evaluator.records import UnitResult
from tests.evaluator.execution.units import ROWS

STAGE = StagePlan(1, "rows", 0, "resnet50", (10, 11), ("a", "b"), (), 8, None, 3.0)


def timeouts(least: float = 1.0, *, cuda: bool = False) -> UnitTimeouts:
    return UnitTimeouts({1: STAGE}, least, cuda=cuda)


def test_before_anything_is_timed_it_is_a_guess_by_the_kind_of_device() -> None:
    assert timeouts().timeout(ROWS) == pytest.approx(10 * 3 * 5 * 0.2)
    assert timeouts(cuda=True).timeout(ROWS) == pytest.approx(10 * 3 * 5 * 0.05)


def test_the_first_measurement_counts_alone_and_later_ones_by_a_fifth() -> None:
    found = timeouts()
    found.measure(UnitResult(seconds=10.0, forwards=10))
    assert found.timeout(ROWS) == pytest.approx(10 * 3 * 5 * 1.0)
    found.measure(UnitResult(seconds=60.0, forwards=10))
    assert found.timeout(ROWS) == pytest.approx(10 * 3 * 5 * 2.0)
    found.measure(UnitResult(seconds=60.0, forwards=0))
    assert found.timeout(ROWS) == pytest.approx(10 * 3 * 5 * 2.0)


def test_it_is_never_shorter_than_the_least_also_for_a_probe() -> None:
    assert timeouts(1000.0).timeout(ROWS) == 1000.0
    assert timeouts(7.0).timeout(replace(ROWS, stage=0, images=())) == 7.0
