"""Runs without networks: plausible seeded rows, written by the one writer, for tests of everything
that reads a run.

``make_run(path)`` gives a finished run of two backbones and the paper's methods with curves, maps,
failures, degenerate maps and undefined drops. It needs neither torch nor image files
(``pictures=True`` writes some).
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache
from io import BytesIO
from math import exp
from pathlib import Path
from random import Random

from evaluator import catalog
from evaluator.backbones import BackboneSpec, known_backbone
from evaluator.execution.registration import describe_cells
from evaluator.images import Manifest
from evaluator.labels import imagenet_wnids
from evaluator.methods.base import FixedMap
from evaluator.plan import RunPlan, validated_plan
from evaluator.records import (
    Cell,
    Failure,
    ImageRef,
    LoadedBackbone,
    Measurement,
    Row,
    RunState,
    Stage,
    UnitResult,
    WorkerState,
)
from evaluator.statistics import harmonic_adcc
from evaluator.store.reader import RunReader
from evaluator.store.writer import RunWriter

SIDE = 7
STEPS = 28
VERSIONS = {
    "camtui": "0.1.0",
    "torch": "2.13.0",
    "torchvision": "0.28.0",
    "python": "3.11.2",
    "device": "cpu",
    "precision": "fp32",
}

# (drop, coherency, complexity) around which rows are drawn
_CENTRES: Mapping[str, tuple[float, float, float]] = {
    "cam": (0.33, 0.83, 0.22),
    "gradcam": (0.33, 0.83, 0.22),
    "xgradcam": (0.38, 0.80, 0.20),
    "gradcampp": (0.13, 0.97, 0.44),
    "smoothgradcampp": (0.15, 0.96, 0.43),
    "scorecam": (0.09, 0.98, 0.42),
}


def make_run(
    path: Path,
    *,
    images: int = 40,
    backbones: Sequence[str] = ("resnet18", "vgg16"),
    methods: Sequence[str] = catalog.TABLE2_METHODS,
    seed: int = 0,
    curves: bool = True,
    state: RunState = "complete",
    partial: Mapping[str, int] | None = None,
    failures: bool = True,
    undefined: bool = True,
    shift: float = 0.0,
    plan: Mapping[str, object] | None = None,
    data: Path | None = None,
    pictures: bool = False,
    paths: Sequence[bytes] = (),
    name: str = "",
    total: int | None = None,
) -> Path:
    """Write a run and return its path.

    Args:
        path: of the database, ``…/NAME.db``. images: how many; their order and rows are those of
        ``seed``. backbones, methods: specs as on the command line. curves: deletion and insertion
        too. state: as stored; nobody holds the lock, so a viewer may call a ``running`` one
        crashed. partial: cell ``BACKBONE/METHOD`` → how many images it has, for a run under way.
        failures: the last image is unreadable: one failure for every cell. undefined: image 1 has
        no drop and so no ADCC. shift: added to every drop: a run that is worse than the one of the
        same seed. plan: other fields of the plan, such as ``{"resize": 256, "limit": 40}``. data:
        the data folder, ``path``'s folder otherwise; ``pictures`` writes a small picture for every
        image there. paths: of the first images, in place of made-up ones. name: the run's name, the
        file's stem otherwise. total: images of the data set where it has more than the run took.
    """
    folder = data or path.parent / "data"
    chosen = _plan(folder, backbones, methods, curves, seed, plan or {})
    manifest = _manifest(folder, images, seed, paths, total or images)
    if pictures:
        _write_pictures(folder, manifest, seed)
        sized = tuple(
            ref._replace(size=(folder / ref.path.decode()).stat().st_size)
            for ref in manifest.images
        )
        manifest = replace(manifest, images=sized)
    path.parent.mkdir(parents=True, exist_ok=True)
    writer = RunWriter(path)
    try:
        writer.begin(name or path.stem, chosen, manifest)
        reader = RunReader(path)
        _describe(writer, chosen, reader.cells())
        cells = reader.cells()
        reader.close()
        _fill(
            writer,
            _Rows(chosen, seed, shift, undefined),
            cells,
            manifest,
            dict(partial or {}),
            failures,
        )
        _stages(writer, chosen, cells)
        _finish(writer, state)
    finally:
        writer.close()
    return path


def _plan(
    folder: Path,
    backbones: Sequence[str],
    methods: Sequence[str],
    curves: bool,
    seed: int,
    extra: Mapping[str, object],
) -> RunPlan:
    values: dict[str, object] = {
        "data": str(folder),
        "seed": seed,
        "backbones": list(backbones),
        "methods": list(methods),
        "metrics": [*catalog.ROW_METRICS, *(catalog.curve_metrics() if curves else ())],
    }
    return validated_plan({**values, **extra})


def _manifest(folder: Path, images: int, seed: int, paths: Sequence[bytes], total: int) -> Manifest:
    wnids = sorted(imagenet_wnids().items())
    random = Random(f"order {seed}")
    refs = []
    for rank in range(images):
        wnid, label = wnids[random.randrange(1000)]
        path = paths[rank] if rank < len(paths) else f"{wnid}/ILSVRC2012_val_{rank:08}.png".encode()
        refs.append(ImageRef(rank, path, random.randrange(40_000, 180_000), label))
    return Manifest(folder, tuple(refs), f"{seed:064x}", total)


def _write_pictures(folder: Path, manifest: Manifest, seed: int) -> None:
    for ref in manifest.images:
        file = folder / ref.path.decode()
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(_picture(f"picture {seed} {ref.id}", file.suffix))


@cache
def _picture(seed: str, suffix: str) -> bytes:
    """A file's content, drawn once for all runs that show it."""
    from PIL import Image

    small = Image.frombytes("RGB", (8, 6), Random(seed).randbytes(8 * 6 * 3))
    file = BytesIO()
    kind = Image.registered_extensions()[suffix.lower()]
    small.resize((320, 240), Image.Resampling.BICUBIC).save(file, kind)
    return file.getvalue()


