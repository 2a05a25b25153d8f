"""Pointing game: by hand, at the margin, with several maxima, and what Quantus makes of maps with
one.
"""

from __future__ import annotations

from types import SimpleNamespace

import torch

from evaluator.metrics.pointing_game import measure
from tests.localisation import MAP, by_hand, explained, quantus, random_case

EXACT = SimpleNamespace(pointing_margin=0)


def test_by_hand() -> None:
    assert measure(by_hand(settings=EXACT)).tolist() == [1.0]
    elsewhere = [[0, 0, 0, 0], [0, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 0]]
    assert measure(by_hand(MAP, elsewhere, EXACT)).tolist() == [0.0]
    assert measure(by_hand(MAP, elsewhere, SimpleNamespace(pointing_margin=1))).tolist() == [0.0], (
        "a diagonal is 1.41 pixels"
    )
    assert measure(by_hand(MAP, elsewhere, SimpleNamespace(pointing_margin=2))).tolist() == [1.0]


def test_fifteen_pixels_are_near_and_sixteen_are_not() -> None:
    maps, objects = torch.zeros(3, 64, 64), torch.zeros(3, 64, 64)
    maps[:, 30, 30] = 1
    objects[0, 30, 45], objects[1, 30, 46], objects[2, 42, 39] = 1, 1, 1
    assert measure(explained(maps, objects)).tolist() == [1.0, 0.0, 1.0], "12² + 9² = 15²"


def test_of_several_maxima_the_first_counts() -> None:
    maps, objects = torch.zeros(1, 4, 4), torch.zeros(2, 4, 4)
    maps[0, 1, 2] = maps[0, 3, 3] = 1
    objects[0, 1, 2], objects[1, 3, 3] = 1, 1
    assert measure(explained(maps, objects, EXACT)).tolist() == [1.0, 0.0]
    assert measure(explained(torch.zeros(1, 4, 4), objects, EXACT)).tolist() == [0.0, 0.0], (
        "it points at the first pixel"
    )


def test_as_quantus_has_it() -> None:
    maps, objects = random_case(40, 24, seed=3)
    expected = quantus("PointingGame", maps, objects)
    assert measure(explained(maps, objects, EXACT)).tolist() == expected
    assert 0 < sum(expected) < 40
