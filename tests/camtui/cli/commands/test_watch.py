from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from tests.evaluator.execution.support import PATIENCE
from tests.synthetic import make_run

CAMTUI = str(Path(sys.executable).with_name("camtui"))


def watch(tmp_path: Path, *options: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "CAMTUI_HOME": str(tmp_path / "home")}
    return subprocess.run(
        [CAMTUI, "watch", *options],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )


@pytest.mark.parametrize(
    ("state", "code"), [("complete", 0), ("failed", 1), ("stopped", 143), ("running", 1)]
)
def test_without_a_terminal_plain_lines_and_the_runs_code(
    tmp_path: Path, state: str, code: int
) -> None:
    run = make_run(tmp_path / "home" / "runs" / "one.db", images=4, state=state)  # type: ignore[arg-type] # one of RunState
    done = watch(tmp_path, str(run))
    assert done.returncode == code
    assert done.stdout == ""
    assert (
        done.stderr.startswith("one: " if state != "running" else "warning")
        or "one: " in done.stderr
    )
    assert "\x1b" not in done.stdout + done.stderr


def test_errors_that_go_elsewhere_leave_no_screen_to_draw_on(tmp_path: Path) -> None:
    """Textual draws on standard error: ``camtui watch 2>log`` would fill the log with escapes and
    show nothing.
    """
    run = make_run(tmp_path / "one.db", images=4, state="complete")
    ours, theirs = pty.openpty()
    command = [CAMTUI, "watch", str(run)]
    done = subprocess.run(
        command,
        stdin=theirs,
        stdout=theirs,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
        timeout=PATIENCE,
    )
    os.close(theirs)
    os.close(ours)
    assert done.returncode == 0
    assert done.stderr.startswith("one: complete")
    assert "\x1b" not in done.stderr


def test_no_run_and_unknown_runs(tmp_path: Path) -> None:
    assert watch(tmp_path).returncode == 4
    assert "camtui run --demo" in watch(tmp_path).stderr
    assert watch(tmp_path, "nothing").returncode == 4


def test_watching_imports_neither_torch_nor_numpy_nor_pillow(tmp_path: Path) -> None:
    run = make_run(tmp_path / "one.db", images=4)
    code = """
import asyncio, sys
from pathlib import Path
from camtui.tui.app import Dashboard

async def look() -> None:
    app = Dashboard(Path(sys.argv[1]))
    async with app.run_test(size=(80, 24)) as pilot:
        for key in ("m", "v", "2", "4", "5", "1"):
            await pilot.press(key)
            await pilot.pause(0.1)

asyncio.run(look())
loaded = {name.partition(".")[0] for name in sys.modules}
print(*sorted(loaded & {"torch", "torchvision", "numpy", "PIL"}))
"""
    done = subprocess.run(
        [sys.executable, "-c", code, str(run)],
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == ""
