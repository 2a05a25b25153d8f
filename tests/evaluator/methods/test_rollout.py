"""Attention rollout beside the paper's product of matrices, by hand, and where it applies."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import pytest
import torch
from torch import Tensor
from torchvision.models import vit_b_16

from evaluator.catalog import method
from evaluator.methods.base import View
from evaluator.plan import applicable
from tests.agreement import compare, evaluated
from tests.attention import (
    TRANSFORMERS,
    AttentionView,
    attended,
    filled,
    map_of,
    transformer_bench,
)
from tests.evaluator.methods.views import worst_difference
from tests.networks import bench, random_images

if TYPE_CHECKING:
    from tests.reference import Explained


def slow(seen: Explained) -> Tensor:
    """``R = Ã_n … Ã_1``, multiplied out from the first block on."""
    blocks = attended(seen)
    total = torch.eye(blocks[0].weights.shape[-1]).to(seen.x)
    for weights, _ in blocks:
        mean = torch.zeros_like(total)
        for head in range(len(weights)):
            mean += weights[head] / len(weights)
        mixed = mean + torch.eye(len(total)).to(mean)
        total = mixed / mixed.sum(1, keepdim=True) @ total
    return map_of(total, seen.model)


@pytest.mark.slow
@pytest.mark.parametrize("spec", ["rollout", "gradattention"])
def test_agrees_on_vit_b_16(spec: str) -> None:
    model, images = filled(vit_b_16, seed=0), random_images(1, seed=1, side=224)
    made = bench(model, layer=None, side=224)
    assert compare(made, model, images, spec, evaluated(made, images, spec)).largest < 1e-5


def test_by_hand() -> None:
    """A class token and two positions: in the first block all ask the second position, in the
    second all ask the first.
    """
    first, second = torch.zeros(1, 1, 3, 3), torch.zeros(1, 1, 3, 3)
    first[..., 2] = 1
    second[..., 1] = 1
    found = method("rollout").combine(cast("View", AttentionView([first, second], [first, second])))
    # the class token reads itself and position 1, and each of the two reads itself and position 2
    assert found.tolist() == [[[1, 2]]]


@pytest.mark.parametrize("spec", ["rollout", "gradattention"])
def test_chunks_change_nothing_and_forwards_are_as_declared(spec: str) -> None:
    images = random_images(3, seed=2)
    expected = evaluated(transformer_bench("torchvision"), images, spec)
    alone = bench(TRANSFORMERS["torchvision"](), 1, layer=None)
    before = alone.network.forwards
    assert worst_difference(evaluated(alone, images, spec), expected) < 1e-5
    assert alone.network.forwards - before == 3 * (1 + method(spec).forwards(16, gap_linear=False))


@pytest.mark.parametrize(
    ("gap_linear", "attention", "possible"),
    [
        (False, True, True),
        (False, False, False),
        (True, False, False),
        (None, None, True),
        (False, None, True),
    ],
)
def test_needs_attention(gap_linear: bool | None, attention: bool | None, possible: bool) -> None:
    assert applicable(method("rollout"), gap_linear, attention) is possible
    assert applicable(method("gradcam"), gap_linear, attention)
