"""IoU: by hand, at its ends, and pixel by pixel."""

from __future__ import annotations

import pytest
import torch

from evaluator.metrics.iou import measure
from tests.localisation import by_hand, explained, random_case


def test_by_hand() -> None:
    """Seven pixels reach 0.2, four of them are the object's; the object has five."""
    assert measure(by_hand()).tolist() == [4 / 8]


def test_its_ends() -> None:
    objects = torch.zeros(3, 4, 4)
    objects[:, 1:3, 1:3] = 1
    maps = torch.stack([objects[0], 1 - objects[0], torch.zeros(4, 4)])
    assert measure(explained(maps, objects)).tolist() == [1.0, 0.0, 0.0]
    assert measure(explained(torch.ones(1, 4, 4), objects)).tolist() == [0.25] * 3


def test_pixel_by_pixel() -> None:
    maps, objects = random_case(5, 16, seed=3)
    maps = maps**4 / 3
    expected = []
    for u, s in zip(maps, objects, strict=True):
        pixels = list(zip(u.flatten().tolist(), s.flatten().tolist(), strict=True))
        most = max(value for value, _ in pixels)
        both = sum(value >= 0.2 * most and inside for value, inside in pixels)
        either = sum(value >= 0.2 * most or inside for value, inside in pixels)
        expected.append(both / either)
    assert measure(explained(maps, objects)).tolist() == pytest.approx(expected)
    assert len(set(expected)) == 5
