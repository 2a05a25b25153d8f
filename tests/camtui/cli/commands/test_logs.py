"""``camtui logs``: the log, the events, hostile bytes in either."""

from __future__ import annotations

import json
import subprocess
import time
from pathlib import Path

from typer.testing import CliRunner

from camtui.cli.app import app
from tests.camtui.cli.support import ask, typed
from tests.evaluator.execution.support import COMMAND
from tests.evaluator.store.runs import raw
from tests.holder import held


def test_logs(home: Path) -> None:
    (home / "pictures" / "bad.jpg").touch()
    typed(*ask(home), "-q")
    lines = typed("logs").stdout.splitlines()
    assert any("started: 13 images" in line for line in lines)
    assert typed("logs", "--tail", "1").stdout.splitlines() == lines[-1:]
    assert typed("logs", "--tail", "0").stdout == ""
    assert "complete" in typed("logs", "--level", "info", "-f").stdout
    assert typed("logs", "--level", "error").stdout == ""
    (home / "runs" / "pictures.db.log").write_bytes(b"\x1b[2Jhostile \xff\n")
    assert typed("logs").stdout == "\\x1b[2Jhostile \\xff\n".replace("\\xff", "\ufffd")


def test_a_run_without_a_log_shows_its_events(two_runs: Path) -> None:
    shown = typed("logs", "good")
    assert shown.exit_code == 0
    assert "no log beside" in shown.stderr
    lines = shown.stdout.splitlines()
    assert [line.split()[2] for line in lines] == ["info", "warning"]
    assert typed("logs", "good", "--level", "warning").stdout.splitlines() == lines[1:]
    assert typed("logs", "good", "--follow").stdout.splitlines() == lines, (
        "nobody is at work on it: there is nothing to wait for"
    )
    assert [
        json.loads(line)["level"] for line in typed("logs", "good", "--json").stdout.splitlines()
    ] == ["info", "warning"]


def test_following_the_log_of_an_ended_run_ends(two_runs: Path) -> None:
    (two_runs / "runs" / "good.db.log").write_text("first\nsecond\n")
    shown = typed("logs", "good", "--follow", "--tail", "1")
    assert (shown.exit_code, shown.stdout) == (0, "second\n")


def test_lines_to_come_are_shown_until_the_run_ends(two_runs: Path) -> None:
    log = two_runs / "runs" / "good.db.log"
    log.write_text("first\n")
    run = two_runs / "runs" / "good.db"
    with (
        held(run) as driver,
        subprocess.Popen(
            [*COMMAND, "logs", "good", "-f"], stdout=subprocess.PIPE, text=True
        ) as follower,
    ):
        assert follower.stdout is not None
        assert follower.stdout.readline() == "first\n"
        with open(log, "a") as stream:
            stream.write("second, in ")
            stream.flush()
            time.sleep(0.3)
            stream.write("two writes\n")
        assert follower.stdout.readline() == "second, in two writes\n"
        with open(log, "a") as stream:
            stream.write("killed in the middle of a li")
        driver.kill()
        assert follower.stdout.read() == "killed in the middle of a li\n"
    assert follower.returncode == 0


def test_an_event_of_an_unknown_level_is_shown(two_runs: Path) -> None:
    raw(two_runs / "runs" / "good.db", "UPDATE events SET level = 'odd'")
    raw(
        two_runs / "runs" / "good.db",
        "INSERT INTO events (time, level, text) VALUES (0, 'odd', 'something')",
    )
    result = CliRunner().invoke(app, ["logs", "good", "--level", "error"])
    assert result.exit_code == 0
    assert "odd     something" in result.stdout
