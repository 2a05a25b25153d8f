"""A run with pictures, and commands about it."""

from __future__ import annotations

from pathlib import Path

from PIL import Image
from typer.testing import CliRunner

from camtui.cli.app import app

METHODS = ("fakecam", "cam", "gradcam", "scorecam")


def run(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, list(arguments))
    return result.exit_code, result.stderr


def size_of(file: Path) -> tuple[int, int]:
    with Image.open(file) as picture:
        return picture.size
