"""``camtui logs``: the log, the events, hostile bytes in either."""

from __future__ import annotations

from pathlib import Path

from tests.camtui.cli.support import ask, home
from tests.evaluator.execution.support import camtui

__all__ = ["home"]


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
