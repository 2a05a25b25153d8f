"""The systemd unit and the sbatch script of ``docs/long-runs.md``, as far as they can be tried
without systemd and Slurm.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from evaluator.store.files import lock_holder
from tests.camtui.cli.support import closed, home
from tests.evaluator.execution.support import COMMAND, PATIENCE, ROOT, camtui, wait_until_gone

__all__ = ["closed", "home"]

PAGE = ROOT / "docs" / "long-runs.md"


def fenced(marker: str) -> str:
    """The fence behind a marker."""
    match = re.search(rf"<!-- {marker} -->\n```\w+\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert match is not None
    return match[1]


@pytest.fixture
def command(home: Path) -> Path:
    """A ``camtui`` to call by its path."""
    script = home / "camtui.sh"
    script.write_text(f'#!/bin/sh\nexec {shlex.join(COMMAND)} "$@"\n')
    script.chmod(0o700)
    return script


def wait_for_driver(database: Path) -> int:
    """The driver's process once the run has begun: before that, a signal takes it back."""
    limit = time.monotonic() + PATIENCE
    while (driver := lock_holder(database)) is None or not begun(database):
        assert time.monotonic() < limit
        time.sleep(0.1)
    return driver


def begun(database: Path) -> bool:
    told = camtui("status", "--json", str(database))
    return told.returncode == 0 and json.loads(told.stdout)["state"] == "running"


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed")
def test_the_unit_is_one(tmp_path: Path) -> None:
    unit = tmp_path / "camtui@.service"
    unit.write_text(
        re.sub(
            r"^ExecStart=\S+",
            f"ExecStart={sys.executable}",
            fenced("systemd-unit"),
            flags=re.MULTILINE,
        )
    )
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(tmp_path / "camtui@val.service")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert "camtui@" not in done.stderr, done.stderr


def test_what_the_unit_starts_ends_with_sigterm_and_goes_on(
    home: Path, closed: Path, command: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (home / "plans").mkdir()
    run = f"run --data {home}/pictures -b resnet50 -m gradcam --name other -d"
    assert camtui(*run.split()).returncode == 0
    (home / "plans" / "val.toml").write_text(camtui("show", "other", "--config").stdout)
    assert camtui("stop", "other", "--now", "-y").returncode == 0
    start = re.search(r"^ExecStart=(.*)$", fenced("systemd-unit"), re.MULTILINE)
    assert start is not None
    words = (
        start[1]
        .replace("%i", "val")
        .replace("%h/camtui/.venv/bin/camtui", str(command))
        .replace("%h", str(home))
        .split()
    )
    with subprocess.Popen(
        words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=home
    ) as process:
        assert wait_for_driver(home / "runs" / "val.db") == process.pid
        process.send_signal(signal.SIGTERM)
        closed.unlink()
    assert process.returncode == 143
    monkeypatch.setenv("CAMTUI_FAKE", json.dumps({}))
    assert (
        subprocess.run(
            words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=home, check=False
        ).returncode
        == 0
    )
    assert camtui("wait", "val").returncode == 0


def test_the_script_passes_the_signal_on_and_returns_the_code(
    home: Path, closed: Path, command: Path
) -> None:
    script = home / "val.sbatch"
    text = (
        fenced("sbatch-script")
        .replace("/data/imagenet/val", str(home / "pictures"))
        .replace("--device cuda", "--device cpu")
    )
    script.write_text(text)
    assert subprocess.run(["bash", "-n", str(script)], check=False).returncode == 0
    environment = {key: value for key, value in os.environ.items() if key != "SLURM_JOB_ID"}
    with subprocess.Popen(
        ["bash", str(script)],
        env={**environment, "CAMTUI": str(command)},
        stdout=subprocess.DEVNULL,
    ) as shell:
        driver = wait_for_driver(home / "runs" / "val.db")
        shell.send_signal(signal.SIGTERM)
        closed.unlink()
    assert shell.returncode == 143
    wait_until_gone(driver)
    assert camtui("status", "val", "--check").returncode == 3
