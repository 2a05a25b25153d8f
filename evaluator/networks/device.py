"""Name and load of a device; NVIDIA figures come through NVML."""

from __future__ import annotations

import os
import platform
import resource
import time
from pathlib import Path

import torch

from evaluator.interfaces import DeviceFigures
from evaluator.networks.nvml import nvml_figures

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
