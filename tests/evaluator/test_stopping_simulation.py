"""``benchmarks/stopping.py``: its races side by side are the run's own, and the promise holds over
2 000 runs of real rows.
"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from evaluator.sequential import Race, p_value, rule_rho
from evaluator.stopping_rule import ALPHA, BURN_IN, rule_of

ROOT = Path(__file__).parents[2]
ROWS = ROOT / "tests" / "data" / "components-lite0-250.csv"
"""Average drop, coherency and complexity of five methods on 250 real images, EfficientNet-Lite0
(docs/stopping.md).
"""


def stored_rows() -> NDArray[np.float64]:
    """(images, methods, components)."""
    return np.loadtxt(ROWS, delimiter=",", skiprows=1).reshape(250, 5, 3)


@pytest.fixture(scope="module")
def stopping() -> Any:
    """The benchmark as a module."""
    sys.path.insert(0, str(ROOT / "benchmarks"))
    yield importlib.import_module("stopping")
    sys.path.remove(str(ROOT / "benchmarks"))


def test_races_side_by_side_are_those_of_a_run(stopping: Any) -> None:
    data, runs, images = stored_rows(), 12, 300
    rule = rule_of("decided", 0.5, False)
    assert rule is not None
    rho = rule_rho(rule, 10)
    races = stopping.Races(
        stopping.truth(data), rule.margin, lambda n, d, sd: p_value(n, d, sd, rho), runs
    )
    for moments in stopping.draws(data, runs, images, shuffled=False, seed=3):
        if moments.n >= BURN_IN:
            races.look(moments.n, *moments.estimates())
    chance = np.random.default_rng(3)
    drawn = np.array([data[chance.integers(len(data), size=runs)] for _ in range(images)])
    for run in range(runs):
        one = Race(range(5), frozenset(range(5)), rule, 10)
        for image in drawn[:, run]:
            one.absorb(image[None])
            one.look()
        assert races.images[run] == (one.decided or 0)
        assert set(np.flatnonzero(races.out[run])) == set(one.out)
    assert len(set(races.images.tolist())) > 5, "runs that end at many different numbers of images"


@pytest.mark.slow
def test_two_thousand_runs_looked_at_after_every_image(stopping: Any) -> None:
    results = stopping.simulate(stored_rows(), 2000, 2000, margin=0.5, width=1.0)
    by_name = {(result.question.partition(",")[0], result.interval): result for result in results}
    assert len(by_name) == 6
    for (question, interval), result in by_name.items():
        if interval == "sequence":
            assert result.wrong <= ALPHA, (question, result)
            assert result.coverage >= 1 - ALPHA, (question, result)
    equal = "best of 5 methods that are all equal"
    assert by_name[equal, "fixed n"].wrong > 2 * ALPHA, (
        "the contrast: the same looks with intervals for a fixed number"
    )
