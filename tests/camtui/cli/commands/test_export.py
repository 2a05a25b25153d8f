"""``camtui export``."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from camtui.cli.options import progress_of
from evaluator.store.reader import RunReader
from tests.camtui.cli.support import typed, validated

pytestmark = pytest.mark.usefixtures("two_runs")


def test_export_writes_a_file_once(tmp_path: Path) -> None:
    target = tmp_path / "rows.jsonl"
    result = typed("export", "good", "--per-image", "-o", str(target))
    assert (result.exit_code, result.stdout) == (0, "")
    assert f"wrote {target}" in result.stderr
    lines = target.read_text().splitlines()
    assert len(lines) == 7 * 39
    again = typed("export", "good", "--per-image", "-o", str(target))
    assert again.exit_code == 2
    assert "--force" in again.stderr
    assert typed("export", "worse", "--per-image", "-o", str(target), "--force").exit_code == 0
    assert target.read_text().splitlines() != lines


def test_summary_json_of_export() -> None:
    assert len(validated("summary", typed("export", "good", "-f", "json"))["cells"]) == 8


def test_the_console_script_and_a_closed_pipe(two_runs: Path) -> None:
    command = (
        f"{sys.executable} -c 'from camtui.cli import main; main()' "
        "export good --per-image | head -1"
    )
    result = subprocess.run(
        ["sh", "-c", command],
        env={**os.environ, "CAMTUI_HOME": str(two_runs)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert result.stdout.startswith("backbone,method,image")
    assert result.stderr == ""


def test_parquet_is_not_poured_into_a_terminal(two_runs: Path) -> None:
    mine, theirs = os.openpty()
    environment = {**os.environ, "CAMTUI_HOME": str(two_runs)}
    command = [sys.executable, "-m", "camtui", "export", "good", "--per-image", "-f", "parquet"]
    with os.fdopen(theirs, "wb") as terminal:
        result = subprocess.run(
            command,
            env=environment,
            stdout=terminal,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
        os.close(mine)
    assert result.returncode == 2
    assert "parquet is binary, and standard output is a terminal" in result.stderr
    assert "add -o FILE.parquet" in result.stderr


def test_a_long_export_says_every_two_seconds_how_far_it_is(
    two_runs: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    seconds = iter([0.0, 1.9, 2.0, 2.0, 3.9])
    with RunReader(two_runs / "runs" / "good.db") as reader, monkeypatch.context() as patch:
        patch.setattr("time.monotonic", lambda: next(seconds))  # for nobody else afterwards
        tell = progress_of(reader)
    for rows in (10, 20, 30):
        tell(rows)
    assert capsys.readouterr().err.splitlines() == ["20 of 273 rows"]
