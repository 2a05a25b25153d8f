"""Rank accuracy: by hand, ties included, and what Quantus makes of maps without ties."""

from __future__ import annotations

import pytest
import torch

from evaluator.metrics.rank_accuracy import measure
from tests.localisation import by_hand, explained, quantus, random_case


def test_by_hand() -> None:
    """|S| = 5: the pixels of 1.0, 0.5 and 0.4 are hits; of the two of 0.3 the first is no hit, the
    second is.
    """
    assert measure(by_hand()).tolist() == [4 / 5]


def test_ties_go_by_pixel_index() -> None:
    """The last of the five places goes to the first of the pixels of 0.2, which is no hit."""
    values = [
        [0.0, 0.2, 0.0, 0.0],
        [0.0, 1.0, 0.9, 0.0],
        [0.0, 0.8, 0.2, 0.0],
        [0.7, 0.0, 0.0, 0.0],
    ]
    assert measure(by_hand(values)).tolist() == [3 / 5]


def test_as_quantus_has_it() -> None:
    maps, objects = random_case(6, 24, seed=2)
    assert measure(explained(maps, objects)).tolist() == pytest.approx(
        quantus("RelevanceRankAccuracy", maps, objects)
    )


def test_on_an_empty_map_the_first_pixels_are_the_most_salient() -> None:
    objects = torch.zeros(2, 4, 4)
    objects[0, 0], objects[1, 3] = 1, 1
    assert measure(explained(torch.zeros(1, 4, 4), objects)).tolist() == [1.0, 0.0]
