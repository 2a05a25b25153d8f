"""Tensors of the host on their way to a device, without the host waiting for the device."""

from __future__ import annotations

import torch
from torch import Tensor


def to_device(values: Tensor, device: torch.device) -> Tensor:
    """Copy to the device; to CUDA through pinned memory, queued behind the device's other work."""
    if device.type != "cuda":
        return values.to(device)
    pinned = values if values.is_pinned() else values.pin_memory()
    return pinned.to(device, non_blocking=True)
