"""The table of exit codes, line by line, each by a command as it is typed."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from evaluator.store.files import lock_holder
from tests.camtui.cli.support import ask, typed
from tests.evaluator.execution.support import ROOT, kill, wait_until_gone

Situation = Callable[[Path, Path], None]


def nothing(home: Path, closed: Path) -> None:
    pass


def complete(home: Path, closed: Path) -> None:
    closed.unlink()
    assert typed(*ask(home), "-q").exit_code == 0


def running(home: Path, closed: Path) -> None:
    assert typed(*ask(home), "-d").exit_code == 0


def stopped(home: Path, closed: Path) -> None:
    running(home, closed)
    assert typed("stop", "--now", "-y").exit_code == 0


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
    done = typed(*ask(home), "--max-failures", "3")
    assert done.exit_code == 5
    assert "above --max-failures 3" in done.stderr


CODES: dict[Situation, list[tuple[str, int]]] = {
    complete: [
        ("status --check", 0),
        ("wait", 0),
        ("doctor pictures", 0),
        ("run {ask} --seed 1", 4),
        ("ls --filter state=crashed", 4),
        ("rm pictures", 2),
        ("wait --timeout soon", 2),
        ("resume -q", 0),
    ],
    running: [
        ("status --check", 0),
        ("wait --timeout 0.1s", 124),
        ("run {ask}", 3),
        ("resume", 3),
        ("rm pictures -y", 3),
        ("doctor pictures --repair", 3),
    ],
    stopped: [("status --check", 3), ("wait", 3), ("status", 0)],
    crashed: [("status --check", 1), ("wait", 1), ("status", 0)],
    failed: [("status --check", 1), ("wait", 5)],
    nothing: [
        ("status", 4),
        ("status nowhere", 4),
        ("resume", 4),
        ("wait", 4),
        ("stop", 4),
        ("ls", 0),
        ("run", 2),
        ("run {ask} --on-finish no-such-command", 2),
        ("nonsense", 2),
    ],
}
"""Situation → the commands typed in it, none of which changes it, and their exit codes."""


@pytest.mark.parametrize("situation", CODES)
def test_the_codes_of_commands(home: Path, closed: Path, situation: Situation) -> None:
    situation(home, closed)
    for command, code in CODES[situation]:
        words = command.format(ask="ASK").split()
        if "ASK" in words:
            words = ask(home) + words[words.index("ASK") + 1 :]
        done = typed(*words)
        assert (command, done.exit_code) == (command, code), done.stderr
        if code in (2, 3, 4) and words[0] not in ("status", "wait"):
            lines = [line[:7] for line in done.stderr.splitlines()]
            assert (command, lines) == (command, ["error: ", "hint:  "])
    if situation is running:
        typed("stop", "--now", "-y")
    if situation is crashed:
        assert json.loads(typed("status", "--json").stdout)["advice"] == "camtui resume pictures"
        closed.unlink()
        assert typed("resume", "-d").exit_code == 0
        assert typed("wait", "--timeout", "300").exit_code == 0


def test_the_table_of_the_documentation_has_every_code() -> None:
    table = (
        (ROOT / "docs/commands.md")
        .read_text()
        .partition("| exit code | meaning |")[2]
        .partition("\n\n")[0]
    )
    cells = " ".join(line.split("|")[1] for line in table.splitlines()[2:])
    codes = {int(number) for number in re.findall(r"\b\d+\b", cells)}
    assert codes == {0, 1, 2, 3, 4, 5, 124, 130, 143}
