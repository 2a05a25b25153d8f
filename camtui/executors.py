"""The executor of a run: processes of this machine, or a Ray cluster, which is not asked."""

from __future__ import annotations

from typing import NamedTuple

from camtui.devices import choose_devices, count_gpus
from evaluator.errors import UsageError
from evaluator.execution.request import RaySettings
from evaluator.text import printable


class ComputeSettings(NamedTuple):
    """The devices of the workers, or their kind where Ray chooses them, and Ray's settings."""

    devices: tuple[str, ...]
    ray: RaySettings | None


class RayOptions(NamedTuple):
    """The three options on Ray, as typed."""

    executor: str = "local"
    address: str | None = None
    gpus: float | None = None


def compute_settings(
    device: str | None, workers: int | None, options: RayOptions
) -> ComputeSettings:
    """Return the devices and the executor that the options come to.

    Raises:
        UsageError: they contradict each other, or Ray is asked for and not installed.
    """
    if options.executor == "ray":
        return _on_ray(device, workers, options)
    if options.executor != "local":
        raise UsageError(
            f"--executor takes local or ray, not '{printable(options.executor, 40)}'",
            "leave it out for local",
        )
    for name, value in (("--ray-address", options.address), ("--gpus-per-worker", options.gpus)):
        if value is not None:
            raise UsageError(
                f"{name} is of use with Ray only",
                f"camtui run --executor ray {name} {printable(value, 60)}",
            )
    return ComputeSettings(choose_devices(device, workers), None)


def _on_ray(device: str | None, workers: int | None, options: RayOptions) -> ComputeSettings:
    from evaluator.execution.ray_cluster import require_ray

    require_ray()
    if device not in (None, "cpu", "cuda"):
        raise UsageError(
            f"with Ray --device takes cpu or cuda, not '{printable(device, 40)}'",
            "Ray chooses the GPUs itself",
        )
    gpus = 1.0 if options.gpus is None else options.gpus
    if not 0 <= gpus <= 64 or (gpus > 1 and gpus != int(gpus)):
        expected = "a share of one GPU or a whole number of them"
        raise UsageError(
            f"--gpus-per-worker takes {expected}, not {gpus:g}", "for example --gpus-per-worker 0.5"
        )
    if workers is not None and not 1 <= workers <= 10_000:
        raise UsageError(
            f"--workers takes a number from 1, not {workers}", "leave it out for one on each GPU"
        )
    kind = "cpu" if gpus == 0 else device or ("cuda" if options.address or count_gpus() else "cpu")
    return ComputeSettings((kind,), RaySettings(options.address or "", workers, gpus))
