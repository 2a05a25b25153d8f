"""Mass accuracy: by hand, and what Quantus makes of the same maps."""

from __future__ import annotations

import pytest
import torch

from evaluator.metrics.mass_accuracy import measure
from tests.localisation import by_hand, explained, quantus, random_case


def test_by_hand() -> None:
    """1.0 + 0.4 + 0.5 + 0.3 of 3.0."""
    assert measure(by_hand()).tolist() == pytest.approx([2.2 / 3.0], abs=1e-7)


def test_as_quantus_has_it() -> None:
    maps, objects = random_case(6, 24, seed=1)
    assert measure(explained(maps, objects)).tolist() == pytest.approx(
        quantus("RelevanceMassAccuracy", maps, objects), abs=1e-6
    )


def test_an_empty_map_has_nothing_on_the_object_and_a_map_inside_it_everything() -> None:
    objects = torch.zeros(2, 4, 4)
    objects[:, 1:3, 1:3] = 1
    maps = torch.stack([torch.zeros(4, 4), objects[1] / 3])
    assert measure(explained(maps, objects)).tolist() == [0.0, 1.0]


def test_one_map_for_all_images() -> None:
    objects = torch.zeros(2, 4, 4)
    objects[0, 0, 0], objects[1, :2] = 1, 1
    assert measure(explained(torch.ones(1, 4, 4), objects)).tolist() == [1 / 16, 0.5]
