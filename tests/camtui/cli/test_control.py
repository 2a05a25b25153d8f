"""status, ls, wait, stop, resume, retry, logs and rm as a user types them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from evaluator.store.lock import lock_holder
from tests.camtui.cli.support import ask, closed, home
from tests.evaluator.execution.support import COMMAND, camtui, wait_until_gone

__all__ = ["closed", "home"]


@pytest.fixture
def slow(home: Path, closed: Path) -> Path:
    """The file of a run that is under way, and stays so while the gate is closed; units of one image."""
    assert closed.exists()
    assert camtui(*ask(home)[:-1], "scorecam", "-d").returncode == 0
    return home / "runs" / "pictures.db"


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


def test_a_second_run_and_the_removal_of_a_running_one_are_refused(slow: Path, home: Path) -> None:
    again = camtui(*ask(home))
    assert again.returncode == 3
    assert "already running, pid" in again.stderr
    removal = camtui("rm", "pictures", "-y")
    assert removal.returncode == 3
    assert removal.stderr.splitlines()[1] == "hint:  camtui stop pictures"
    camtui("stop", "--now", "-y")


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


def test_listing_and_removing(home: Path) -> None:
    assert camtui("ls").stderr == "there is no run yet: camtui run --demo\n"
    camtui(*ask(home), "-q")
    camtui(*ask(home), "-q", "--name", "second")
    (home / "runs" / "foreign.db").write_bytes(b"not a database at all, whatever its name says")
    runs = {run["run"]: run["state"] for run in json.loads(camtui("ls", "--json").stdout)["runs"]}
    assert runs == {"second": "complete", "pictures": "complete", "foreign": "unreadable"}
    short = camtui("ls", "--limit", "1")
    assert len(short.stdout.splitlines()) == 2
    assert short.stderr == "2 more: camtui ls --all\n"
    assert [run["run"] for run in json.loads(camtui("ls", "--json", "--filter", "state=complete, sec").stdout)["runs"]] == [
        "second"
    ]
    assert camtui("ls", "--filter", "state=unreadable").stdout.splitlines()[1].startswith("foreign ")
    assert camtui("ls", "--filter", "images>12").returncode == 4
    assert "for example --filter 'state=crashed'" in camtui("ls", "--filter", "statu=x").stderr
    assert camtui("rm", "second").returncode == 2  # nobody to ask
    assert camtui("rm", "second", "-y").returncode == 0
    assert not list((home / "runs").glob("second*"))
    assert camtui("status", "second").returncode == 4


def test_logs(home: Path) -> None:
    (home / "pictures" / "bad.jpg").touch()
    camtui(*ask(home), "-q")
    lines = camtui("logs").stdout.splitlines()
    assert any("started: 13 images" in line for line in lines)
    assert camtui("logs", "--tail", "1").stdout.splitlines() == lines[-1:]
    assert "complete" in camtui("logs", "--level", "info", "-f").stdout
    assert camtui("logs", "--level", "error").stdout == ""
    assert camtui("logs", "--level", "loud").returncode == 2
    (home / "runs" / "pictures.log").write_bytes(b"\x1b[2Jhostile \xff\n")
    assert camtui("logs").stdout == "\\x1b[2Jhostile \\xff\n".replace("\\xff", "\ufffd")


def test_retry_tries_failed_images_again(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CAMTUI_FAKE", '{"raises": [3]}')
    assert "2 failures: camtui errors pictures" in camtui(*ask(home)).stderr
    monkeypatch.setenv("CAMTUI_FAKE", "{}")
    assert camtui("retry", "--failed", "-q").returncode == 0
    assert json.loads(camtui("status", "--json").stdout)["failures"] == 0


def test_without_a_command_in_a_pipe_it_is_the_status(home: Path) -> None:
    nothing = camtui()
    assert (nothing.returncode, nothing.stderr) == (4, "error: there is no run yet\nhint:  camtui run --demo\n")
    camtui(*ask(home), "-q")
    assert camtui().stdout == camtui("status").stdout


def test_a_reader_that_leaves_early_is_no_error(home: Path) -> None:
    command = f"{sys.executable} -c 'from camtui.cli import main; main()' methods | head -1; exit ${{PIPESTATUS[0]}}"
    result = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert result.returncode == 0
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("text", ["", "x", "5 weeks", "-1s", "nan"])
def test_what_is_no_duration(home: Path, text: str) -> None:
    camtui(*ask(home), "-q")
    if text:
        assert camtui("wait", f"--timeout={text}").returncode == 2
