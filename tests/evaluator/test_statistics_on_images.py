"""The standard error of the headline ADCC against a bootstrap over the 250 real images."""

from __future__ import annotations

import random
from statistics import stdev

import pytest

from evaluator.images import find_images
from evaluator.interfaces import SessionSettings
from evaluator.measuring.session import open_session
from evaluator.plan import validated_plan
from evaluator.records import Row, Unit
from evaluator.statistics import ADCC, UNIT, Sum, harmonic_adcc
from evaluator.store.sums import sums_of
from tests.shared import SAMPLE, needs_sample

pytestmark = [pytest.mark.slow, needs_sample]


@pytest.fixture(scope="module")
def rows() -> dict[int, list[Row]]:
    """Cell → its 250 rows."""
    methods = ("gradcam", "gradcampp", "fakecam")
    plan = validated_plan(
        {"data": str(SAMPLE), "backbones": ["efficientnet_lite0"], "methods": list(methods)}
    )
    session = open_session(SessionSettings(plan, str(SAMPLE)))
    session.load(0)
    images = find_images(SAMPLE, seed=0).images
    found: dict[int, list[Row]] = {0: [], 1: [], 2: []}
    for first in range(0, len(images), 16):
        for row in session.evaluate(
            Unit(0, 0, 0, (0, 1, 2), methods, images[first : first + 16])
        ).rows:
            found[row.cell].append(row)
    session.close()
    return found


def components(row: Row) -> tuple[float, float, float]:
    assert row.average_drop is not None
    assert row.coherency is not None
    return row.average_drop, row.coherency, row.complexity


def adcc_of(sample: list[tuple[float, float, float]]) -> float:
    drop, coherency, complexity = (
        sum(column) / len(sample) for column in zip(*sample, strict=True)
    )
    return harmonic_adcc(drop, coherency, complexity)


@pytest.mark.parametrize("cell", [0, 1])
def test_the_standard_error_is_that_of_a_bootstrap(rows: dict[int, list[Row]], cell: int) -> None:
    assert len(rows[cell]) == 250
    sums = {
        (a, b): Sum(n, total * UNIT) for (_, a, b), (n, total) in sums_of(rows[cell], [])[0].items()
    }
    headline = ADCC.of_sums(sums)
    assert headline is not None
    assert headline.se is not None
    parts = [components(row) for row in rows[cell]]
    assert headline.value == pytest.approx(adcc_of(parts), abs=1e-9)
    chance = random.Random(0)
    resampled = [adcc_of(chance.choices(parts, k=len(parts))) for _ in range(1000)]
    assert headline.se == pytest.approx(stdev(resampled), rel=0.10)


def test_fake_cam_is_what_the_paper_says(rows: dict[int, list[Row]]) -> None:
    drop, coherency, complexity = (
        sum(column) / 250 for column in zip(*map(components, rows[2]), strict=True)
    )
    assert drop < 0.005
    assert coherency == 1
    assert f"{100 * complexity:.2f}" == "100.00"
    assert f"{100 * harmonic_adcc(drop, coherency, complexity):.2f}" == "0.01"
