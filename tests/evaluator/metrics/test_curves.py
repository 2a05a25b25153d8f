"""The order of the pixels with its ties pinned, the steps, the area."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from evaluator.metrics.curves import area_under_curve, inner_steps, pixel_ranks
from tests import reference


def test_descending_with_ties_by_index() -> None:
    maps = torch.tensor([[[0.5, 1.0, 0.5], [0.0, 1.0, 0.5]]])
    assert pixel_ranks(maps).tolist() == [[[2, 0, 3], [5, 1, 4]]]


def test_fake_cam_goes_row_by_row_and_its_corner_last() -> None:
    ranks = pixel_ranks(reference.fake_map(224, 224)[None])[0].flatten().tolist()
    assert ranks == [50175, *range(50175)]


def test_a_zero_map_goes_row_by_row() -> None:
    assert pixel_ranks(torch.zeros(2, 224, 224))[1].flatten().tolist() == list(range(50176))


@given(st.lists(st.sampled_from([0.0, 0.25, 0.5, 1.0]), min_size=12, max_size=12))
def test_as_a_sorted_list(values: list[float]) -> None:
    order = sorted(range(12), key=lambda index: (-values[index], index))
    ranks = pixel_ranks(torch.tensor(values).view(1, 3, 4)).flatten().tolist()
    assert [ranks[index] for index in order] == list(range(12))


def test_inner_steps_leave_the_ends_out() -> None:
    assert [step.pixels for step in inner_steps(12, 4)] == [3, 6, 9]
    steps = [step.pixels for step in inner_steps(50176, 28)]
    assert (steps[0], steps[-1], len(steps)) == (1792, 50176 - 1792, 27)


def test_the_area_is_the_trapezoid_rule() -> None:
    curves = torch.tensor([[1.0, 0.5, 0.0], [1.0, 0.0, 0.0], [0.25, 0.25, 0.25]])
    assert area_under_curve(curves).tolist() == [0.5, 0.25, 0.25]
    points = torch.rand(1, 29, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    assert area_under_curve(points).tolist() == pytest.approx(
        [reference.reference_area(points[0].tolist())], abs=1e-15
    )
