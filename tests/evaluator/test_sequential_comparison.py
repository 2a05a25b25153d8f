"""What a race decides: its estimates against the plain statistics, its claims on values whose truth
is known.
"""

from __future__ import annotations

from math import sqrt

import numpy as np
import pytest
from numpy.typing import NDArray

from evaluator.sequential import Race, half_width, rule_rho
from evaluator.statistics import ADCC, COMPONENTS, UNIT, Sum, paired_difference, quantise
from evaluator.stopping_rule import ALPHA, BURN_IN, Rule

CI = Rule("ci", width=0.02)
DECIDED = Rule("decided", margin=0.005)


def values(
    n: int, shifts: tuple[float, ...], spread: float = 0.05, seed: int = 0
) -> NDArray[np.float64]:
    """Components of methods whose drop differs by ``shifts``; what an image adds is common to them,
    but for ``spread``.
    """
    chance = np.random.default_rng(seed)
    common = chance.uniform(0.2, 0.6, (n, 1, 1))
    own = chance.uniform(-spread, spread, (n, len(shifts), 3))
    result: NDArray[np.float64] = np.clip(
        common + own + np.array([[shift, 0, 0] for shift in shifts]), 0, 1
    )
    result[:, :, 1] = 1 - result[:, :, 1]
    return result


def race(count: int, rule: Rule = DECIDED, ranked: set[int] | None = None) -> Race:
    cells = list(range(1, count + 1))
    chosen = frozenset(cells) if ranked is None else frozenset(ranked)
    return Race(cells, chosen, rule, len(chosen) * (len(chosen) - 1) // 2)


def run(one: Race, data: NDArray[np.float64], step: int = 10) -> Race:
    for first in range(0, len(data), step):
        one.absorb(data[first : first + step])
        one.look()
    return one


def test_the_estimates_are_those_of_the_plain_statistics() -> None:
    data = values(200, (0.0, 0.05))
    one = race(2)
    one.absorb(data)
    found = one.estimate()
    for place in (0, 1):
        sums = {}
        for a, first in enumerate(COMPONENTS):
            sums[first, ""] = Sum(200, UNIT * sum(quantise(x) for x in data[:, place, a]))
            for b, second in enumerate(COMPONENTS[a:], a):
                sums[first, second] = Sum(
                    200, UNIT * sum(map(quantise, data[:, place, a] * data[:, place, b]))
                )
        mean = ADCC.of_sums(sums)
        assert mean is not None
        assert mean.se is not None
        assert found.adcc[place] == pytest.approx(mean.value, abs=1e-9)
        assert sqrt(found.covariance[place, place] / 200) == pytest.approx(mean.se, abs=1e-9)
    named = [
        tuple(dict(zip(COMPONENTS, image[place], strict=True)) for place in (0, 1))
        for image in data
    ]
    paired = paired_difference("adcc", [(a, b) for a, b in named])
    assert paired is not None
    assert paired.se is not None
    size, sd = found.difference(0, 1)
    assert size == pytest.approx(paired.value, abs=1e-9)
    assert sd / sqrt(200) == pytest.approx(paired.se, abs=1e-9)


def test_how_images_are_read_changes_no_digit() -> None:
    data = values(300, (0.0, 0.02, 0.1))
    first, second = race(3), race(3)
    first.absorb(data)
    for image in data:
        second.absorb(image[None])
    assert first.estimate().adcc.tolist() == second.estimate().adcc.tolist()
    assert first.estimate().covariance.tolist() == second.estimate().covariance.tolist()


def test_a_width_is_reached_when_every_cell_has_it() -> None:
    data = values(4000, (0.0, 0.05))
    one = run(race(2, CI), data)
    assert one.decided is not None
    assert one.decided > BURN_IN
    again = race(2, CI)
    again.absorb(data[: one.decided])
    widths = half_width(
        again.n, np.sqrt(np.diag(again.estimate().covariance)), ALPHA, rule_rho(CI, 1)
    )
    assert widths.max() <= CI.width
    before = race(2, CI)
    before.absorb(data[: one.decided - 10])
    widths = half_width(
        before.n, np.sqrt(np.diag(before.estimate().covariance)), ALPHA, rule_rho(CI, 1)
    )
    assert widths.max() > CI.width


def test_what_is_better_is_found_and_what_is_worse_leaves() -> None:
    one = run(race(3), values(2000, (0.1, 0.0, 0.3)))
    assert one.decided is not None
    assert one.best == 2
    assert set(one.out) == {1, 3}
    assert one.out[3] <= one.out[1] == one.decided


def test_methods_that_differ_by_less_than_the_margin_are_said_to() -> None:
    one = run(race(2), values(20_000, (0.0, 0.0), spread=0.03), step=100)
    assert one.decided is not None
    assert one.equal == {frozenset((1, 2))}
    assert not one.out


def test_cells_that_are_equal_by_construction_are_equal_at_the_first_look() -> None:
    data = values(BURN_IN, (0.0,))
    one = run(race(2), np.concatenate([data, data], axis=1))
    assert one.decided == BURN_IN
    assert one.equal == {frozenset((1, 2))}


def test_the_control_wins_nothing() -> None:
    """The control is best by far, and nobody is compared with it."""
    one = run(race(3, ranked={2, 3}), values(2000, (-0.2, 0.0, 0.2)))
    assert one.best == 2
    assert set(one.out) == {3}


def test_nothing_is_decided_before_the_burn_in() -> None:
    one = run(race(2), values(BURN_IN - 10, (0.0, 0.4), spread=0.001))
    assert one.decided is None
    assert one.needed is None
    assert one.best is None
    one.absorb(values(10, (0.0, 0.4), spread=0.001))
    one.look()
    assert one.decided == BURN_IN


def test_an_image_without_a_value_counts_for_nobody_in_the_race() -> None:
    data = values(200, (0.0, 0.3))
    data[::2, 0, 0] = np.nan
    one = race(2)
    one.absorb(data)
    assert (one.images, one.n) == (200, 100)
    kept = race(2)
    kept.absorb(data[1::2])
    assert one.estimate().adcc.tolist() == kept.estimate().adcc.tolist()


def test_who_is_out_is_looked_at_no_more() -> None:
    data = values(2000, (0.0, 0.3, 0.01))
    whole = run(race(3), data)
    gone = data.copy()
    gone[whole.out[2] :, 1] = np.nan
    partial = run(race(3), gone)
    assert (whole.decided, whole.out, whole.equal) == (partial.decided, partial.out, partial.equal)
    assert whole.estimate().adcc.tolist() == partial.estimate().adcc.tolist()


def test_the_forecast_is_about_right() -> None:
    data = values(20_000, (0.0, 0.02), spread=0.2)
    one = race(2, Rule("ci", width=0.005))
    one.absorb(data[:200])
    one.look()
    early = one.needed
    run(one, data[200:])
    assert one.decided is not None
    assert early is not None
    assert early == pytest.approx(one.decided, rel=0.25)
