"""A session with a small network on the CPU or on the pretended GPU: what it computes, and what a
unit costs in waits and copies.

``python -m tests.evaluator.placement`` prints the table of ``benchmarks/README.md``.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from PIL import Image

from evaluator.catalog import known_methods, method, metric, optional_metrics, sources_of
from evaluator.images import find_images
from evaluator.interfaces import SessionSettings
from evaluator.measuring import session as session_module
from evaluator.measuring.session import EvaluationSession
from evaluator.networks.backbone_loading import Backbone
from evaluator.plan import applicable, validated_plan
from evaluator.records import Measurement, Precision, Row, StoredMap, Unit, UnitResult
from tests.attention import TRANSFORMERS
from tests.evaluator.pretend_gpu import PretendGpu, pretend_gpu
from tests.networks import NETWORKS, as_backbone

IMAGES = 3
KINDS = ("gap", "vgg-like", "torchvision")
"""Small networks with every kind of head; the last is torchvision's vision transformer."""

CURVES_OF = ("gradcam", "fakecam")
_SHORT = {
    key: f"{key}:n=2" for key in ("sscam", "iscam", "ig", "smoothgrad", "gradientshap", "rise")
} | {"opticam": "opticam:steps=2"}


class Cost(NamedTuple):
    """How often a unit makes the host wait for the device, and copies to it from memory that is not
    pinned.
    """

    waits: int
    copies: int


ITERATED = ("road", "arcc")
"""Imputation solves its equations step by step and asks after each whether it is there."""

ONCE = Cost(1, 0)
"""One wait, for the result."""


