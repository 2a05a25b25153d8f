"""Files appear whole or never."""

from __future__ import annotations

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
