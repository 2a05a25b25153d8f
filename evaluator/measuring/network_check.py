"""Facts and speed of a backbone, before a night of computing depends on it.

``python -m evaluator.measuring.network_check`` answers one request (``evaluator.child``) of
``camtui backbones --check``, which never holds torch and runs nobody's code.
"""

from __future__ import annotations

import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from evaluator import user_code
from evaluator.child import Answers, serve
from evaluator.errors import NotFound
from evaluator.measuring.image_loading import Loader, Normaliser
from evaluator.measuring.throughput import raw_rate
from evaluator.networks.allocator import keep_freed_blocks
from evaluator.networks.backbone_loading import load_backbone
from evaluator.networks.device import device_name
from evaluator.networks.network import Network
from evaluator.plan import RunPlan
from evaluator.plan_validation import validated_plan
from evaluator.records import ImageRef
from evaluator.text import printable

BATCH = 8
"""Images in one forward while the speed is measured."""

MOST = 5
"""Classes that are named for an image."""


def checked(plan: RunPlan, device: torch.device, image: str | None) -> dict[str, Any]:
    """Load a plan's backbone and say what it is.

    Args:
        image: path of an image whose most confident classes are wanted.

    Raises:
        CamtuiError: it cannot be loaded, or the image cannot be read.
    """
    network = Network(
        load_backbone(plan.backbones[0], plan.resize, device=device),
        device=device,
        precision="fp32",
        batch_size=BATCH,
    )
    facts = network.backbone.facts
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
        best = scores.topk(min(MOST, len(scores)))
        found["top"] = [
            _named(facts.classes, int(c), float(y))
            for c, y in zip(best.indices, best.values, strict=True)
        ]
    return found


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


def answer(request: dict[str, Any]) -> Answers:
    """Check the backbone of ``{"plan", "allowed", "device", "image"}``."""
    user_code.allow(request["allowed"])
    keep_freed_blocks()
    plan, device = validated_plan(request["plan"]), torch.device(request["device"])
    yield checked(plan, device, request["image"])


if __name__ == "__main__":
    serve(answer)
