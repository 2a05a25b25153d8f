"""Running sums give the numbers that the rows give, and intervals that hold what they promise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import FrozenInstanceError
from math import inf, sqrt
from random import Random
from typing import Any

import numpy as np
import pytest
from scipy.stats import t as student

from evaluator.records import Row
from evaluator.statistics import (
    ADCC,
    ARCC,
    COMPONENTS,
    UNIT,
    Z95,
    CellSummary,
    Mean,
    PairedDifference,
    Sum,
    Sums,
    arcc_components,
    harmonic_adcc,
    harmonic_mean,
    holm_separated,
    mean_of,
    paired_difference,
    quantise,
    summarise,
    t_quantile,
    t_test_p,
)
from evaluator.store.sums import ArccSources, sums_of


def row(drop: float | None, coherency: float, complexity: float, image: int = 0) -> Row:
    adcc = None if drop is None else harmonic_adcc(drop, coherency, complexity)
    return Row(1, image, 3, 3, 0.5, 0.4, drop, 0.0, coherency, complexity, adcc, False, None)


def rows(n: int, seed: int) -> list[Row]:
    """Skewed, correlated components, as real ones are: a third of the drops are exactly 0."""
    random = Random(seed)
    made = []
    for image in range(n):
        hard = random.gauss(0, 1)
        drop = min(1.0, max(0.0, 0.15 + 0.2 * hard + random.gauss(0, 0.15)))
        coherency = min(1.0, max(0.0, 0.9 - 0.05 * hard - abs(random.gauss(0, 0.08))))
        complexity = min(0.95, max(0.02, 0.35 - 0.05 * hard + random.gauss(0, 0.1)))
        made.append(row(drop, coherency, complexity, image))
    return made


def sums(of: Sequence[Row]) -> Sums:
    return {(a, b): Sum(n, total * UNIT) for (_, a, b), (n, total) in sums_of(of, [])[0].items()}


def summary(of: Sequence[Row]) -> CellSummary:
    return summarise(1, sums(of), failed=0)


def components(of: Sequence[Row]) -> np.ndarray:
    return np.array([[getattr(r, name) for name in COMPONENTS] for r in of])


def headlines(values: np.ndarray) -> np.ndarray:
    """``[..., n, 3]`` drop, coherency, complexity → the headline of each sample, written
    independently.
    """
    drop, coherency, complexity = np.moveaxis(values.mean(-2), -1, 0)
    found: np.ndarray = 3 / (1 / coherency + 1 / (1 - complexity) + 1 / (1 - drop))
    return found


def test_means_and_errors_are_those_of_the_rows() -> None:
    of = rows(200, seed=1)
    means = summary(of).means
    for name in COMPONENTS:
        values = components(of)[:, COMPONENTS.index(name)]
        assert means[name].value == pytest.approx(values.mean(), abs=1e-11)
        assert means[name].se == pytest.approx(values.std(ddof=1) / sqrt(200), rel=1e-8)


def test_the_headline_is_the_harmonic_mean_of_the_means_and_not_the_mean_over_images() -> None:
    of = rows(200, seed=2)
    found = summary(of)
    assert found.means["adcc"].value == pytest.approx(float(headlines(components(of))), abs=1e-11)
    assert found.mean_image_adcc is not None
    assert found.mean_image_adcc.value == pytest.approx(
        np.mean([r.adcc for r in of if r.adcc is not None]), abs=1e-11
    )
    assert found.means["adcc"].value - found.mean_image_adcc.value > 0.01


@pytest.mark.parametrize("n", [100, 250, 1000])
def test_standard_error_of_the_headline_agrees_with_a_bootstrap(n: int) -> None:
    of = rows(n, seed=n)
    mean = ADCC.of_sums(sums(of))
    assert mean is not None
    assert mean.se is not None
    picks = np.random.default_rng(0).integers(0, n, (2000, n))
    bootstrap = headlines(components(of)[picks]).std(ddof=1)
    assert mean.se == pytest.approx(bootstrap, rel=0.10)


def test_coverage_of_the_95_percent_interval() -> None:
    population = rows(20_000, seed=7)
    truth = float(headlines(components(population)))
    random = Random(11)
    covered = 0
    for _ in range(500):
        mean = ADCC.of_sums(sums(random.sample(population, 100)))
        assert mean is not None
        assert mean.half_width is not None
        covered += abs(mean.value - truth) <= mean.half_width
    assert 0.93 <= covered / 500 <= 0.975


def test_sums_do_not_depend_on_the_order() -> None:
    of = rows(300, seed=4)
    shuffled = Random(0).sample(of, len(of))
    assert sums(of) == sums(shuffled)
    assert summary(of) == summary(shuffled)


def test_sums_add_up_in_parts_exactly() -> None:
    of = rows(300, seed=5)
    whole, first, second = (sums_of(part, [])[0] for part in (of, of[:120], of[120:]))
    assert {
        key: [n + second[key][0], total + second[key][1]] for key, (n, total) in first.items()
    } == whole


def test_an_undefined_drop_is_left_out_and_counted() -> None:
    of = [*rows(50, seed=6), row(None, 0.9, 0.3, 50)]
    found = summary(of)
    assert found.n == 51
    assert {name: found.means[name].n for name in COMPONENTS} == {
        "average_drop": 50,
        "coherency": 51,
        "complexity": 51,
    }
    assert found.means["adcc"].n == 50
    assert found.mean_image_adcc is not None
    assert found.mean_image_adcc.n == 50
    assert found.means["average_drop"] == summary(of[:50]).means["average_drop"]
    assert summarise(1, sums(of), 0, [(0.9, 0.3)]).means["adcc"] == summary(of[:50]).means["adcc"]


def test_fake_cam_has_no_spread_in_its_constant_complexity() -> None:
    random = Random(9)
    of = [
        row(max(0.0, random.gauss(0.003, 0.002)), 1.0, 1 - 1 / 50176, image) for image in range(500)
    ]
    means = summary(of).means
    assert means["complexity"].se == 0
    assert means["coherency"].se == 0
    assert means["adcc"].se is not None
    assert means["adcc"].se < 1e-9
    assert f"{100 * means['adcc'].value:.2f}" == "0.01"
    assert f"{100 * means['complexity'].value:.2f}" == "100.00"


def test_a_cell_of_degenerate_maps_has_adcc_zero() -> None:
    of = [row(1.0, 0.0, 0.0, image) for image in range(5)]
    mean = ADCC.of_sums(sums(of))
    assert mean is not None
    assert (mean.value, mean.se) == (0.0, 0.0)


def test_without_values_there_is_no_mean_and_one_value_has_no_interval() -> None:
    assert mean_of({}, "coherency") is None
    assert ADCC.of_sums({}) is None
    one = summary(rows(1, seed=3)).means
    assert set(one) == {*COMPONENTS, "average_increase", "adcc"}
    assert {mean.half_width for mean in one.values()} == {None}
    assert mean_of({("coherency", ""): Sum(0, 0.0)}, "coherency") is None


@pytest.mark.parametrize(
    ("drop", "coherency", "complexity", "expected"),
    [
        (0.5, 0.5, 0.5, 0.5),
        (0.0, 1.0, 0.0, 1.0),
        (1.0, 1.0, 0.0, 0.0),
        (0.2, 0.0, 0.3, 0.0),
        (0.0, 1.0, 0.5, 0.75),
    ],
)
def test_harmonic_adcc(drop: float, coherency: float, complexity: float, expected: float) -> None:
    assert harmonic_adcc(drop, coherency, complexity) == pytest.approx(expected)


def as_pairs(
    first: Sequence[Row], second: Sequence[Row]
) -> list[tuple[dict[str, float], dict[str, float]]]:
    return [
        ({n: getattr(a, n) for n in COMPONENTS}, {n: getattr(b, n) for n in COMPONENTS})
        for a, b in zip(first, second, strict=True)
    ]


def better(of: Sequence[Row], by: float, seed: int) -> list[Row]:
    random = Random(seed)
    changed = []
    for r in of:
        assert r.average_drop is not None
        assert r.coherency is not None
        drop = min(1.0, max(0.0, r.average_drop - by + random.gauss(0, 0.01)))
        changed.append(row(drop, r.coherency, r.complexity, r.image))
    return changed


def test_paired_difference_of_the_headline_agrees_with_a_paired_bootstrap() -> None:
    first, second = rows(400, seed=12), better(rows(400, seed=12), 0.03, seed=1)
    found = paired_difference("adcc", as_pairs(second, first))
    assert found is not None
    assert found.se is not None
    one, other = components(first), components(second)
    assert found.value == pytest.approx(float(headlines(other) - headlines(one)), abs=1e-12)
    picks = np.random.default_rng(0).integers(0, 400, (2000, 400))
    assert found.se == pytest.approx(
        (headlines(other[picks]) - headlines(one[picks])).std(ddof=1), rel=0.10
    )
    assert not found.tie


def test_pairing_sees_what_two_intervals_cannot() -> None:
    first, second = rows(400, seed=13), better(rows(400, seed=13), 0.02, seed=2)
    a, b = summary(first).means["adcc"], summary(second).means["adcc"]
    assert a.half_width is not None
    assert b.half_width is not None
    assert abs(a.value - b.value) < a.half_width + b.half_width
    found = paired_difference("adcc", as_pairs(first, second))
    assert found is not None
    assert not found.tie


def test_paired_difference_of_one_metric() -> None:
    pairs = [
        ({"deletion": 0.3}, {"deletion": 0.1}),
        ({"deletion": 0.5}, {"deletion": 0.1}),
        ({"deletion": 0.4}, {"deletion": 0.1}),
    ]
    found = paired_difference("deletion", pairs)
    assert found is not None
    assert found.n == 3
    assert found.value == pytest.approx(0.3)
    assert found.se == pytest.approx(0.1 / sqrt(3))


def test_a_cell_ties_with_itself_and_a_single_image_tells_nothing() -> None:
    of = rows(20, seed=14)
    found = paired_difference("adcc", as_pairs(of, of))
    assert found is not None
    assert (found.value, found.tie) == (0.0, True)
    assert PairedDifference(1, 0.5, None).tie
    assert paired_difference("adcc", []) is None


def influences(of: Sequence[Row]) -> np.ndarray:
    """``ψ_i`` of the docstring, written with the components as the paper has them: coherency, 1 −
    complexity, 1 − drop.
    """
    drop, coherency, complexity = components(of).T
    parts = np.stack([coherency, 1 - complexity, 1 - drop])
    averages = parts.mean(1, keepdims=True)
    adcc = 3 / (1 / averages).sum()
    found: np.ndarray = adcc**2 / 3 * ((parts - averages) / averages**2).sum(0)
    return found


@pytest.mark.parametrize("n", [2, 3, 200])
def test_the_error_of_the_headline_is_that_of_its_influences_exactly(n: int) -> None:
    of = rows(n, seed=21)
    mean = ADCC.of_sums(sums(of))
    assert mean is not None
    assert mean.se == pytest.approx(influences(of).std(ddof=1) / sqrt(n), rel=1e-6)


@pytest.mark.parametrize("n", [2, 3, 200])
def test_the_error_of_a_paired_headline_is_that_of_its_influences_exactly(n: int) -> None:
    first, second = rows(n, seed=22), rows(n, seed=23)
    found = paired_difference("adcc", as_pairs(first, second))
    assert found is not None
    assert found.se == pytest.approx(
        (influences(first) - influences(second)).std(ddof=1) / sqrt(n), rel=1e-9
    )


def test_two_values_have_an_error_and_one_pair_has_none() -> None:
    of = rows(2, seed=24)
    means = summary(of).means
    for name in COMPONENTS:
        values = components(of)[:, COMPONENTS.index(name)]
        assert means[name].se == pytest.approx(values.std(ddof=1) / sqrt(2), rel=1e-6)
    single = paired_difference("deletion", [({"deletion": 0.3}, {"deletion": 0.1})])
    assert single is not None
    assert (single.n, single.se) == (1, None)
    assert single.value == pytest.approx(0.2)


def test_perfect_explanations_have_adcc_one_and_worthless_ones_zero_both_without_spread() -> None:
    perfect = ADCC.of_sums(sums([row(0.0, 1.0, 0.0, image) for image in range(2)]))
    worthless = ADCC.of_sums(sums([row(1.0, 1.0, 0.5, image) for image in range(2)]))
    single = ADCC.of_sums(sums([row(1.0, 1.0, 0.5)]))
    assert perfect is not None
    assert worthless is not None
    assert single is not None
    assert (perfect.value, perfect.se) == (1.0, 0.0)
    assert (worthless.value, worthless.se) == (0.0, 0.0)
    assert (single.value, single.se) == (0.0, None)


def test_a_perfect_mean_still_has_the_spread_of_what_it_averages() -> None:
    """ADCC close to 1 from below is not taken for a constant."""
    of = [row(drop, 1.0, 0.0, image) for image, drop in enumerate((0.0, 0.1))]
    mean = ADCC.of_sums(sums(of))
    assert mean is not None
    assert mean.se == pytest.approx(influences(of).std(ddof=1) / sqrt(2), rel=1e-6)


@pytest.mark.parametrize("missing", COMPONENTS)
def test_without_one_of_the_components_there_is_no_headline(missing: str) -> None:
    known = sums(rows(5, seed=25))
    assert ADCC.of_sums({key: value for key, value in known.items() if missing not in key}) is None
    assert ADCC.of_sums({**known, (missing, ""): Sum(0, 0.0)}) is None


def test_a_cell_in_which_no_image_has_a_drop_has_no_headline() -> None:
    of = [row(None, 0.9, 0.3, 0), row(None, 0.8, 0.2, 1)]
    found = summarise(1, sums(of), 0, [(0.9, 0.3), (0.8, 0.2)])
    assert set(found.means) == {"coherency", "complexity", "average_increase"}
    assert found.mean_image_adcc is None


def test_degenerate_maps_are_counted_and_a_cell_without_rows_has_none() -> None:
    of = [*rows(3, seed=26), Row(1, 3, 3, 3, 0.5, 0.0, 1.0, 0.0, 0.5, 0.0, 0.0, True, None)]
    assert (summary(of).n, summary(of).degenerate) == (4, 1)
    empty = summarise(1, {}, 7)
    assert (empty.n, empty.failed, empty.degenerate, empty.means) == (0, 7, 0, {})


@pytest.mark.parametrize("components", [(1.0, 0.9, 0.3), (0.2, 0.0, 0.3), (0.2, 0.9, 1.0)])
def test_an_adcc_of_zero_does_not_move(components: tuple[float, float, float]) -> None:
    assert ADCC.slopes(components) == [0.0, 0.0, 0.0]


def test_the_slopes_are_the_derivatives() -> None:
    at, step = (0.2, 0.9, 0.35), 1e-6
    for place in range(len(COMPONENTS)):
        above, below = (
            [x + sign * step * (i == place) for i, x in enumerate(at)] for sign in (1, -1)
        )
        derivative = (harmonic_adcc(*above) - harmonic_adcc(*below)) / (2 * step)
        assert ADCC.slopes(at)[place] == pytest.approx(derivative, rel=1e-6)


@pytest.mark.parametrize(
    ("value", "units"),
    [(0.0, 0), (1.0, 2**40), (0.5, 2**39), (2.0**-41 * 1.001, 1), (2.0**-41 * 0.999, 0)],
)
def test_values_are_summed_in_units_of_two_to_the_minus_forty(value: float, units: int) -> None:
    assert quantise(value) == units
    assert UNIT == 2.0**-40


@pytest.mark.parametrize("level", [0.05, 0.01, 0.5, 1e-4])
@pytest.mark.parametrize("df", [1, 2, 3, 9, 39, 127, 128, 249, 1000, 1001, 49_999, 8_000_000])
def test_the_quantile_of_students_t_is_scipys(df: int, level: float) -> None:
    assert t_quantile(df, level) == pytest.approx(student.isf(level / 2, df), rel=1e-12, abs=0)


@pytest.mark.parametrize("df", [1, 2, 3, 9, 39, 249, 1000, 49_999, 8_000_000])
def test_the_p_of_students_t_is_scipys(df: int) -> None:
    for t in (0.0, 1e-6, 0.1, 0.7, 1.0, 1.96, 3.0, -3.0, 7.0, 40.0):
        assert t_test_p(t, df) == pytest.approx(2 * student.sf(abs(t), df), abs=1e-9)
    assert t_test_p(inf, df) == 0


def test_the_interval_is_students() -> None:
    assert Mean(4, 0.5, 0.01).half_width == pytest.approx(0.0318244631)
    assert Mean(2, 0.5, 0.01).half_width == pytest.approx(0.1270620474)
    assert Mean(1, 0.5, None).half_width is None
    assert Mean(100, 0.5, 0.01).half_width == pytest.approx(0.0198421695)
    assert Mean(8_000_000, 0.5, 0.01).half_width == pytest.approx(Z95 * 0.01, rel=1e-6)
    edge = t_quantile(99) * 0.01
    assert PairedDifference(100, edge * 0.999, 0.01).tie
    assert not PairedDifference(100, edge * 1.001, 0.01).tie


def test_the_interval_of_four_images_holds_what_it_promises() -> None:
    values = np.random.default_rng(0).normal(0.5, 0.1, (4000, 4))
    errors = values.std(1, ddof=1) / 2
    covered = [
        abs(mean - 0.5) <= (Mean(4, mean, se).half_width or 0)
        for mean, se in zip(map(float, values.mean(1)), map(float, errors), strict=True)
    ]
    assert 0.94 < sum(covered) / 4000 < 0.96  # by 1.96 standard errors: 0.86


def test_a_difference_that_never_varies_is_certain_and_nothing_is_none() -> None:
    assert PairedDifference(20, 0.1, 0.0).p == 0
    assert PairedDifference(20, 0.0, 0.0).p == 1
    assert PairedDifference(1, 0.1, None).p is None
    assert [PairedDifference(n, 0.1, 0.1).tested for n in (2, 9, 10)] == [False, False, True]


def test_holms_procedure_is_the_written_one() -> None:
    p = {"a": 0.011, "b": 0.02, "c": 0.04, "d": 0.004}
    assert holm_separated(p) == {"d", "a", "b", "c"}
    assert holm_separated(p, 5) == {"d", "a"}  # 0.05/5, /4, then 0.02 > 0.05/3
    assert holm_separated({**p, "d": 0.02}) == {"a"}  # 0.05/4, then 0.02 > 0.05/3
    assert holm_separated({}) == set()


def test_records_of_statistics_do_not_change() -> None:
    for record in (Mean(1, 0.5, None), summary(rows(2, seed=27)), PairedDifference(1, 0.5, None)):
        with pytest.raises(FrozenInstanceError):
            record.n = 2  # type: ignore[misc]  # that is the point


@pytest.mark.parametrize(
    "constant",
    [["coherency"], ["complexity"], ["coherency", "complexity"], ["average_drop", "coherency"]],
)
def test_a_component_that_does_not_vary_adds_nothing_to_the_error(constant: list[str]) -> None:
    """0.3, 0.7 and their products are no multiples of the unit in which sums are kept: what is left
    of them is no spread.
    """
    level: dict[str, Any] = {"average_drop": 0.3, "coherency": 0.7, "complexity": 0.3}
    of = [one._replace(**{name: level[name] for name in constant}) for one in rows(7, seed=31)]
    means = summary(of).means
    assert [means[name].se for name in constant] == [0.0] * len(constant)
    assert means["adcc"].se == pytest.approx(influences(of).std(ddof=1) / sqrt(7), rel=1e-6)
    still = [one._replace(**level) for one in of]
    assert summary(still).means["adcc"].se == 0.0


def arcc_sums(of: Sequence[tuple[float, float, float]]) -> Sums:
    """Of coherency, complexity and ROAD of each image."""
    found = sums_of([], [], [ArccSources(1, *values) for values in of])[0]
    return {(a, b): Sum(n, total * UNIT) for (_, a, b), (n, total) in found.items()}


def test_arcc_of_a_cell_is_the_harmonic_mean_of_averages_not_the_average_of_such_means() -> None:
    """Parts (1, 0.5, 0.8) and (0.5, 0.7, 0): averages 0.75, 0.6 and 0.4; of the images 0.7059 and
    0.
    """
    of = [(1.0, 0.5, 0.4), (0.5, 0.3, -0.1)]
    mean = ARCC.of_sums(arcc_sums(of))
    assert mean is not None
    assert mean.value == pytest.approx(3 / (1 / 0.75 + 1 / 0.6 + 1 / 0.4), abs=1e-9)
    assert mean.value == pytest.approx(
        ARCC.of_images([dict(zip(("coherency", "complexity", "road"), o, strict=True)) for o in of])
    )
    each = [harmonic_mean(arcc_components(*one)) for one in of]
    assert each == [pytest.approx(3 / (1 / 1.0 + 1 / 0.5 + 1 / 0.8)), 0.0]
    assert sum(each) / 2 != pytest.approx(mean.value, abs=0.1)


def test_the_interval_of_arcc_is_that_of_a_bootstrap() -> None:
    random = np.random.default_rng(4)
    of = np.column_stack(
        [
            random.uniform(0.8, 1, 400),
            random.uniform(0.2, 0.5, 400),
            random.normal(0.2, 0.15, 400).clip(-0.5, 0.5),
        ]
    )
    mean = ARCC.of_sums(arcc_sums([tuple(map(float, one)) for one in of]))  # type: ignore[misc]  # three of them
    assert mean is not None
    assert mean.se is not None
    parts = np.column_stack([of[:, 0], 1 - of[:, 1], (2 * of[:, 2]).clip(0, 1)])
    drawn = [3 / (1 / parts[random.integers(0, 400, 400)].mean(0)).sum() for _ in range(2000)]
    assert mean.se == pytest.approx(float(np.std(drawn)), rel=0.1)


def test_one_image_has_no_interval_and_none_no_arcc() -> None:
    assert ARCC.of_sums({}) is None
    assert ARCC.of_sums(arcc_sums([(1.0, 0.5, 0.25)])) == Mean(1, 0.6, None)


def test_a_paired_difference_in_arcc_is_that_of_the_headlines() -> None:
    random = Random(2)
    keys = ("coherency", "complexity", "road")
    first = [
        dict(
            zip(
                keys,
                (random.uniform(0.8, 1), random.uniform(0.2, 0.5), random.gauss(0.2, 0.1)),
                strict=True,
            )
        )
        for _ in range(60)
    ]
    second = [{**one, "road": one["road"] - 0.05} for one in first]
    found = paired_difference("arcc", zip(first, second, strict=True))
    assert found is not None
    assert found.value == pytest.approx(ARCC.of_images(first) - ARCC.of_images(second))
    assert not found.tie
    same = paired_difference("arcc", zip(first, first, strict=True))
    assert same is not None
    assert (same.value, same.se) == (0.0, 0.0)
