"""Grad-CAM by hand."""

from __future__ import annotations

import torch

from tests.evaluator.methods.views import StillView


def test_by_hand() -> None:
    """One channel: A = (1, 3), g = (2, −1); the mean of g weighs both places: 1/2."""
    view = StillView(torch.tensor([[[[1.0, 3.0]]]]), torch.tensor([[[[2.0, -1.0]]]]))
    assert view.combine("gradcam").tolist() == [[[0.5, 1.5]]]
