"""The devices of a run, without torch: from options, ``/dev`` and ``CUDA_VISIBLE_DEVICES``."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from itertools import cycle, islice
from pathlib import Path

from evaluator.errors import UsageError
from evaluator.execution.visible_gpus import visible_gpus
from evaluator.records import Precision
from evaluator.text import printable


def choose_devices(
    device: str | None, workers: int | None, dev: Path = Path("/dev")
) -> tuple[str, ...]:
    """Return one device for each worker.

    Args:
        device: ``cpu``, ``cuda`` (every visible GPU), or ``cuda:0,cuda:2``; ``None``: GPUs where
            there are any.
        workers: how many in all, ``None`` for one on each device.
        dev: the folder of device files.

    Raises:
        UsageError: not a device, or one that is not there.
    """
    gpus = count_gpus(dev)
    names = [name.strip() for name in (device or ("cuda" if gpus else "cpu")).split(",")]
    chosen = [f"cuda:{n}" for n in range(gpus)] if names == ["cuda"] else names
    for name in chosen or ["cuda:0"]:
        _check(name, gpus)
    if workers is not None and not 1 <= workers <= 64 * max(1, len(chosen)):
        raise UsageError(
            f"--workers takes a number from 1, not {workers}", "leave it out for one on each device"
        )
    return tuple(islice(cycle(chosen), workers or len(chosen)))


def count_gpus(dev: Path = Path("/dev")) -> int:
    """Return the number of NVIDIA devices that a process may use here."""
    present = sum(bool(re.fullmatch(r"nvidia\d+", entry.name)) for entry in dev.glob("nvidia*"))
    return len(visible_gpus(present, os.environ.get("CUDA_VISIBLE_DEVICES"))) if present else 0


def on_cuda(devices: Sequence[str]) -> bool:
    """Return whether any of the devices is a GPU."""
    return any(device.startswith("cuda") for device in devices)


def usual_precision(*, cuda: bool) -> Precision:
    """Return the default precision."""
    return "mixed" if cuda else "fp32"


def _check(name: str, gpus: int) -> None:
    match = re.fullmatch(r"cpu|cuda:(\d+)", name)
    if match is None:
        raise UsageError(
            f"--device takes cpu, cuda or cuda:N, not '{printable(name, 40)}'",
            "for example --device cuda:0,cuda:1",
        )
    if match[1] is not None and int(match[1]) >= gpus:
        there = f"there are {gpus} GPUs" if gpus else "there is no GPU"
        raise UsageError(
            f"no device {name}: {there} here",
            "camtui run --device cpu" if not gpus else "--device cuda takes all",
        )
