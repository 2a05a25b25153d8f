"""Confidence sequences against the formula written out, against hand calculation, and against their
promise.
"""

from __future__ import annotations

from math import exp, inf, log, sqrt

import numpy as np
import pytest

from evaluator.sequential import (
    expected_images,
    half_width,
    holm,
    images_for,
    p_value,
    rho_for,
    tightest,
)


def written_out(n: int, sd: float, alpha: float, rho: float) -> float:
    """As the paper prints it."""
    return sd * sqrt(2 * (n * rho**2 + 1) / (n**2 * rho**2) * log(sqrt(n * rho**2 + 1) / alpha))


@pytest.mark.parametrize("n", [50, 777, 50_000])
@pytest.mark.parametrize("alpha", [0.05, 0.003])
def test_the_half_width_is_that_of_the_paper(n: int, alpha: float) -> None:
    assert float(half_width(n, 0.1, alpha, 0.2)) == pytest.approx(written_out(n, 0.1, alpha, 0.2))


def test_numbers_and_arrays_alike() -> None:
    widths = half_width(np.array([50, 100]), np.array([0.1, 0.2]), 0.05, 0.2)
    assert widths.tolist() == pytest.approx(
        [written_out(50, 0.1, 0.05, 0.2), written_out(100, 0.2, 0.05, 0.2)]
    )


def test_rho_makes_the_interval_narrowest_where_it_is_wanted() -> None:
    rho = rho_for(400, 0.05)
    assert rho == pytest.approx(sqrt(tightest(0.05) / 400))
    best = written_out(400, 1.0, 0.05, rho)
    assert all(
        written_out(400, 1.0, 0.05, factor * rho) > best for factor in (0.9, 0.99, 1.01, 1.1)
    )


def test_the_expected_number_of_images_is_where_it_fits() -> None:
    n = expected_images(0.01, 0.1, 0.05)
    assert written_out(round(n), 0.1, 0.05, rho_for(n, 0.05)) == pytest.approx(0.01, rel=1e-3)


def test_the_p_value_is_the_level_at_which_the_interval_ends() -> None:
    for distance in (0.02, 0.05, 0.1):
        p = float(p_value(200, distance, 0.2, 0.2))
        if p < 1:
            assert written_out(200, 0.2, p, 0.2) == pytest.approx(distance)
    x = 200 * 0.04
    assert float(p_value(200, 0.1, 0.2, 0.2)) == pytest.approx(
        sqrt(x + 1) * exp(-x / (x + 1) * 200 / 2 * 0.25)
    )


@pytest.mark.parametrize(
    ("distance", "sd", "p"), [(0.0, 0.1, 1.0), (-0.1, 0.1, 1.0), (0.0, 0.0, 1.0), (0.01, 0.0, 0.0)]
)
def test_the_edges_of_the_p_value(distance: float, sd: float, p: float) -> None:
    assert float(p_value(100, distance, sd, 0.2)) == p


def slow_holm(p: list[float], family: int, alpha: float) -> list[bool]:
    fallen = [False] * len(p)
    for step, place in enumerate(sorted(range(len(p)), key=lambda i: p[i])):
        if p[place] > alpha / (family - step):
            break
        fallen[place] = True
    return fallen


def test_holm_steps_down() -> None:
    assert holm(np.array([0.01, 0.02, 0.03]), 3, 0.05).tolist() == [True, True, True]
    assert holm(np.array([0.02, 0.01, 0.06]), 3, 0.05).tolist() == [True, True, False]
    assert holm(np.array([0.02, 0.02, 0.001]), 4, 0.05).tolist() == [False, False, True]
    chance = np.random.default_rng(0)
    for size in range(7):
        p = chance.random((20, size)) ** 4
        assert holm(p, size + 2, 0.05).tolist() == [
            slow_holm(list(row), size + 2, 0.05) for row in p
        ]


def test_the_first_n_that_is_narrow_enough() -> None:
    n = images_for(0.01, 0.1, 0.05, 0.1)
    assert written_out(n, 0.1, 0.05, 0.1) <= 0.01 < written_out(n - 1, 0.1, 0.05, 0.1)
    assert images_for(0.01, 0.0, 0.05, 0.1) == 1
    assert images_for(inf, 0.1, 0.05, 0.1) == 1


def test_looking_always_misses_as_often_as_promised_and_a_fixed_interval_does_not() -> None:
    """1 000 sequences of 2 000 somewhat skewed values with mean 4, looked at after each value from
    50 on.
    """
    values = np.random.default_rng(1).gamma(4.0, size=(1000, 2000))
    n = np.arange(1, 2001)
    means = values.cumsum(1) / n
    sds = np.sqrt(np.maximum((values**2).cumsum(1) / n - means**2, 0) * n / np.maximum(n - 1, 1))
    errors = np.abs(means - 4)[:, 49:]
    ours = (errors > half_width(n, sds, 0.05, rho_for(500, 0.05))[:, 49:]).any(1).mean()
    fixed = (errors > 1.96 * sds[:, 49:] / np.sqrt(n[49:])).any(1).mean()
    assert ours <= 0.05
    assert fixed > 0.25
