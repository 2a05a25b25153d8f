from __future__ import annotations

from pathlib import Path
from statistics import fmean, stdev

import pytest

from camtui.status import convergence, curve_of, running_means
from evaluator.store.reader import ConvergencePoint, RunReader
from tests.synthetic import make_run


def test_it_ends_in_the_headline_of_the_cell(tmp_path: Path) -> None:
    run = make_run(
        tmp_path / "run.db", images=300, methods=("gradcam",), backbones=("resnet18",), curves=False
    )
    with RunReader(run) as reader:
        (summary,) = reader.averages.summaries()
        curve = convergence(reader.averages.convergence(1), summary.means["average_drop"].n)
    last, headline = curve[-1], summary.means["average_drop"]
    assert last.n == headline.n
    assert 100 < len(curve) <= 150
    widths = [mean.half_width or 0 for mean in curve]
    assert widths[-1] < widths[len(widths) // 10], "the band narrows"


def test_against_every_prefix() -> None:
    points = [
        ConvergencePoint(0.1 * (i % 5), 0.9 - 0.05 * (i % 3), 0.3 + 0.02 * (i % 7))
        for i in range(20)
    ]
    for mean in convergence(points, 20, steps=20):
        first = points[: mean.n]
        parts = [
            1 - sum(p.average_drop for p in first) / mean.n,
            sum(p.coherency for p in first) / mean.n,
        ]
        parts.append(1 - sum(p.complexity for p in first) / mean.n)
        assert mean.value == pytest.approx(3 / sum(1 / part for part in parts), abs=1e-12)


def test_nothing_and_one() -> None:
    assert convergence([], 0) == []
    (only,) = convergence([ConvergencePoint(0.1, 0.9, 0.3)], 1)
    assert only.n == 1
    assert only.se is None


@pytest.mark.parametrize("steps", [1, 7, 20])
def test_a_running_mean_is_that_of_the_first_values(steps: int) -> None:
    values = [0.1 * (place * 7 % 11) for place in range(20)]
    found = running_means(values, 20, steps)
    assert found[-1].n == 20
    for mean in found:
        first = values[: mean.n]
        assert mean.value == pytest.approx(fmean(first))
        expected = stdev(first) / mean.n**0.5 if mean.n > 1 else None
        assert mean.se == (None if expected is None else pytest.approx(expected))
    assert running_means([], 0) == []


def test_the_curve_of_every_metric_ends_in_its_average(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run.db", images=30, methods=("gradcam",), backbones=("resnet18",))
    with RunReader(run) as reader:
        (summary,) = reader.averages.summaries()
        for metric, mean in summary.means.items():
            last = curve_of(reader, 1, metric, mean.n)[-1]
            assert (last.n, last.value, last.se) == pytest.approx((mean.n, mean.value, mean.se))
        assert curve_of(reader, 1, "arcc", 30) == []
