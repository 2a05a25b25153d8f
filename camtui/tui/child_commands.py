"""Commands of the command line, run for the user from the dashboard."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from evaluator.text import printable

_MAIN = "from camtui.cli import main; main()"


@dataclass(frozen=True)
class CommandResult:
    """The exit code of a command and its last line."""

    code: int
    line: str


def run_command(*words: str) -> CommandResult:
    """Run ``camtui WORDS`` without a terminal and wait for it. Blocking.

    It runs in a session of its own: a dashboard that is killed while it starts a driver takes
    nothing with it.
    """
    done = subprocess.run(
        [sys.executable, "-P", "-c", _MAIN, *words],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
        start_new_session=True,
        encoding="utf-8",
        errors="replace",
    )
    lines = [line for line in (done.stderr or done.stdout).splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("error:")]
    return CommandResult(done.returncode, printable((errors or lines or [""])[-1], 300))


def stop(path: Path, *, now: bool) -> CommandResult:
    """Ask the driver to end: after the units in flight, or at once."""
    return run_command("stop", str(path), "--yes", *(["--now"] if now else []))


def resume(path: Path) -> CommandResult:
    """Resume the run in a driver of its own."""
    return run_command("resume", str(path), "--detach")


def retry(path: Path) -> CommandResult:
    """Try the failed images again."""
    return run_command("retry", str(path), "--detach")
