"""The workflow of ``docs/ci.md``: its commands exist, and do in this order what the page says."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]  # it brings no types

from tests.camtui.cli.support import typed
from tests.evaluator.execution.support import ROOT, make_data

PAGE = (ROOT / "docs" / "ci.md").read_text("utf-8")


def fence(kind: str) -> str:
    found = re.search(rf"```{kind}\n(.*?)```", PAGE, re.DOTALL)
    assert found
    return found[1]


def steps() -> list[dict[str, Any]]:
    workflow = yaml.safe_load(fence("yaml"))
    assert workflow[True] == "pull_request", "YAML reads the word on as true"
    (job,) = workflow["jobs"].values()
    assert job["runs-on"] == "ubuntu-latest"
    found: list[dict[str, Any]] = job["steps"]
    return found


def commands(lines: list[str]) -> list[list[str]]:
    """The lines that call camtui, with a network that needs no file."""
    network = "./mynet.py:build:weights=net.pth"
    words = [shlex.split(line) for line in lines if line.startswith("camtui ")]
    return [[("resnet18" if one == network else one) for one in line[1:]] for line in words]


@pytest.mark.parametrize(("worse", "code"), [([], 0), (["gradcam"], 5)])
def test_the_workflow_fails_where_explanations_become_worse(
    home: Path, monkeypatch: pytest.MonkeyPatch, worse: list[str], code: int
) -> None:
    monkeypatch.chdir(home)
    make_data(home / "tests" / "images", 12)
    for words in commands(fence("").splitlines()):
        assert typed(*words).exit_code == 0, words
    assert (home / "tests" / "baseline.db").is_file()
    monkeypatch.setenv("CAMTUI_FAKE", json.dumps({"worse": worse}))
    ends = {
        words[0]: typed(*words).exit_code
        for words in commands([step.get("run", "") for step in steps()])
    }
    assert ends == {"run": 0, "compare": code, "report": 0}
    assert (home / "report.html").is_file()


def test_what_is_uploaded_is_what_was_written() -> None:
    (upload,) = (step for step in steps() if "upload" in step.get("uses", ""))
    (report,) = (step["run"] for step in steps() if step.get("run", "").startswith("camtui report"))
    assert report.endswith(f"-o {upload['with']['path']}")
    assert upload["if"] == "always()"