class Quarter:
    """Where every image's object is: its left upper quarter."""

    def square(
        self, ref: object, target: int, classes: object, wanted: Any
    ) -> np.ndarray[Any, Any]:
        mask = np.zeros((wanted.side, wanted.side), bool)
        mask[: wanted.side // 2, : wanted.side // 2] = True
        return mask


def methods_for(kind: str) -> tuple[str, ...]:
    """The spec of every method that such a network admits; the slowest with fewer passes."""
    every = [
        method(_SHORT.get(key, key))
        for key in known_methods()
        if key != "lrp" or kind not in TRANSFORMERS  # it has no rules for them
    ]
    admitted = [one for one in every if applicable(one, kind == "gap", kind in TRANSFORMERS)]
    return tuple(one.name for one in admitted)


def make_images(folder: Path) -> Path:
    """A few smooth pictures."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(IMAGES):
        coarse = np.random.default_rng(number).integers(0, 255, (5, 5, 3), np.uint8)
        Image.fromarray(coarse).resize((40, 40), Image.Resampling.BICUBIC).save(
            folder / f"{number}.png"
        )
    return folder


class Bench:
    """A session and the units that it is given.

    Args:
        root: folder of images; ``device``: ``cpu`` or ``cuda:0``.
    """

    def __init__(self, root: Path, kind: str, precision: Precision, device: str) -> None:
        self.methods = methods_for(kind)
        plan = {
            "data": str(root),
            "backbones": ["resnet18"],
            "methods": ["gradcam"],
            "precision": precision,
        }
        self.session = EvaluationSession(
            SessionSettings(validated_plan(plan), str(root), device, batch_size=64, threads=1)
        )
        self.session._truths = Quarter()  # type: ignore[assignment]  # answers as a folder of masks does
        self._refs = find_images(root, seed=0).images
        self.session.load(0)

    def rows(self, methods: Sequence[str]) -> UnitResult:
        """A unit of rows, its images and noise begun ahead as a worker does."""
        return self._computed(Unit(1, 1, 0, tuple(range(len(methods))), tuple(methods), self._refs))

    def requested(
        self, rows: Sequence[Row], methods: Sequence[str], metrics: Sequence[str]
    ) -> UnitResult:
        """A unit of optional metrics, from the rows of some methods."""
        maps = {(row.cell, row.image): _stored(row) for row in rows}
        cells = tuple(range(len(methods)))
        return self._computed(
            Unit(2, 2, 0, cells, tuple(methods), self._refs, tuple(metrics), maps)
        )

    def _computed(self, unit: Unit) -> UnitResult:
        self.session.prefetch(unit)
        result = self.session.evaluate(unit)
        if result.failures:
            raise RuntimeError("; ".join(one.detail for one in result.failures))
        return result


def _stored(row: Row) -> StoredMap:
    measured = (("coherency", row.coherency or 0.0), ("complexity", row.complexity))
    return StoredMap(row.target, row.y, row.o, row.map, measured)


@contextmanager
def bench(
    root: Path, kind: str, precision: Precision, device: str
) -> Iterator[tuple[Bench, PretendGpu]]:
    """A bench with a loaded backbone; on ``cuda:0`` the pretended one."""

    def load_backbone(*_: object, **__: object) -> Backbone:
        if kind in TRANSFORMERS:
            return as_backbone(TRANSFORMERS[kind](), layer=None)
        return as_backbone(NETWORKS[kind]())

    with (
        pytest.MonkeyPatch.context() as patch,
        pretend_gpu() if device != "cpu" else nullcontext(PretendGpu()) as gpu,
    ):
        patch.setattr(session_module, "load_backbone", load_backbone)
        made = Bench(root, kind, precision, device)
        yield made, gpu
        made.session.close()


def everything(
    made: Bench, last: Sequence[str] = (), before_last: Callable[[], None] = lambda: None
) -> tuple[dict[tuple[int, int], Row], dict[tuple[int, int, str], Measurement]]:
    """Rows of every method, some in a unit after the others, and every optional metric of two."""
    rows = _rows(made, [one for one in made.methods if one not in last])
    before_last()
    rows |= _rows(made, last)
    some = made.rows(CURVES_OF).rows
    found = made.requested(some, CURVES_OF, optional_metrics()).measurements
    return rows, {(one.cell, one.image, one.metric): one for one in found}


def _rows(made: Bench, methods: Sequence[str]) -> dict[tuple[int, int], Row]:
    """Rows of some methods; cells are numbered as in the bench."""
    cells = [made.methods.index(one) for one in methods]
    rows = made.rows(methods).rows if methods else ()
    return {(cells[row.cell], row.image): row._replace(cell=cells[row.cell]) for row in rows}


def costs(made: Bench, gpu: PretendGpu) -> dict[str, Cost]:
    """Cost of a unit of each method, and of each optional metric, on a backbone in use."""
    made.rows(("centre",))  # fixed maps, the baseline and their like are made once
    made.requested(made.rows(CURVES_OF).rows, CURVES_OF, ("insertion",))
    assert made.session._loaded is not None
    made.session._loaded.sentinel._due = 10**9  # once in 400 forwards: no unit's own cost
    found: dict[str, Cost] = {}
    for spec in made.methods:
        gpu.forget()
        made.rows([spec])
        found[spec.partition(":")[0]] = Cost(gpu.waits.total(), gpu.copies.total())
    some = made.rows(CURVES_OF).rows
    for key in optional_metrics():
        sources = (
            [one for one in sources_of([key]) if one in optional_metrics()]
            if metric(key).of
            else []
        )
        gpu.forget()
        made.requested(some, CURVES_OF, list(dict.fromkeys([*sources, key])))
        found[key] = Cost(gpu.waits.total(), gpu.copies.total())
    return found


def table(found: dict[str, dict[str, Cost]]) -> Iterator[str]:
    """Rows of a Markdown table: what costs the same stands together."""
    yield "| a unit of | host waits | blocking copies |"
    yield "|---|---|---|"
    together: dict[Cost, list[str]] = {}
    for key in dict.fromkeys(key for one in found.values() for key in one if key not in ITERATED):
        cost = max(one[key] for one in found.values() if key in one)
        together.setdefault(cost, []).append(f"`{key}`")
    del together[ONCE]
    yield f"| any other method or metric | {ONCE.waits} | {ONCE.copies} |"
    for cost, names in together.items():
        yield f"| {', '.join(names)} | {cost.waits} | {cost.copies} |"
    iterated = ", ".join(f"`{key}`" for key in ITERATED)
    yield f"| {iterated} | one for each step of a solver, some 30 | 6 |"


def measured() -> dict[str, dict[str, Cost]]:
    """The costs of units by kind of network, under ``mixed``."""
    found = {}
    with TemporaryDirectory() as folder:
        root = make_images(Path(folder))
        for kind in KINDS:
            with bench(root, kind, "mixed", "cuda:0") as (made, gpu):
                found[kind] = costs(made, gpu)
    return found


if __name__ == "__main__":
    torch.set_num_threads(1)
    sys.stdout.write("\n".join(table(measured())) + "\n")
