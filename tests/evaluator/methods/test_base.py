"""Every method has a name made of its options, and the arithmetic shared by the formulas."""

from __future__ import annotations

import pytest
import torch

from evaluator.catalog import method
from evaluator.methods.base import guarded_ratio, weighted_sum
from evaluator.methods.fakecam import FakeCAM
from tests.evaluator.methods.views import clean_view


@pytest.mark.parametrize(
    ("spec", "name"),
    [
        ("gradcam", "gradcam"),
        ("scorecam:variant=released", "scorecam"),
        ("scorecam:variant=cic", "scorecam:variant=cic"),
        ("smoothgradcampp:sigma=0.5,n=2", "smoothgradcampp:n=2,sigma=0.5"),
        ("sscam:n=35,sigma=2", "sscam"),
    ],
)
def test_the_name_holds_the_options_that_differ(spec: str, name: str) -> None:
    assert method(spec).name == name


def test_options_hold_the_defaults_too() -> None:
    assert method("smoothgradcampp:n=2").options == {"variant": "last-pass", "n": 2, "sigma": 0.3}


def test_weighted_sum_takes_one_weight_per_channel_or_per_position() -> None:
    activation = torch.tensor([[[[1.0, 2.0]], [[3.0, 4.0]]]])
    assert weighted_sum(torch.tensor([[2.0, -1.0]]), activation).tolist() == [[[-1.0, 0.0]]]
    assert weighted_sum(torch.tensor([[[[1.0, 0.0]], [[0.0, 1.0]]]]), activation).tolist() == [
        [[1.0, 4.0]]
    ]


def test_a_ratio_over_zero_is_zero() -> None:
    assert guarded_ratio(
        torch.tensor([1.0, 0.0, 3.0]), torch.tensor([0.0, 0.0, -2.0])
    ).tolist() == [0.0, 0.0, -1.5]


def test_a_fixed_map_weighs_nothing() -> None:
    with pytest.raises(NotImplementedError, match="fakecam has a fixed map"):
        FakeCAM().combine(clean_view("gap"))
