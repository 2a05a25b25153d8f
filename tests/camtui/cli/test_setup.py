"""methods, backbones, doctor, --version and --help; none of them wakes anything heavy."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from evaluator.methods import all_methods
from tests.camtui.cli.support import ask, home
from tests.evaluator.execution.support import camtui

__all__ = ["home"]

HEAVY = ("torch", "numpy", "textual", "sqlite_utils", "PIL")


@pytest.mark.parametrize(
    "command", [["--help"], ["ls"], ["status"], ["methods"], ["backbones"], ["run", "--help"], ["--version"]]
)
def test_light_commands_import_nothing_heavy(home: Path, command: list[str]) -> None:
    camtui(*ask(home), "-q")
    code = (
        f"import sys; sys.argv[1:] = {command!r}\nfrom camtui.cli import main\ntry:\n    main()\nexcept SystemExit as end:\n"
        f"    assert not end.code, end.code\nprint([m for m in {HEAVY!r} if m in sys.modules], file=sys.stderr)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert result.stderr.splitlines()[-1] == "[]", result.stderr


def test_methods_and_backbones(home: Path) -> None:
    listed = json.loads(camtui("methods", "--json").stdout)["methods"]
    assert [method["key"] for method in listed] == list(all_methods())
    text = camtui("methods").stdout
    assert "4,097 forwards an image" in text
    assert "options n=4" in text or "variant=" in text
    backbones = json.loads(camtui("backbones", "--json").stdout)
    assert {"resnet50", "efficientnet_lite0"} <= {backbone["key"] for backbone in backbones["backbones"]}
    assert "densenet121" in backbones["others"]
    assert "vgg16-397923af.pth" in camtui("backbones").stdout or "here" in camtui("backbones").stdout


def test_the_doctor_finds_and_repairs_wrong_sums(home: Path) -> None:
    assert camtui("doctor").returncode == 0
    camtui(*ask(home), "-q")
    assert camtui("doctor", "pictures").returncode == 0
    with sqlite3.connect(home / "runs" / "pictures.db") as connection:
        connection.execute("UPDATE sums SET total = total + 1 WHERE a = 'coherency' AND b = '' AND cell_id = 1")
        connection.execute("UPDATE histograms SET n = n + 1 WHERE metric = 'adcc' AND cell_id = 2")
    connection.close()
    sick = camtui("doctor", "pictures")
    assert sick.returncode == 1
    assert sick.stdout.splitlines() == [
        "cell 1: the sum of coherency is not that of its rows",
        "cell 2: the histogram of adcc is not that of its rows",
    ]
    assert camtui("doctor", "pictures", "--repair").returncode == 0
    assert camtui("doctor", "pictures", "--json").stdout == '{"run": "pictures", "problems": []}\n'


def test_the_version(home: Path) -> None:
    found = dict(line.split(" ", 1) for line in camtui("--version").stdout.splitlines())
    assert list(found) == ["camtui", "python", "torch", "torchvision", "textual", "sqlite"]
    assert found["camtui"] == "0.1.0"
    assert found["torch"] == version("torch")
    assert found["sqlite"] == sqlite3.sqlite_version
    assert "Usage: camtui [OPTIONS] COMMAND" in camtui("--help").stdout


def test_an_unknown_command(home: Path) -> None:
    result = camtui("frobnicate")
    assert result.returncode == 2
    assert result.stderr == "error: No such command 'frobnicate'.\nhint:  camtui --help\n"
