"""Passes in micro-batches, and what happens when one does not fit; with a real limit: ``execution/test_memory.py``."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from evaluator.errors import is_out_of_memory
from evaluator.networks.network import MakeImages
from tests.networks import SIDE, bench, gap_network

CPU = "[enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes."


def room_for(most: int, error: Exception) -> MakeImages:
    """Images of which no more than so many fit at once."""

    def make(start: int, stop: int) -> Tensor:
        if stop - start > most:
            raise error
        return torch.zeros(stop - start, 3, SIDE, SIDE)

    return make


@pytest.mark.parametrize("error", [RuntimeError(CPU), torch.OutOfMemoryError("CUDA out of memory."), MemoryError()])
def test_the_batch_is_halved_until_it_fits_and_stays_so(error: Exception) -> None:
    network = bench(gap_network(), batch_size=16).network
    sizes = [part.stop - part.start for part in network.passes(11, room_for(3, error))]
    assert sizes == [2, 2, 2, 2, 2, 1]
    assert network.batch_sizes == {"fp32": 2, "bf16": 16}
    assert network.shrunk == [f"out of memory on cpu: batch size now {size}" for size in (8, 4, 2)]
    assert network.forwards == 11


def test_one_image_that_does_not_fit_and_any_other_error_are_raised() -> None:
    network = bench(gap_network(), batch_size=4).network
    with pytest.raises(RuntimeError, match="can't allocate"):
        list(network.passes(4, room_for(0, RuntimeError(CPU))))
    assert network.batch_sizes["fp32"] == 1
    with pytest.raises(RuntimeError, match="shape"):
        list(network.passes(4, room_for(0, RuntimeError("shape mismatch"))))


@pytest.mark.parametrize(
    "text", [CPU, "could not create a primitive", "CUDA error: out of memory", "CUBLAS_STATUS_ALLOC_FAILED when calling"]
)
def test_the_words_of_allocators(text: str) -> None:
    assert is_out_of_memory(RuntimeError(text))
    assert not is_out_of_memory(ValueError(text))
    assert not is_out_of_memory(RuntimeError("CUDA error: device-side assert triggered"))
