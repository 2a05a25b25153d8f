"""A big synthetic run with plausible values.

What the dashboard is measured on, and what the screenshots show.

    python benchmarks/big_run.py big.db    # 36 cells × 50 000 images, 1.8 million rows
    python benchmarks/big_run.py live.db --images 2000 --live    # goes on writing as a driver does

Averages scatter around the paper's; each image has a difficulty that all methods share, so that
paired differences behave as in life.
"""

from __future__ import annotations

import argparse
import json
import sqlite3
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random

import numpy as np
from numpy.typing import NDArray

from evaluator.backbones import BackboneSpec
from evaluator.catalog import ROW_METRICS
from evaluator.images import Manifest, find_images
from evaluator.labels import imagenet_wnids
from evaluator.plan import RunPlan, parse_metrics
from evaluator.records import (
    Failure,
    ImageRef,
    LoadedBackbone,
    Measurement,
    Row,
    Stage,
    UnitResult,
    WorkerState,
)
from evaluator.store.files import RunLock
from evaluator.store.writer import RunWriter

Values = NDArray[np.float64]

BACKBONES = ("vgg16", "resnet18", "resnet50", "resnet101", "resnext50_32x4d", "efficientnet_lite0")
METHODS = ("fakecam", "gradcam", "gradcampp", "smoothgradcampp", "layercam", "scorecam")
TYPICAL = {  # drop, coherency, complexity: near Table 2
    "fakecam": (0.002, 1.0, 0.99998),
    "gradcam": (0.20, 0.91, 0.33),
    "gradcampp": (0.19, 0.93, 0.36),
    "smoothgradcampp": (0.24, 0.90, 0.33),
    "layercam": (0.17, 0.935, 0.345),
    "scorecam": (0.12, 0.945, 0.29),
}
SIDE = 7


@dataclass(frozen=True)
class Shape:
    """How big, and how far along."""

    images: int = 50_000
    backbones: tuple[str, ...] = BACKBONES
    methods: tuple[str, ...] = METHODS
    fraction: float = 1.0
    seed: int = 0
    curves: bool = False
    data: Path | None = None


@dataclass(frozen=True)
class Columns:
    """The values of one cell for some images, column by column."""

    images: NDArray[np.int64]
    target: NDArray[np.int64]
    predicted: NDArray[np.int64]
    y: Values
    o: Values
    metrics: dict[str, Values]
    maps: NDArray[np.float32] | None


def plan_of(shape: Shape) -> RunPlan:
    data = str(shape.data.resolve()) if shape.data else "/data/imagenet/val"
    metrics = parse_metrics(["all"] if shape.curves else list(ROW_METRICS))
    return RunPlan(
        data,
        tuple(map(BackboneSpec, shape.backbones)),
        shape.methods,
        metrics,
        limit=shape.images,
        seed=shape.seed,
    )


def manifest_of(shape: Shape) -> Manifest:
    """Real images first where a folder is given, invented names after them."""
    found = find_images(shape.data, seed=shape.seed, limit=shape.images) if shape.data else None
    images = list(found.images) if found else []
    wnids = sorted(imagenet_wnids())
    random = Random(shape.seed)
    for rank in range(len(images), shape.images):
        label = random.randrange(1000)
        images.append(
            ImageRef(
                rank,
                f"{wnids[label]}/ILSVRC2012_val_{rank + 1:08}.JPEG".encode(),
                110_000 + rank,
                label,
            )
        )
    root = found.root if found else Path("/data/imagenet/val")
    return Manifest(root, tuple(images), found.sha256 if found else "0" * 64, len(images))


def class_names() -> tuple[str, ...]:
    """torchvision's, where it is at hand; else numbered."""
    try:
        from torchvision.models._meta import _IMAGENET_CATEGORIES

        return tuple(_IMAGENET_CATEGORIES)
    except ImportError:
        return tuple(f"class {number}" for number in range(1000))


def backbone_of(name: str, classes: tuple[str, ...]) -> LoadedBackbone:
    return LoadedBackbone(
        name, "IMAGENET1K_V1", "ab" * 32, "layer4", 512, SIDE, SIDE, name != "vgg16", classes
    )


