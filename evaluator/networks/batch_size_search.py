"""Search for the number of images in one forward.

Once for each device, backbone and kind of pass, within a memory budget; remembered in a file.
"""

from __future__ import annotations

import fcntl
import json
import os
import resource
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from evaluator.errors import is_out_of_memory
from evaluator.networks.device import device_name
from evaluator.networks.network import Network

SIZES = {"cpu": (8, 16, 32, 64), "cuda": (32, 64, 128, 256, 512, 1024)}
"""Sizes that are tried, in this order, until one is no longer worth it."""

WORTH = 1.05
"""A larger batch must be this much faster: on two CPU cores the sizes from 8 to 32 are within 5 %
of one another, and the smaller
one needs less memory and loses less when it is lost.
"""

BUDGET = 0.5
"""Share of the memory that is free on the device (of all memory, on a CPU) that forward passes may
take.
"""


class RememberedSizes:
    """Results of earlier searches on this machine, in a JSON file that its user may edit."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def size_for(self, network: Network, *, channel_scoring: bool) -> int:
        """The remembered batch size, or the one found now; one worker searches, others wait."""
        key = search_key(network, channel_scoring=channel_scoring)
        try:
            with self._held() as known:
                if key not in known:
                    known[key] = find_size(network, channel_scoring=channel_scoring)
                return known[key]
        except OSError:  # a folder that this node cannot write: found again the next time
            return find_size(network, channel_scoring=channel_scoring)

    @contextmanager
    def _held(self) -> Iterator[dict[str, int]]:
        """The file's entries under a lock; additions are written, unreadable ones begin anew."""
        self._file.parent.mkdir(parents=True, exist_ok=True)
        with self._file.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            known = self._read()
            before = dict(known)
            yield known
            if known != before:
                fresh = self._file.with_suffix(".new")
                fresh.write_text(json.dumps(known, indent=1) + "\n")
                os.replace(fresh, self._file)

    def _read(self) -> dict[str, int]:
        try:
            entries = json.loads(self._file.read_text())
        except (OSError, ValueError):
            return {}
        return (
            {k: v for k, v in entries.items() if type(v) is int and v > 0}
            if isinstance(entries, dict)
            else {}
        )


def search_key(network: Network, *, channel_scoring: bool) -> str:
    """Key of a search: device, threads, backbone and layer, arithmetic of the pass."""
    facts = network.backbone.facts
    side = (
        "" if network.side == 224 else f" {network.side}"
    )  # the usual one has no place in older files
    threads = f" x{torch.get_num_threads()}" if network.device.type == "cpu" else ""
    arithmetic = network.arithmetic(channel_scoring=channel_scoring)
    return (
        f"{device_name(network.device)}{threads} | {facts.key} {facts.layer}{side} | {arithmetic}"
    )


def find_size(network: Network, *, channel_scoring: bool) -> int:
    """Double the batch while that pays and fits."""
    best, rate = 1, 0.0
    for size in SIZES.get(network.device.type, (16, 32, 64)):
        try:
            _forget_peak(network.device)
            found = _forwards_per_second(network, size, channel_scoring)
        except (RuntimeError, MemoryError) as error:
            if is_out_of_memory(error):
                break
            raise
        if found < WORTH * rate:
            break
        best, rate = size, found
        if 2 * _memory_taken(network.device) > BUDGET * _memory_at_hand(network.device):
            break
    return best


def _forwards_per_second(network: Network, size: int, channel_scoring: bool) -> float:
    """The faster of two batches, after one that warms up."""
    images = torch.zeros(size, *network.input_shape, device=network.device)
    seconds = []
    for _ in range(3):
        begun = time.perf_counter()
        network.forward(
            images, channel_scoring=channel_scoring
        ).logits.sum().item()  # the item waits for the device
        seconds.append(time.perf_counter() - begun)
    return size / min(seconds[1:])


def _forget_peak(device: torch.device) -> None:
    """Forget the peak of memory of an earlier size, or of a search in another arithmetic."""
    if device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)


def _memory_taken(device: torch.device) -> float:
    if device.type == "cuda":
        return float(torch.cuda.max_memory_allocated(device))
    return 1024.0 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def _memory_at_hand(device: torch.device) -> float:
    if device.type == "cuda":
        return float(torch.cuda.mem_get_info(device)[0] + torch.cuda.memory_reserved(device))
    return float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
