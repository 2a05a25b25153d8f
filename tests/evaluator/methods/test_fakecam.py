"""Fake-CAM: exact numbers at any resolution."""

from __future__ import annotations

import pytest

from evaluator.methods.fakecam import FakeCAM
from tests.agreement import evaluated, small_bench
from tests.networks import SIDE, random_images


def test_only_the_top_left_pixel_is_missing() -> None:
    assert FakeCAM().fixed_map(2, 3) == [[0.0, 1.0, 1.0], [1.0, 1.0, 1.0]]


def test_complexity_and_coherency_are_exact() -> None:
    scores = evaluated(small_bench("gap"), random_images(2), "fakecam")
    assert scores.complexity == [1 - 1 / SIDE**2] * 2
    assert scores.coherency == pytest.approx([1.0] * 2, abs=1e-12)
    assert scores.degenerate == [False, False]
    assert scores.maps == [None, None]
