from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import kendalltau

from camtui.judging.bootstrap import kendall


def test_by_hand() -> None:
    truth = np.array([[1.0], [2.0], [3.0], [4.0]])
    assert kendall(truth, truth) == pytest.approx(1)
    assert kendall(-truth, truth) == pytest.approx(-1)
    one_swap = np.array([[2.0], [1.0], [3.0], [4.0]])  # 5 pairs agree, 1 does not
    assert kendall(one_swap, truth) == pytest.approx(4 / 6)
    tied = np.array([[1.0], [1.0], [3.0], [4.0]])  # 5 agree, 1 says nothing: 5 / √(5·6)
    assert kendall(tied, truth) == pytest.approx(5 / 30**0.5)


@pytest.mark.parametrize("levels", [2, 4, 1000])
def test_every_column_is_what_scipy_says_with_and_without_ties(levels: int) -> None:
    rng = np.random.default_rng(levels)
    judged, truth = rng.integers(levels, size=(2, 9, 60)).astype(float)
    found = kendall(judged, truth)
    for column in range(60):
        expected = kendalltau(judged[:, column], truth[:, column], variant="b").statistic
        if np.isnan(expected):
            assert np.isnan(found[column]) == (len(set(truth[:, column])) == 1)
        else:
            assert found[column] == pytest.approx(expected, abs=1e-12)


def test_a_metric_that_orders_nothing_has_zero_and_a_truth_that_orders_nothing_has_none() -> None:
    flat, rising = np.ones((3, 1)), np.arange(3.0)[:, None]
    assert kendall(flat, rising)[0] == 0
    assert np.isnan(kendall(rising, flat)[0])
    assert np.isnan(kendall(flat, flat)[0])


def test_pairs_with_a_missing_value_are_left_out() -> None:
    judged = np.array([[1.0], [np.nan], [3.0], [2.0]])
    truth = np.array([[1.0], [0.0], [2.0], [3.0]])
    assert kendall(judged, truth) == pytest.approx(kendalltau([1, 3, 2], [1, 2, 3]).statistic)
    assert np.isnan(kendall(np.full((3, 1), np.nan), np.arange(3.0)[:, None])[0])
