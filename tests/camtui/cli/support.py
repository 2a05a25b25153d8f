"""Commands as a user types them: in processes of their own with the fake evaluator behind them, or
in this one on stored runs.
"""

from __future__ import annotations

import fcntl
import json
import os
import pty
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from typer.testing import CliRunner, Result

from camtui.cli.app import app
from tests.evaluator.execution.support import PATIENCE, ROOT, camtui, make_data, take_terminal
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


COMMAND = (sys.executable, "-m", "camtui")
SECONDS = int(PATIENCE)


def eventually(true: Callable[[], bool]) -> None:
    limit = time.monotonic() + SECONDS
    while not true():
        assert time.monotonic() < limit
        time.sleep(0.05)


@contextmanager
def terminal(*arguments: str, **environment: str) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """A command that leads the session of a pseudo-terminal, and our end of it; closed at the end,
    if not before.
    """
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    process = subprocess.Popen(
        [*COMMAND, *arguments],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
        preexec_fn=take_terminal,
        env={**os.environ, "TERM": "xterm-256color", "LANG": "C.UTF-8", **environment},
    )
    os.close(theirs)
    try:
        yield process, ours
    finally:
        os.close(ours)
        process.wait(SECONDS)


def read_until(ours: int, words: bytes) -> None:
    """Read what the terminal shows until the words have come by."""
    seen = b""
    limit = time.monotonic() + SECONDS
    while words not in seen:
        assert time.monotonic() < limit, seen[-2000:]
        if select.select([ours], [], [], 0.1)[0]:
            seen += os.read(ours, 65536)
