"""Grad-CAM++ beside equation 19."""

from __future__ import annotations

import pytest
import torch

from tests.evaluator.methods.views import StillView


def test_by_hand() -> None:
    """One channel: A = (1, 3), g = (2, −1), so a = 4/(8 + 4·8) = 1/10 at the first place; α = 1/10
    · 2; L = α A.
    """
    view = StillView(
        activation=torch.tensor([[[[1.0, 3.0]]]]), gradient=torch.tensor([[[[2.0, -1.0]]]])
    )
    assert view.combine("gradcampp").tolist() == [[pytest.approx([0.2, 0.6])]]


def test_a_denominator_of_zero_weighs_nothing() -> None:
    """A = (2,), g = (−1,): 2 − 2 = 0; and g = 0."""
    view = StillView(
        activation=torch.tensor([[[[2.0]], [[5.0]]]]), gradient=torch.tensor([[[[-1.0]], [[0.0]]]])
    )
    assert view.combine("gradcampp").tolist() == [[[0.0]]]
