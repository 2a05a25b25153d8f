"""A file that goes out has its description beside it."""

from __future__ import annotations

import json
import os
from pathlib import Path

from camtui.export import ExportRequest, export_file
from evaluator.store.reader import RunReader


def test_a_file_and_its_description(reader: RunReader, tmp_path: Path) -> None:
    files = export_file(reader, ExportRequest("csv", per_image=True), tmp_path / "rows.csv")
    export_file(reader, ExportRequest("jsonl"), tmp_path / "cells.jsonl")
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
    assert export_file(reader, ExportRequest("csv"), tmp_path / "a.csv") == [tmp_path / "a.csv"]
    assert (tmp_path / "datapackage.json").read_text() == '{"name": "mine"}'