def _describe(writer: RunWriter, plan: RunPlan, cells: Sequence[Cell]) -> None:
    for position, spec in enumerate(plan.backbones):
        loaded = _loaded(spec)
        writer.cells.set_backbone(position, loaded)
        for told in describe_cells(
            plan, [cell for cell in cells if cell.backbone == spec.name], loaded
        ):
            writer.cells.describe(
                told.cell, identity=told.identity, applicable=told.applicable, note=told.note
            )
    writer.add_versions(VERSIONS)


def _loaded(spec: BackboneSpec) -> LoadedBackbone:
    known = known_backbone(spec.key)
    classes = tuple(f"class {index}" for index in range(1000))
    weights = "IMAGENET1K_V1" if spec.weights == "default" else spec.weights
    return LoadedBackbone(
        spec.name,
        weights,
        Random(spec.name).randbytes(32).hex(),
        spec.layer or known.layer or "features",
        known.channels or 512,
        SIDE,
        SIDE,
        bool(known.gap_linear),
        classes,
    )


def _fill(
    writer: RunWriter,
    rows: _Rows,
    cells: Sequence[Cell],
    manifest: Manifest,
    partial: dict[str, int],
    failures: bool,
) -> None:
    images = manifest.images
    broken = images[-1].id if failures and len(images) > 2 else None
    for cell in (cell for cell in cells if cell.applicable):
        take = partial.get(f"{cell.backbone}/{cell.method}", len(images))
        for first in range(0, take, 500):
            writer.rows.commit(rows.result(cell, images[first : min(first + 500, take)], broken))


def _curves(plan: RunPlan) -> tuple[str, ...]:
    return tuple(key for key in catalog.curve_metrics() if key in plan.metrics)


def _stages(writer: RunWriter, plan: RunPlan, cells: Sequence[Cell]) -> None:
    stages: list[Stage] = []
    for spec in plan.backbones:
        mine = [cell for cell in cells if cell.backbone == spec.name and cell.applicable]
        cheap = tuple(c.id for c in mine if not catalog.method(c.method).masks_channels)
        dear = tuple(c.id for c in mine if catalog.method(c.method).masks_channels)
        parts: list[tuple[str, tuple[int, ...], tuple[str, ...], float]] = [
            ("rows", cheap, (), 4.0),
            ("masked", dear, (), 1025.0),
        ]
        curves = _curves(plan)
        parts += [("curves", cheap + dear, curves, 54.0)] if curves else []
        for title, ids, metrics, forwards in parts:
            if ids:
                stages.append(
                    Stage(
                        len(stages),
                        f"{spec.name} {title}",
                        spec.name,
                        ids,
                        metrics,
                        0,
                        0,
                        0.0,
                        0,
                        forwards,
                    )
                )
    writer.set_stages(stages)


def _finish(writer: RunWriter, state: RunState) -> None:
    writer.event("info", "run started")
    writer.event("warning", "n01440764/broken.png: truncated, recorded as failed")
    if state in ("running", "stopping"):
        writer.heartbeat([WorkerState(0, "cpu", 4242, "busy", 0.0, 0)])
    writer.set_state(state, "by request" if state == "stopped" else "")


