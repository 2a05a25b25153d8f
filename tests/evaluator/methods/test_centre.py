"""The centre control: exact numbers at any resolution."""

from __future__ import annotations

from math import erf, pi, sqrt

import pytest

from evaluator.methods.centre import Centre
from tests.agreement import evaluated, small_bench
from tests.networks import random_images


def test_it_is_symmetric_and_a_quarter_of_each_side_wide() -> None:
    found = Centre().fixed_map(5, 9)
    assert found[2][4] == 1
    assert found == [row[::-1] for row in found[::-1]]
    whole = Centre().fixed_map(201, 401)
    assert whole[100 + 50][200] == pytest.approx(0.6065, abs=0.01), "one deviation down"
    assert whole[100][200 + 100] == pytest.approx(0.6065, abs=0.01), "one deviation across"


def test_complexity_is_the_integral_and_coherency_is_exact() -> None:
    scores = evaluated(small_bench("gap"), random_images(2), "centre")
    assert scores.complexity == pytest.approx(
        [(sqrt(2 * pi) / 4 * erf(sqrt(2))) ** 2] * 2, abs=1e-3
    )
    assert scores.coherency == pytest.approx([1.0] * 2, abs=1e-12)
    assert scores.maps == [None, None]
