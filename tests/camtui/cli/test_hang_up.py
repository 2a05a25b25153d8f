"""A terminal that goes away, plain or tmux, dashboard or lines: the run goes on, and a new terminal
shows it.
"""

from __future__ import annotations

import fcntl
import os
import pty
import select
import shlex
import shutil
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from evaluator.store.files import lock_holder
from tests.camtui.cli.support import ask
from tests.evaluator.execution.support import (
    ROOT,
    camtui,
    members_of,
    take_terminal,
    wait_until_gone,
)

COMMAND = (sys.executable, "-m", "camtui")
SECONDS = 90


def eventually(true: Callable[[], bool]) -> None:
    limit = time.monotonic() + SECONDS
    while not true():
        assert time.monotonic() < limit
        time.sleep(0.05)


@contextmanager
def terminal(*arguments: str) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
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
        env={**os.environ, "TERM": "xterm-256color", "LANG": "C.UTF-8"},
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
    assert not members_of(process.pid)
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
