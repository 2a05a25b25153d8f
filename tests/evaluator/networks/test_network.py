"""Passes in micro-batches, and what happens when one does not fit; with a real limit:
``execution/test_memory.py``.
"""

from __future__ import annotations

import weakref
from typing import Any

import pytest
import torch
from torch import Tensor

from evaluator.errors import is_out_of_memory
from evaluator.networks.network import MakeImages, Network, Observation
from evaluator.records import Precision
from tests.networks import SIDE, as_backbone, bench, gap_network, random_images

CPU = (
    "[enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can't allocate memory: "
    "you tried to allocate 9 bytes."
)


def room_for(most: int, error: Exception) -> MakeImages:
    """Images of which no more than so many fit at once."""

    def make(start: int, stop: int) -> Tensor:
        if stop - start > most:
            raise error
        return torch.zeros(stop - start, 3, SIDE, SIDE)

    return make


@pytest.mark.parametrize(
    "error", [RuntimeError(CPU), torch.OutOfMemoryError("CUDA out of memory."), MemoryError()]
)
def test_the_batch_is_halved_until_it_fits_and_stays_so(error: Exception) -> None:
    network = bench(gap_network(), batch_size=16).network
    sizes = [part.stop - part.start for part in network.passes(11, room_for(3, error))]
    assert sizes == [2, 2, 2, 2, 2, 1]
    assert network.batch_sizes == {"fp32": 2, "bf16": 16}
    assert network.shrunk == [f"out of memory on cpu: batch size now {size}" for size in (8, 4, 2)]
    assert network.forwards == 11


def test_what_did_not_fit_is_gone_before_memory_is_emptied(monkeypatch: pytest.MonkeyPatch) -> None:
    network = bench(gap_network(), batch_size=4).network
    held: list[weakref.ref[Tensor]] = []

    def too_large(images: Tensor, *, channel_scoring: bool) -> Observation:
        held.append(weakref.ref(images))
        raise torch.OutOfMemoryError("CUDA out of memory.")

    def emptied(_: object) -> None:
        assert held[0]() is None, "the error's traceback still holds the batch"
        raise StopIteration

    monkeypatch.setattr(network, "forward", too_large)
    monkeypatch.setattr(network, "_shrink", emptied)
    with pytest.raises(RuntimeError, match="StopIteration"):
        list(network.passes(4, lambda start, stop: torch.zeros(stop - start, 3, SIDE, SIDE)))


def test_one_image_that_does_not_fit_and_any_other_error_are_raised() -> None:
    network = bench(gap_network(), batch_size=4).network
    with pytest.raises(RuntimeError, match="can't allocate"):
        list(network.passes(4, room_for(0, RuntimeError(CPU))))
    assert network.batch_sizes["fp32"] == 1
    with pytest.raises(RuntimeError, match="shape"):
        list(network.passes(4, room_for(0, RuntimeError("shape mismatch"))))


@pytest.mark.parametrize(
    "text",
    [
        CPU,
        "could not create a primitive",
        "CUDA error: out of memory",
        "CUBLAS_STATUS_ALLOC_FAILED when calling",
        "cuDNN error: CUDNN_STATUS_ALLOC_FAILED",
        "GET was unable to find an engine to execute this computation",
        "FIND was unable to find an engine to execute this computation after trying 9 plans",
    ],
)
def test_the_words_of_allocators(text: str) -> None:
    assert is_out_of_memory(RuntimeError(text))
    assert not is_out_of_memory(ValueError(text))
    assert not is_out_of_memory(RuntimeError("CUDA error: device-side assert triggered"))


@pytest.mark.parametrize(
    ("precision", "measuring", "channel_scoring"),
    [("fp32", "fp32", "fp32"), ("mixed", "fp32", "bf16"), ("bf16", "bf16", "bf16")],
)
def test_what_each_kind_of_pass_is_computed_in(
    precision: Precision, measuring: str, channel_scoring: str
) -> None:
    backbone, images = as_backbone(gap_network()), random_images(4)
    exact = Network(backbone, device=torch.device("cpu"), precision="fp32", batch_size=4).forward(
        images, channel_scoring=False
    )
    network = Network(backbone, device=torch.device("cpu"), precision=precision, batch_size=4)
    for kind, arithmetic in ((False, measuring), (True, channel_scoring)):
        assert network.arithmetic(channel_scoring=kind) == arithmetic
        seen = network.forward(images, channel_scoring=kind)
        assert seen.activation.dtype == seen.logits.dtype == torch.float32
        gap = (seen.activation - exact.activation).abs().max()
        assert gap == 0 if arithmetic == "fp32" else 0 < gap < 0.1


def test_a_network_is_float32_and_deterministic_wherever_it_is_made() -> None:
    backends: Any = torch.backends
    backends.cudnn.conv.fp32_precision, backends.cudnn.deterministic = "tf32", False
    Network(as_backbone(gap_network()), device=torch.device("cpu"), precision="fp32")
    assert backends.cudnn.conv.fp32_precision == "ieee", (
        "camtui bench makes its networks without a session"
    )
    assert backends.cudnn.deterministic


def test_without_a_twin_autocast_weighs() -> None:
    network = Network(
        as_backbone(gap_network()), device=torch.device("cpu"), precision="mixed", batch_size=4
    )
    with_copy = network.forward(random_images(4), channel_scoring=True)
    network._bfloat16_copy = None
    assert torch.allclose(
        network.forward(random_images(4), channel_scoring=True).activation,
        with_copy.activation,
        atol=0.02,
        rtol=0.02,
    )
