"""A terminal that goes away, plain or tmux, dashboard or lines: the run goes on, and a new terminal
shows it.
"""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from evaluator.store.files import lock_holder
from tests.camtui.cli.support import COMMAND, SECONDS, ask, eventually, read_until, terminal
from tests.evaluator.execution.support import (
    ROOT,
    camtui,
    wait_until_gone,
)


def shown_again_and_completed(database: Path, driver: int, gate: Path) -> None:
    """The same driver is at work; lines and the dashboard in a new terminal show it; let go, the
    run completes.
    """
    assert lock_holder(database) == driver
    assert camtui("status", "--check").returncode == 0
    assert f"state     running, pid {driver}" in camtui("status").stdout
    with terminal() as (dashboard, ours):
        read_until(ours, b"pictures")
        os.write(ours, b"q")
        read_until(ours, b"\x1b[?1049l")  # back on the plain screen
        assert dashboard.wait(SECONDS) == 0
    assert lock_holder(database) == driver, "leaving the dashboard stops nothing"
    gate.unlink()
    assert camtui("wait", "--timeout", f"{SECONDS}s").returncode == 0
    wait_until_gone(driver)


@pytest.mark.parametrize("how", [["--no-watch"], []])
def test_the_terminal_is_closed(home: Path, closed: Path, how: list[str]) -> None:
    """A real pseudo-terminal: its kernel sends SIGHUP to everything in the session, with the lines
    and with the dashboard.
    """
    database = home / "runs" / "pictures.db"
    with terminal(*ask(home), *how) as (process, ours):
        read_until(ours, b"pictures")
        eventually(lambda: lock_holder(database) is not None)
        driver = lock_holder(database)
    wait_until_gone(process.pid)
    assert driver is not None
    shown_again_and_completed(database, driver, closed)


@pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux is not installed")
@pytest.mark.parametrize("end", ["kill-pane", "kill-session", "kill-server", "SIGKILL"])
def test_tmux_goes_away(home: Path, closed: Path, end: str) -> None:
    """``camtui run`` with its dashboard inside tmux; then the pane, the session or the whole server
    is gone.
    """
    tmux = ["tmux", "-S", str(home / "socket"), "-f", "/dev/null"]
    environment = {**os.environ, "LANG": "C.UTF-8", "PYTHONPATH": str(ROOT)}
    environment.pop("TMUX", None)
    subprocess.run(
        [*tmux, "new-session", "-d", "-x", "80", "-y", "24", shlex.join([*COMMAND, *ask(home)])],
        check=True,
        env=environment,
    )
    database = home / "runs" / "pictures.db"

    def on_the_screen() -> bool:
        pane = subprocess.run(
            [*tmux, "capture-pane", "-p"], capture_output=True, text=True, check=False
        ).stdout
        return "⏎ open" in pane

    eventually(on_the_screen)
    driver = lock_holder(database)
    assert driver is not None
    if end == "SIGKILL":
        server = subprocess.run(
            [*tmux, "display-message", "-p", "#{pid}"], capture_output=True, text=True, check=True
        ).stdout
        os.kill(int(server), signal.SIGKILL)
    else:
        subprocess.run([*tmux, end], check=True)
    eventually(
        lambda: (
            subprocess.run([*tmux, "has-session"], capture_output=True, check=False).returncode != 0
        )
    )
    shown_again_and_completed(database, driver, closed)
