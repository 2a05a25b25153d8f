"""A device's rows against the CPU's: on the pretended GPU, on one that computes something else, and
where CUDA fails.
"""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from evaluator.measuring import machine
from evaluator.measuring.machine import TOLERANCE, check, machine_facts
from tests.evaluator.pretend_gpu import DEVICE, NAME, pretend_gpu


def test_a_device_that_computes_the_cpus_rows() -> None:
    with pretend_gpu():
        facts = machine_facts()
        found = check(DEVICE, "mixed")
    assert facts.devices == (f"cuda:0 {NAME}",)
    assert (facts.error, facts.tf32) == ("", False)
    assert found.error == ""
    assert found.difference < TOLERANCE["mixed"]
    assert (found.name, found.memory, found.mig, found.precision) == (
        NAME,
        80 << 30,
        False,
        "mixed",
    )


def test_a_device_that_computes_something_else(monkeypatch: pytest.MonkeyPatch) -> None:
    images = machine._images
    calls: list[int] = []

    def other_each_time(side: int) -> Tensor:
        calls.append(side)
        return images(side) * (1.0 + 0.1 * len(calls))

    monkeypatch.setattr(machine, "_images", other_each_time)
    with pretend_gpu():
        found = check(DEVICE, "fp32")
    assert found.error.startswith("its rows differ from the CPU's by ")
    assert found.difference > TOLERANCE["fp32"]


@pytest.mark.skipif(torch.cuda.is_available(), reason="CUDA does not fail here")
def test_where_cuda_fails_torchs_words_are_the_answer() -> None:
    facts = machine_facts()
    assert facts.devices == ()
    assert facts.error.count("\n") == 0
    assert check(DEVICE, "fp32").error
