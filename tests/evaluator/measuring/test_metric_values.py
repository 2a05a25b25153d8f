"""Metrics from what a row has stored are those of the pass that made it, for low-resolution and for
fixed maps, in any order.
"""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from torch import Tensor

from evaluator.measuring import optional_metrics
from evaluator.measuring.optional_metrics import measured
from evaluator.measuring.pipeline import Scores
from evaluator.measuring.saliency import MapOfImage
from evaluator.metrics.average_drop import average_drop
from evaluator.metrics.complexity import complexity
from evaluator.records import StoredMap
from tests.agreement import evaluated, small_bench
from tests.networks import Bench, random_images

SPECS = ("gradcam", "fakecam", "layercam")


@pytest.fixture(scope="module")
def made() -> Bench:
    return small_bench("vgg-like")


@pytest.fixture(scope="module")
def images() -> Tensor:
    return random_images(3, seed=3)


@pytest.fixture(scope="module")
def scores(made: Bench, images: Tensor) -> dict[str, Scores]:
    return {spec: evaluated(made, images, spec) for spec in SPECS}


@pytest.fixture(scope="module")
def maps(scores: dict[str, Scores]) -> list[MapOfImage]:
    """Image by image, as a unit of several cells has them."""
    return [
        MapOfImage(
            place, spec, StoredMap(of.target[place], of.y[place], of.o[place], of.maps[place])
        )
        for place in range(3)
        for spec, of in scores.items()
    ]


def in_order(scores: dict[str, Scores], column: str) -> list[float]:
    return [getattr(scores[spec], column)[place] for place in range(3) for spec in SPECS]


@pytest.mark.parametrize(
    ("column", "formula"),
    [
        ("complexity", lambda explained: complexity(explained.saliency)),
        ("average_drop", lambda explained: average_drop(explained.clean, explained.masked)),
    ],
)
def test_a_metric_from_stored_rows_is_that_of_the_pass(
    column: str,
    formula: object,
    made: Bench,
    maps: list[MapOfImage],
    scores: dict[str, Scores],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(
        optional_metrics, "formula_of", lambda name: SimpleNamespace(measure=formula)
    )
    before = made.network.forwards
    assert measured("average_gain", maps, made.network) == pytest.approx(
        in_order(scores, column), abs=1e-12
    )
    assert made.network.forwards == before


def test_average_gain_as_it_stands_in_its_file(
    made: Bench, maps: list[MapOfImage], scores: dict[str, Scores]
) -> None:
    pairs = zip(in_order(scores, "y"), in_order(scores, "o"), strict=True)
    expected = [max(0.0, o - y) / (1 - y) for y, o in pairs]
    assert any(expected)
    assert measured("average_gain", maps, made.network) == pytest.approx(expected, abs=1e-12)
    assert measured("average_gain", [], made.network) == []
