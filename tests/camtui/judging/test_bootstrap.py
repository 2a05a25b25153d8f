"""Rank correlation, resampling, and the stored values that they begin with."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.stats import bootstrap, kendalltau

from camtui.judging import Estimate
from camtui.judging.bootstrap import Resampling, estimate, kendall, weighted_means
from camtui.judging.judgement import headline, read_values
from evaluator.catalog import metric
from evaluator.statistics import harmonic_adcc
from tests.camtui.judging.runs import Numbers, judged_run


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


def test_columns_are_in_the_order_of_the_run_and_what_is_missing_is_no_number(
    tmp_path: Path,
) -> None:
    cells: dict[str, Numbers] = {
        "vgg16/gradcam": {"deletion": [0.1, None, 0.3], "average_drop": [0.0, None, 0.5]},
        "vgg16/layercam": {"deletion": [0.4, 0.5, 0.6]},
    }
    with judged_run(tmp_path / "a.db", cells, truth=False) as reader:
        both = reader.cells()
        values = read_values(reader, both, [metric("deletion"), metric("adcc")])
    expected = np.array([[0.1, np.nan, 0.3], [0.4, np.nan, 0.6]])
    assert values.of("deletion", both) == pytest.approx(expected, nan_ok=True)
    assert values.of("deletion", both[1:]) == pytest.approx(np.array([[0.4, 0.5, 0.6]]))
    assert values.has("deletion", both)
    assert not values.has("insertion", both)
    drop, coherency, complexity = values.parts("adcc", both)
    assert drop == pytest.approx(np.array([[0.0, np.nan, 0.5], [0.2, np.nan, 0.2]]), nan_ok=True)
    assert np.isnan(coherency[:, 1]).all(), "the averages of a headline are over the same images"
    assert complexity[:, 0] == pytest.approx(0.3)


def test_the_headline_is_the_harmonic_mean_of_averages() -> None:
    parts = [
        np.array([0.2, 0.2, 0.2, 0.2]),
        np.array([0.9, 0.0, np.nan, 0.5]),
        np.array([0.3, 0.3, 0.3, 1.0]),
    ]
    found = headline("adcc", parts)
    expected = [harmonic_adcc(0.2, 0.9, 0.3), 0.0, np.nan, 0.0]
    assert found == pytest.approx(np.array(expected), nan_ok=True)
    road = headline(
        "arcc", [np.array([0.9, 0.9, 0.9]), np.array([0.4, 0.4, 0.4]), np.array([0.3, 0.7, -0.1])]
    )
    assert road == pytest.approx(
        [3 / (1 / 0.9 + 1 / 0.6 + 1 / 0.6), 3 / (1 / 0.9 + 1 / 0.6 + 1), 0]
    )
    assert headline("deletion", [np.array([0.5])]).tolist() == [0.5]
