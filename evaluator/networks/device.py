"""The device: its name and load, NVML, its memory, its arithmetic, copies to it."""

from __future__ import annotations

import ctypes
import os
import platform
import resource
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import pynvml
import torch
from torch import Tensor, nn

from evaluator.interfaces import DeviceFigures

_M_TRIM_THRESHOLD = -1
_M_MMAP_THRESHOLD = -3
_LARGEST = 2**31 - 1


def keep_freed_blocks() -> bool:
    """Serve blocks of every size from the process's own heap, for the rest of the process.

    Returns:
        Whether the C library could.
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    libc = ctypes.CDLL(None)
    return all(libc.mallopt(name, _LARGEST) for name in (_M_MMAP_THRESHOLD, _M_TRIM_THRESHOLD))


def disable_tf32() -> None:
    """Compute convolutions and matrix products in float32, by algorithms independent of timing.

    Set for each kind of operation: ``torch.backends.fp32_precision`` and
    ``torch.set_float32_matmul_precision`` of whoever shares the process do not reach these. The
    older switch is turned too: what reads it, as ``torch.export`` does, would refuse a setting that
    only the newer one knows. cuDNN's own choice among algorithms still depends on the shape of a
    batch.
    """
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cudnn.conv.fp32_precision = "ieee"  # type: ignore[attr-defined]  # made when torch is imported
    torch.backends.cuda.matmul.fp32_precision = "ieee"
    torch.backends.cudnn.deterministic = True
    torch.backends.cudnn.benchmark = False


def tf32_allowed() -> bool:
    """Whether float32 is computed in TF32 as things are set now."""
    settings = (torch.backends.cudnn.conv, torch.backends.cuda.matmul)  # type: ignore[attr-defined]  # likewise
    return any(one.fp32_precision == "tf32" for one in settings)


class DeterministicPooling(nn.Module):
    """``nn.AdaptiveAvgPool2d`` whose gradient is summed in a fixed order, without atomics.

    Args:
        height, width: of the output.
    """

    def __init__(self, height: int, width: int) -> None:
        super().__init__()
        self.output_size = (height, width)

    def forward(self, activation: Tensor) -> Tensor:
        """``[n, K, h, w]`` → ``[n, K, height, width]``, unchanged where it has that size."""
        if activation.shape[2:] == self.output_size:
            return activation
        down, across = (
            _shares(low, high, activation)
            for low, high in zip(activation.shape[2:], self.output_size, strict=True)
        )
        return down @ activation @ across.T


def _shares(size: int, pooled: int, like: Tensor) -> Tensor:
    """``[pooled, size]``: what each place along a side adds to each pooled one."""
    place = torch.arange(size, device=like.device)
    number = torch.arange(pooled, device=like.device)[:, None]
    start, stop = number * size // pooled, ((number + 1) * size + pooled - 1) // pooled
    inside = ((place >= start) & (place < stop)).to(like.dtype)
    return inside / inside.sum(1, keepdim=True)


def make_deterministic(head: nn.Module) -> None:
    """Replace, in place, the pooling layers of a head that is differentiated."""
    for owner in list(head.modules()):
        for name, module in list(owner.named_children()):
            if isinstance(module, nn.AdaptiveAvgPool2d):
                setattr(owner, name, DeterministicPooling(*_size_of(module)))


def _size_of(pooling: nn.AdaptiveAvgPool2d) -> tuple[int, int]:
    size = pooling.output_size
    if isinstance(size, int):
        return size, size
    assert size is not None
    height, width = size
    assert height is not None
    assert width is not None
    return height, width


def to_device(values: Tensor, device: torch.device) -> Tensor:
    """Copy to the device; to CUDA through pinned memory, queued behind the device's other work."""
    if device.type != "cuda":
        return values.to(device)
    pinned = values if values.is_pinned() else values.pin_memory()
    return pinned.to(device, non_blocking=True)


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


_last_cpu: tuple[float, float] = (time.monotonic(), time.process_time())


def device_name(device: torch.device) -> str:
    """``cuda:0 NVIDIA H200`` or ``cpu Intel(R) Xeon(R) …``."""
    if device.type == "cuda":
        return f"{device} {torch.cuda.get_device_name(device)}"
    return f"{device} {_processor()}"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8", "replace").splitlines()
    except OSError:
        return platform.processor()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def device_figures(device: torch.device) -> DeviceFigures:
    """Utilisation, memory, power and temperature now; of a CPU this process's, over all cores."""
    return _cuda_figures(device) if device.type == "cuda" else _cpu_figures()


def _cpu_figures() -> DeviceFigures:
    global _last_cpu
    now = (time.monotonic(), time.process_time())
    elapsed = max(now[0] - _last_cpu[0], 1e-3)
    utilisation = 100 * (now[1] - _last_cpu[1]) / elapsed / (os.cpu_count() or 1)
    _last_cpu = now
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return DeviceFigures(min(utilisation, 100.0), used, total)


def _cuda_figures(device: torch.device) -> DeviceFigures:
    """Nothing where the device no longer answers: that its work fails is said elsewhere."""
    try:
        free, total = torch.cuda.mem_get_info(device)
        uuid = str(torch.cuda.get_device_properties(device).uuid)
    except RuntimeError:
        return DeviceFigures()
    told = nvml_figures(uuid)
    return DeviceFigures(told.utilisation, total - free, total, told.power, told.temperature)
