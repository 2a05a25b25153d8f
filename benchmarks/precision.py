"""What precision, batch size and number of threads do to the numbers.

The same rows as in fp32, with 16 images in a forward and on all threads, computed in another way;
and how far each metric moves: absolute differences of fractions ×100: points, as the tables show
them. ``y`` and ``o`` are the confidences, ``map`` is the largest difference of a pixel of the map
as it is stored.

``mixed`` weighs channels in bfloat16 and measures in float32, so it changes Score-CAM and its kin
only; ``bf16`` changes everything.

    # every method but those that weigh channels by a forward each, 250 images
    python benchmarks/precision.py --data ../shared/imagenet-sample
    python benchmarks/precision.py --data ../shared/imagenet-sample --methods scorecam --images 24
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import torch
from machine import machine_line, write_json
from options import network_options

from evaluator import catalog
from evaluator.backbones import BackboneSpec
from evaluator.images import find_images
from evaluator.interfaces import SessionSettings
from evaluator.measuring.session import open_session
from evaluator.methods import all_methods
from evaluator.networks.backbone_loading import load_backbone
from evaluator.plan import RunPlan, validated
from evaluator.records import ImageRef, LoadedBackbone, Precision, Row, Unit

METRICS = ("y", "o", "average_drop", "average_increase", "coherency", "complexity", "adcc")
FEW = 64
"""Forwards of a row of the methods that are measured unless ``--methods`` says otherwise."""


class Way(NamedTuple):
    """How the rows are computed.

    Attributes:
        batch: images in one forward, ``--batch-size``; unit: images that are handed over at once.
        threads: 0 for all.
    """

    precision: Precision = "fp32"
    batch: int = 16
    unit: int = 16
    threads: int = 0


REFERENCE = "fp32"
WAYS = {
    REFERENCE: Way(),
    "batch 1": Way(batch=1),
    "batch 7": Way(batch=7),
    "units of 1": Way(unit=1),
    "units of 7": Way(unit=7),
    "1 thread": Way(threads=1),
    "mixed": Way("mixed"),
    "bf16": Way("bf16"),
}

Rows = dict[tuple[int, int], Row]
"""(cell, image) → row."""


def main() -> None:
    parser = network_options(__doc__, images=250)
    parser.add_argument("--methods", help="[default: all of few forwards]")
    parser.add_argument("--ways", default=",".join(WAYS), help="[default: all]")
    options = parser.parse_args()
    backbone = BackboneSpec(options.backbone, options.weights)
    methods = (
        tuple(options.methods.split(","))
        if options.methods
        else methods_of_few_forwards(load_backbone(backbone).facts)
    )
    ways = {name: WAYS[name] for name in dict.fromkeys([REFERENCE, *options.ways.split(",")])}
    plan = validated(RunPlan(str(options.data), (backbone,), methods))
    manifest = find_images(options.data, seed=0, limit=options.images)
    print(f"{options.backbone}, {options.images} images, {machine_line()}")
    threads = torch.get_num_threads()
    rows: dict[str, Rows] = {}
    seconds: dict[str, float] = {}
    for name, way in ways.items():
        begun = time.perf_counter()
        settings = SessionSettings(
            replace(plan, precision=way.precision),
            str(manifest.root),
            options.device,
            threads=way.threads or threads,
            batch_size=way.batch,
        )
        rows[name] = evaluated(settings, manifest.images, way.unit)
        seconds[name] = time.perf_counter() - begun
        print(f"  {name}: {seconds[name]:.1f} s", flush=True)

    results = [
        one
        for cell, method in enumerate(methods)
        for name in list(ways)[1:]
        for one in compared(method, cell, name, rows[name], rows[REFERENCE])
    ]
    print(
        f"  {'method':16} {'way':10} {'metric':17} {'median':>8} {'mean':>8} {'95th':>8} "
        f"{'largest':>8}   shift of the average"
    )
    for one in results:
        figures = " ".join(f"{one[name]:8.2g}" for name in ("median", "mean", "p95", "largest"))
        print(
            f"  {one['method']:16} {one['way']:10} {one['metric']:17} {figures}   "
            f"{one['shift']:+.2g}"
        )
    write_json(options, [*results, {"seconds": seconds}])


def methods_of_few_forwards(facts: LoadedBackbone) -> tuple[str, ...]:
    """Every method of camtui that applies and takes at most ``FEW`` forwards for a row."""
    return tuple(
        key
        for key in all_methods()
        if (facts.gap_linear or not catalog.method(key).needs_gap_linear)
        and (facts.attention or not catalog.method(key).needs_attention)
        and catalog.method(key).forwards(facts.channels, facts.gap_linear) <= FEW
    )


def evaluated(settings: SessionSettings, images: tuple[ImageRef, ...], size: int) -> Rows:
    """The rows of some images, in units of a size."""
    session = open_session(settings)
    session.load(0)
    methods = settings.plan.methods
    found: Rows = {}
    for start in range(0, len(images), size):
        unit = Unit(0, 0, 0, tuple(range(len(methods))), methods, images[start : start + size])
        found |= {(row.cell, row.image): row for row in session.evaluate(unit).rows}
    session.close()
    return found


def compared(method: str, cell: int, way: str, rows: Rows, reference: Rows) -> list[dict[str, Any]]:
    """Each metric of a method in another way beside the reference, in points."""
    keys = [key for key in reference if key[0] == cell and key in rows]
    differences = {
        metric: np.array([getattr(rows[key], metric) for key in keys], dtype=float)
        - np.array([getattr(reference[key], metric) for key in keys], dtype=float)
        for metric in METRICS
    }
    if keys and rows[keys[0]].map is not None:
        differences["map"] = np.array(
            [np.abs(_map(rows[key]) - _map(reference[key])).max() for key in keys]
        )
    return [
        {
            "method": method,
            "way": way,
            "metric": metric,
            "images": len(keys),
            "median": float(np.median(np.abs(100 * difference))),
            "mean": float(np.abs(100 * difference).mean()),
            "p95": float(np.quantile(np.abs(100 * difference), 0.95)),
            "largest": float(np.abs(100 * difference).max()),
            "shift": float(100 * difference.mean()),
        }
        for metric, difference in differences.items()
    ]


def _map(row: Row) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    return np.frombuffer(row.map or b"", "<f4")


if __name__ == "__main__":
    main()
