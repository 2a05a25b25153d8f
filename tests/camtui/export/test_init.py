"""The same values from every format: whole in the data formats, at their digits in the tables."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from camtui.export import DATA_FORMATS, TEXT_FORMATS, ExportRequest, _counted, write
from camtui.export.delimited import cell as csv_cell
from camtui.format import TableOptions, percent
from camtui.schemas import schema_of
from evaluator.errors import NotFound, UsageError
from evaluator.store.reader import RunReader
from tests.camtui.export.conftest import METRICS, ODD, number, per_image, written
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


def test_progress_is_told_every_ten_thousand_rows() -> None:
    told: list[int] = []
    assert len([*_counted(iter([{}] * 25_000), told.append)]) == 25_000
    assert told == [10_000, 20_000]


@pytest.mark.parametrize("form", ["csv", "tsv"])
def test_text_cannot_be_a_formula_and_numbers_stay_numbers(reader: RunReader, form: str) -> None:
    data = written(reader, form, per_image=True)
    lines = list(
        csv.reader(io.StringIO(data.decode(), newline=""), delimiter="," if form == "csv" else "\t")
    )
    images = {line[2] for line in lines[1:]}
    assert {
        "'=cmd|' /C calc'!A0.png",
        "'-0.5",
        "'@x\\xff.png",
        "'+1\\x092\\x0a\\x1b[2J.png",
        'ünï, "quoted".png',
    } <= images
    assert {len(line) for line in lines} == {len(lines[0])}
    assert not any(line[2].startswith(("=", "+", "-", "@")) for line in lines)
    wide = ("  =1+1", "\u00a0@x", "\uff1d1", "\uff0bx", "\u22121", "\u3000\uff20x", "\ufe621")
    assert [csv_cell(value)[0] for value in wide] == ["'"] * len(wide)
    assert [csv_cell(value) for value in (-0.5, 1e-7, None, True, 3, "-0.5", "a=b")] == [
        "-0.5",
        "1e-07",
        "",
        "true",
        "3",
        "'-0.5",
        "a=b",
    ]


def test_every_mean_has_its_own_n(reader: RunReader) -> None:
    lines = list(csv.DictReader(io.StringIO(written(reader, "csv").decode(), newline="")))
    means = {s.cell: s for s in reader.averages.summaries()}
    keys = [key for key in lines[0] if key.endswith("_n")]
    assert list(lines[0])[-len(keys) :] == keys, "columns of before keep their places"
    assert {"adcc_n", "coherency_n", "deletion_n", "mean_image_adcc_n"} <= {*keys}
    seen = set()
    for line, cell in zip(lines, reader.cells(), strict=True):
        summary = means[cell.id]
        for key in ("adcc", "coherency", "average_drop"):
            mean = summary.means.get(key)
            assert line[f"{key}_n"] == str(mean.n if mean else 0)
        seen.add(int(line["n"]) - int(line["adcc_n"]))
    assert 1 in seen, "a row without a drop"


@pytest.mark.parametrize(
    ("name", "form", "request_"),
    [
        ("summary", "json", {}),
        ("cell", "jsonl", {}),
        ("images", "json", {"per_image": True}),
        ("image", "jsonl", {"per_image": True}),
    ],
)
def test_json_is_what_its_schema_says(
    reader: RunReader, name: str, form: str, request_: dict[str, Any]
) -> None:
    data = written(reader, form, **request_)
    documents = (
        [json.loads(data)] if form == "json" else [json.loads(line) for line in data.splitlines()]
    )
    validator = jsonschema.Draft202012Validator(schema_of(name))
    validator.check_schema(schema_of(name))
    for document in documents:
        validator.validate(document)
    with pytest.raises(jsonschema.ValidationError):
        validator.validate({**documents[0], "surprise": "no metric"})


def test_names_in_json_are_readable_and_reversible(reader: RunReader) -> None:
    names = {}
    for record in per_image(reader, "jsonl"):
        raw = (
            bytes.fromhex(record["image_hex"])
            if "image_hex" in record
            else record["image"].encode()
        )
        names[raw] = record["image"]
        assert record["image"].isprintable()
    assert set(ODD) <= set(names)
    assert names[b"@x\xff.png"] == "@x\\xff.png"


def test_parquet_without_its_extra(reader: RunReader, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    with pytest.raises(UsageError, match="pyarrow") as caught:
        written(reader, "parquet")
    assert "camtui[parquet]" in caught.value.hint
