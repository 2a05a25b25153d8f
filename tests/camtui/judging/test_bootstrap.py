from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import bootstrap

from camtui.judging import Estimate
from camtui.judging.bootstrap import Resampling, estimate, weighted_means


def test_the_first_row_is_the_average_and_the_others_spread_as_its_standard_error() -> None:
    values = np.random.default_rng(0).normal(3, 2, size=(400, 2))
    means = Resampling(400, 2000, seed=1).means(values)
    assert means.shape == (2001, 2)
    assert means[0] == pytest.approx(values.mean(0))
    assert means[1:].std(0) == pytest.approx(values.std(0) / 20, rel=0.06)


def test_the_interval_is_that_of_scipy() -> None:
    values = np.random.default_rng(0).exponential(size=150)
    ours = estimate(Resampling(150, 4000, seed=1).means(values[:, None])[:, 0], 150)
    theirs = bootstrap(
        (values,), np.mean, n_resamples=4000, method="percentile", rng=np.random.default_rng(1)
    )
    assert ours.low == pytest.approx(theirs.confidence_interval.low, abs=1e-9)
    assert ours.high == pytest.approx(theirs.confidence_interval.high, abs=1e-9)


def test_every_statistic_sees_the_same_draws() -> None:
    values = np.random.default_rng(0).normal(size=(50, 1))
    resampling = Resampling(50, 100, seed=1)
    one, two = resampling.means(values), resampling.means(3 * values)
    assert two == pytest.approx(3 * one)
    assert Resampling(50, 100, seed=1).means(values).tolist() == one.tolist()
    assert Resampling(50, 100, seed=2).means(values).tolist() != one.tolist()


def test_draws_are_the_same_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.random.default_rng(0).normal(size=(50, 2))
    whole = Resampling(50, 30, seed=1).means(values)
    monkeypatch.setattr("camtui.judging.bootstrap._BLOCK", 350)  # seven draws
    assert Resampling(50, 30, seed=1).means(values) == pytest.approx(whole)


def test_missing_values_count_in_no_average() -> None:
    columns = np.array([[1.0, np.nan], [3.0, 5.0], [np.nan, np.nan]])
    assert weighted_means(np.array([[1.0, 1.0, 1.0], [1.0, 0.0, 2.0]]), columns) == pytest.approx(
        np.array([[2.0, 5.0], [1.0, np.nan]]), nan_ok=True
    )


def test_an_estimate_of_few_images_or_of_none() -> None:
    assert estimate(np.array([0.5, 0.1, 0.9]), 1) == Estimate(0.5, None, None, 1)
    assert estimate(np.array([np.nan, 0.1]), 0) == Estimate(None, None, None, 0)
    found = estimate(np.array([0.5, np.nan, *np.linspace(0, 1, 101)]), 9)
    assert (found.value, found.low, found.high) == pytest.approx((0.5, 0.025, 0.975))
