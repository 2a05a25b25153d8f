"""``camtui wait``."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.camtui.cli.support import ask, home
from tests.evaluator.execution.support import camtui

__all__ = ["home"]


@pytest.mark.parametrize("text", ["", "x", "5 weeks", "-1s", "nan"])
def test_what_is_no_duration(home: Path, text: str) -> None:
    camtui(*ask(home), "-q")
    if text:
        assert camtui("wait", f"--timeout={text}").returncode == 2
