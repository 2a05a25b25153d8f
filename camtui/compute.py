"""Devices and executor of a run, from its options: this machine or a Ray cluster; no torch."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path
from typing import Annotated

import typer

from evaluator.errors import UsageError
from evaluator.execution.request import RaySettings
from evaluator.execution.workers import visible_gpus
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


@dataclass(frozen=True)
class ComputeOptions:
    """The options that say on which devices, and by which processes, a run is computed."""

    device: Annotated[
        str | None,
        typer.Option(
            help="Devices: cpu, cuda (all) or cuda:0,cuda:2.  [default: cuda where there is one]",
            rich_help_panel="Compute",
            metavar="cpu|cuda|cuda:N,…",
        ),
    ] = None
    workers: Annotated[
        int | None,
        typer.Option(
            help="Worker processes.  [default: one on each device]",
            rich_help_panel="Compute",
            metavar="N",
        ),
    ] = None
    executor: Annotated[
        str,
        typer.Option(
            help="Who computes: local, processes of this machine; or ray, actors of a Ray cluster.",
            rich_help_panel="Clusters",
            metavar="local|ray",
        ),
    ] = "local"
    ray_address: Annotated[
        str | None,
        typer.Option(
            metavar="auto|HOST:PORT",
            help="Address of the Ray cluster to join.  [default: a Ray of its own]",
            rich_help_panel="Clusters",
        ),
    ] = None
    gpus_per_worker: Annotated[
        float | None,
        typer.Option(
            metavar="F",
            help="GPUs of each worker on Ray; a part is enough.  [default: 1]",
            rich_help_panel="Clusters",
        ),
    ] = None


def compute_settings(options: ComputeOptions) -> tuple[tuple[str, ...], RaySettings | None]:
    """Return the devices of the workers, or their kind where Ray chooses them; and Ray's settings.

    Raises:
        UsageError: they contradict each other, or Ray is asked for and not installed.
    """
    if options.executor == "ray":
        return _on_ray(options)
    if options.executor != "local":
        raise UsageError(
            f"--executor takes local or ray, not '{printable(options.executor, 40)}'",
            "leave it out for local",
        )
    for name, value in (
        ("--ray-address", options.ray_address),
        ("--gpus-per-worker", options.gpus_per_worker),
    ):
        if value is not None:
            raise UsageError(
                f"{name} is of use with Ray only",
                f"camtui run --executor ray {name} {printable(value, 60)}",
            )
    return choose_devices(options.device, options.workers), None


def _on_ray(options: ComputeOptions) -> tuple[tuple[str, ...], RaySettings]:
    from evaluator.execution.ray_cluster import require_ray

    require_ray()
    device, workers = options.device, options.workers
    if device not in (None, "cpu", "cuda"):
        raise UsageError(
            f"with Ray --device takes cpu or cuda, not '{printable(device, 40)}'",
            "Ray chooses the GPUs itself",
        )
    gpus = 1.0 if options.gpus_per_worker is None else options.gpus_per_worker
    if not 0 <= gpus <= 64 or (gpus > 1 and gpus != int(gpus)):
        expected = "a share of one GPU or a whole number of them"
        raise UsageError(
            f"--gpus-per-worker takes {expected}, not {gpus:g}", "for example --gpus-per-worker 0.5"
        )
    if workers is not None and not 1 <= workers <= 10_000:
        raise UsageError(
            f"--workers takes a number from 1, not {workers}", "leave it out for one on each GPU"
        )
    kind = (
        "cpu" if gpus == 0 else device or ("cuda" if options.ray_address or count_gpus() else "cpu")
    )
    return (kind,), RaySettings(options.ray_address or "", workers, gpus)
