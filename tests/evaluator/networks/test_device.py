"""Name and load of a device."""

from __future__ import annotations

import torch

from evaluator.networks.device import device_figures, device_name

CPU = torch.device("cpu")


def test_a_processor_has_a_name() -> None:
    assert device_name(CPU).startswith("cpu ")
    assert len(device_name(CPU)) > len("cpu ")


def test_a_processor_tells_how_busy_it_is_and_what_it_holds() -> None:
    device_figures(CPU)
    held = torch.ones(1 << 22)
    figures = device_figures(CPU)
    assert figures.utilisation is not None
    assert 0 < figures.utilisation <= 100
    assert figures.memory_used is not None
    assert figures.memory_total is not None
    assert held.nbytes < figures.memory_used < figures.memory_total
