"""A run has one writer, and its lock says who: whatever the database is called, and whatever became
of the lock file.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from evaluator.errors import TryAgain, UsageError
from evaluator.store.files import RunLock, lock_holder, lock_note, lock_path
from tests.holder import held


def test_the_lock_names_its_holder_and_is_given_back(tmp_path: Path) -> None:
    database = tmp_path / "run.db"
    with held(database) as other:
        assert lock_holder(database) == other.pid
        with pytest.raises(TryAgain, match=f"already running, pid {other.pid}"):
            RunLock(database)
    assert lock_holder(database) is None
    RunLock(database).release(remove=True)
    assert not lock_path(database).exists()


def test_a_run_whose_lock_file_was_deleted_is_still_held(tmp_path: Path) -> None:
    database = tmp_path / "run.db"
    database.touch()
    with held(database) as other:
        lock_path(database).unlink()
        assert lock_holder(database) == other.pid
        with pytest.raises(TryAgain, match=f"already running, pid {other.pid}"):
            RunLock(database)
        assert not lock_path(database).exists()
    assert lock_holder(database) is None


@pytest.mark.parametrize("make", [os.symlink, os.link])
def test_another_name_is_another_name_of_the_same_run(tmp_path: Path, make: object) -> None:
    database, other = tmp_path / "run.db", tmp_path / "elsewhere" / "other.db"
    database.touch()
    other.parent.mkdir()
    make(database, other)  # type: ignore[operator] # a table of functions
    if make is os.link:
        with pytest.raises(UsageError, match="2 names"):
            RunLock(database)
        return
    with held(database) as holder:
        assert lock_holder(other) == holder.pid
        with pytest.raises(TryAgain, match=f"already running, pid {holder.pid}"):
            RunLock(other)
    assert [file.name for file in other.parent.iterdir()] == ["other.db"]


def test_a_hard_link_made_while_it_runs_shows_the_run(tmp_path: Path) -> None:
    database, other = tmp_path / "run.db", tmp_path / "other.db"
    database.touch()
    with held(database) as holder:
        os.link(database, other)
        assert lock_holder(other) == holder.pid


def test_a_lock_that_is_a_link_is_refused_and_its_target_untouched(tmp_path: Path) -> None:
    database, victim = tmp_path / "run.db", tmp_path / "victim"
    victim.write_bytes(b"x" * 5000)
    lock_path(database).symlink_to(victim)
    with pytest.raises(UsageError, match="is a link, which is not followed"):
        RunLock(database)
    assert victim.read_bytes() == b"x" * 5000
    assert lock_holder(database) is None
    assert lock_note(database) == ""


def test_a_file_that_is_no_lock_is_left_alone(tmp_path: Path) -> None:
    database = tmp_path / "run.db"
    lock_path(database).write_text("npm lock file")
    with pytest.raises(UsageError, match="is no lock of camtui"):
        RunLock(database)
    assert lock_path(database).read_text() == "npm lock file"


def test_what_has_become_of_the_files_is_noticed(tmp_path: Path) -> None:
    database = tmp_path / "run.db"
    lock = RunLock(database)
    lock.hold_database()
    assert lock.problem() == ""
    lock_path(database).unlink()
    assert "its lock, was removed or replaced" in lock.problem()
    lock_path(database).touch()
    assert "its lock, was removed or replaced" in lock.problem()
    assert not lock.lost_database()
    database.rename(tmp_path / "moved.db")
    assert lock.lost_database()
    assert lock.problem() == f"{database} was removed or replaced while it ran"
    lock.release(remove=True)
    assert lock_path(database).exists(), "it is not ours any more"


@pytest.fixture
def read_only(tmp_path: Path) -> Iterator[Path]:
    """A folder that this user cannot write; for root, who may write anywhere, one mounted so."""
    folder = tmp_path / "read-only"
    folder.mkdir(mode=0o500)
    if os.geteuid():
        yield folder
        return
    mount = ["mount", "-t", "tmpfs", "-o", "ro,size=64k", "tmpfs", str(folder)]
    mounted = subprocess.run(mount, capture_output=True, check=False)
    if mounted.returncode:
        pytest.skip(f"cannot mount a folder: {mounted.stderr.decode().strip()}")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_a_folder_that_cannot_be_written(read_only: Path) -> None:
    with pytest.raises(UsageError, match=r"cannot write .*run\.db\.lock"):
        RunLock(read_only / "run.db")
