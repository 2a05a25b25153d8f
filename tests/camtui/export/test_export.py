"""The same values from every format: whole in the data formats, at their digits in the tables; files appear whole or never."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from camtui.export import DATA_FORMATS, TEXT_FORMATS, Request, export_file, table_of, write
from camtui.export.delimited import cell as csv_cell
from camtui.export.latex import escape as latex_escape
from camtui.format import Options, percent
from evaluator.errors import NotFound, UsageError
from evaluator.metrics import all_metrics
from evaluator.store.reader import RunReader
from tests.synthetic import make_run

METHODS = ("fakecam", "cam", "gradcam", "gradcampp", "scorecam:variant=cic")
ODD = [b"=cmd|' /C calc'!A0.png", b"-0.5", b"@x\xff.png", b"+1\t2\n\x1b[2J.png", 'ünï, "quoted".png'.encode()]
METRICS = ["average_drop", "average_increase", "deletion", "insertion", "coherency", "complexity", "adcc"]


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunReader]:
    folder = tmp_path_factory.mktemp("runs")
    reader = RunReader(make_run(folder / "demo.db", methods=METHODS, paths=ODD, partial={"vgg16/gradcampp": 17}))
    yield reader
    reader.close()


def written(reader: RunReader, form: str, **request: Any) -> bytes:
    stream = io.BytesIO()
    write(reader, Request(form, **request), stream)
    return stream.getvalue()


def schema(name: str) -> Any:
    return json.loads(resources.files("camtui").joinpath(f"export/schemas/{name}.schema.json").read_text("utf-8"))


def truth(reader: RunReader) -> list[dict[str, Any]]:
    """Every per-image value straight from the database."""
    found = []
    for cell in reader.cells():
        for row, image, curves in reader.rows(cell.id):
            values = {key: getattr(row, key) for key in METRICS if key not in ("deletion", "insertion")} | curves
            head = {"backbone": cell.backbone, "method": cell.method, "path": image.path, "label": image.label}
            found.append({**head, "target": row.target, "predicted": row.predicted, "y": row.y, "o": row.o, **values})
    return found


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
    lines = csv.DictReader(io.StringIO(data.decode(), newline=""), delimiter="," if form == "csv" else "\t")
    whole = ("label", "target", "predicted")
    return [
        {
            k: v if k in ("backbone", "method", "image", "degenerate") else int(v) if k in whole else number(v)
            for k, v in line.items()
        }
        for line in lines
    ]


@pytest.mark.parametrize("form", DATA_FORMATS)
def test_every_image_comes_back_exactly(reader: RunReader, form: str) -> None:
    expected, found = truth(reader), per_image(reader, form)
    assert len(found) == len(expected) > 300
    for one, other in zip(expected, found, strict=True):
        for key in ("backbone", "method", "label", "target", "predicted", "y", "o", *METRICS):
            assert other[key] == one[key], (key, one["path"])
    assert sum(row["average_drop"] is None for row in found) == 9  # image 1, in each of nine applicable cells


def summary_values(reader: RunReader, form: str) -> dict[tuple[str, str, str], tuple[Any, Any]]:
    data = written(reader, form)
    keys = [*METRICS, "mean_image_adcc"]
    if form in ("json", "jsonl"):
        cells = json.loads(data)["cells"] if form == "json" else [json.loads(line) for line in data.splitlines()]
        return {
            (c["backbone"], c["method"], k): (c[k]["mean"], c[k]["se"]) if c[k] else (None, None) for c in cells for k in keys
        }
    if form == "parquet":
        pq = pytest.importorskip("pyarrow.parquet")
        lines = pq.read_table(io.BytesIO(data)).to_pylist()
        return {(c["backbone"], c["method"], k): (c[k], c[f"{k}_se"]) for c in lines for k in keys}
    read = csv.DictReader(io.StringIO(data.decode(), newline=""), delimiter="," if form == "csv" else "\t")
    return {(c["backbone"], c["method"], k): (number(c[k]), number(c[f"{k}_se"])) for c in read for k in keys}


@pytest.mark.parametrize("form", DATA_FORMATS)
def test_every_average_comes_back_exactly(reader: RunReader, form: str) -> None:
    found = summary_values(reader, form)
    summaries = {summary.cell: summary for summary in reader.summaries()}
    for cell in reader.cells():
        summary = summaries[cell.id]
        means = {**summary.means, "mean_image_adcc": summary.mean_image_adcc}
        for key in (*METRICS, "mean_image_adcc"):
            mean = means.get(key)
            assert found[cell.backbone, cell.method, key] == ((mean.value, mean.se) if mean else (None, None))


@pytest.mark.parametrize("form", TEXT_FORMATS)
@pytest.mark.parametrize("digits", [0, 2, 4])
def test_tables_have_the_same_values_at_their_digits(reader: RunReader, form: str, digits: int) -> None:
    text = written(reader, form, options=Options(digits=digits)).decode()
    for summary in reader.summaries():
        for mean in summary.means.values():
            assert percent(mean.value, digits) in text


@pytest.mark.parametrize(
    ("name", "form", "request_"),
    [
        ("summary", "json", {}),
        ("cell", "jsonl", {}),
        ("images", "json", {"per_image": True}),
        ("image", "jsonl", {"per_image": True}),
    ],
)
def test_json_is_what_its_schema_says(reader: RunReader, name: str, form: str, request_: dict[str, Any]) -> None:
    data = written(reader, form, **request_)
    documents = [json.loads(data)] if form == "json" else [json.loads(line) for line in data.splitlines()]
    validator = jsonschema.Draft202012Validator(schema(name))
    validator.check_schema(schema(name))
    for document in documents:
        validator.validate(document)
    with pytest.raises(jsonschema.ValidationError):
        validator.validate({**documents[0], "surprise": 1})


def test_summary_json_has_the_published_shape(reader: RunReader) -> None:
    document = json.loads(written(reader, "json"))
    assert document["schema_version"] == 1
    first = document["cells"][0]
    assert (first["backbone"], first["method"], first["n"]) == ("resnet18", "fakecam", 39)
    assert set(first["adcc"]) == {"mean", "se", "n"}
    assert document["run"]["plan"]["seed"] == 0


def test_names_in_json_are_readable_and_reversible(reader: RunReader) -> None:
    names = {}
    for record in per_image(reader, "jsonl"):
        raw = bytes.fromhex(record["image_hex"]) if "image_hex" in record else record["image"].encode()
        names[raw] = record["image"]
        assert record["image"].isprintable()
    assert set(ODD) <= set(names)
    assert names[b"@x\xff.png"] == "@x\\xff.png"


@pytest.mark.parametrize("form", ["csv", "tsv"])
def test_text_cannot_be_a_formula_and_numbers_stay_numbers(reader: RunReader, form: str) -> None:
    data = written(reader, form, per_image=True)
    lines = list(csv.reader(io.StringIO(data.decode(), newline=""), delimiter="," if form == "csv" else "\t"))
    images = {line[2] for line in lines[1:]}
    assert {"'=cmd|' /C calc'!A0.png", "'-0.5", "'@x\\xff.png", "'+1\\x092\\x0a\\x1b[2J.png", 'ünï, "quoted".png'} <= images
    assert {len(line) for line in lines} == {len(lines[0])}
    assert not any(line[2].startswith(("=", "+", "-", "@")) for line in lines)
    assert [csv_cell(value) for value in (-0.5, 1e-7, None, True, 3, "-0.5", "a=b")] == [
        "-0.5",
        "1e-07",
        "",
        "true",
        "3",
        "'-0.5",
        "a=b",
    ]


@pytest.mark.parametrize("form", [*TEXT_FORMATS, "csv", "tsv", "json", "jsonl"])
@pytest.mark.parametrize("per_image", [False, True])
def test_no_escape_byte_anywhere(tmp_path: Path, form: str, per_image: bool) -> None:
    if per_image and form in TEXT_FORMATS:
        return
    reader = RunReader(make_run(tmp_path / "a.db", name="\x1b[31mred", paths=ODD, methods=["gradcam"]))
    data = written(reader, form, per_image=per_image)
    assert b"\x1b" not in data
    assert b"\\x1b" in data or form in ("csv", "tsv", "jsonl")


def test_filter_and_sort_reach_every_format(reader: RunReader) -> None:
    options = Options(filter="backbone=resnet18, method!=fakecam", sort="adcc")
    cells = json.loads(written(reader, "json", options=options))["cells"]
    values = [cell["adcc"]["mean"] for cell in cells]
    assert len(cells) == 4
    assert values == sorted(values, reverse=True)
    assert {r["method"] for r in map(json.loads, written(reader, "jsonl", per_image=True, options=options).splitlines())} == {
        cell["method"] for cell in cells
    }
    with pytest.raises(NotFound):
        written(reader, "csv", options=Options(filter="nothing"))


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        (Request("xlsx"), "unknown format 'xlsx'"),
        (Request("md", per_image=True), "no per-image form"),
        (Request("csv", "pivot:adcc"), "shapes tables only"),
        (Request("md", options=Options(digits=99)), "--digits"),
        (Request("plain", "pivot:nonsense"), "unknown metric"),
    ],
)
def test_requests_that_make_no_sense(reader: RunReader, request_: Request, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        write(reader, request_, io.BytesIO())


def test_parquet_without_its_extra(reader: RunReader, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    with pytest.raises(UsageError, match="pyarrow") as caught:
        written(reader, "parquet")
    assert "camtui[parquet]" in caught.value.hint


# -- markdown and LaTeX --------------------------------------------------------------------------------------------------------


def test_markdown_marks_ranks_by_type(reader: RunReader) -> None:
    text = written(reader, "md").decode()
    table = table_of(reader, Request("md"))
    best = [entry.text for row in table.blocks[0].rows for entry in row.entries if entry.mark == "best"]
    assert best
    assert all(f"**{value}**" in text for value in best)
    assert all(f"_{e.text}_" in text for row in table.blocks[0].rows for e in row.entries if e.mark == "second")
    assert "| Average Drop ↓ | Average Increase ↑ | Deletion ↓ | Insertion ↑ | Coherency ↑ | Complexity ↓ | ADCC ↑ |" in text
    assert "* best" not in text
    widths = {line.replace("\\|", "").count("|") for line in text.splitlines() if line.startswith("|")}
    assert widths == {10}


def test_latex_has_the_papers_layout_and_says_where_it_comes_from(reader: RunReader) -> None:
    text = written(reader, "latex").decode()
    assert text.isascii()
    comments = [line for line in text.splitlines() if line.startswith("%")]
    for part in (
        "camtui run 'demo', 40 images",
        "weights IMAGENET1K_V1",
        "target predicted, resize 224",
        "torch 2.13.0",
        "28 steps",
    ):
        assert any(part in line for line in comments)
    assert r"\toprule" in text
    assert r"\multicolumn{9}{l}{\textbf{resnet18 (IMAGENET1K\_V1, layer layer4)}}" in text
    assert "Score-CAM (variant=cic) & " in text
    table = table_of(reader, Request("latex"))
    for row in table.blocks[0].rows:
        for entry in row.entries:
            if entry.mark:
                assert f"\\{'underline' if entry.mark == 'second' else 'textbf'}{{{entry.text}}}" in text


def test_n_is_a_latex_column_only_where_it_differs(tmp_path: Path, reader: RunReader) -> None:
    whole = RunReader(make_run(tmp_path / "a.db", methods=["gradcam", "gradcampp"]))
    assert "Method & Average Drop" in written(whole, "latex").decode()
    assert "Method & n & Average Drop" in written(reader, "latex").decode()


def test_latex_escapes() -> None:
    assert latex_escape("a_b%&#$^~\\{}é") == r"a\_b\%\&\#\$\textasciicircum{}$\sim$\textbackslash{}\{\}?"


@pytest.mark.slow
@pytest.mark.parametrize("layout", ["blocks", "long", "pivot:adcc"])
def test_latex_compiles_by_itself_and_inside_a_document(reader: RunReader, tmp_path: Path, layout: str) -> None:
    if shutil.which("pdflatex") is None:
        pytest.skip("pdflatex is not installed: apt install texlive-latex-recommended")
    (tmp_path / "table.tex").write_bytes(written(reader, "latex", layout=layout, options=Options(ci=True)))
    (tmp_path / "paper.tex").write_text(
        "\\documentclass{article}\\usepackage{booktabs}\\begin{document}Before \\input{table} after\\end{document}\n"
    )
    for name in ("table", "paper"):
        command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", name]
        result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert result.returncode == 0, result.stdout[-2000:]
        assert (tmp_path / f"{name}.pdf").stat().st_size > 5000


# -- files ---------------------------------------------------------------------------------------------------------------------


def test_a_file_and_its_description(reader: RunReader, tmp_path: Path) -> None:
    files = export_file(reader, Request("csv", per_image=True), tmp_path / "rows.csv")
    export_file(reader, Request("jsonl"), tmp_path / "cells.jsonl")
    assert [file.name for file in files] == ["rows.csv", "datapackage.json"]
    assert sorted(os.listdir(tmp_path)) == ["cells.jsonl", "datapackage.json", "rows.csv"]
    package = json.loads((tmp_path / "datapackage.json").read_text())
    cells, rows = package["resources"]
    assert (cells["path"], rows["path"]) == ("cells.jsonl", "rows.csv")
    header = (tmp_path / "rows.csv").read_text().splitlines()[0].split(",")
    assert [field["name"] for field in rows["schema"]["fields"]] == header
    assert all(field["description"] != field["name"] for field in rows["schema"]["fields"])
    assert rows["bytes"] == (tmp_path / "rows.csv").stat().st_size
    assert rows["run"]["plan"]["methods"][0] == "fakecam"


def test_a_description_of_somebody_else_stays(reader: RunReader, tmp_path: Path) -> None:
    (tmp_path / "datapackage.json").write_text('{"name": "mine"}')
    assert export_file(reader, Request("csv"), tmp_path / "a.csv") == [tmp_path / "a.csv"]
    assert (tmp_path / "datapackage.json").read_text() == '{"name": "mine"}'


def test_no_overwriting_unless_forced(reader: RunReader, tmp_path: Path) -> None:
    target = tmp_path / "a.md"
    target.write_text("precious")
    with pytest.raises(UsageError, match="exists"):
        export_file(reader, Request("md"), target)
    assert target.read_text() == "precious"
    export_file(reader, Request("md"), target, force=True)
    assert target.read_text().startswith("**demo")
    with pytest.raises(UsageError, match="is a folder"):
        export_file(reader, Request("md"), tmp_path, force=True)
    with pytest.raises(UsageError, match="cannot write"):
        export_file(reader, Request("md"), tmp_path / "none" / "a.md")


def test_a_failure_leaves_what_was_there(reader: RunReader, tmp_path: Path) -> None:
    target = tmp_path / "a.csv"
    target.write_text("precious")
    with pytest.raises(NotFound):
        export_file(reader, Request("csv", options=Options(filter="nothing")), target, force=True)
    assert os.listdir(tmp_path) == ["a.csv"]
    assert target.read_text() == "precious"


def test_progress_is_told(reader: RunReader) -> None:
    told: list[int] = []
    make = Request("csv", per_image=True)
    write(reader, make, io.BytesIO(), told.append)
    assert told == []  # fewer than ten thousand rows
    assert set(METRICS) == set(all_metrics()) & set(METRICS)
