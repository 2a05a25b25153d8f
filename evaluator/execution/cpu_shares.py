"""Shares of a machine's cores for its workers: threads that compute and threads that decode."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple


class CpuShare(NamedTuple):
    """Threads of one worker.

    Attributes:
        threads: that compute on the CPU, ``None`` for torch's default.
        loaders: that decode images and draw noise.
    """

    threads: int | None
    loaders: int


def share_of(device: str, devices: Sequence[str], cores: float) -> CpuShare:
    """The share of a worker on a device.

    A worker on a GPU gains nothing from a second computing thread, and each of its loaders would
    have as many computing threads of its own; so one core is for its main thread, and the others
    decode. On a CPU two loaders are enough to be ahead.

    Args:
        device: of the worker.
        devices: of every worker of the machine.
        cores: of the machine.
    """
    if device.startswith("cuda"):
        return CpuShare(1, max(1, int(cores // max(1, len(devices))) - 1))
    on_cpu = sum(one == "cpu" for one in devices)
    return CpuShare(max(1, int(cores // on_cpu)) if on_cpu > 1 else None, 2)
