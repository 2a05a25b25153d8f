"""A real evaluation of real images, killed with -9 again and again, ends in the rows of an
undisturbed one, byte for byte.
"""

from __future__ import annotations

import random
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

from camtui.runs import runs_home
from evaluator.store.files import lock_holder
from tests.evaluator.execution.support import kill, maps_for, wait_until_gone, workers_of
from tests.shared import SAMPLE, needs_sample

CAMTUI = (sys.executable, "-m", "camtui")
IMAGES = 12
CAMS = "fakecam,gradcam,gradcampp,smoothgradcampp,layercam"


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CAMTUI_HOME", str(tmp_path))


def camtui(*arguments: str) -> str:
    """Standard output of a command that must succeed."""
    done = subprocess.run(
        [*CAMTUI, *arguments], capture_output=True, text=True, check=False, timeout=3600
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def request(name: str, data: Path, *what: str) -> list[str]:
    batches = ("--device", "cpu", "--batch-size", "8")
    return ["run", "--data", str(data), "-n", str(IMAGES), "--name", name, *batches, *what]


def rows_of(name: str) -> int:
    with closing(sqlite3.connect(runs_home() / f"{name}.db")) as connection:
        return int(connection.execute("SELECT count(*) FROM results").fetchone()[0])


def stored(name: str) -> list[list[tuple[object, ...]]]:
    """Every row with its map, and every measurement with its curve."""
    with closing(sqlite3.connect(runs_home() / f"{name}.db")) as connection:
        return [
            connection.execute(f"SELECT * FROM {table} ORDER BY cell_id, image_id").fetchall()
            for table in ("results", "measurements")
        ]


def is_as_undisturbed(methods: str) -> None:
    """The run ``killed`` ends with what is stored of ``undisturbed``, and its file is whole."""
    camtui("wait", "killed", "--timeout", "60m")
    rows, measurements = stored("undisturbed")
    assert len(rows) == IMAGES * len(methods.split(","))
    assert stored("killed") == [rows, measurements]
    camtui("doctor", "killed")  # exits 0 only where every sum is that of its rows too


@pytest.mark.slow
@needs_sample
@pytest.mark.parametrize(
    ("methods", "kills"), [(CAMS, 10), ("gradcam,smoothgrad:n=8,rise:n=30,opticam:steps=8", 6)]
)
def test_kills_change_no_byte(methods: str, kills: int) -> None:
    what = ("-b", "efficientnet_lite0", "-m", methods, "--metric", "all")
    camtui(*request("undisturbed", SAMPLE, *what), "-q")
    chance = random.Random(0)
    database = runs_home() / "killed.db"
    camtui(*request("killed", SAMPLE, *what), "--detach")
    for number in range(kills):
        time.sleep(chance.uniform(0.5, 8))
        driver = lock_holder(database)
        if driver is not None:
            for victim in (number % 2 and workers_of(driver)) or [driver]:
                kill(victim)
        time.sleep(0.5)
        if lock_holder(database) is None:
            camtui(*request("killed", SAMPLE, *what), "--detach")
    is_as_undisturbed(methods)


@pytest.mark.long
def test_image_methods_go_on_where_worker_and_driver_were_killed(tmp_path: Path) -> None:
    camtui("synth", str(tmp_path / "shapes"), "--images", str(IMAGES))
    maps = maps_for(tmp_path / "shapes" / "images", tmp_path / "maps")
    methods = f"gradcam,smoothgrad:n=10,opticam:steps=10,rise:n=80,maps:{maps}"
    what = ("-b", "synthetic_cnn", "-m", methods, "--metric", "deletion", "--curve-steps", "4")
    asked = request("killed", tmp_path / "shapes" / "images", *what)
    camtui(*request("undisturbed", tmp_path / "shapes" / "images", *what), "-q")
    database = runs_home() / "killed.db"
    camtui(*asked, "--detach")
    # into the rows of the maps, and of the last image method
    for methods_done, driver_dies in ((1, False), (4, True)):
        limit = time.monotonic() + 180
        while rows_of("killed") <= methods_done * IMAGES:
            assert time.monotonic() < limit
            time.sleep(0.01)
        driver = lock_holder(database)
        assert driver is not None, "it was through before it was killed"
        for victim in [driver] if driver_dies else workers_of(driver):
            kill(victim)
        if driver_dies:
            wait_until_gone(driver)
            camtui("resume", "killed", "--detach")
    is_as_undisturbed(methods)
