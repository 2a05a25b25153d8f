"""How close a session comes to the network's raw forward throughput: the limit of what the mathematics requires.

``efficiency = forwards required / (wall time × raw forwards a second)``, decoding and metrics included, at the same batch
size, precision and memory format. Raw and real take turns; medians over the rounds. The raw network is the folded one, which is
the faster.

    python benchmarks/efficiency.py --data ../shared/imagenet-sample --backbone efficientnet_lite0
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from evaluator.backbones import load_backbone
from evaluator.catalog import curve_metrics
from evaluator.crop import SIDE
from evaluator.execution.protocol import SessionSettings
from evaluator.images import find_images
from evaluator.network import Network
from evaluator.plan import BackboneSpec, RunPlan, validated
from evaluator.records import ImageRef, StoredMap, Unit, UnitResult
from evaluator.session import EvaluationSession, open_session

FAMILY = ("fakecam", "gradcam", "gradcampp", "layercam", "smoothgradcampp")


def raw_throughput(network: Network, forwards: int) -> float:
    """Forwards a second on random images that are already on the device."""
    images = torch.randn(network.batch_size, 3, SIDE, SIDE, device=network.device)
    images = images.contiguous(memory_format=torch.channels_last)
    begun = time.perf_counter()
    count = -(-forwards // network.batch_size) * network.batch_size
    for part in network.passes(count, lambda start, stop: images[: stop - start]):
        last: Tensor = part.logits
    last.sum().item()
    return count / (time.perf_counter() - begun)


def gradient_family(session: EvaluationSession, images: tuple[ImageRef, ...]) -> UnitResult:
    """The cheap methods together."""
    return session.evaluate(Unit(0, 0, 0, tuple(range(len(FAMILY))), FAMILY, images))


def score_cam(session: EvaluationSession, images: tuple[ImageRef, ...]) -> UnitResult:
    """Score-CAM on the first image."""
    return session.evaluate(Unit(0, 0, 0, (0,), ("scorecam",), images[:1]))


def curves(session: EvaluationSession, images: tuple[ImageRef, ...]) -> UnitResult:
    """Deletion and insertion on stored maps of four images."""
    rows = gradient_family(session, images[:4]).rows
    maps = {(row.cell, row.image): StoredMap(row.target, row.y, row.map) for row in rows}
    unit = Unit(0, 0, 0, tuple(range(len(FAMILY))), FAMILY, images[:4], curve_metrics(), maps)
    return session.evaluate(unit)


GROUPS: dict[str, Callable[[EvaluationSession, tuple[ImageRef, ...]], UnitResult]] = {
    "gradient family": gradient_family,
    "deletion and insertion": curves,
    "scorecam": score_cam,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--backbone", default="efficientnet_lite0")
    parser.add_argument("--weights", default="random:0", help="of torchvision backbones")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--precision", default="fp32")
    parser.add_argument("--batch-size", type=int)
    parser.add_argument("--images", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--groups", default=",".join(GROUPS))
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    spec = BackboneSpec(options.backbone, "default" if options.backbone == "efficientnet_lite0" else options.weights)
    plan = validated(RunPlan(str(options.data), (spec,), (*FAMILY, "scorecam"), ("all",), precision=options.precision))
    manifest = find_images(options.data, seed=0, limit=options.images)
    session = open_session(SessionSettings(plan, str(manifest.root), options.device, options.batch_size))
    session.load(0)
    device = torch.device(options.device)
    raw = Network(load_backbone(spec, SIDE), device=device, precision=options.precision, batch_size=options.batch_size, side=SIDE)
    raw_throughput(raw, 32)
    machine = f"{session.versions()['device']}, {platform.machine()}, torch {torch.__version__}"
    print(f"{options.backbone}, {options.precision}, batch {raw.batch_size}, {machine}")
    results = []
    for name in options.groups.split(","):
        GROUPS[name](session, manifest.images[:2])
        found = [one_round(session, raw, name, manifest.images) for _ in range(options.rounds)]
        efficiency, rate = (statistics.median(column) for column in zip(*found, strict=True))
        results.append({"group": name, "efficiency": efficiency, "forwards_per_second": rate})
        print(f"  {name:24} efficiency {efficiency:.3f}   {rate:7.1f} forwards/s   (raw {rate / efficiency:7.1f})", flush=True)
    if options.json:
        options.json.write_text(json.dumps({"backbone": options.backbone, "precision": options.precision, "results": results}))


def one_round(session: EvaluationSession, raw: Network, name: str, images: tuple[ImageRef, ...]) -> tuple[float, float]:
    """(efficiency, forwards a second) of one turn, raw throughput measured before and after it."""
    before = raw_throughput(raw, 64)
    result = GROUPS[name](session, images)
    rate = result.forwards / result.seconds
    return rate / statistics.mean((before, raw_throughput(raw, 64))), rate


if __name__ == "__main__":
    main()
