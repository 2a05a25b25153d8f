"""The search for a batch size: what it weighs, that it happens once, and that a spoilt file costs
no run.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from evaluator.networks import batch_size_search
from evaluator.networks.batch_size_search import RememberedSizes, find_size, search_key
from evaluator.networks.network import Network, Observation
from tests.networks import bench, gap_network


@pytest.fixture
def network() -> Network:
    return bench(gap_network()).network


def rates(monkeypatch: pytest.MonkeyPatch, rate: Callable[[int], float]) -> list[int]:
    """Let every size have a known rate; the sizes that are tried are noted."""
    tried: list[int] = []

    def measured(_: Network, size: int, __: bool) -> float:
        tried.append(size)
        return rate(size)

    monkeypatch.setattr(batch_size_search, "_forwards_per_second", measured)
    return tried


@pytest.mark.parametrize(
    ("rate", "found", "tried"),
    [
        (lambda size: size, 64, [8, 16, 32, 64]),
        (lambda size: 100.0, 8, [8, 16]),
        (lambda size: min(size, 20), 32, [8, 16, 32, 64]),
        (lambda size: {8: 100, 16: 104}[size], 8, [8, 16]),
    ],
)
def test_the_batch_grows_while_that_pays(
    monkeypatch: pytest.MonkeyPatch,
    network: Network,
    rate: Callable[[int], float],
    found: int,
    tried: list[int],
) -> None:
    asked = rates(monkeypatch, rate)
    assert find_size(network, channel_scoring=False) == found
    assert asked == tried


def test_what_does_not_fit_ends_the_search(
    monkeypatch: pytest.MonkeyPatch, network: Network
) -> None:
    def rate(size: int) -> float:
        if size > 16:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return float(size)

    rates(monkeypatch, rate)
    assert find_size(network, channel_scoring=False) == 16


def test_half_of_the_memory_is_enough(monkeypatch: pytest.MonkeyPatch, network: Network) -> None:
    rates(monkeypatch, float)
    monkeypatch.setattr(
        batch_size_search,
        "_memory_at_hand",
        lambda device: 3.5 * batch_size_search._memory_taken(device),
    )
    assert find_size(network, channel_scoring=False) == 8


class SimulatedMemory:
    """A GPU's allocator by arithmetic: what a batch takes, and the peak until it is reset."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, total: float) -> None:
        self.peak = self.reserved = 0.0
        self.total = total
        monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda _: self.peak)
        monkeypatch.setattr(torch.cuda, "memory_reserved", lambda _: self.reserved)
        monkeypatch.setattr(
            torch.cuda, "mem_get_info", lambda _: (self.total - self.reserved, self.total)
        )
        monkeypatch.setattr(
            torch.cuda, "reset_peak_memory_stats", lambda _: setattr(self, "peak", 0.0)
        )
        monkeypatch.setattr(torch.cuda, "empty_cache", lambda: setattr(self, "reserved", 0.0))

    def take(self, amount: float) -> None:
        if amount > self.total:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        self.peak = max(self.peak, amount)
        self.reserved = max(self.reserved, amount)


@pytest.mark.parametrize(
    ("total", "fp32", "bf16"), [(4096.0, 512, 1024), (1024.0, 128, 256), (16_384.0, 1024, 1024)]
)
def test_one_arithmetics_peak_is_not_taken_for_anothers(
    monkeypatch: pytest.MonkeyPatch, network: Network, total: float, fp32: int, bf16: int
) -> None:
    memory = SimulatedMemory(monkeypatch, total)
    network.device, network._precision = torch.device("cuda:0"), "mixed"

    def measured(_: Network, size: int, channel_scoring: bool) -> float:
        memory.take(size * (2.0 if channel_scoring else 4.0))
        return float(size)

    monkeypatch.setattr(batch_size_search, "_forwards_per_second", measured)
    assert find_size(network, channel_scoring=False) == fp32
    assert find_size(network, channel_scoring=True) == bf16
    assert find_size(network, channel_scoring=False) == fp32, "whatever came before"


def test_it_is_searched_once_and_remembered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, network: Network
) -> None:
    file = tmp_path / "home" / "batch-sizes.json"
    asked = rates(monkeypatch, lambda size: 100.0)
    assert RememberedSizes(file).size_for(network, channel_scoring=False) == 8
    assert RememberedSizes(file).size_for(network, channel_scoring=True) == 8, (
        "in fp32 both kinds of pass are one"
    )
    assert asked == [8, 16]
    assert list(json.loads(file.read_text())) == [search_key(network, channel_scoring=False)]
    file.write_text(json.dumps({search_key(network, channel_scoring=False): 5}))
    assert RememberedSizes(file).size_for(network, channel_scoring=False) == 5, (
        "a user's own word counts"
    )


@pytest.mark.parametrize("spoilt", ["", "[]", '{"a": "b"', "\0"])
def test_a_spoilt_file_is_begun_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, network: Network, spoilt: str
) -> None:
    file = tmp_path / "batch-sizes.json"
    file.write_text(spoilt)
    rates(monkeypatch, lambda size: 100.0)
    assert RememberedSizes(file).size_for(network, channel_scoring=False) == 8
    assert len(json.loads(file.read_text())) == 1


def test_a_folder_that_cannot_be_written_costs_only_the_search(
    monkeypatch: pytest.MonkeyPatch, network: Network
) -> None:
    rates(monkeypatch, lambda size: 100.0)
    assert (
        RememberedSizes(Path("/proc/nowhere/batch-sizes.json")).size_for(
            network, channel_scoring=False
        )
        == 8
    )


def test_a_real_search_times_real_passes(network: Network) -> None:
    seen: list[int] = []
    through = network.forward

    def forward(images: Tensor, *, channel_scoring: bool) -> Observation:
        seen.append(len(images))
        return through(images, channel_scoring=channel_scoring)

    network.forward = forward  # type: ignore[method-assign]  # watched, not replaced
    assert find_size(network, channel_scoring=False) in batch_size_search.SIZES["cpu"]
    assert seen[:6] == [8, 8, 8, 16, 16, 16]
    assert network.forwards == 0, "a search is no part of the run"


def test_an_error_that_is_not_about_memory_is_raised(
    monkeypatch: pytest.MonkeyPatch, network: Network
) -> None:
    def broken(size: int) -> float:
        raise RuntimeError("shape mismatch")

    rates(monkeypatch, broken)
    with pytest.raises(RuntimeError, match="shape mismatch"):
        find_size(network, channel_scoring=False)
