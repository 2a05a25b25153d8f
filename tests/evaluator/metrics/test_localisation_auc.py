"""Localisation AUC: pairs by hand, ties, and Quantus's ROC curve."""

from __future__ import annotations

import pytest
import torch

from evaluator.metrics.localisation_auc import measure
from tests.localisation import MAP, OBJECT, by_hand, explained, quantus, random_case


def test_by_hand() -> None:
    """Every pixel of the object beside every other one, ties as half a win."""
    pairs = [
        (a > b) + (a == b) / 2
        for a, inside in zip(sum(MAP, ()), sum(OBJECT, ()), strict=True)
        if inside
        for b, other in zip(sum(MAP, ()), sum(OBJECT, ()), strict=True)
        if not other
    ]
    assert len(pairs) == 5 * 11
    assert measure(by_hand()).tolist() == pytest.approx([sum(pairs) / len(pairs)], abs=1e-12)


@pytest.mark.parametrize("levels", [None, 4])
def test_as_quantus_has_it(levels: int | None) -> None:
    maps, objects = random_case(6, 24, seed=1)
    maps = maps if levels is None else (maps * levels).floor() / levels
    found = measure(explained(maps, objects)).tolist()
    assert found == pytest.approx(quantus("AUC", maps, objects), abs=1e-9)
    assert len(set(found)) == 6


def test_chance_where_nothing_can_be_told_apart() -> None:
    objects = torch.zeros(3, 4, 4)
    objects[0, 0], objects[1], objects[2, 1:3] = 1, 1, 1
    assert measure(explained(torch.ones(1, 4, 4), objects)).tolist() == [0.5, 0.5, 0.5]
    assert measure(explained(objects, objects)).tolist() == [1.0, 0.5, 1.0]
    assert measure(explained(1 - objects, objects)).tolist() == [0.0, 0.5, 0.0]
