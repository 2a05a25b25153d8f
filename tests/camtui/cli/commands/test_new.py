"""``camtui new`` writes files that run as they are: they pass their own tests, and the rules."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.camtui.cli.support import typed
from tests.evaluator.execution.support import ROOT, camtui

WRITTEN = {
    "method": ("brightcam", "BrightCAM"),
    "metric": ("bright", "METRIC"),
    "backbone": ("brightnet", "build"),
}
"""Axis → the name that is asked for, and what the written file calls it."""


@pytest.mark.long
def test_what_is_written_runs(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(home)
    for axis, (name, named) in WRITTEN.items():
        told = json.loads(typed("new", axis, name, "--json").stdout)
        assert told["files"] == [f"{name}.py", f"test_{name}.py"]
        assert told["reference"] == f"./{name}.py:{named}"
    tests = [f"test_{name}.py" for name, _ in WRITTEN.values()]
    options = ["-q", "-c", "/dev/null", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options, *tests],
        cwd=home,
        capture_output=True,
        text=True,
        check=False,
        env={"PYTHONPATH": str(ROOT), "PATH": ""},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "passed" in done.stdout
    for axis in ("method", "metric"):
        name, named = WRITTEN[axis]
        checked = camtui("check", f"{home}/{name}.py:{named}")
        assert checked.returncode == 0, checked.stdout
        assert "FAILS" not in checked.stdout
        assert axis == "metric" or "ok     slow(seen)" in checked.stdout


def test_nothing_is_overwritten_unasked(home: Path) -> None:
    folder = home / "of mine"
    assert typed("new", "method", "my_own_cam", "-o", str(folder)).exit_code == 0
    assert "class MyOwnCAM(Method)" in (folder / "my_own_cam.py").read_text()
    (folder / "my_own_cam.py").write_text("precious")
    again = typed("new", "method", "my_own_cam", "-o", str(folder))
    assert (again.exit_code, "is there already" in again.stderr) == (2, True)
    assert (folder / "my_own_cam.py").read_text() == "precious"
    assert typed("new", "method", "my_own_cam", "-o", str(folder), "--force").exit_code == 0


@pytest.mark.parametrize("name", ["gradcam", "My-CAM", "adcc", "über", "../x", ""])
def test_names_that_cannot_be(home: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(home)
    done = typed("new", "method", name)
    assert done.exit_code == 2
    assert not list(home.glob("*.py"))
