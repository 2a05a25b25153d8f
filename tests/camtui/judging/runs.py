"""Runs with truth and with numbers that a test chooses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from evaluator.images import Manifest
from evaluator.plan import validated_plan
from evaluator.records import ImageRef, LoadedBackbone, Measurement, Row, UnitResult
from evaluator.statistics import harmonic_adcc
from evaluator.store.reader import RunReader
from evaluator.store.writer import RunWriter

Numbers = Mapping[str, Sequence[float | None]]
"""Metric → a value for each image, ``None`` where there is none. Of the five of a row what is not
named is the same for all.
"""

METHODS = ("gradcam", "gradcampp", "layercam", "scorecam")
IMAGES = 40

_USUAL: dict[str, float] = {
    "average_drop": 0.2,
    "average_increase": 0.0,
    "coherency": 0.9,
    "complexity": 0.3,
}


def ordered(
    *, images: int = IMAGES, noise: float = 0.02, methods: tuple[str, ...] = METHODS
) -> dict[str, Numbers]:
    """Method k has a truth of about k/10; deletion orders the methods as the truth does, insertion
    the other way round.
    """
    rng = np.random.default_rng(0)
    cells: dict[str, Numbers] = {}
    for place, method in enumerate(methods):
        true = 0.2 + place / 10 + noise * rng.standard_normal(images)
        cells[f"vgg16/{method}"] = {
            "mass_accuracy": [*map(float, true)],
            "deletion": [*map(float, 1 - true)],  # lower is better
            "insertion": [*map(float, 1 - true)],  # higher is better
        }
    return cells


def judged_run(
    path: Path, cells: Mapping[str, Numbers], *, gap_linear: bool = False, truth: bool = True
) -> RunReader:
    """A complete run, open for reading.

    Args:
        cells: ``BACKBONE/METHOD`` → its numbers.
    """
    backbones = list(dict.fromkeys(name.split("/")[0] for name in cells))
    methods = list(dict.fromkeys(name.split("/")[1] for name in cells))
    measured = dict.fromkeys(metric for numbers in cells.values() for metric in numbers)
    requested = [metric for metric in measured if metric not in (*_USUAL, "adcc")]
    images = max(len(column) for numbers in cells.values() for column in numbers.values())
    values: dict[str, Any] = {
        "data": "/data",
        "backbones": backbones,
        "methods": methods,
        "metrics": requested,
    }
    plan = validated_plan({**values, **({"truth": "/masks"} if truth else {})})
    refs = tuple(ImageRef(rank, b"%d.png" % rank, 100, None) for rank in range(images))
    path.parent.mkdir(parents=True, exist_ok=True)
    writer = RunWriter(path)
    writer.begin(path.stem, plan, Manifest(Path("/data"), refs, "a" * 64, images))
    for position, name in enumerate(backbones):
        writer.cells.set_backbone(position, _loaded(name, gap_linear))
    with RunReader(path) as reader:
        known = {f"{cell.backbone}/{cell.method}": cell.id for cell in reader.cells()}
    for name, numbers in cells.items():
        writer.rows.commit(_result(known[name], numbers, images))
    writer.set_state("complete")
    writer.close()
    return RunReader(path)


def _result(cell: int, numbers: Numbers, images: int) -> UnitResult:
    rows, measurements = [], []
    for image in range(images):
        usual = {
            key: numbers[key][image] if key in numbers else value for key, value in _USUAL.items()
        }
        drop, coherency, complexity = usual["average_drop"], usual["coherency"], usual["complexity"]
        assert coherency is not None
        assert complexity is not None
        adcc = None if drop is None else harmonic_adcc(drop, coherency, complexity)
        if "adcc" in numbers:
            adcc = numbers["adcc"][image]
        rows.append(
            Row(
                cell=cell,
                image=image,
                target=0,
                predicted=0,
                y=0.5,
                o=0.4,
                average_drop=drop,
                average_increase=usual["average_increase"] or 0.0,
                coherency=coherency,
                complexity=complexity,
                adcc=adcc,
                degenerate=False,
                map=bytes(4),
            )
        )
        measurements += [
            Measurement(cell, image, key, value)
            for key, column in numbers.items()
            if key not in (*_USUAL, "adcc") and (value := column[image]) is not None
        ]
    return UnitResult(tuple(rows), tuple(measurements))


def _loaded(name: str, gap_linear: bool) -> LoadedBackbone:
    weights = "random:0" if "random" in name else "IMAGENET1K_V1"
    return LoadedBackbone(
        name, weights, f"{hash(name):064x}"[-64:], "layer4", 512, 7, 7, gap_linear, ()
    )
