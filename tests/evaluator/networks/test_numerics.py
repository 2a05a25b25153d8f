"""Float32 that stays float32, and pooling whose gradient is a sum in a fixed order."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import nn

from evaluator.networks.device import DeterministicPooling, disable_tf32, make_deterministic
from tests.networks import vgg_like_network

BACKENDS: Any = torch.backends  # its modules are made when torch is imported


@pytest.fixture
def _as_before() -> Iterator[None]:
    allowed, matmul, overall = (
        BACKENDS.cudnn.allow_tf32,
        BACKENDS.cuda.matmul.fp32_precision,
        BACKENDS.fp32_precision,
    )
    yield
    BACKENDS.fp32_precision = overall
    BACKENDS.cudnn.conv.fp32_precision, BACKENDS.cuda.matmul.fp32_precision = "none", matmul
    BACKENDS.cudnn.allow_tf32 = allowed


@pytest.mark.usefixtures("_as_before")
def test_a_users_own_setting_does_not_bring_tf32_back() -> None:
    BACKENDS.cudnn.deterministic = False
    BACKENDS.cudnn.conv.fp32_precision = "tf32"
    disable_tf32()
    BACKENDS.fp32_precision = "tf32"
    assert BACKENDS.cudnn.conv.fp32_precision == "ieee"
    assert BACKENDS.cuda.matmul.fp32_precision == "ieee"
    assert BACKENDS.cudnn.deterministic
    assert not BACKENDS.cudnn.benchmark


@pytest.mark.parametrize("size", [(4, 4), (3, 5), (8, 8), (1, 1), (7, 2)])
def test_it_pools_and_differentiates_as_torch_does(size: tuple[int, int]) -> None:
    given = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    weights = torch.randn(
        2, 3, *size, generator=torch.Generator().manual_seed(1), dtype=torch.float64
    )
    found = []
    for pooling in (nn.AdaptiveAvgPool2d(size), DeterministicPooling(*size)):
        leaf = given.clone().requires_grad_()
        pooled = pooling(leaf)
        (gradient,) = torch.autograd.grad((pooled * weights).sum(), leaf)
        found.append((pooled, gradient))
    for theirs, ours in zip(*found, strict=True):
        assert torch.allclose(theirs, ours, atol=1e-12)


def test_what_has_the_size_already_is_left_bit_for_bit() -> None:
    given = torch.randn(2, 3, 7, 7)
    assert DeterministicPooling(7, 7)(given) is given


def test_every_pooling_layer_of_a_head_is_replaced() -> None:
    network = vgg_like_network()
    images = torch.randn(2, 3, 32, 32)
    before = network(images)
    make_deterministic(network)
    assert not any(isinstance(module, nn.AdaptiveAvgPool2d) for module in network.modules())
    assert torch.allclose(network(images), before, atol=1e-6)


@pytest.mark.usefixtures("_as_before")
def test_what_reads_the_older_switch_still_can() -> None:
    disable_tf32()
    assert BACKENDS.cudnn.allow_tf32 is False
    program = torch.export.export(nn.Conv2d(3, 2, 3), (torch.zeros(1, 3, 8, 8),))
    assert program.module()(torch.zeros(1, 3, 8, 8)).shape == (1, 2, 6, 6)
