"""A run with awkward names, and what an export of it says."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from typing import Any

import pytest

from camtui.export import ExportRequest, write
from evaluator.store.reader import RunReader
from tests.synthetic import make_run

METHODS = ("fakecam", "cam", "gradcam", "gradcampp", "scorecam:variant=cic")
ODD = [
    b"=cmd|' /C calc'!A0.png",
    b"-0.5",
    b"@x\xff.png",
    b"+1\t2\n\x1b[2J.png",
    'ünï, "quoted".png'.encode(),
]
METRICS = [
    "average_drop",
    "average_increase",
    "deletion",
    "insertion",
    "coherency",
    "complexity",
    "adcc",
]


def written(reader: RunReader, form: str, **request: Any) -> bytes:
    stream = io.BytesIO()
    write(reader, ExportRequest(form, **request), stream)
    return stream.getvalue()


def number(text: str) -> float | None:
    return float(text) if text else None


def per_image(reader: RunReader, form: str) -> list[dict[str, Any]]:
    """Read an export back, as a program would."""
    data = written(reader, form, per_image=True)
    if form == "jsonl":
        return [json.loads(line) for line in data.splitlines()]
    if form == "json":
        images: list[dict[str, Any]] = json.loads(data)["images"]
        return images
    if form == "parquet":
        pq = pytest.importorskip("pyarrow.parquet")
        rows: list[dict[str, Any]] = pq.read_table(io.BytesIO(data)).to_pylist()
        return rows
    lines = csv.DictReader(
        io.StringIO(data.decode(), newline=""), delimiter="," if form == "csv" else "\t"
    )
    return [{key: _typed(key, text) for key, text in line.items()} for line in lines]


def _typed(key: str, text: str) -> Any:
    if key in ("backbone", "method", "image", "degenerate"):
        return text
    return int(text) if key in ("label", "target", "predicted") else number(text)


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunReader]:
    folder = tmp_path_factory.mktemp("runs")
    reader = RunReader(
        make_run(folder / "demo.db", methods=METHODS, paths=ODD, partial={"vgg16/gradcampp": 17})
    )
    yield reader
    reader.close()
