"""Forward passes through one backbone on one device: micro-batches, precision, and the count of what they cost."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from evaluator.errors import is_out_of_memory
from evaluator.networks.backbone_loading import Backbone
from evaluator.networks.fusing import bfloat16_twin
from evaluator.records import Precision

DEFAULT_BATCH = {"cpu": 16, "cuda": 128}
"""Images in one forward where nothing better was searched for (``evaluator.networks.batch_size_search``)."""

Arithmetic = Literal["fp32", "bf16"]
"""In which numbers a pass is computed."""


class Pass(NamedTuple):
    """One micro-batch on its way back: images ``start`` to ``stop`` of those asked for.

    Attributes:
        activation: ``A``, ``[n, K, h, w]``; ``logits``: ``[n, C]``; both float32.
    """

    start: int
    stop: int
    activation: Tensor
    logits: Tensor


class Observation(NamedTuple):
    """``A`` ``[n, K, h, w]`` and logits ``[n, C]`` of some images."""

    activation: Tensor
    logits: Tensor


MakeImages = Callable[[int, int], Tensor]
"""``(start, stop)`` → normalised images ``[stop − start, 3, H, W]`` on the device."""


def confidence(logits: Tensor, targets: Tensor) -> Tensor:
    """``softmax(s)_c``, ``[n]``, float64: near 1 a float32 probability has lost the digits that a drop needs."""
    return logits.double().softmax(1).gather(1, targets[:, None])[:, 0]


class Network:
    """A backbone ready to run.

    Args:
        backbone: on any device; it is moved.
        precision: ``fp32``; ``mixed``: passes that only weigh channels in bfloat16, passes that measure in float32; ``bf16``.
        batch_size: images in one forward, ``None`` for a default.
        side: height and width of the input in pixels.

    Attributes:
        batch_sizes: images in one forward, by its arithmetic; halved for good when the device runs out of memory.
        forwards: images that went through the network so far; ``shrunk``: a line for each time a batch was halved.
    """

    def __init__(
        self, backbone: Backbone, *, device: torch.device, precision: Precision, batch_size: int | None = None, side: int
    ) -> None:
        self.backbone = backbone.to(device)
        self._twin = bfloat16_twin(backbone.trunk) if device.type == "cpu" and precision != "fp32" else None
        self.device = device
        self.side = side
        size = batch_size or DEFAULT_BATCH.get(device.type, 32)
        self.batch_sizes: dict[Arithmetic, int] = {"fp32": size, "bf16": size}
        self.forwards = 0
        self.shrunk: list[str] = []
        self._precision = precision
        self._blank: Tensor | None = None

    def passes(self, count: int, make: MakeImages, *, weighing: bool = False) -> Iterator[Pass]:
        """Forward ``count`` images, made chunk by chunk so that they never exist all at once.

        Args:
            weighing: these passes only weigh channels (Score-CAM and kin): bfloat16 under ``mixed``.
        """
        start, arithmetic = 0, self.arithmetic(weighing=weighing)
        while start < count:
            stop = min(start + self.batch_sizes[arithmetic], count)
            try:
                observed = self.forward(make(start, stop), weighing=weighing)
            except (RuntimeError, MemoryError) as error:
                if self.batch_sizes[arithmetic] == 1 or not is_out_of_memory(error):
                    raise
                self._shrink(arithmetic)
                continue
            self.forwards += stop - start
            yield Pass(start, stop, *observed)
            start = stop

    def observe(self, count: int, make: MakeImages) -> Observation:
        """``A`` and logits of all of them, in measuring precision."""
        parts = [(p.activation, p.logits) for p in self.passes(count, make)]
        if len(parts) == 1:
            return Observation(*parts[0])
        activation, logits = zip(*parts, strict=True)
        return Observation(torch.cat(activation), torch.cat(logits))

    def blank_confidence(self) -> Tensor:
        """``softmax(f(0))``, ``[C]``, float64: one forward per backbone, ever."""
        if self._blank is None:
            blank = torch.zeros(1, 3, self.side, self.side, device=self.device)
            self._blank = self.forward(blank, weighing=False).logits.double().softmax(1)[0]
            self.forwards += 1
        return self._blank

    def forward(self, images: Tensor, *, weighing: bool) -> Observation:
        """One batch as it stands, not counted."""
        images = images.contiguous(memory_format=torch.channels_last)
        with torch.no_grad():
            activation = self._activation(images, weighing).float()
            return Observation(activation, self.backbone.logits(activation))

    def _activation(self, images: Tensor, weighing: bool) -> Tensor:
        """``A`` in whatever type it comes; the head behind it is always computed in float32, which costs next to nothing."""
        if self.arithmetic(weighing=weighing) == "fp32":
            activation: Tensor = self.backbone.trunk(images)
        elif weighing and self._twin is not None:
            activation = self._twin(images.bfloat16())
        else:
            with torch.autocast(self.device.type, torch.bfloat16):
                activation = self.backbone.trunk(images)
        return activation

    def arithmetic(self, *, weighing: bool) -> Arithmetic:
        """What a pass of that kind is computed in."""
        return "bf16" if self._precision == "bf16" or (weighing and self._precision == "mixed") else "fp32"

    def _shrink(self, arithmetic: Arithmetic) -> None:
        self.batch_sizes[arithmetic] //= 2
        self.shrunk.append(f"out of memory on {self.device}: batch size now {self.batch_sizes[arithmetic]}")
        if self.device.type == "cuda":
            torch.cuda.empty_cache()
