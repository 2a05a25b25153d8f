"""``camtui retry``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.camtui.cli.support import ask, typed


def test_retry_tries_failed_images_again(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CAMTUI_FAKE", '{"raises": [3]}')
    assert "1 image failed (2 maps): camtui errors pictures" in typed(*ask(home)).stderr
    monkeypatch.setenv("CAMTUI_FAKE", "{}")
    assert typed("retry", "--failed", "-q").exit_code == 0
    assert json.loads(typed("status", "--json").stdout)["failures"] == 0
