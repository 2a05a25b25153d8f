"""Numerics of CUDA's libraries: full float32, and algorithms that give the same bits again."""

from __future__ import annotations

import torch
from torch import Tensor, nn


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
