"""Ablation-CAM: the closed form and the head-only form are both the brute force over the whole
network.
"""

from __future__ import annotations

import pytest
import torch

from evaluator.methods.ablationcam import _without_each
from tests.evaluator.methods.views import clean_view


def test_closed_form_is_the_head_run_without_each_channel() -> None:
    view = clean_view("gap")
    logit = view.logits.gather(1, view.targets[:, None])
    closed = view.class_weights * view.activation.mean((2, 3))
    assert closed.abs().max() > 0.1
    assert torch.allclose(closed, logit - _without_each(view), atol=1e-5)


@pytest.mark.parametrize("chunk", [1, 3, 10])
def test_chunks_of_ablations_change_nothing(chunk: int) -> None:
    view = clean_view("vgg-like")
    assert torch.allclose(_without_each(view, chunk), _without_each(view), atol=1e-6)
