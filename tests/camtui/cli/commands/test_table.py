"""``camtui table``."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest

from tests.camtui.cli.support import typed

pytestmark = pytest.mark.usefixtures("two_runs")


def test_table_is_plain_data_on_standard_output() -> None:
    result = typed("table", "good")
    assert result.exit_code == 0
    assert result.stderr == ""
    assert "\x1b" not in result.stdout
    assert "fakecam" in result.stdout
    assert max(map(len, result.stdout.splitlines())) <= 80
    assert "in ADCC" in result.stdout
    wide = [line.rstrip() for line in typed("table", "good", "--wide").stdout.splitlines()]
    rows = [
        line for line in typed("table", "good", "-f", "plain").stdout.splitlines() if "." in line
    ]
    assert len(rows) > 4
    assert [row for row in rows if row[0] != " " and "%" not in row and row not in wide] == []


def test_table_of_the_last_run_by_default() -> None:
    assert typed("table").stdout.split()[0] == "worse"


@pytest.mark.parametrize("form", ["plain", "md", "json", "csv", "tsv", "latex"])
def test_table_and_export_are_the_same_code(form: str) -> None:
    table, export = typed("table", "good", "-f", form), typed("export", "good", "-f", form)
    assert table.exit_code == export.exit_code == 0
    assert table.stdout_bytes == export.stdout_bytes
    assert len(table.stdout_bytes) > 400


def test_table_options_reach_the_table() -> None:
    assert "image ADCC↑" in typed("table", "good", "--long").stdout
    assert "ADCC ↑" in typed("table", "good", "--pivot", "adcc").stdout
    assert typed("table", "good", "--ci").stdout.count("±") > typed("table", "good").stdout.count(
        "±"
    )
    assert "99.998007" in typed("table", "good", "--digits", "6", "--filter", "fakecam").stdout
    assert "gradcampp" not in typed("table", "good", "--filter", "method=gradcam").stdout


def test_table_imports_neither_torch_nor_numpy(two_runs: Path) -> None:
    code = (
        "import sys\nfrom camtui.cli import main\ntry: main()\nfinally: "
        "print(*sys.modules, file=sys.stderr)"
    )
    command = [sys.executable, "-c", code, "table", "good"]
    result = subprocess.run(
        command,
        env={**os.environ, "CAMTUI_HOME": str(two_runs)},
        capture_output=True,
        text=True,
        check=True,
    )
    loaded = set(result.stderr.split())
    assert "camtui.format" in loaded
    assert not loaded & {"torch", "numpy", "textual", "PIL", "sqlite_utils"}


def test_table_by_class_and_by_correctness() -> None:
    by_class, correct = (
        typed("table", "good", "--by", "class").stdout,
        typed("table", "good", "--by", "correct").stdout,
    )
    assert "by class" in by_class
    assert by_class.count("class ") > 30
    assert {"right", "wrong"} <= set(correct.split())
    rows = list(
        csv.DictReader(io.StringIO(typed("table", "good", "--by", "correct", "-f", "csv").stdout))
    )
    assert {row["correct"] for row in rows} == {"true", "false"}
    whole = list(csv.DictReader(io.StringIO(typed("table", "good", "-f", "csv").stdout)))
    for cell in whole:
        parts = [
            row
            for row in rows
            if (row["backbone"], row["method"]) == (cell["backbone"], cell["method"])
        ]
        assert sum(int(row["n"]) for row in parts) == int(cell["n"])
    for by in ("class", "correct"):
        document = json.loads(typed("table", "good", "--by", by, "-f", "json").stdout)
        jsonschema.Draft202012Validator(json.loads(typed("schema", "summary").stdout)).validate(
            document
        )