def cell_columns(
    shape: Shape, backbone: str, method: str, labels: NDArray[np.int64], first: int, last: int
) -> Columns:
    """The rows of one cell for images first to last − 1; a pure function of its arguments."""
    n = last - first
    shared = np.random.default_rng([shape.seed, 7, first])  # what an image brings to every cell
    hard, x, y = shared.normal(size=n), shared.random(n), shared.random(n)
    place = [sum(map(ord, backbone)) % 97, sum(map(ord, method)) % 97]
    own = np.random.default_rng([shape.seed, *place, first])
    drop, coherency, complexity = TYPICAL.get(method, (0.2, 0.9, 0.35))
    tilt = (place[0] % 13 - 6) / 150
    fixed = method == "fakecam"

    def spread(centre: float, width: float, slope: float) -> Values:
        logit = (
            np.log(centre / (1 - centre))
            + slope * hard * 0.7
            + width * own.normal(size=n)
            + tilt * slope
        )
        values: Values = 1 / (1 + np.exp(-logit))
        return values

    drops = spread(drop, 1.3, 1.0) * (own.random(n) > 0.25)
    complexities = np.full(n, 1 - 1 / 224**2) if fixed else spread(complexity, 0.35, 0.3)
    coherencies = np.ones(n) if fixed else spread(coherency, 0.5, -0.4)
    parts = np.stack([coherencies, 1 - complexities, 1 - drops])
    confidence = np.clip(0.62 - 0.18 * hard + 0.15 * own.normal(size=n), 0.02, 0.999)
    increase = (drops == 0) & (own.random(n) > 0.3)
    masked = np.where(increase, np.minimum(confidence * 1.1, 0.9999), confidence * (1 - drops))
    wrong = shared.random(n) > 0.78
    predicted = np.where(wrong, (labels[first:last] + 1) % 1000, labels[first:last])
    metrics = {
        "average_drop": drops,
        "average_increase": increase.astype(float),
        "coherency": coherencies,
        "complexity": complexities,
        "adcc": 3 / (1 / np.maximum(parts, 1e-9)).sum(0),
    }
    maps = None if fixed else _blobs(x, y, own)
    return Columns(np.arange(first, last), predicted, predicted, confidence, masked, metrics, maps)


def _blobs(x: Values, y: Values, random: np.random.Generator) -> NDArray[np.float32]:
    """One hill per image, min-max scaled: ``[n, 7, 7]``."""
    n = len(x)
    places = np.linspace(0, 1, SIDE)
    centre_x, centre_y = (
        0.2 + 0.6 * x + 0.06 * random.normal(size=n),
        0.2 + 0.6 * y + 0.06 * random.normal(size=n),
    )
    across = np.exp(-(((places[None] - centre_x[:, None]) / 0.24) ** 2))
    down = np.exp(-(((places[None] - centre_y[:, None]) / 0.28) ** 2))
    hills = down[:, :, None] * across[:, None, :] + 0.05 * random.random((n, SIDE, SIDE))
    low, high = hills.min((1, 2), keepdims=True), hills.max((1, 2), keepdims=True)
    scaled: NDArray[np.float32] = ((hills - low) / (high - low)).astype("<f4")
    return scaled


def rows_of(cell: int, columns: Columns) -> Iterator[Row]:
    """The rows of one cell."""
    count = len(columns.images)
    maps = [None] * count if columns.maps is None else [one.tobytes() for one in columns.maps]
    numbers = (columns.images, columns.target, columns.predicted, columns.y, columns.o)
    metrics = (columns.metrics[name] for name in ROW_METRICS)
    lists = [column.tolist() for column in (*numbers, *metrics)]
    for map_, *values in zip(maps, *lists, strict=True):
        yield Row(cell, *values, False, map_)  # type: ignore[call-arg]  # ten columns and metrics


def begin(path: Path, shape: Shape) -> tuple[RunWriter, Manifest]:
    """A run without rows: plan, images, backbones, stages, one worker."""
    writer, manifest = RunWriter(path), manifest_of(shape)
    writer.begin(path.stem, plan_of(shape), manifest)
    classes = class_names()
    for position, name in enumerate(shape.backbones):
        writer.cells.set_backbone(position, backbone_of(name, classes))
    writer.add_versions(
        {"camtui": "0.1.0", "torch": "2.15.0", "torchvision": "0.29.2", "device": "NVIDIA H200"}
    )
    m = len(shape.methods)
    stages = [
        Stage(
            position,
            f"{name} rows",
            name,
            tuple(range(position * m + 1, position * m + m + 1)),
            (),
            shape.images,
            0,
            0.0,
            0,
            12,
        )
        for position, name in enumerate(shape.backbones)
    ]
    writer.set_stages(stages)
    writer.set_state("running")
    writer.event("info", f"started: {len(shape.backbones) * m} cells, {shape.images} images")
    writer.heartbeat(
        [
            WorkerState(
                0,
                "cuda:0",
                41873,
                "computing",
                time.time(),
                0,
                97.0,
                33 << 30,
                141 << 30,
                612.0,
                71.0,
            )
        ]
    )
    return writer, manifest


