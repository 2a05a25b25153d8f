"""The command line in processes of its own, with the fake evaluator behind it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.evaluator.execution.support import ROOT, make_data
from tests.fake_session import DOTTED


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home of its own for runs; drivers use the fake evaluator."""
    monkeypatch.setenv("CAMTUI_HOME", str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("CAMTUI_DRIVER", json.dumps({"session": DOTTED, "retry_seconds": 0.2}))
    for name in ("CAMTUI_FAKE", "FORCE_COLOR", "CAMTUI_CRASH_AT"):
        monkeypatch.delenv(name, raising=False)
    make_data(tmp_path / "pictures", 12)
    return tmp_path


@pytest.fixture
def closed(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file: while it is there no unit ends, so that a run is under way however busy the machine is."""
    gate = home / "closed"
    gate.touch()
    monkeypatch.setenv("CAMTUI_FAKE", json.dumps({"gate": str(gate)}))
    return gate


def ask(home: Path) -> list[str]:
    """A small request."""
    return ["run", "--data", str(home / "pictures"), "-b", "resnet50", "-m", "gradcam,scorecam"]
