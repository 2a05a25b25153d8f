"""``camtui resume`` after a crash."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

from evaluator.store.files import lock_holder
from tests.camtui.cli.support import closed, home, slow
from tests.evaluator.execution.support import camtui, wait_until_gone

__all__ = ["closed", "home", "slow"]


def test_a_killed_driver_is_a_crash_with_a_command_to_type(slow: Path, closed: Path) -> None:
    driver = lock_holder(slow)
    assert driver is not None
    os.kill(driver, signal.SIGKILL)
    wait_until_gone(driver)
    status = json.loads(camtui("status", "--json").stdout)
    assert (status["state"], status["advice"]) == ("crashed", "camtui resume pictures")
    assert camtui("status", "--check").returncode == 1
    closed.unlink()
    assert camtui("resume", "-d").returncode == 0
    assert camtui("wait", "--timeout", "30").returncode == 0
