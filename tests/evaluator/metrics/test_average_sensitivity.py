"""Average sensitivity: the mean where max-sensitivity has the maximum, and Quantus's."""

from __future__ import annotations

import pytest

from evaluator.metrics.average_sensitivity import measure
from evaluator.metrics.max_sensitivity import distances
from evaluator.metrics.max_sensitivity import measure as largest
from tests.agreement import small_bench, stored
from tests.evaluator.metrics.test_max_sensitivity import fast, quantus
from tests.networks import random_images


def test_the_mean_of_what_quantus_averages_too() -> None:
    made, images = small_bench("vgg-like"), random_images(3, seed=6)
    maps = stored(made, images, "gradcam")
    asked, explained = fast(made, images, maps)
    before = made.network.forwards
    found = measure(explained).tolist()
    assert made.network.forwards - before == 3 * 10
    assert found == distances(explained).mean(1).tolist()
    assert all(a < b for a, b in zip(found, largest(explained).tolist(), strict=True))
    assert made.network.forwards - before == 3 * 10, "both have the same draws, explained once"
    assert found == pytest.approx(
        quantus("avg_sensitivity", "AvgSensitivity", asked, explained.probe, explained), abs=1e-6
    )
