"""``camtui stop``, gently and at once, and what wait and resume say of it."""

from __future__ import annotations

import signal
import subprocess
from pathlib import Path

import pytest

from evaluator.store.files import lock_holder
from tests.camtui.cli.support import typed
from tests.evaluator.execution.support import COMMAND, wait_until_gone
from tests.holder import held


def test_stop_resume_and_wait(slow: Path, closed: Path) -> None:
    assert "camtui watch pictures" in typed("status").stdout
    assert typed("status", "--check").exit_code == 0
    assert typed("wait", "--timeout", "0.1s").exit_code == 124
    with subprocess.Popen([*COMMAND, "stop"], stderr=subprocess.PIPE) as stop:
        while "stopping" not in typed("status").stdout:
            pass
        closed.unlink()
        _, messages = stop.communicate()
    assert stop.returncode == 0
    assert b"pictures: stopped; camtui resume pictures" in messages
    assert typed("wait").exit_code == 3
    assert typed("stop", "pictures").stderr == "pictures is not running; camtui resume pictures\n"
    resumed = typed("resume")
    assert resumed.exit_code == 0
    assert "scorecam" in resumed.stdout
    assert typed("wait").exit_code == 0


def test_stop_now_does_not_wait_for_units(slow: Path) -> None:
    driver = lock_holder(slow)
    assert driver is not None
    assert typed("stop", "--now", "-y").exit_code == 0
    wait_until_gone(driver)
    assert "stopped" in typed("status").stdout


def test_a_driver_that_hears_nothing_is_killed(
    two_runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("camtui.cli.commands.stop._NOW_SECONDS", 0.2)
    run = two_runs / "runs" / "good.db"
    with held(run, deaf=True) as driver:
        stopped = typed("stop", "good", "--now", "-y")
        assert driver.wait() == -signal.SIGKILL
    assert stopped.exit_code == 0
    assert stopped.stderr.splitlines() == [
        f"stopping good, pid {driver.pid}",
        "good: complete; camtui table good",
    ]


def test_which_run_is_meant(two_runs: Path) -> None:
    with held(two_runs / "runs" / "good.db") as good, held(two_runs / "runs" / "worse.db"):
        two = typed("stop")
        assert "2 runs are under way: " in two.stderr
        assert "camtui stop RUN" in two.stderr
        assert good.poll() is None, "neither was meant"
    with held(two_runs / "runs" / "good.db") as good:
        assert typed("stop").exit_code == 0
        assert good.wait() == -signal.SIGTERM


def test_a_driver_in_another_container_is_named_and_left_alone(two_runs: Path) -> None:
    """Another pid namespace, from which the driver's process cannot be seen."""
    inside = ["unshare", "--pid", "--fork", *COMMAND]
    if subprocess.run([*inside, "--version"], capture_output=True, check=False).returncode:
        pytest.skip("no namespace may be made here")
    with held(two_runs / "runs" / "good.db") as driver:
        stopped = subprocess.run(
            [*inside, "stop", "good"], capture_output=True, text=True, check=False
        )
        assert driver.poll() is None
    assert stopped.returncode == 3
    assert stopped.stderr.splitlines() == [
        "error: good is running in another container, whose processes are not visible from here",
        "hint:  type it there: camtui stop good",
    ]
