"""The table of exit codes, line by line, each by a command as it is typed."""

from __future__ import annotations

import json
import re
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from evaluator.store.lock import lock_holder
from tests.camtui.cli.support import ask, closed, home
from tests.evaluator.execution.support import COMMAND, ROOT, camtui, kill, wait_until_gone

__all__ = ["closed", "home"]

Situation = Callable[[Path, Path], None]


def nothing(home: Path, closed: Path) -> None:
    pass


def complete(home: Path, closed: Path) -> None:
    closed.unlink()
    assert camtui(*ask(home), "-q").returncode == 0


def running(home: Path, closed: Path) -> None:
    assert camtui(*ask(home), "-d").returncode == 0


def stopped(home: Path, closed: Path) -> None:
    running(home, closed)
    assert camtui("stop", "--now", "-y").returncode == 0


def crashed(home: Path, closed: Path) -> None:
    running(home, closed)
    driver = lock_holder(home / "runs" / "pictures.db")
    assert driver is not None
    kill(driver)
    wait_until_gone(driver)


def failed(home: Path, closed: Path) -> None:
    """A run that ended above its limit of failures."""
    closed.unlink()
    for number in range(4):
        (home / "pictures" / f"bad{number}.jpg").touch()
    assert camtui(*ask(home), "-q", "--max-failures", "1").returncode == 5


@pytest.mark.parametrize(
    ("situation", "command", "code"),
    [
        (complete, "status --check", 0),
        (complete, "wait", 0),
        (complete, "resume -q", 0),
        (complete, "doctor pictures", 0),
        (running, "status --check", 0),
        (running, "wait --timeout 0.1s", 124),
        (running, "run {ask}", 3),
        (running, "resume", 3),
        (running, "rm pictures -y", 3),
        (running, "doctor pictures --repair", 3),
        (stopped, "status --check", 3),
        (stopped, "wait", 3),
        (stopped, "status", 0),
        (crashed, "status --check", 1),
        (crashed, "wait", 1),
        (crashed, "status", 0),
        (failed, "status --check", 1),
        (failed, "wait", 5),
        (complete, "run {ask} --seed 1", 4),
        (complete, "ls --filter state=crashed", 4),
        (nothing, "status", 4),
        (nothing, "status nowhere", 4),
        (nothing, "resume", 4),
        (nothing, "wait", 4),
        (nothing, "stop", 4),
        (nothing, "ls", 0),
        (nothing, "run", 2),
        (nothing, "run {ask} --on-finish 'no-such-command'", 2),
        (nothing, "nonsense", 2),
        (complete, "rm pictures", 2),
        (complete, "wait --timeout soon", 2),
    ],
)
def test_the_code_of_a_command(
    home: Path, closed: Path, situation: Situation, command: str, code: int
) -> None:
    situation(home, closed)
    words = [word.strip("'") for word in command.format(ask="ASK").split()]
    if "ASK" in words:
        words = ask(home) + words[words.index("ASK") + 1 :]
    done = camtui(*words)
    assert done.returncode == code, done.stderr
    if code in (2, 3, 4) and words[0] not in ("status", "wait"):
        assert [line[:7] for line in done.stderr.splitlines()] == ["error: ", "hint:  "]
    if situation is running:
        camtui("stop", "--now", "-y")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_run_in_the_foreground_ends_with_its_signal(
    home: Path, monkeypatch: pytest.MonkeyPatch, number: int, code: int
) -> None:
    monkeypatch.setenv("CAMTUI_FAKE", json.dumps({"seconds": 0.2}))
    with subprocess.Popen(
        [*COMMAND, *ask(home), "-F"], stderr=subprocess.PIPE, stdout=subprocess.DEVNULL
    ) as process:
        assert process.stderr is not None
        while b"started" not in process.stderr.readline():
            pass
        process.send_signal(number)
        process.stderr.read()
    assert process.returncode == code


def test_the_table_of_the_documentation_has_every_code() -> None:
    table = (
        (ROOT / "docs/commands.md")
        .read_text()
        .partition("| exit code | meaning |")[2]
        .partition("\n\n")[0]
    )
    assert set(
        map(
            int,
            re.findall(r"\b\d+\b", " ".join(line.split("|")[1] for line in table.splitlines()[2:])),
        )
    ) == {
        0,
        1,
        2,
        3,
        4,
        5,
        124,
        130,
        143,
    }
