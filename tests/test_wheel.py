"""The wheel: every data file is in it, and it works in an environment that holds it and its
dependencies only.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

from tests.evaluator.execution.support import ROOT


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    done = subprocess.run(build, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (made,) = folder.glob("*.whl")
    return made


def test_it_holds_every_file_of_both_packages_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        held = {name for name in archive.namelist() if ".dist-info/" not in name}
    sources = {
        path.relative_to(ROOT).as_posix()
        for package in ("camtui", "evaluator")
        for path in (ROOT / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert held == sources
    assert {
        "camtui/py.typed",
        "evaluator/py.typed",
        "camtui/tui/app.tcss",
        "evaluator/data/imagenet_wnids.txt",
    } <= held


def test_it_works_in_an_environment_without_the_repository(wheel: Path, tmp_path: Path) -> None:
    home = tmp_path / "environment"
    venv.create(home, symlinks=True)
    packages = Path(
        sysconfig.get_path("purelib", "venv", {"base": str(home), "platbase": str(home)})
    )
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(packages)
    paths = [path for path in sys.path if path.endswith("site-packages")]
    (packages / "dependencies.pth").write_text("\n".join(paths) + "\n")
    environment = {**os.environ, "CAMTUI_HOME": str(tmp_path / "home"), "PYTHONPATH": ""}

    def camtui(*words: str) -> str:
        command = [str(home / "bin/python"), "-P", "-m", "camtui", *words]
        done = subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert json.loads(camtui("schema", "summary"))
    assert {method["key"] for method in json.loads(camtui("methods", "--json"))["methods"]} >= {
        "gradcam",
        "scorecam",
    }
    where = subprocess.run(
        [str(home / "bin/python"), "-P", "-c", "import camtui; print(camtui.__file__)"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert Path(where.stdout.strip()).is_relative_to(home)
