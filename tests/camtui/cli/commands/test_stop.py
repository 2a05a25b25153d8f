"""``camtui stop``, gently and at once, and what wait and resume say of it."""

from __future__ import annotations

import subprocess
from pathlib import Path

from evaluator.store.lock import lock_holder
from tests.camtui.cli.support import closed, home, slow
from tests.evaluator.execution.support import COMMAND, camtui, wait_until_gone

__all__ = ["closed", "home", "slow"]


def test_stop_resume_and_wait(slow: Path, closed: Path) -> None:
    assert "camtui watch pictures" in camtui("status").stdout
    assert camtui("status", "--check").returncode == 0
    assert camtui("wait", "--timeout", "0.1s").returncode == 124
    with subprocess.Popen([*COMMAND, "stop"], stderr=subprocess.PIPE) as stop:
        while "stopping" not in camtui("status").stdout:
            pass
        closed.unlink()
        _, narration = stop.communicate()
    assert stop.returncode == 0
    assert b"pictures: stopped; camtui resume pictures" in narration
    assert camtui("wait").returncode == 3
    assert camtui("stop", "pictures").stderr == "pictures is not running; camtui resume pictures\n"
    resumed = camtui("resume")
    assert resumed.returncode == 0
    assert "scorecam" in resumed.stdout
    assert camtui("wait").returncode == 0


def test_stop_now_does_not_wait_for_units(slow: Path) -> None:
    driver = lock_holder(slow)
    assert driver is not None
    assert camtui("stop", "--now", "-y").returncode == 0
    wait_until_gone(driver)
    assert "stopped" in camtui("status").stdout
