"""``--on-finish``: one document, whether the run completes, is stopped, fails, or its driver is
killed.
"""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from evaluator.errors import UsageError
from evaluator.execution.request import DriverSettings
from tests.evaluator.execution.conftest import NewRun
from tests.evaluator.execution.support import Run, kill, wait_until_gone

Knobs = Callable[..., None]


def ended(run: Run, end: Callable[[int], None] = lambda driver: None) -> dict[str, Any]:
    """The document of a run that was ended so."""
    target = run.db.with_name("a document.json")
    run.settings = replace(run.settings, on_finish=f"tee '{target}'")
    driver = run.launch().pid
    end(driver)
    run.wait_for_lock()
    wait_until_gone(driver)
    document: dict[str, Any] = json.loads(target.read_text())
    assert "--on-finish: exit code 0" in run.log()
    return document


@pytest.fixture
def held(new_run: NewRun, knobs: Knobs) -> Run:
    """A run of which no unit ends."""
    run = new_run(5)
    knobs(gate=str(run.db.parent))
    return run


def test_a_complete_run(new_run: NewRun) -> None:
    document = ended(new_run(4, bad=1))
    assert (document["state"], document["exit_code"], document["images"], document["failures"]) == (
        "complete",
        0,
        4,
        3,
    )
    assert document["finished"] >= document["started"]


def test_a_run_that_fails(new_run: NewRun) -> None:
    run = new_run(30, bad=30)
    run.settings = replace(run.settings, max_failures="3")
    document = ended(run)
    assert (document["state"], document["exit_code"]) == ("failed", 5)
    assert "above --max-failures 3" in document["message"]


def test_a_run_that_is_stopped(held: Run) -> None:
    def stop(driver: int) -> None:
        os.kill(driver, signal.SIGTERM)
        os.kill(driver, signal.SIGINT)

    assert ended(held, stop)["state"] == "stopped"


def test_a_driver_that_is_killed(held: Run) -> None:
    document = ended(held, kill)
    assert (document["state"], document["exit_code"]) == ("crashed", 1)
    assert document["message"] == "the driver was killed: camtui resume RUN"
    assert held.status().state == "crashed"


def test_signals_for_the_group_leave_the_guard_at_its_post(held: Run) -> None:
    def kill_group_then_driver(driver: int) -> None:
        for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
            os.killpg(driver, number)

    assert ended(held, kill_group_then_driver)["state"] == "stopped"


def test_a_command_that_fails_is_told_in_the_log(new_run: NewRun) -> None:
    run = new_run(2)
    run.settings = replace(run.settings, on_finish="false")
    driver = run.launch().pid
    run.wait()
    wait_until_gone(driver)
    assert "--on-finish: exit code 1" in run.log()


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("mail 'unbalanced", "cannot be split"),
        ("no-such-command x", "no command 'no-such-command'"),
    ],
)
def test_a_command_that_cannot_run_is_refused_before_the_run(command: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        DriverSettings(on_finish=command).check()


def test_no_shell_reads_it(new_run: NewRun, tmp_path: Path) -> None:
    run = new_run(2)
    run.settings = replace(
        run.settings, on_finish=f"echo $(touch {tmp_path}/owned) ; touch {tmp_path}/owned"
    )
    driver = run.launch().pid
    run.wait()
    wait_until_gone(driver)
    assert not (tmp_path / "owned").exists()
