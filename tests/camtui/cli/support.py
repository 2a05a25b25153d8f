"""Commands as a user types them: in processes of their own with the fake evaluator behind them, or
in this one on stored runs.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from typer.testing import CliRunner, Result

from camtui.cli.app import app
from tests.evaluator.execution.support import ROOT, camtui, make_data
from tests.fake_session import DOTTED
from tests.synthetic import make_run


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
    """A file: while it is there no unit ends, so that a run is under way however busy the machine
    is.
    """
    gate = home / "closed"
    gate.touch()
    monkeypatch.setenv("CAMTUI_FAKE", json.dumps({"gate": str(gate)}))
    return gate


def ask(home: Path) -> list[str]:
    """A small request."""
    return ["run", "--data", str(home / "pictures"), "-b", "resnet50", "-m", "gradcam,scorecam"]


@pytest.fixture
def slow(home: Path, closed: Path) -> Path:
    """The file of a run that is under way, and stays so while the gate is closed; units of one
    image.
    """
    assert closed.exists()
    assert camtui(*ask(home)[:-1], "scorecam", "-d").returncode == 0
    return home / "runs" / "pictures.db"


METHODS = ("fakecam", "cam", "gradcam", "gradcampp")


@pytest.fixture
def two_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home with the stored runs ``good`` and ``worse``."""
    monkeypatch.setenv("CAMTUI_HOME", str(tmp_path))
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    make_run(tmp_path / "runs" / "good.db", methods=METHODS)
    make_run(tmp_path / "runs" / "worse.db", methods=METHODS, shift=0.05)
    return tmp_path


def typed(*arguments: str) -> Result:
    """A command in this process, for what reads stored runs only."""
    return CliRunner().invoke(app, list(arguments))


def validated(name: str, result: Result) -> Any:
    """The JSON that a command has printed, if it is what its schema says."""
    assert result.exit_code == 0, result.stderr
    document = json.loads(result.stdout)
    schema = json.loads(typed("schema", name).stdout)
    jsonschema.Draft202012Validator(schema).validate(document)
    return document