def fill(path: Path, shape: Shape) -> None:
    """A finished run, or one that is ``fraction`` of the way (each backbone in turn)."""
    writer, manifest = begin(path, shape)
    labels = np.array([image.label or 0 for image in manifest.images])
    done = round(shape.images * len(shape.backbones) * shape.fraction)
    writer.execute("PRAGMA synchronous=OFF")
    m = len(shape.methods)
    for position, backbone in enumerate(shape.backbones):
        last = min(max(done - position * shape.images, 0), shape.images)
        for place, method in enumerate(shape.methods):
            cell = position * m + place + 1
            if last:
                columns = cell_columns(shape, backbone, method, labels, 0, last)
                curves = _curves(cell, columns) if shape.curves else ()
                writer.rows.commit(UnitResult(tuple(rows_of(cell, columns)), curves))
        timed = min(last, 20_000)
        writer.execute(
            "UPDATE stages SET seconds = ?, timed_images = ? WHERE id = ?",
            (timed * 0.0065, timed, position),
        )
        if last == shape.images:
            writer.event("info", f"{backbone} complete, {shape.images} images")
    if shape.fraction < 1:
        bad, cells = (
            shape.images - 1,
            range((len(shape.backbones) - 1) * m + 1, len(shape.backbones) * m + 1),
        )
        why = "image file is truncated (41 bytes missing)"
        writer.rows.commit(
            UnitResult(failures=tuple(Failure(cell, bad, "", "truncated", why) for cell in cells))
        )
    if shape.fraction >= 1:
        writer.set_state("complete")
    writer.close()


def _curves(cell: int, columns: Columns) -> tuple[Measurement, ...]:
    """Deletion falls, insertion rises: 29 points each."""
    steps = np.linspace(0, 1, 29)
    made: list[Measurement] = []
    for rank, y in zip(columns.images.tolist(), columns.y.tolist(), strict=True):
        for metric, shape in (
            ("deletion", np.exp(-8 * steps)),
            ("insertion", 1 - np.exp(-4 * steps)),
        ):
            points = (y * shape).astype("<f2")
            made.append(
                Measurement(
                    cell, rank, metric, float(points.astype(float)[:-1].mean()), points.tobytes()
                )
            )
    return tuple(made)


def keep_writing(path: Path, shape: Shape, rate: float, seconds: float) -> None:
    """Behave as a driver: hold the lock, commit 64 images × all methods at a time, beat."""
    lock = RunLock(path)
    writer = RunWriter(path)
    labels = np.zeros(shape.images, dtype=np.int64)
    writer.begin(path.stem, plan_of(shape), manifest_of(shape))
    writer.set_state("running")
    (known,) = sqlite3.connect(path).execute("SELECT count(*) FROM results").fetchone()
    m, end = len(shape.methods), time.monotonic() + seconds
    position, first = divmod(known // m, shape.images)
    try:
        while position < len(shape.backbones) and time.monotonic() < end:
            unit = min(64, shape.images - first)
            writer.rows.commit(
                UnitResult(tuple(_unit_rows(shape, position, labels, first, first + unit))),
                stage=position,
                images=unit,
            )
            writer.execute(
                "UPDATE stages SET seconds = seconds + ? WHERE id = ?", (unit * m / rate, position)
            )
            used = 90 + 9 * Random(first).random()
            writer.heartbeat(
                [
                    WorkerState(
                        0,
                        "cuda:0",
                        41873,
                        "computing",
                        time.time(),
                        0,
                        used,
                        33 << 30,
                        141 << 30,
                        612.0,
                        71.0,
                    )
                ]
            )
            first += unit
            if first >= shape.images:
                writer.event("info", f"{shape.backbones[position]} complete, {shape.images} images")
                position, first = position + 1, 0
            time.sleep(unit * m / rate)
        writer.set_state("complete" if position == len(shape.backbones) else "stopped")
    finally:
        writer.close()
        lock.release()


def _unit_rows(
    shape: Shape, position: int, labels: NDArray[np.int64], first: int, last: int
) -> Iterator[Row]:
    m = len(shape.methods)
    for place, method in enumerate(shape.methods):
        columns = cell_columns(shape, shape.backbones[position], method, labels, first, last)
        yield from rows_of(position * m + place + 1, columns)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("path", type=Path)
    parser.add_argument("--images", type=int, default=50_000)
    parser.add_argument("--fraction", type=float, default=1.0, help="how much of it is done")
    parser.add_argument("--data", type=Path, help="folder whose images come first")
    parser.add_argument("--curves", action="store_true", help="deletion and insertion as well")
    parser.add_argument("--live", action="store_true", help="go on writing as a driver does")
    parser.add_argument("--rate", type=float, default=600, help="rows per second when live")
    parser.add_argument("--seconds", type=float, default=3600, help="how long to stay alive")
    given = parser.parse_args()
    shape = Shape(given.images, fraction=given.fraction, curves=given.curves, data=given.data)
    began = time.perf_counter()
    if not given.path.exists():
        fill(given.path, shape)
        print(
            json.dumps({"path": str(given.path), "seconds": round(time.perf_counter() - began, 1)})
        )
    if given.live:
        keep_writing(given.path, shape, given.rate, given.seconds)


if __name__ == "__main__":
    main()
