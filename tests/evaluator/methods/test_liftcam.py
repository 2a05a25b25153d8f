"""LIFT-CAM by hand, and beside Ablation-CAM: one map where the logit is positive."""

from __future__ import annotations

import torch
from torch import Tensor

from evaluator.measuring.saliency import low_map
from tests.agreement import evaluated, small_bench
from tests.evaluator.methods.views import combined
from tests.networks import random_images
from tests.reference import Explained
from tests.reference import cam as slow_cam


def slow(seen: Explained) -> Tensor:
    """The share of a channel is what its own CAM adds to the logit: its mean."""
    activation, _, _ = seen.passed(seen.x)
    (linear,) = [one for one in seen.model.modules() if isinstance(one, torch.nn.Linear)]
    total = torch.zeros_like(slow_cam(seen))
    for k in range(len(activation)):
        total += (linear.weight[seen.c, k].detach() * activation[k]).mean() * activation[k]
    return total


def test_it_is_ablation_cam_where_the_logit_is_positive_and_its_reverse_elsewhere() -> None:
    images, made = random_images(4, seed=1), small_bench("gap")
    logits = made.network.observe(4, lambda start, stop: images[start:stop]).logits
    assert (logits.amax(1) > 0).all()
    assert (logits.amin(1) < 0).all()
    for targets, equal in ((logits.argmax(1), True), (logits.argmin(1), False)):
        found, other = (
            evaluated(made, images, spec, targets).maps for spec in ("liftcam", "ablationcam")
        )
        for mine, theirs in zip(found, other, strict=True):
            apart = _values(mine) - _values(theirs)
            assert bool(apart.abs().max() < 1e-5) is equal


def _values(stored: bytes | None) -> Tensor:
    assert stored is not None
    return torch.frombuffer(bytearray(stored), dtype=torch.float32)


def test_no_channel_is_left_out() -> None:
    found = combined("gap", "liftcam")
    assert low_map(found).values.amax((1, 2)).eq(1).all()