class _Rows:
    """The rows of a synthetic run: a function of seed, backbone, method and image only."""

    def __init__(self, plan: RunPlan, seed: int, shift: float, undefined: bool) -> None:
        self._plan, self._seed, self._shift, self._undefined = plan, seed, shift, undefined

    def result(self, cell: Cell, images: Sequence[ImageRef], broken: int | None) -> UnitResult:
        rows, measurements, failures = [], [], []
        for image in images:
            if image.id == broken:
                failures.append(
                    Failure(cell.id, image.id, "", "truncated", "image file is truncated")
                )
                continue
            row = self.row(cell, image)
            rows.append(row)
            measurements += list(self._measurements(cell, image, row))
        return UnitResult(
            tuple(rows), tuple(measurements), tuple(failures), 0.1 * len(rows), 4 * len(rows)
        )

    def row(self, cell: Cell, image: ImageRef) -> Row:
        """One image in one cell. Twins (identical by construction) have equal rows."""
        gap = bool(known_backbone(cell.backbone.split(":")[0]).gap_linear)
        method = catalog.method(cell.method).map_identity(gap)
        key = cell.method.split(":")[0] if method not in _CENTRES else method
        common = Random(f"{self._seed} {cell.backbone} {image.id}")
        y = common.uniform(0.2, 1.0)
        target = (image.label or 0) if common.random() < 0.8 else common.randrange(1000)
        random = Random(f"{self._seed} {cell.backbone} {method} {image.id}")
        if key == "fakecam":
            drop, coherency, complexity = max(0.0, random.gauss(0.003, 0.002)), 1.0, 1 - 1 / 50176
        else:
            drop, coherency, complexity = self._components(key, random, common.gauss(0, 1))
        fixed = isinstance(catalog.method(cell.method), FixedMap)
        degenerate = not fixed and image.id % 17 == 3 and key in ("gradcam", "xgradcam", "cam")
        if degenerate:
            drop, coherency, complexity = min(1.0, drop + 0.5), 0.0, 0.0
        o = y * (1 - drop) if drop else min(1.0, y * (1 + random.uniform(0.001, 0.2)))
        undefined = self._undefined and image.id == 1
        increase = float(o > y)
        return Row(
            cell.id,
            image.id,
            target,
            target,
            0.0 if undefined else y,
            o,
            None if undefined else drop,
            increase,
            coherency,
            complexity,
            None if undefined else harmonic_adcc(drop, coherency, complexity),
            degenerate,
            None if fixed else _map(random, degenerate),
        )

    def _components(
        self, key: str, random: Random, difficulty: float
    ) -> tuple[float, float, float]:
        drop, coherency, complexity = _CENTRES.get(key, (0.2, 0.9, 0.35))
        drop = min(1.0, max(0.0, drop + self._shift + 0.15 * difficulty + random.gauss(0, 0.1)))
        coherency = min(1.0, coherency - 0.02 * difficulty - abs(random.gauss(0, 0.03)))
        return drop, coherency, min(0.95, max(0.01, complexity + random.gauss(0, 0.08)))

    def _measurements(self, cell: Cell, image: ImageRef, row: Row) -> Iterator[Measurement]:
        for metric in _curves(self._plan):
            fall = 2.0 + 6.0 * (
                (row.coherency or 0.0) if metric == "deletion" else 1 - row.complexity
            )
            points = [exp(-fall * step / STEPS) * row.y for step in range(STEPS + 1)]
            if metric == "insertion":
                points = [row.y - 0.9 * point for point in points]
            area = (sum(points[1:-1]) + (points[0] + points[-1]) / 2) / STEPS
            yield Measurement(
                cell.id, image.id, metric, area, struct.pack(f"<{STEPS + 1}e", *points)
            )


def _map(random: Random, degenerate: bool) -> bytes:
    """A bump at a random place, min-max normalised; zeros where nothing spoke for the class."""
    if degenerate:
        return struct.pack(f"<{SIDE * SIDE}f", *[0.0] * (SIDE * SIDE))
    row, column, width = random.uniform(1, 5), random.uniform(1, 5), random.uniform(1.0, 2.5)
    values = [
        exp(-((i - row) ** 2 + (j - column) ** 2) / (2 * width**2)) + random.uniform(0, 0.1)
        for i in range(SIDE)
        for j in range(SIDE)
    ]
    low, high = min(values), max(values)
    return struct.pack(f"<{SIDE * SIDE}f", *[(value - low) / (high - low) for value in values])


def add_masks(run: Path, folder: Path) -> None:
    """A mask for every picture of a run that was made with ``plan={"truth": folder}``: the left
    half of its 320 × 240 pixels.
    """
    from PIL import Image

    with RunReader(run) as reader:
        for ref in reader.images.between(0, reader.info().image_count):
            file = (folder / os.fsdecode(ref.path)).with_suffix(".png")
            file.parent.mkdir(parents=True, exist_ok=True)
            mask = Image.new("L", (320, 240))
            mask.paste(255, (0, 0, 160, 240))
            mask.save(file)
