"""NVML's figures of one GPU, or of one slice of it (MIG); ``None`` where the driver has none."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import pynvml


class NvmlFigures(NamedTuple):
    """Percent, watts, °C."""

    utilisation: float | None = None
    power: float | None = None
    temperature: float | None = None


class _Handles(NamedTuple):
    """NVML's handles of a device and of its card: the same unless the device is a MIG slice."""

    device: Any
    card: Any


def nvml_figures(uuid: str) -> NvmlFigures:
    """The figures of a device now.

    A MIG slice has no utilisation of its own; its power and temperature are those of the whole
    card.

    Args:
        uuid: as torch gives it, without ``GPU-`` or ``MIG-``.
    """
    handles = _handles(uuid)
    if handles is None:
        return NvmlFigures()
    milliwatts = _told(lambda: pynvml.nvmlDeviceGetPowerUsage(handles.card))
    return NvmlFigures(
        _told(lambda: pynvml.nvmlDeviceGetUtilizationRates(handles.device).gpu),
        None if milliwatts is None else milliwatts / 1000,
        _told(lambda: pynvml.nvmlDeviceGetTemperature(handles.card, pynvml.NVML_TEMPERATURE_GPU)),
    )


def is_mig(uuid: str) -> bool:
    """Whether the device is a MIG slice."""
    handles = _handles(uuid)
    return handles is not None and handles.device is not handles.card


def driver_version() -> str:
    """Of the NVIDIA driver, such as ``580.65.06``; empty where NVML cannot be asked."""
    try:
        pynvml.nvmlInit()
        return str(pynvml.nvmlSystemGetDriverVersion())
    except pynvml.NVMLError:
        return ""


def driver_cuda() -> str:
    """The newest CUDA that the driver knows, such as ``13.0``; empty where NVML cannot be asked."""
    try:
        pynvml.nvmlInit()
        number = int(pynvml.nvmlSystemGetCudaDriverVersion_v2())
    except pynvml.NVMLError:
        return ""
    return f"{number // 1000}.{number % 1000 // 10}"


@cache
def _handles(uuid: str) -> _Handles | None:
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:  # no driver, or one without NVML (WSL, some containers)
        return None
    try:
        whole = pynvml.nvmlDeviceGetHandleByUUID(f"GPU-{uuid}")
        return _Handles(whole, whole)
    except pynvml.NVMLError:
        pass
    try:
        part = pynvml.nvmlDeviceGetHandleByUUID(f"MIG-{uuid}")
        return _Handles(part, pynvml.nvmlDeviceGetDeviceHandleFromMigDeviceHandle(part))
    except pynvml.NVMLError:
        return None


def _told(ask: Callable[[], float]) -> float | None:
    try:
        return float(ask())
    except (
        pynvml.NVMLError
    ):  # not supported by this device, no permission, or the GPU has fallen off the bus
        return None
