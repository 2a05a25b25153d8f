"""The same values from every format: whole in the data formats, at their digits in the tables."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest

from camtui.export import DATA_FORMATS, TEXT_FORMATS, ExportRequest, write
from camtui.format import TableOptions, percent
from evaluator.errors import NotFound, UsageError
from evaluator.metrics import all_metrics
from evaluator.store.reader import RunReader
from tests.camtui.export.support import METRICS, ODD, number, per_image, written
from tests.synthetic import make_run


def truth(reader: RunReader) -> list[dict[str, Any]]:
    """Every per-image value straight from the database."""
    found = []
    for cell in reader.cells():
        for row, image, curves in reader.rows.of_cell(cell.id):
            values = {
                key: getattr(row, key) for key in METRICS if key not in ("deletion", "insertion")
            } | curves
            head = {
                "backbone": cell.backbone,
                "method": cell.method,
                "path": image.path,
                "label": image.label,
            }
            found.append(
                {
                    **head,
                    "target": row.target,
                    "predicted": row.predicted,
                    "y": row.y,
                    "o": row.o,
                    **values,
                }
            )
    return found


@pytest.mark.parametrize("form", DATA_FORMATS)
def test_every_image_comes_back_exactly(reader: RunReader, form: str) -> None:
    expected, found = truth(reader), per_image(reader, form)
    assert len(found) == len(expected) > 300
    for one, other in zip(expected, found, strict=True):
        for key in ("backbone", "method", "label", "target", "predicted", "y", "o", *METRICS):
            assert other[key] == one[key], (key, one["path"])
    assert (
        sum(row["average_drop"] is None for row in found) == 9
    )  # image 1, in each of nine applicable cells


def summary_values(reader: RunReader, form: str) -> dict[tuple[str, str, str], tuple[Any, Any]]:
    data = written(reader, form)
    keys = [*METRICS, "mean_image_adcc"]
    if form in ("json", "jsonl"):
        cells = (
            json.loads(data)["cells"]
            if form == "json"
            else [json.loads(line) for line in data.splitlines()]
        )
        return {
            (c["backbone"], c["method"], k): (c[k]["mean"], c[k]["se"]) if c[k] else (None, None)
            for c in cells
            for k in keys
        }
    if form == "parquet":
        pq = pytest.importorskip("pyarrow.parquet")
        lines = pq.read_table(io.BytesIO(data)).to_pylist()
        return {(c["backbone"], c["method"], k): (c[k], c[f"{k}_se"]) for c in lines for k in keys}
    read = csv.DictReader(
        io.StringIO(data.decode(), newline=""), delimiter="," if form == "csv" else "\t"
    )
    return {
        (c["backbone"], c["method"], k): (number(c[k]), number(c[f"{k}_se"]))
        for c in read
        for k in keys
    }


@pytest.mark.parametrize("form", DATA_FORMATS)
def test_every_average_comes_back_exactly(reader: RunReader, form: str) -> None:
    found = summary_values(reader, form)
    summaries = {summary.cell: summary for summary in reader.averages.summaries()}
    for cell in reader.cells():
        summary = summaries[cell.id]
        means = {**summary.means, "mean_image_adcc": summary.mean_image_adcc}
        for key in (*METRICS, "mean_image_adcc"):
            mean = means.get(key)
            assert found[cell.backbone, cell.method, key] == (
                (mean.value, mean.se) if mean else (None, None)
            )


@pytest.mark.parametrize("form", TEXT_FORMATS)
@pytest.mark.parametrize("digits", [0, 2, 4])
def test_tables_have_the_same_values_at_their_digits(
    reader: RunReader, form: str, digits: int
) -> None:
    text = written(reader, form, options=TableOptions(digits=digits)).decode()
    for summary in reader.averages.summaries():
        for mean in summary.means.values():
            assert percent(mean.value, digits) in text


@pytest.mark.parametrize("form", [*TEXT_FORMATS, "csv", "tsv", "json", "jsonl"])
@pytest.mark.parametrize("per_image", [False, True])
def test_no_escape_byte_anywhere(tmp_path: Path, form: str, per_image: bool) -> None:
    if per_image and form in TEXT_FORMATS:
        return
    reader = RunReader(
        make_run(tmp_path / "a.db", name="\x1b[31mred", paths=ODD, methods=["gradcam"])
    )
    data = written(reader, form, per_image=per_image)
    assert b"\x1b" not in data
    assert b"\\x1b" in data or form in ("csv", "tsv", "jsonl")


def test_filter_and_sort_reach_every_format(reader: RunReader) -> None:
    options = TableOptions(filter="backbone=resnet18, method!=fakecam", sort="adcc")
    cells = json.loads(written(reader, "json", options=options))["cells"]
    values = [cell["adcc"]["mean"] for cell in cells]
    assert len(cells) == 4
    assert values == sorted(values, reverse=True)
    assert {
        r["method"]
        for r in map(
            json.loads, written(reader, "jsonl", per_image=True, options=options).splitlines()
        )
    } == {cell["method"] for cell in cells}
    with pytest.raises(NotFound):
        written(reader, "csv", options=TableOptions(filter="nothing"))


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        (ExportRequest("xlsx"), "unknown format 'xlsx'"),
        (ExportRequest("md", per_image=True), "no per-image form"),
        (ExportRequest("csv", "pivot:adcc"), "shapes tables only"),
        (ExportRequest("md", options=TableOptions(digits=99)), "--digits"),
        (ExportRequest("plain", "pivot:nonsense"), "unknown metric"),
    ],
)
def test_requests_that_make_no_sense(
    reader: RunReader, request_: ExportRequest, message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        write(reader, request_, io.BytesIO())


def test_progress_is_told(reader: RunReader) -> None:
    told: list[int] = []
    make = ExportRequest("csv", per_image=True)
    write(reader, make, io.BytesIO(), told.append)
    assert told == []  # fewer than ten thousand rows
    assert set(METRICS) == set(all_metrics()) & set(METRICS)
