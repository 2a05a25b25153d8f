"""What lower precision does to the numbers.

The same rows in fp32, mixed and bf16, and how far each metric moves.

``mixed`` weighs channels in bfloat16 and measures in float32, so it changes Score-CAM and its kin
only; ``bf16`` changes everything. Differences are absolute, of fractions ×100: points, as the
tables show them.

    # gradient family, 250 images
    python benchmarks/precision.py --data ../shared/imagenet-sample
    python benchmarks/precision.py --data ../shared/imagenet-sample --methods scorecam --images 40
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import numpy as np
from machine import machine_line, write_json
from options import network_options

from evaluator.backbone_spec import BackboneSpec
from evaluator.images import find_images
from evaluator.interfaces import SessionSettings
from evaluator.measuring.session import open_session
from evaluator.plan import RunPlan
from evaluator.plan_validation import validated
from evaluator.records import ImageRef, Precision, Row, Unit

METRICS = ("average_drop", "average_increase", "coherency", "complexity", "adcc")
PRECISIONS: tuple[Precision, ...] = ("fp32", "mixed", "bf16")


def main() -> None:
    parser = network_options(__doc__, images=250)
    parser.add_argument(
        "--methods", default="gradcam,gradcampp,smoothgradcampp,layercam,ablationcam"
    )
    options = parser.parse_args()
    methods = tuple(options.methods.split(","))
    plan = validated(
        RunPlan(str(options.data), (BackboneSpec(options.backbone, options.weights),), methods)
    )
    manifest = find_images(options.data, seed=0, limit=options.images)
    print(f"{options.backbone}, {options.images} images, {machine_line()}")
    rows: dict[Precision, dict[tuple[int, int], Row]] = {}
    seconds: dict[Precision, float] = {}
    for precision in PRECISIONS:
        begun = time.perf_counter()
        rows[precision] = evaluated(
            SessionSettings(replace(plan, precision=precision), str(manifest.root), options.device),
            manifest.images,
        )
        seconds[precision] = time.perf_counter() - begun
    print("  seconds   " + "  ".join(f"{name} {taken:.1f}" for name, taken in seconds.items()))
    results = [one for place, name in enumerate(methods) for one in compared(name, place, rows)]
    print(
        f"  {'method':16} {'precision':9} {'metric':17} {'mean':>8} {'95th':>8} {'largest':>8} "
        "  shift of the average"
    )
    for one in results:
        figures = " ".join(f"{one[name]:8.3f}" for name in ("mean", "p95", "largest"))
        print(
            f"  {one['method']:16} {one['precision']:9} {one['metric']:17} {figures}   "
            f"{one['shift']:+.3f}"
        )
    write_json(options, [*results, {"seconds": seconds}])


def evaluated(
    settings: SessionSettings, images: tuple[ImageRef, ...]
) -> dict[tuple[int, int], Row]:
    """(cell, image) → row."""
    session = open_session(settings)
    session.load(0)
    methods = settings.plan.methods
    size = 1 if "scorecam" in methods else 16
    found: dict[tuple[int, int], Row] = {}
    for start in range(0, len(images), size):
        unit = Unit(0, 0, 0, tuple(range(len(methods))), methods, images[start : start + size])
        found |= {(row.cell, row.image): row for row in session.evaluate(unit).rows}
    session.close()
    return found


def compared(
    method: str, cell: int, rows: dict[Precision, dict[tuple[int, int], Row]]
) -> list[dict[str, Any]]:
    """Each metric of a method in lower precision beside fp32, in points."""
    keys = [
        key
        for key in rows["fp32"]
        if key[0] == cell and all(key in other for other in rows.values())
    ]
    results = []
    for precision in PRECISIONS[1:]:
        for metric in METRICS:
            difference = 100 * np.array(
                [
                    getattr(rows[precision][key], metric) - getattr(rows["fp32"][key], metric)
                    for key in keys
                ]
            )
            apart = np.abs(difference)
            results.append(
                {
                    "method": method,
                    "precision": precision,
                    "metric": metric,
                    "images": len(keys),
                    "mean": float(apart.mean()),
                    "p95": float(np.quantile(apart, 0.95)),
                    "largest": float(apart.max()),
                    "shift": float(difference.mean()),
                }
            )
    return results


if __name__ == "__main__":
    main()
