"""Tensors to a device: the same values, and to CUDA without a wait."""

from __future__ import annotations

import torch

from evaluator.networks.device import to_device
from tests.evaluator.pretend_gpu import DEVICE, pretend_gpu


def test_to_cuda_without_a_wait() -> None:
    values = torch.arange(5)
    with pretend_gpu() as gpu:
        moved = to_device(values, DEVICE)
        pinned = to_device(values.pin_memory(), DEVICE)
        assert moved.device == pinned.device == DEVICE
        assert not gpu.copies
        assert not gpu.waits
        assert moved.tolist() == values.tolist()
        values.to(DEVICE)
        assert sum(gpu.copies.values()) == 1, "this one is counted"


def test_to_the_cpu_nothing_is_copied() -> None:
    values = torch.arange(5)
    assert to_device(values, torch.device("cpu")) is values
