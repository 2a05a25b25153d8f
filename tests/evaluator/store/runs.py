"""Small runs for tests of the store: four images, two cells, rows with numbers that can be told
apart.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from evaluator.images import Manifest
from evaluator.plan import RunPlan, validated_plan
from evaluator.records import Failure, ImageRef, Measurement, Row, UnitResult
from evaluator.store.writer import RunWriter

PATHS = (b"n01440764/a.png", b"caf\xc3\xa9/\xff\x80.png", b"line\nbreak.png", b"d.png")
PLAN: dict[str, Any] = {
    "data": "/data",
    "backbones": ["resnet18"],
    "methods": ["gradcam", "fakecam"],
    "metrics": ["deletion"],
}


def plan(**values: Any) -> RunPlan:
    return validated_plan({**PLAN, **values})


def manifest(
    count: int = len(PATHS),
    sha256: str = "a" * 64,
    sizes: int = 100,
    labels: Sequence[int | None] = (),
) -> Manifest:
    known = [*labels, *[None] * count]
    images = tuple(ImageRef(rank, PATHS[rank], sizes + rank, known[rank]) for rank in range(count))
    return Manifest(Path("/data"), images, sha256, len(PATHS))


@contextmanager
def begun(path: Path, **values: Any) -> Iterator[RunWriter]:
    """A writer on a run that has begun; closed at the end."""
    writer = RunWriter(path)
    try:
        writer.begin("small", plan(**values), manifest())
        yield writer
    finally:
        writer.close()


def row(cell: int, image: int, *, drop: float | None = 0.25, degenerate: bool = False) -> Row:
    coherency, complexity = 0.9 - image / 100, 0.3 + image / 10
    return Row(
        cell=cell,
        image=image,
        target=3,
        predicted=3,
        y=0.5,
        o=0.4,
        average_drop=drop,
        average_increase=0.0,
        coherency=coherency,
        complexity=complexity,
        adcc=None if drop is None else 0.7 + image / 50,
        degenerate=degenerate,
        map=bytes(4 * 4),
    )


def measurement(cell: int, image: int) -> Measurement:
    return Measurement(cell, image, "deletion", 0.1 + image / 10, b"\0\1" * 29)


def failure(cell: int, image: int, metric: str = "") -> Failure:
    return Failure(cell, image, metric, "truncated", "image file is truncated")


def result(*records: Row | Measurement | Failure) -> UnitResult:
    return UnitResult(
        tuple(r for r in records if isinstance(r, Row)),
        tuple(r for r in records if isinstance(r, Measurement)),
        tuple(r for r in records if isinstance(r, Failure)),
    )


def raw(path: Path, query: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
    """What any SQLite client sees; changes are kept."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        return connection.execute(query, values).fetchall()
