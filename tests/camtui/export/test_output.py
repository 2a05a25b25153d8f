"""Files appear whole or never, and data files have their description beside them."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from camtui.export import ExportRequest, export_file
from camtui.format import TableOptions
from evaluator.errors import NotFound, UsageError
from evaluator.store.reader import RunReader


def test_no_overwriting_unless_forced(reader: RunReader, tmp_path: Path) -> None:
    target = tmp_path / "a.md"
    target.write_text("precious")
    with pytest.raises(UsageError, match="exists"):
        export_file(reader, ExportRequest("md"), target)
    assert target.read_text() == "precious"
    export_file(reader, ExportRequest("md"), target, force=True)
    assert target.read_text().startswith("**demo")
    with pytest.raises(UsageError, match="is a folder"):
        export_file(reader, ExportRequest("md"), tmp_path, force=True)
    with pytest.raises(UsageError, match="cannot write"):
        export_file(reader, ExportRequest("md"), tmp_path / "none" / "a.md")


def test_a_failure_leaves_what_was_there(reader: RunReader, tmp_path: Path) -> None:
    target = tmp_path / "a.csv"
    target.write_text("precious")
    with pytest.raises(NotFound):
        export_file(
            reader, ExportRequest("csv", options=TableOptions(filter="nothing")), target, force=True
        )
    assert os.listdir(tmp_path) == ["a.csv"]
    assert target.read_text() == "precious"


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
