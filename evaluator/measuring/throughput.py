"""Forwards a second of a backbone: raw, and with maps and metrics made as well.

``python -m evaluator.measuring.throughput`` answers one request (``evaluator.child``) of ``camtui
bench``, which never holds torch. Weights are random, images are noise: neither changes the speed,
and nothing is downloaded.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import torch

from evaluator.backbone_spec import BackboneSpec
from evaluator.catalog import method
from evaluator.child import Answers, serve
from evaluator.measuring.pipeline import Batch, Pipeline
from evaluator.measuring.views import BatchView
from evaluator.networks.allocator import keep_freed_blocks
from evaluator.networks.backbone_loading import load_backbone
from evaluator.networks.batch_size_search import find_size
from evaluator.networks.device import device_name
from evaluator.networks.network import Network
from evaluator.records import Precision

_SECONDS = 2.0
"""Time for which each figure is measured, and two batches at least."""

_FAMILY = ("gradcam", "gradcampp", "layercam", "fakecam")
_CHANNELS = 64
"""Channels of Score-CAM that are looked through; the others cost the same."""


@dataclass(frozen=True)
class Throughput:
    """Forwards a second of one backbone on one device.

    Attributes:
        measuring, weighing: raw, in the arithmetic of either kind of pass; ``batch_sizes``: images
            in one forward, for each.
        rows: made for the rows of gradient methods, metrics included; ``masks``: made through the
            masks of Score-CAM.
        channels: K of the target layer; ``gap_linear``: whether gradients need no autograd.
    """

    backbone: str
    device: str
    precision: str
    batch_sizes: dict[str, int]
    measuring: float
    weighing: float
    rows: float
    masks: float
    channels: int
    gap_linear: bool


def measure(key: str, device: torch.device, precision: Precision) -> Throughput:
    """Search the batch sizes of a backbone and time its passes.

    Raises:
        CamtuiError: there is no such backbone.
    """
    network = Network(
        load_backbone(BackboneSpec(key, "random:0"), device=device),
        device=device,
        precision=precision,
    )
    for channel_scoring in (False, True):
        network.batch_sizes[network.arithmetic(channel_scoring=channel_scoring)] = find_size(
            network, channel_scoring=channel_scoring
        )
    facts = network.backbone.facts
    sizes = {str(name): size for name, size in network.batch_sizes.items()}
    return Throughput(
        backbone=key,
        device=device_name(device),
        precision=precision,
        batch_sizes=sizes,
        measuring=raw_rate(network, channel_scoring=False),
        weighing=raw_rate(network, channel_scoring=True),
        rows=_rows(network),
        masks=_masks(network),
        channels=facts.channels,
        gap_linear=facts.gap_linear,
    )


def raw_rate(network: Network, *, channel_scoring: bool) -> float:
    """Measure forwards a second on random images that are on the device already."""
    size = network.batch_sizes[network.arithmetic(channel_scoring=channel_scoring)]
    images = torch.randn(size, *network.input_shape, device=network.device).contiguous(
        memory_format=torch.channels_last
    )

    def once() -> int:
        network.forward(
            images, channel_scoring=channel_scoring
        ).logits.sum().item()  # the item waits for the device
        return size

    return _a_second(once)


def _rows(network: Network) -> float:
    pipeline, size = (
        Pipeline(network),
        network.batch_sizes[network.arithmetic(channel_scoring=False)],
    )
    images = torch.randn(size, *network.input_shape, device=network.device).contiguous(
        memory_format=torch.channels_last
    )
    batch = Batch(images, [b""] * size)

    def once() -> int:
        before = network.forwards
        pipeline.rows(batch, [method(name) for name in _FAMILY])
        return network.forwards - before

    return _a_second(once)


def _masks(network: Network) -> float:
    images = torch.randn(1, *network.input_shape, device=network.device)
    seen = network.observe(1, lambda start, stop: images[start:stop])
    varied = torch.rand(1, _CHANNELS, *seen.activation.shape[2:], device=network.device)
    some = seen._replace(activation=varied)

    def once() -> int:
        before = network.forwards
        view = BatchView(
            network,
            lambda: images,
            some,
            torch.zeros(1, dtype=torch.long, device=network.device),
            [b""],
        )
        view.channel_scores().sum().item()
        return network.forwards - before

    return _a_second(once)


def _a_second(once: Callable[[], int]) -> float:
    """Measure forwards a second, after one turn that warms up."""
    once()
    begun, count, turns = time.perf_counter(), 0, 0
    while turns < 2 or time.perf_counter() - begun < _SECONDS:
        count, turns = count + once(), turns + 1
    return count / (time.perf_counter() - begun)


def answer(request: dict[str, Any]) -> Answers:
    """Measure the backbones of ``{"backbones": […], "device": …, "precision": …}``, one by one."""
    keep_freed_blocks()
    for key in request["backbones"]:
        yield asdict(measure(key, torch.device(request["device"]), request["precision"]))


if __name__ == "__main__":
    serve(answer)
