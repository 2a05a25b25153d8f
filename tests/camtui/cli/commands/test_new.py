"""``camtui new`` writes files that run as they are: they pass their own tests, and the rules."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.camtui.cli.support import home, typed
from tests.evaluator.execution.support import ROOT, camtui

__all__ = ["home"]


@pytest.mark.parametrize(
    ("axis", "named"), [("method", "BrightCAM"), ("metric", "METRIC"), ("backbone", "build")]
)
def test_what_is_written_runs(
    axis: str, named: str, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(home)
    told = json.loads(typed("new", axis, "brightcam", "--json").stdout)
    assert told["files"] == ["brightcam.py", "test_brightcam.py"]
    assert told["reference"] == f"./brightcam.py:{named}"
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-c",
        "/dev/null",
        "-p",
        "no:cacheprovider",
        "test_brightcam.py",
    ]
    done = subprocess.run(
        command,
        cwd=home,
        capture_output=True,
        text=True,
        check=False,
        env={"PYTHONPATH": str(ROOT), "PATH": ""},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "passed" in done.stdout
    if axis != "backbone":
        checked = camtui("check", f"{home}/brightcam.py:{named}")
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
