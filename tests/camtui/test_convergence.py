from __future__ import annotations

from pathlib import Path

import pytest

from camtui.status import convergence
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
