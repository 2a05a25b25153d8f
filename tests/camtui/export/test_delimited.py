"""CSV and TSV that a spreadsheet cannot take for formulas."""

from __future__ import annotations

import csv
import io

import pytest

from camtui.export.delimited import cell as csv_cell
from evaluator.store.reader import RunReader
from tests.camtui.export.support import written


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
