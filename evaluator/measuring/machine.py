"""Requests to torch in a process of its own, from commands that never hold it.

``python -m evaluator.measuring.machine`` answers one request (``evaluator.child``), by its "asked":
``throughput`` for ``camtui bench``; ``device`` for ``camtui doctor``, each device in a process of
its own, so that one that hangs or ends the process costs nothing but its own answer; ``network``
for ``camtui backbones --check``; ``weights`` for ``camtui run``, which fetches them before its
driver starts.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from evaluator import user_code
from evaluator.backbones import BackboneSpec, family_of
from evaluator.catalog import method
from evaluator.child import Answers, serve
from evaluator.errors import NotFound, UsageError
from evaluator.labels import classes_of_folders
from evaluator.measuring.inputs import Loader, Normaliser
from evaluator.measuring.pipeline import Batch, Pipeline, Scores
from evaluator.measuring.views import BatchView
from evaluator.networks.backbone_loading import load_backbone
from evaluator.networks.batch_size_search import find_size
from evaluator.networks.device import (
    device_name,
    disable_tf32,
    driver_cuda,
    driver_version,
    is_mig,
    keep_freed_blocks,
    tf32_allowed,
)
from evaluator.networks.network import Network
from evaluator.plan import RunPlan, validated_plan
from evaluator.records import ImageRef, LoadedBackbone, Precision
from evaluator.sources.base import is_hidden, kind_of
from evaluator.text import printable

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
        rows=_rate_of_rows(network),
        masks=_rate_of_masks(network),
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


def _rate_of_rows(network: Network) -> float:
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


def _rate_of_masks(network: Network) -> float:
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


def _throughput(request: dict[str, Any]) -> Answers:
    """Measure the backbones of ``{"backbones": […], "device": …, "precision": …}``, one by one."""
    keep_freed_blocks()
    for key in request["backbones"]:
        yield asdict(measure(key, torch.device(request["device"]), request["precision"]))


_BACKBONE = BackboneSpec("resnet18", "random:0")
_METHODS = ("gradcam", "gradcampp", "smoothgradcampp")
_IMAGES = 8
_COMPARED = ("y", "o", "coherency", "complexity", "adcc")

TOLERANCE: dict[Precision, float] = {"fp32": 1e-3, "mixed": 1e-3, "bf16": 5e-2}
"""Largest difference of a number of a row from the CPU's in float32: gradient rows under ``mixed``
are measured in float32.
"""


@dataclass(frozen=True)
class MachineFacts:
    """The CUDA machine as torch describes it.

    Attributes:
        cuda_build: the CUDA that torch was built for, empty for a build without; ``driver_cuda``:
            the newest the driver knows.
        devices: names, empty where CUDA does not start; ``error``: why, in torch's words.
        tf32: whether a run would compute float32 in TF32: never, unless something is wrong.
    """

    torch: str
    cuda_build: str
    driver: str
    driver_cuda: str
    devices: tuple[str, ...]
    error: str
    tf32: bool


@dataclass(frozen=True)
class DeviceCheck:
    """The rows that one device computed of one batch.

    Attributes:
        difference: the largest between a number of its rows and the CPU's; ``seconds``: that the
            device took.
        error: why there is none; empty where all went well.
    """

    device: str
    name: str = ""
    memory: int = 0
    mig: bool = False
    precision: str = ""
    difference: float = 0.0
    seconds: float = 0.0
    error: str = ""


def machine_facts() -> MachineFacts:
    """Ask torch and the driver."""
    disable_tf32()
    error, devices = "", tuple[str, ...]()
    try:
        torch.cuda.init()  # type: ignore[no-untyped-call]  # torch's own
        devices = tuple(
            device_name(torch.device(f"cuda:{number}"))
            for number in range(torch.cuda.device_count())
        )
    except (
        RuntimeError,
        AssertionError,
    ) as raised:  # an assertion is how a torch without CUDA says so
        error = _first_line(raised)
    return MachineFacts(
        torch.__version__,
        torch.version.cuda or "",
        driver_version(),
        driver_cuda(),
        devices,
        error,
        tf32_allowed(),
    )


def check(device: torch.device, precision: Precision) -> DeviceCheck:
    """Compute one batch on a device and on the CPU, and compare the rows."""
    facts = DeviceCheck(str(device), precision=precision)
    try:
        properties = torch.cuda.get_device_properties(device)
        found = {
            "name": str(properties.name),
            "memory": int(properties.total_memory),
            "mig": is_mig(str(properties.uuid)),
        }
        facts = DeviceCheck(**{**asdict(facts), **found})
        expected, _ = _rows(torch.device("cpu"), "fp32")
        rows, seconds = _rows(device, precision)
    except (RuntimeError, AssertionError) as raised:
        return DeviceCheck(**{**asdict(facts), "error": _first_line(raised)})
    difference = max(_difference(expected[name], rows[name]) for name in _METHODS)
    wrong = (
        ""
        if difference <= TOLERANCE[precision]
        else f"its rows differ from the CPU's by {difference:.2g}"
    )
    return DeviceCheck(
        **{**asdict(facts), "difference": difference, "seconds": seconds, "error": wrong}
    )


def _rows(device: torch.device, precision: Precision) -> tuple[dict[str, Scores], float]:
    network = Network(
        load_backbone(_BACKBONE, device=device),
        device=device,
        precision=precision,
        batch_size=_IMAGES,
    )
    images = _images(network.side).to(device)
    begun = time.perf_counter()
    keys = [b"%d" % number for number in range(_IMAGES)]
    rows = Pipeline(network).rows(Batch(images, keys), [method(name) for name in _METHODS])
    return rows, time.perf_counter() - begun


def _images(side: int) -> Tensor:
    """Blobs: on plain noise every map is alike."""
    coarse = torch.randn(_IMAGES, 3, 7, 7, generator=torch.Generator().manual_seed(0))
    return torch.nn.functional.interpolate(coarse, size=(side, side), mode="bilinear")


def _difference(expected: Scores, found: Scores) -> float:
    pairs = [
        abs(one - other)
        for name in _COMPARED
        for one, other in zip(getattr(expected, name), getattr(found, name), strict=True)
    ]
    return float("inf") if any(pair != pair for pair in pairs) else max(pairs)


def _first_line(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}".splitlines()[0]


def _device(request: dict[str, Any]) -> Answers:
    """The facts; with ``{"device", "precision"}`` the check of that device."""
    if "device" in request:
        yield asdict(check(torch.device(request["device"]), request.get("precision", "mixed")))
    else:
        yield asdict(machine_facts())


BATCH = 8
"""Images in one forward while the speed is measured."""

MOST = 5
"""Classes that are named for an image."""


def checked(plan: RunPlan, device: torch.device, image: str | None) -> dict[str, Any]:
    """Load a plan's backbone and say what it is.

    Args:
        image: path of an image whose most confident classes are wanted. The class folders around
            it name the classes of a network without names, as in a run.

    Raises:
        CamtuiError: it cannot be loaded, its logits are no numbers, or the image cannot be read.
    """
    network = Network(
        load_backbone(plan.backbones[0], plan.resize, device=device),
        device=device,
        precision="fp32",
        batch_size=BATCH,
    )
    facts, record = network.backbone.facts, network.backbone.record
    assert record is not None, "it was loaded"
    _refuse_no_numbers(network.scores(record.logits[1:]), "a picture")
    if image is not None:
        facts = _named_around(facts, Path(image))
    found: dict[str, Any] = {
        "backbone": plan.backbones[0].name,
        **asdict(facts),
        "device": device_name(device),
        "batch_size": BATCH,
        "forwards_per_second": raw_rate(network, channel_scoring=False),
        "top": [],
    }
    if image is not None:
        scores = network.scores(
            network.forward(_pixels(network, Path(image)), channel_scoring=False).logits
        )[0]
        _refuse_no_numbers(scores, printable(Path(image).name, 80))
        best = scores.topk(min(MOST, len(scores)))
        found["top"] = [
            _named(facts.classes, int(c), float(y))
            for c, y in zip(best.indices, best.values, strict=True)
        ]
    return found


def _named_around(facts: LoadedBackbone, image: Path) -> LoadedBackbone:
    """Name the classes of a network without names by the folder of an image and those beside it."""
    if facts.classes or not image.is_file():
        return facts
    root = image.parent.parent
    folders = [
        one for one in root.iterdir() if one.is_dir() and not is_hidden(os.fsencode(one.name))
    ]
    if not all(_has_images(folder) for folder in folders):
        return facts
    index = classes_of_folders([one.name for one in folders], (), facts.class_count).index
    if not index:
        return facts
    names = tuple(sorted(index, key=index.__getitem__))
    how = "sorted" if list(names) == sorted(names) else "in numeric order"
    remark = f"its classes are named by the {len(names)} class folders around the image, {how}"
    return replace(facts, classes=names, remarks=(*facts.remarks, remark))


def _has_images(folder: Path) -> bool:
    try:
        return any(kind_of(name) == "image" for name in os.listdir(os.fsencode(folder)))
    except OSError:
        return False


def _refuse_no_numbers(scores: Tensor, shown: str) -> None:
    if scores.isnan().any():
        raise UsageError(
            f"the network's answer to {shown} is no number (NaN)",
            "look for NaN in its weights, and for divisions by 0 and overflows in its forward",
        )


def _pixels(network: Network, file: Path) -> Tensor:
    """``[1, channels, H, W]``, normalised, as in a run.

    Raises:
        NotFound: the file is no image that can be read.
    """
    wanted = network.backbone.facts.preprocessing
    loader = Loader(file.parent, threads=1)
    size = file.stat().st_size if file.is_file() else 0
    decoded = loader.collect([ImageRef(0, os.fsencode(file.name), size, None)], wanted)
    loader.close()
    if decoded.unreadable:
        raise NotFound(
            f"cannot open {printable(file)}: {decoded.unreadable[0].message}",
            "--image FILE takes a photograph",
        )
    return Normaliser(wanted, network.device)(decoded.pixels)


def _named(classes: tuple[str, ...], index: int, score: float) -> dict[str, Any]:
    return {
        "index": index,
        "name": classes[index] if index < len(classes) else None,
        "score": score,
    }


def _network(request: dict[str, Any]) -> Answers:
    """Check the backbone of ``{"plan", "allowed", "device", "image"}``."""
    user_code.allow(request["allowed"])
    keep_freed_blocks()
    plan, device = validated_plan(request["plan"]), torch.device(request["device"])
    yield checked(plan, device, request["image"])


def _fetched(request: dict[str, Any]) -> Answers:
    """Build each network of ``{"backbones": [KEY …]}`` once with its published weights.

    Raises:
        CamtuiError: the weights can neither be found nor _fetched, or do not fit.
    """
    for key in request["backbones"]:
        family_of(key).build(BackboneSpec(key))
        yield {"backbone": key}


_ANSWERS: dict[str, Callable[[dict[str, Any]], Answers]] = {
    "throughput": _throughput,
    "device": _device,
    "network": _network,
    "weights": _fetched,
}


def answer(request: dict[str, Any]) -> Answers:
    """Answer a request by what is ``asked``."""
    return _ANSWERS[request["asked"]](request)


if __name__ == "__main__":
    serve(answer)
