"""The hooks for tests do nothing unless their variables are set."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from evaluator.execution.testing_hooks import crash_point, settings_overrides
from tests.evaluator.execution.support import ROOT

CODE = """
from evaluator.execution.testing_hooks import crash_point
crash_point("after-lock"); crash_point("before-commit"); print("once", flush=True)
crash_point("before-commit"); print("twice", flush=True)
"""


def run(point: str) -> tuple[int, str]:
    """Exit code and output of a process that passes three crash points."""
    done = subprocess.run(
        [sys.executable, "-P", "-c", CODE],
        env={**os.environ, "PYTHONPATH": str(ROOT), "CAMTUI_CRASH_AT": point},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout


def test_without_variables_nothing_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CAMTUI_DRIVER", "CAMTUI_CRASH_AT"):
        monkeypatch.delenv(name, raising=False)
    assert settings_overrides() == {}
    crash_point("after-lock")


def test_settings_are_read_as_json(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CAMTUI_DRIVER", '{"hang_seconds": 0.5}')
    assert settings_overrides() == {"hang_seconds": 0.5}


@pytest.mark.parametrize(
    ("point", "code", "output"),
    [
        ("after-lock", -signal.SIGKILL, ""),
        ("before-commit", -signal.SIGKILL, ""),
        ("before-commit:2", -signal.SIGKILL, "once\n"),
        ("before-commit:3", 0, "once\ntwice\n"),
    ],
)
def test_the_process_dies_at_its_point(point: str, code: int, output: str) -> None:
    assert run(point) == (code, output)
