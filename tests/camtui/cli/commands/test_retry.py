"""``camtui retry``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.camtui.cli.support import ask, home
from tests.evaluator.execution.support import camtui

__all__ = ["home"]


def test_retry_tries_failed_images_again(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CAMTUI_FAKE", '{"raises": [3]}')
    assert "2 failures: camtui errors pictures" in camtui(*ask(home)).stderr
    monkeypatch.setenv("CAMTUI_FAKE", "{}")
    assert camtui("retry", "--failed", "-q").returncode == 0
    assert json.loads(camtui("status", "--json").stdout)["failures"] == 0
