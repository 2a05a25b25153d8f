"""The CUDA machine as torch sees it, and whether a GPU computes the CPU's rows.

``python -m evaluator.measuring.device_check`` answers one request (``evaluator.child``) of ``camtui
doctor``, which never holds torch. Each device is checked in a process of its own: one that hangs or
whose driver ends the process costs nothing but its own answer.
"""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from evaluator.backbone_spec import BackboneSpec
from evaluator.catalog import method
from evaluator.child import Answers, serve
from evaluator.measuring.pipeline import Batch, Pipeline, Scores
from evaluator.networks.backbone_loading import load_backbone
from evaluator.networks.device import device_name
from evaluator.networks.network import Network
from evaluator.networks.numerics import disable_tf32, tf32_allowed
from evaluator.networks.nvml import driver_cuda, driver_version, is_mig
from evaluator.records import Precision

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


def answer(request: dict[str, Any]) -> Answers:
    """The facts; with ``{"device", "precision"}`` the check of that device."""
    if "device" in request:
        yield asdict(check(torch.device(request["device"]), request.get("precision", "mixed")))
    else:
        yield asdict(machine_facts())


if __name__ == "__main__":
    serve(answer)
