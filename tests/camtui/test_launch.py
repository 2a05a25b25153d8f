"""Around the hand-off: what logind would do, logs' tails, processes that are not ours.
``execution/test_driver.py`` launches.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from camtui import launch
from evaluator.errors import CamtuiError, Mismatch, RunFailed


def test_a_warning_where_logging_out_would_kill_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 12345)
    assert launch.logind_warning(tmp_path) == ""
    (tmp_path / "logind.conf").write_text("[Login]\n#KillUserProcesses=yes\n")
    assert launch.logind_warning(tmp_path) == ""
    (tmp_path / "logind.conf.d").mkdir()
    (tmp_path / "logind.conf.d" / "x.conf").write_text("[Login]\nKillUserProcesses=yes\n")
    assert "loginctl enable-linger" in launch.logind_warning(tmp_path)
    assert "systemd-run --user --scope" in launch.logind_warning(tmp_path)
    (tmp_path / "logind.conf").write_bytes(b"\xff not a configuration")
    assert launch.logind_warning(tmp_path) == ""


def test_the_tail_of_a_log(tmp_path: Path) -> None:
    log = tmp_path / "run.db.log"
    assert launch.tail(log, 3) == []
    log.write_text("".join(f"line {n}\n" for n in range(20_000)))
    assert launch.tail(log, 2) == ["line 19998", "line 19999"]
    assert launch.tail(log, 0) == []
    assert len(launch.tail(log, 1_000_000)) > 5_000, "64 KiB of short lines"


def test_an_error_from_the_driver_is_raised_as_itself() -> None:
    error = CamtuiError.from_dict({"kind": "mismatch", "message": "m", "hint": "h", "exit_code": 4})
    assert isinstance(error, Mismatch)
    assert (error.message, error.hint) == ("m", "h")
    assert isinstance(
        CamtuiError.from_dict({"kind": "?", "message": "m", "hint": "", "exit_code": 1}), RunFailed
    )


def test_signs_of_life_while_a_run_is_waited_for() -> None:
    reading, writing = os.pipe()
    waited: list[float] = []

    def answer(seconds: float) -> None:
        waited.append(seconds)
        if len(waited) == 3:
            os.write(writing, b"{}\nat once\n")

    lines = launch._lines(reading, 0.05, answer)
    assert [next(lines), next(lines)] == [b"{}", b"at once"]
    os.close(writing)
    assert list(lines) == []
    os.close(reading)
    assert len(waited) == 3
    assert waited == sorted(waited)
