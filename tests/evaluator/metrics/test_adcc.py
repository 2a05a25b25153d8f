"""ADCC: the harmonic mean by hand, 0 where a component is 0, undefined where the drop is."""

from __future__ import annotations

from math import isnan, nan

import pytest
import torch

from evaluator.metrics.adcc import adcc
from tests import reference


def one(coherency: float, complexity: float, drop: float) -> float:
    return float(
        adcc(
            *(torch.tensor([value], dtype=torch.float64) for value in (coherency, complexity, drop))
        )[0]
    )


@pytest.mark.parametrize(
    ("coherency", "complexity", "drop", "expected"),
    [
        (1.0, 0.0, 0.0, 1.0),
        (0.5, 0.5, 0.5, 0.5),
        (1.0, 0.5, 0.5, 0.6),  # 3 / (1 + 2 + 2)
        (0.0, 0.2, 0.1, 0.0),
        (0.9, 1.0, 0.1, 0.0),
        (0.9, 0.2, 1.0, 0.0),
        (0.0, 1.0, 1.0, 0.0),
    ],
)
def test_by_hand(coherency: float, complexity: float, drop: float, expected: float) -> None:
    assert one(coherency, complexity, drop) == pytest.approx(expected, abs=1e-15)


def test_fake_cam_at_full_resolution() -> None:
    assert one(1.0, 1 - 1 / 50176, 0.0) == pytest.approx(3 / (1 + 50176 + 1), rel=1e-9)


def test_an_undefined_drop_gives_no_score() -> None:
    assert isnan(one(0.5, 0.5, nan))
    assert isnan(one(0.0, 0.5, nan)), (
        "a row without a drop has no ADCC even where its map is empty: the headline finds it "
        "by that"
    )


@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_component_that_rounding_has_pushed_below_zero_is_zero(place: int) -> None:
    values = [0.9, 0.3, 0.2]
    values[place] = -1e-9 if place == 0 else 1 + 1e-9
    assert one(values[0], values[1], values[2]) == 0.0


def test_agrees_with_the_slow_one_image_by_image() -> None:
    parts = torch.rand(3, 50, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    expected = [reference.adcc(*values) for values in parts.T.tolist()]
    assert adcc(*parts).tolist() == pytest.approx(expected, abs=1e-15)
