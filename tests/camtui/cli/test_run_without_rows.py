"""A run of which nothing is known yet, no weights and no row, through every command that reads."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.camtui.cli.support import typed
from tests.evaluator.store.runs import begun


@pytest.fixture
def path(tmp_path: Path) -> Path:
    with begun(tmp_path / "run.db"):
        return tmp_path / "run.db"


def test_show_and_table_say_what_there_is(path: Path) -> None:
    assert "resnet18: not loaded yet" in typed("show", str(path)).stdout
    shown = json.loads(typed("show", str(path), "--json").stdout)
    assert shown["run"]["backbones"] == {"resnet18": None}
    table = typed("table", str(path))
    assert table.exit_code == 0
    assert "resnet18" in table.stdout
    for form in ("md", "latex", "csv", "json"):
        assert "gradcam" in typed("export", str(path), "-f", form).stdout.lower().replace("-", "")


@pytest.mark.parametrize(
    "command",
    [("worst",), ("figure", "ranks", "-o", "a.png"), ("figure", "convergence", "-o", "a.png")],
)
def test_what_needs_rows_says_so(
    path: Path, command: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(path.parent)
    refused = typed(command[0], str(path), *command[1:])
    assert refused.exit_code == 4
    assert "has no finished image yet" in refused.stderr
    assert not (path.parent / "a.png").exists()


def test_a_report_has_the_protocol_all_the_same(path: Path) -> None:
    page = path.parent / "page.html"
    assert typed("report", str(path), "-o", str(page), "--no-charts").exit_code == 0
    assert "camtui run --config" in page.read_text()
