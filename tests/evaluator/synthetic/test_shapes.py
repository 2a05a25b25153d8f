from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from evaluator.synthetic.scene import DISTRACTORS, OBJECTS

EVERY = OBJECTS | DISTRACTORS
AXIS = (np.arange(200) + 0.5) / 100 - 1
U, V = AXIS[None], AXIS[:, None]


@pytest.mark.parametrize("name", EVERY)
def test_a_shape_fills_its_circle_and_does_not_leave_it(name: str) -> None:
    inside = EVERY[name](U, V)
    assert inside.shape == (200, 200)
    furthest = np.hypot(U, V)[inside].max()
    assert 0.85 < furthest <= 1.0
    assert 0.1 < inside.mean() * 4 / np.pi < 0.95  # of the circle's area


@pytest.mark.parametrize(("one", "other"), [*combinations(OBJECTS, 2)])
def test_two_classes_differ_in_a_fifth_of_their_area_in_whatever_position_they_stand(
    one: str, other: str
) -> None:
    first = OBJECTS[one](U, V)
    overlap = []
    for degrees in range(-60, 61, 6):
        cosine, sine = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
        second = OBJECTS[other](cosine * U + sine * V, cosine * V - sine * U)
        overlap.append((first & second).sum() / (first | second).sum())
    assert max(overlap) < 0.8


def test_some_points_by_hand() -> None:
    def has(name: str, u: float, v: float) -> bool:
        return bool(EVERY[name](np.array([[u]]), np.array([[v]]))[0, 0])

    assert has("star", 0, -0.99)
    assert not has("star", 0, 0.99)
    assert not has("star", 0, 0.5)  # the notch below
    assert has("triangle", 0, -0.95)
    assert not has("triangle", 0, 0.55)
    assert not has("ring", 0, 0)
    assert has("ring", 0.7, 0)
    assert not has("crescent", 0.7, 0)
    assert has("crescent", -0.7, 0)
    assert has("cross", 0, 0.9)
    assert not has("cross", 0.6, 0.6)
    assert has("hourglass", 0.5, 0.75)
    assert not has("hourglass", 0.5, 0)
    assert has("heart", 0, 0.6)
    assert not has("heart", 0, -0.95)
