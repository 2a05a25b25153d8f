"""A real evaluation of real images, killed with -9 again and again, ends in the rows of an
undisturbed one, byte for byte.
"""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from camtui.runs import runs_home
from evaluator.store.files import lock_holder
from tests.shared import SAMPLE, needs_sample

pytestmark = [pytest.mark.slow, needs_sample]

CAMTUI = (sys.executable, "-m", "camtui")
IMAGES = 12
CAMS = "fakecam,gradcam,gradcampp,smoothgradcampp,layercam"


def camtui(*arguments: str) -> str:
    """Standard output of a command that must succeed."""
    done = subprocess.run(
        [*CAMTUI, *arguments], capture_output=True, text=True, check=False, timeout=900
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def request(name: str, methods: str) -> list[str]:
    what = [
        "--data",
        str(SAMPLE),
        "-b",
        "efficientnet_lite0",
        "-m",
        methods,
        "--metric",
        "all",
        "-n",
        str(IMAGES),
    ]
    return ["run", *what, "--name", name, "--device", "cpu"]


def pids(database: Path) -> tuple[int | None, list[int]]:
    """The driver and its workers."""
    driver = lock_holder(database)
    if driver is None:
        return None, []
    with sqlite3.connect(f"file:{database}?mode=ro", uri=True) as connection:
        workers = [pid for (pid,) in connection.execute("SELECT pid FROM workers")]
    connection.close()
    return driver, workers


def exported(name: str) -> list[str]:
    return sorted(camtui("export", name, "--per-image", "-f", "jsonl").splitlines())


@pytest.mark.parametrize(("methods", "kills"), [(CAMS, 10), ("smoothgrad:n=8", 4)])
def test_kills_change_no_byte(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, methods: str, kills: int
) -> None:
    monkeypatch.setenv("CAMTUI_HOME", str(tmp_path))
    camtui(*request("undisturbed", methods), "-q")
    chance = random.Random(0)
    database = runs_home() / "killed.db"
    camtui(*request("killed", methods), "--detach")
    for kill in range(kills):
        time.sleep(chance.uniform(0.5, 8))
        driver, workers = pids(database)
        victims = workers if kill % 2 and workers else [driver]
        for victim in victims:
            if victim is not None:
                os.kill(victim, signal.SIGKILL)
        time.sleep(0.5)
        if lock_holder(database) is None:
            camtui(*request("killed", methods), "--detach")
    camtui("wait", "killed", "--timeout", "15m")
    assert len(exported("undisturbed")) == IMAGES * len(methods.split(","))
    assert exported("killed") == exported("undisturbed")
    camtui(
        "doctor", "killed"
    )  # exits 0 only when the file is whole and every sum is that of its rows
