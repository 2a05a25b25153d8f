r"""How close a whole ``camtui run`` comes to the limit of what the mathematics requires.

``efficiency = forwards required / (seconds × raw forwards a second)``: processes, decoding, metrics
and store included. A run starts once, so its seconds are the slope between a small and a large
number of images. Raw throughput is that of the same network, allocator, batch size and precision on
random images that are on the device already. Small run, large run and raw take turns; the median of
the rounds is printed.

    # 4 minutes on two cores
    python benchmarks/efficiency.py --data ../shared/imagenet-sample
    python benchmarks/efficiency.py --data ../shared/imagenet-sample --backbone resnet50 \
      --groups family,gradcam
    python benchmarks/efficiency.py --data ../shared/imagenet-sample --backbone resnet50 \
      --groups scorecam --rounds 3
    python benchmarks/efficiency.py --data DIR --device cuda --images 20
"""

from __future__ import annotations

import argparse
import os
import sqlite3
import statistics
import subprocess
import time
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import torch
from machine import machine_line, write_json
from options import network_options, run_command

from evaluator.backbones import BackboneSpec
from evaluator.images import find_images
from evaluator.measuring.inputs import Loader, Normaliser
from evaluator.measuring.saliency import Saliency, masked, min_max
from evaluator.networks.backbone_loading import load_backbone
from evaluator.networks.device import keep_freed_blocks
from evaluator.networks.network import Network
from evaluator.records import ImageRef
from evaluator.store.reader import RunReader


class Group(NamedTuple):
    """What is measured together: methods, metrics, and how many images for each of ``--images``."""

    methods: str
    metrics: str
    small: float
    large: float


GROUPS = {
    "gradcam": Group("gradcam,xgradcam,gradcampp", "adcc", 1, 7.5),
    "family": Group("fakecam,gradcam,gradcampp,layercam,smoothgradcampp", "adcc", 1, 6),
    "curves": Group("gradcam", "all", 0.25, 1),
    "scorecam": Group("scorecam", "adcc", 1 / 32, 3 / 32),
}


def main() -> None:
    parser = network_options(__doc__, images=32, weights="random:0")
    parser.add_argument("--precision", default="fp32")
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--groups", default=",".join(GROUPS))
    options = parser.parse_args()
    keep_freed_blocks()
    spec = BackboneSpec(
        options.backbone, "default" if options.backbone == "efficientnet_lite0" else options.weights
    )
    raw = Network(
        load_backbone(spec),
        device=torch.device(options.device),
        precision=options.precision,
        batch_size=options.batch_size,
    )
    print(f"{spec.name}, {options.precision}, batch {options.batch_size}, {machine_line()}")
    results = []
    for name in options.groups.split(","):
        rounds = [one_round(options, spec, raw, GROUPS[name]) for _ in range(options.rounds)]
        efficiency, rate, raw_rate = (
            statistics.median(column) for column in zip(*rounds, strict=True)
        )
        each = [one[0] for one in rounds]
        results.append(
            {
                "group": name,
                "efficiency": efficiency,
                "forwards_per_second": rate,
                "raw": raw_rate,
                "rounds": each,
            }
        )
        print(
            f"  {name:9} efficiency {efficiency:.3f} ({', '.join(f'{one:.3f}' for one in each)})"
            f"   {rate:7.1f} forwards/s   raw {raw_rate:7.1f}",
            flush=True,
        )
    write_json(options, results)


def one_round(
    options: argparse.Namespace, spec: BackboneSpec, raw: Network, group: Group
) -> tuple[float, float, float]:
    """(efficiency, forwards a second of the run, raw forwards a second)."""
    before = raw_throughput(raw)
    small, large = (
        max(round(options.images * share), number)
        for share, number in ((group.small, 1), (group.large, 2))
    )
    runs = [whole_run(options, spec, raw, group, count) for count in (small, large)]
    seconds, forwards = (runs[1][place] - runs[0][place] for place in range(2))
    raw_rate = statistics.mean((before, raw_throughput(raw)))
    return forwards / seconds / raw_rate, forwards / seconds, raw_rate


def raw_throughput(network: Network, seconds: float = 2.0) -> float:
    """Forwards a second on random images that are already on the device."""
    size = network.batch_sizes[network.arithmetic(channel_scoring=True)]
    images = torch.randn(size, *network.input_shape, device=network.device).contiguous(
        memory_format=torch.channels_last
    )
    network.forward(images, channel_scoring=True).logits.sum().item()
    begun, count = time.perf_counter(), 0
    while time.perf_counter() - begun < seconds:
        network.forward(images, channel_scoring=True).logits.sum().item()
        count += size
    return count / (time.perf_counter() - begun)


def whole_run(
    options: argparse.Namespace, spec: BackboneSpec, raw: Network, group: Group, images: int
) -> tuple[float, int]:
    """(seconds of a ``camtui run -F`` as a user types it, forwards that its rows required)."""
    with TemporaryDirectory() as home:
        command = [
            *run_command(options.data, spec.key, group.methods, images, weights=spec.weights),
            *("--batch-size", str(options.batch_size), "--device", options.device),
            *("--name", "run", "--precision", options.precision),
            *(("--metric", "all") if group.metrics == "all" else ()),
        ]
        begun = time.perf_counter()
        subprocess.run(
            command, check=True, env={**os.environ, "CAMTUI_HOME": home}, capture_output=True
        )
        seconds = time.perf_counter() - begun
        return seconds, required(Path(home, "runs", "run.db"), raw, options.data)


def required(database: Path, network: Network, data: Path) -> int:
    """Forwards that the stored rows needed.

    As planned, less the channels of Score-CAM that are constant.
    """
    with RunReader(database) as run:
        planned = sum(stage.forwards_per_image * stage.images for stage in run.stages())
    with closing(sqlite3.connect(database)) as connection:
        stored = dict(
            connection.execute(
                "SELECT image_id, map FROM results JOIN cells ON cells.id = cell_id WHERE "
                "method = 'scorecam' AND map NOT NULL"
            ).fetchall()
        )
    manifest = find_images(data, seed=0, limit=max(stored, default=0) + 1)
    by_id = {image.id: image for image in manifest.images}
    return round(planned) - sum(
        constant_channels(network, manifest.root, by_id[image], values)
        for image, values in stored.items()
    )


def constant_channels(network: Network, root: Path, image: ImageRef, values: bytes) -> int:
    """Channels of the image and of its explanation map that Score-CAM need not look through."""
    facts = network.backbone.facts
    loader = Loader(root, threads=1)
    x = Normaliser(facts.preprocessing, network.device)(
        loader.collect([image], facts.preprocessing).pixels
    )
    loader.close()
    low = (
        torch.frombuffer(bytearray(values), dtype=torch.float32)
        .view(1, facts.height, facts.width)
        .to(network.device)
    )
    seen = network.forward(
        torch.cat([x, masked(x, Saliency(low, network.side, network.side))]), channel_scoring=False
    ).activation
    return int((min_max(seen).amax((2, 3)) == 0).sum())


if __name__ == "__main__":
    main()
