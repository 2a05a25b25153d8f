"""The executor of a run: processes of this machine, or a Ray cluster, which is not asked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, NamedTuple

import typer

from camtui.devices import choose_devices, count_gpus
from evaluator.errors import UsageError
from evaluator.execution.request import RaySettings
from evaluator.text import printable


class ComputeSettings(NamedTuple):
    """The devices of the workers, or their kind where Ray chooses them, and Ray's settings."""

    devices: tuple[str, ...]
    ray: RaySettings | None


@dataclass(frozen=True)
class ComputeOptions:
    """The options that say on which devices, and by which processes, a run is computed."""

    device: Annotated[
        str | None,
        typer.Option(
            help="cpu, cuda (all), cuda:0,cuda:2.  [default: cuda where there is one]",
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
            help="local: processes of this machine; ray: actors of a Ray cluster.",
            rich_help_panel="Compute",
            metavar="local|ray",
        ),
    ] = "local"
    ray_address: Annotated[
        str | None,
        typer.Option(
            metavar="auto|HOST:PORT",
            help="Of a cluster to join; without: a Ray of its own.",
            rich_help_panel="Compute",
        ),
    ] = None
    gpus_per_worker: Annotated[
        float | None,
        typer.Option(
            metavar="F", help="With Ray, a part is enough.  [default: 1]", rich_help_panel="Compute"
        ),
    ] = None


def compute_settings(options: ComputeOptions) -> ComputeSettings:
    """Return the devices and the executor that the options come to.

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
    return ComputeSettings(choose_devices(options.device, options.workers), None)


def _on_ray(options: ComputeOptions) -> ComputeSettings:
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
    return ComputeSettings((kind,), RaySettings(options.ray_address or "", workers, gpus))
