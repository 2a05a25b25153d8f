"""The bfloat16 copy: the numbers of autocast, and only for networks whose every part is safe in
bfloat16.
"""

from __future__ import annotations

import pytest
import torch
from torch import nn

from evaluator.networks.fast import FusedConvolution, bfloat16_copy, fold_batch_norms
from tests.networks import as_backbone, gap_network, random_images, vgg_like_network

pytestmark = pytest.mark.skipif(
    not torch.ops.mkldnn._is_mkldnn_bf16_supported(),
    reason="this processor has no bfloat16 for oneDNN",
)


@pytest.mark.parametrize("build", [gap_network, vgg_like_network])
def test_the_twin_is_autocast_with_one_call_for_each_convolution(build: type[nn.Module]) -> None:
    trunk, images = (
        as_backbone(build()).trunk,
        random_images(4).contiguous(memory_format=torch.channels_last),
    )
    copy = bfloat16_copy(trunk)
    assert copy is not None
    assert not [module for module in copy.modules() if isinstance(module, nn.Conv2d | nn.ReLU)]
    assert len([module for module in copy.modules() if isinstance(module, FusedConvolution)]) == 2
    with torch.no_grad():
        with torch.autocast("cpu", torch.bfloat16):
            expected = trunk(images)
        found = copy(images.bfloat16())
        exact = trunk(images)
    assert found.dtype == torch.bfloat16
    assert torch.allclose(found.float(), expected.float(), atol=0.02, rtol=0.02)
    assert 0 < (found.float() - exact).abs().max() < 0.1, "another arithmetic, the same function"


@pytest.mark.parametrize("build", [gap_network, vgg_like_network])
def test_the_twin_for_cuda_is_autocast_without_its_casts(build: type[nn.Module]) -> None:
    trunk, images = (
        as_backbone(build()).trunk,
        random_images(4).contiguous(memory_format=torch.channels_last),
    )
    copy = bfloat16_copy(trunk, "cuda")
    assert copy is not None
    assert {parameter.dtype for parameter in copy.parameters()} == {torch.bfloat16}
    assert not [module for module in copy.modules() if isinstance(module, FusedConvolution)]
    with torch.no_grad():
        with torch.autocast("cpu", torch.bfloat16):
            expected = trunk(images)
        assert copy(images.bfloat16()).equal(expected)


def test_the_trunk_keeps_its_own_numbers() -> None:
    trunk, images = as_backbone(gap_network()).trunk, random_images(2)
    before = trunk(images)
    bfloat16_copy(trunk)
    assert trunk(images).equal(before)
    assert {parameter.dtype for parameter in trunk.parameters()} == {torch.float32}


def test_what_autocast_alone_knows_has_no_twin() -> None:
    normalised = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU()).eval()
    assert bfloat16_copy(torch.fx.symbolic_trace(normalised)) is None, (
        "normalisation in bfloat16 would lose digits"
    )
    assert bfloat16_copy(fold_batch_norms(torch.fx.symbolic_trace(normalised))) is not None
    assert bfloat16_copy(normalised) is None, "not traced"
