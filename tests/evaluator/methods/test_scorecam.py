"""Score-CAM and its variants beside a loop over channels, and independent of how channels are
chunked.
"""

from __future__ import annotations

import pytest

from tests.agreement import evaluated, small_bench
from tests.evaluator.methods.views import clean_view, worst_difference
from tests.networks import CONSTANT, DEAD, bench, gap_network, random_images

VARIANTS = ("released", "raw", "softmax-logit", "cic")


def test_variants_are_four_different_maps() -> None:
    images = random_images(1, seed=1)
    maps = {
        evaluated(small_bench("vgg-like"), images, f"scorecam:variant={variant}").maps[0]
        for variant in VARIANTS
    }
    assert len(maps) == len(VARIANTS)


@pytest.mark.parametrize("batch_size", [1, 5, 64])
def test_chunks_change_nothing(batch_size: int) -> None:
    images = random_images(3, seed=2)
    expected = evaluated(small_bench("gap"), images, "scorecam")
    found = evaluated(bench(gap_network(), batch_size), images, "scorecam")
    assert worst_difference(found, expected) < 1e-6


def test_the_order_of_the_images_changes_nothing() -> None:
    images = random_images(3, seed=2)
    expected = evaluated(small_bench("vgg-like"), images, "scorecam")
    turned = evaluated(small_bench("vgg-like"), images.flip(0), "scorecam")
    assert worst_difference(turned, expected, order=[2, 1, 0]) < 1e-6


def test_constant_channels_cost_no_forward_and_score_nothing() -> None:
    made = bench(gap_network())
    before = made.network.forwards
    scores = evaluated(made, random_images(1, seed=1), "scorecam")
    live = 12 - len(DEAD) - 1
    assert made.network.forwards - before == 1 + live + 1 + live
    assert not scores.degenerate[0]
    weights = clean_view("gap").channel_scores()
    assert weights[:, [*DEAD, CONSTANT]].abs().max() == 0
    assert weights[:, 0].min() > 0
