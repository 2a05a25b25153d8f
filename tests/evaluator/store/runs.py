"""Small runs for tests of the store: four images, two cells, rows with numbers that can be told
apart.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from evaluator.images import Manifest
from evaluator.labels import LabelFile
from evaluator.plan import RunPlan, validated_plan
from evaluator.records import Failure, ImageRef, Measurement, Row, UnitResult
from evaluator.store import schema
from evaluator.store.audit import audit
from evaluator.store.reader import RunReader
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
    label_file: str = "",
) -> Manifest:
    """Images of a plan; ``label_file`` is where the labels come from."""
    known = [*labels, *[None] * count]
    images = tuple(ImageRef(rank, PATHS[rank], sizes + rank, known[rank]) for rank in range(count))
    file = LabelFile(Path(label_file), "b" * 64, {}, {}, (), None) if label_file else None
    return Manifest(Path("/data"), images, sha256, len(PATHS), label_file=file)


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


def change(path: Path, statement: str) -> None:
    """Change records behind camtui's back, at least one."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        assert connection.execute(statement).rowcount > 0


def count(path: Path, table: str) -> int:
    return int(raw(path, f"SELECT count(*) FROM {table}")[0][0])


def problems(path: Path) -> list[str]:
    with RunReader(path) as reader:
        return audit(reader)


def empty_run(path: Path, **values: Any) -> Path:
    """A run that has begun, and has no rows yet."""
    with begun(path, **values):
        return path


def text_file(path: Path) -> None:
    path.write_text("Dear diary, this is not a database. " * 100)


def other_database(path: Path) -> None:
    raw(path, "CREATE TABLE bookmarks (url TEXT)")


def newer(path: Path) -> None:
    raw(empty_run(path), f"PRAGMA user_version={schema.SCHEMA_VERSION + 1}")


def with_trigger(path: Path) -> None:
    raw(empty_run(path), "CREATE TRIGGER t AFTER INSERT ON results BEGIN DELETE FROM results; END")


def with_view(path: Path) -> None:
    raw(empty_run(path), "ALTER TABLE run RENAME TO run_")
    raw(path, "CREATE VIEW run AS SELECT 1 AS id, randomblob(1000000000) AS name")


def truncated(path: Path) -> None:
    path.write_bytes(empty_run(path).read_bytes()[:5000])


HOSTILE: list[tuple[Callable[[Path], None], str]] = [
    (text_file, ""),
    (other_database, "is a database, but not a run of camtui"),
    (
        newer,
        f"is of version {schema.SCHEMA_VERSION + 1}; this camtui knows {schema.SCHEMA_VERSION}",
    ),
    (with_trigger, "holds code"),
    (with_view, "holds code"),
    (truncated, ""),
]
"""What makes a file that is no run of ours, and why; empty where SQLite says it."""
