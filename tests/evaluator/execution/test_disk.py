"""A disk that is really full: a small file system of its own, filled to the last byte; the run
waits, and loses nothing.
"""

from __future__ import annotations

import os
import resource
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import pytest

from camtui.runs import reference
from evaluator.errors import UsageError
from evaluator.store.disk_space import bytes_needed
from evaluator.store.files import RunLock, lock_note
from evaluator.store.reader import RunReader
from tests.evaluator.execution.conftest import NewRun
from tests.evaluator.execution.support import (
    PATIENCE,
    Run,
    camtui,
    check,
    complete,
    make_data,
    make_plan,
    wait_until_gone,
)

Knobs = Callable[..., None]


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """Four megabytes of tmpfs; skipped where this user may mount nothing."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(folder)],
        capture_output=True,
        check=False,
    )
    if mounted.returncode:
        pytest.skip(f"cannot mount a small disk: {mounted.stderr.decode().strip()}")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(disk: Path) -> None:
    """Leave not a byte: in whole blocks, then what is left of the last block of the log."""
    with open(disk / "filler", "wb", buffering=0) as filler, suppress(OSError):
        while filler.write(b"x" * 4096):
            pass
    for log in disk.glob("*.log"):
        os.truncate(log, -(-log.stat().st_size // 4096) * 4096)


def wait_for_state(run: Run, state: str, seconds: float = PATIENCE) -> None:
    limit = time.monotonic() + seconds
    while run.status().state != state:
        assert time.monotonic() < limit, run.status()
        time.sleep(0.05)


class Paused(NamedTuple):
    """A run that has found the disk full, its driver, and the rows that it had by then."""

    run: Run
    driver: int
    rows: int


@pytest.fixture
def paused(disk: Path, tmp_path: Path, knobs: Knobs) -> Paused:
    gate = tmp_path / "gate"
    gate.touch()
    knobs(gate=str(gate), free=1)
    run = Run(disk / "run.db", make_plan(make_data(tmp_path / "data", 150)))
    driver = run.launch().pid
    run.wait_for_rows(30)
    fill(disk)
    gate.unlink()
    wait_for_state(run, "paused")
    return Paused(run, driver, run.count_rows())


def test_a_disk_filled_to_the_last_byte_pauses_the_run(paused: Paused, disk: Path) -> None:
    """Rows, state and log have no room at all: only the lock, whose room was taken before, can say
    so.
    """
    run, driver, rows = paused
    status = run.status()
    assert status.message.startswith("disk full, needs ")
    assert status.message.endswith(" MB; goes on by itself")
    assert status.advice == f"make room, or end it: camtui stop {reference(run.db)} --now"
    assert "state     paused, pid" in camtui("status", str(run.db)).stdout
    assert rows < 450
    (disk / "filler").unlink()
    assert run.wait().state == "complete"
    check(run)
    wait_until_gone(driver)
    assert any("goes on after a pause (disk full" in text for text in run.events())


def test_a_paused_run_that_is_ended_has_lost_nothing_that_it_had(
    paused: Paused, disk: Path
) -> None:
    run, driver, rows = paused
    assert camtui("stop", str(run.db), "--now", "-y").returncode == 0
    wait_until_gone(driver)
    assert run.count_rows() == rows
    check(run, complete=False)
    (disk / "filler").unlink()
    complete(run, plan=None)


def test_a_run_that_finds_a_full_disk_does_not_begin(disk: Path, tmp_path: Path) -> None:
    run = Run(disk / "run.db", make_plan(make_data(tmp_path / "data", 3)))
    fill(disk)
    with pytest.raises(UsageError, match="the disk is full"):
        run.launch()
    assert {path.name for path in disk.iterdir()} <= {"filler"}


def test_a_note_is_gone_with_its_reason_and_does_not_make_a_run_the_latest(tmp_path: Path) -> None:
    lock = RunLock(tmp_path / "run.db")
    os.utime(tmp_path / "run.db.lock", (1000, 1000))
    lock.note("disk full, needs 3 MB")
    assert lock_note(tmp_path / "run.db") == "disk full, needs 3 MB"
    lock.note("é" * 4000)
    assert lock_note(tmp_path / "run.db").startswith("éé")
    lock.note("")
    assert lock_note(tmp_path / "run.db") == ""
    assert (tmp_path / "run.db.lock").stat().st_mtime == 1000
    lock.release(remove=True)
    assert lock_note(tmp_path / "run.db") == ""


def test_what_is_needed_is_for_what_is_missing(new_run: NewRun) -> None:
    run = new_run(40, limit=10)
    run.end()
    with RunReader(run.db) as reader:
        whole = bytes_needed(reader, run.db)
    assert whole == 8 * 2**20, "only the log: nothing is missing"


def test_a_limit_on_a_file_s_size_is_taken_for_a_full_disk_and_named(new_run: NewRun) -> None:
    run = new_run(3)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))
    try:
        with pytest.raises(
            UsageError,
            match=r"the disk is full, or the limit of 0 MB on a file's size reached \(ulimit -f\)",
        ):
            run.launch()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert not run.db.exists()
