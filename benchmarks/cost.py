"""What cost grows with: images, methods, channels of Score-CAM, workers.

Each should be a straight line through its forwards.

Every row gives seconds, and seconds a forward beside those of the first row (1.00: exactly
proportional). Sizes take turns, medians of the rounds. Workers beyond this machine's cores are
``benchmarks/scaling.py``'s, with an evaluator that sleeps.

    # 3 minutes on two cores
    python benchmarks/cost.py --data ../shared/imagenet-sample
    python benchmarks/cost.py --data DIR --device cuda --images 256
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import time
from collections.abc import Callable
from functools import partial
from tempfile import TemporaryDirectory
from typing import Any

import torch
from machine import machine_line, write_json
from options import network_options, run_command

from evaluator.backbones import BackboneSpec
from evaluator.images import find_images
from evaluator.interfaces import SessionSettings
from evaluator.measuring.session import EvaluationSession, open_session
from evaluator.measuring.views import BatchView
from evaluator.networks.network import Network
from evaluator.plan import RunPlan, validated
from evaluator.records import ImageRef, Unit

METHODS = ("gradcam", "gradcampp", "layercam", "fakecam", "smoothgradcampp")


def main() -> None:
    parser = network_options(__doc__, images=32)
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    plan = validated(
        RunPlan(str(options.data), (BackboneSpec(options.backbone, options.weights),), METHODS)
    )
    images = find_images(options.data, seed=0, limit=options.images)
    session = open_session(
        SessionSettings(plan, str(images.root), options.device, options.batch_size)
    )
    session.load(0)
    assert session._loaded is not None
    network = session._loaded.network
    print(f"{options.backbone}, batch {options.batch_size}, {machine_line()}")
    shares = [max(1, options.images * part // 8) for part in (1, 2, 4, 8)]
    few = images.images[: shares[1]]
    lines: dict[str, dict[str, Callable[[], int]]] = {
        "images": {str(n): partial(rows, session, METHODS[:2], images.images[:n]) for n in shares},
        "methods": {
            str(n): partial(rows, session, METHODS[:n], few) for n in range(1, len(METHODS) + 1)
        },
        "channels": {str(n): partial(channels, network, n) for n in (64, 128, 256, 512)},
        "workers": {str(n): partial(whole_run, options, n) for n in (1, 2)},
    }
    results = [
        one for axis, sizes in lines.items() for one in measured(axis, sizes, options.rounds)
    ]
    write_json(options, results)


def measured(axis: str, sizes: dict[str, Callable[[], int]], rounds: int) -> list[dict[str, Any]]:
    """Let the sizes take turns; print and return a line for each."""
    taken: dict[str, list[float]] = {size: [] for size in sizes}
    forwards = {size: act() for size, act in sizes.items()}  # and warm
    for _ in range(rounds):
        for size, act in sizes.items():
            begun = time.perf_counter()
            act()
            taken[size].append(time.perf_counter() - begun)
    each = {size: statistics.median(seconds) / forwards[size] for size, seconds in taken.items()}
    first = next(iter(each.values()))
    found = [
        {
            "axis": axis,
            "size": size,
            "forwards": forwards[size],
            "seconds": statistics.median(taken[size]),
            "relative": one / first,
        }
        for size, one in each.items()
    ]
    for one in found:
        print(
            f"  {axis:9} {one['size']:>5}  {one['forwards']:>6} forwards  "
            f"{one['seconds']:7.2f} s   {one['relative']:.2f}",
            flush=True,
        )
    return found


def rows(session: EvaluationSession, methods: tuple[str, ...], images: tuple[ImageRef, ...]) -> int:
    """Rows in units of 16 images, the next one being decoded; how many forwards they took."""
    units = [
        Unit(0, 0, 0, tuple(range(len(methods))), methods, images[start : start + 16])
        for start in range(0, len(images), 16)
    ]
    forwards = 0
    for place, unit in enumerate(units):
        session.prefetch(unit)
        if place + 1 < len(units):
            session.prefetch(units[place + 1])
        forwards += session.evaluate(unit).forwards
    return forwards


def channels(network: Network, count: int) -> int:
    """Score-CAM's passes through so many channels."""
    before, device = network.forwards, network.device
    images = torch.randn(
        1, 3, network.side, network.side, generator=torch.Generator().manual_seed(0)
    ).to(device)
    seen = network.observe(1, lambda start, stop: images[start:stop])
    some = seen._replace(activation=torch.rand(1, count, *seen.activation.shape[2:], device=device))
    view = BatchView(
        network, lambda: images, some, torch.zeros(1, dtype=torch.long, device=device), [b""]
    )
    view.channel_scores().sum().item()
    return network.forwards - before


def whole_run(options: argparse.Namespace, workers: int) -> int:
    """A run on all images with so many workers.

    Start included, so that two cost a little more on two busy cores.
    """
    with TemporaryDirectory() as home:
        command = [
            *run_command(
                options.data,
                options.backbone,
                ",".join(METHODS),
                4 * options.images,
                weights=options.weights,
            ),
            *("--workers", str(workers), "--device", options.device),
            *("--batch-size", str(options.batch_size)),
        ]
        subprocess.run(
            command, check=True, capture_output=True, env={**os.environ, "CAMTUI_HOME": home}
        )
    return 32 * int(options.images)


if __name__ == "__main__":
    main()
