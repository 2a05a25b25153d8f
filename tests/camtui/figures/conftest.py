"""A run with pictures, and commands about it."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image
from typer.testing import CliRunner

from camtui.cli.app import app
from evaluator.store.reader import RunReader
from tests.synthetic import make_run

METHODS = ("fakecam", "cam", "gradcam", "scorecam")


def run(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, list(arguments))
    return result.exit_code, result.stderr


def size_of(file: Path) -> tuple[int, int]:
    with Image.open(file) as picture:
        return picture.size


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CAMTUI_HOME", str(tmp_path))
    make_run(tmp_path / "runs" / "pics.db", methods=METHODS, images=12, pictures=True)
    return tmp_path


@pytest.fixture
def reader(home: Path) -> RunReader:
    return RunReader(home / "runs" / "pics.db")
