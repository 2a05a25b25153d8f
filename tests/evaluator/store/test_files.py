"""Beside a run nothing is written through a link, into somebody else's file, or into a file that is
something else.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from evaluator.errors import UsageError
from evaluator.store.files import (
    LOCKS,
    is_run,
    known_log,
    log_path,
    open_database,
    open_log,
    open_own,
    open_to_read,
    temporary_beside,
)
from tests.evaluator.store.runs import empty_run

FLAGS = os.O_RDWR | os.O_CREAT
LINE = b"2026-11-24 22:00:00 info    log of run.db\n"


def link(place: Path) -> None:
    place.symlink_to(place.with_name("victim"))


def hard(place: Path) -> None:
    os.link(place.with_name("victim"), place)


@pytest.mark.parametrize(
    ("make", "words"),
    [(link, "is a link"), (hard, "more than one name"), (os.mkfifo, "no regular file")],
)
def test_nothing_is_written_to(tmp_path: Path, make: object, words: str) -> None:
    (tmp_path / "victim").write_bytes(b"dear diary")
    place = tmp_path / "run.db.lock"
    make(place)  # type: ignore[operator] # a table of functions
    with pytest.raises(UsageError, match=words):
        os.close(open_own(place, FLAGS))
    assert (tmp_path / "victim").read_bytes() == b"dear diary"


def test_a_folder_in_its_place(tmp_path: Path) -> None:
    (tmp_path / "run.db.lock").mkdir()
    with pytest.raises(UsageError, match="cannot write"):
        open_own(tmp_path / "run.db.lock", FLAGS)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_somebody_else_s_file(tmp_path: Path) -> None:
    place = tmp_path / "run.db.lock"
    place.touch()
    os.chown(place, 12345, -1)
    with pytest.raises(UsageError, match="belongs to somebody else"):
        open_own(place, FLAGS)
    os.close(open_own(place, FLAGS, owner=12345))


def test_a_log_is_gone_on_with_and_nothing_else(tmp_path: Path) -> None:
    database = tmp_path / "results.db"
    log = log_path(database)
    assert log.name == "results.db.log"
    os.close(open_log(database))
    log.write_bytes(LINE)
    os.close(open_log(database))
    log.write_bytes(b"ten years of measurements\n")
    with pytest.raises(UsageError, match="is no log of camtui"):
        open_log(database)
    assert log.read_bytes() == b"ten years of measurements\n"


def test_the_log_of_an_older_camtui_is_found(tmp_path: Path) -> None:
    database, old = tmp_path / "run.db", tmp_path / "run.log"
    assert known_log(database) == log_path(database)
    old.write_bytes(b"ten years of measurements\n")
    assert known_log(database) == log_path(database)
    old.write_bytes(LINE)
    assert known_log(database) == old
    log_path(database).touch()
    assert known_log(database) == log_path(database)


def test_a_database_has_one_name(tmp_path: Path) -> None:
    database, other = tmp_path / "run.db", tmp_path / "other.db"
    database.touch()
    os.link(database, other)
    with pytest.raises(UsageError, match=f"other.db is the same file as {database}"):
        open_database(other, create=False)
    other.unlink()
    other.symlink_to("nowhere/at/all.db")
    with pytest.raises(UsageError, match="link to nothing"):
        open_database(other, create=True)
    os.close(open_database(database, create=True))


def test_links_are_not_read_through(tmp_path: Path) -> None:
    (tmp_path / "victim").write_bytes(b"secret")
    link(tmp_path / "run.db.lock")
    os.mkfifo(tmp_path / "pipe")
    assert open_to_read(tmp_path / "run.db.lock") is None
    assert open_to_read(tmp_path / "pipe") is None
    assert open_to_read(tmp_path / "none") is None


def test_a_run_is_known_by_its_first_bytes(tmp_path: Path) -> None:
    path = tmp_path / "run.db"
    empty_run(path)
    assert is_run(path)
    path.write_bytes(path.read_bytes()[:200])
    assert is_run(path)
    path.write_bytes(b"SQLite format 3\0" + bytes(100))
    assert not is_run(path)
    assert not is_run(tmp_path / "none")


def test_looking_at_a_run_leaves_the_locks_of_its_reader(tmp_path: Path) -> None:
    """Who has lost them reads for ever what stood there when the next driver came."""
    path = tmp_path / "run.db"
    empty_run(path)

    def locks() -> list[str]:
        lines = (line.split() for line in LOCKS.read_text().splitlines())
        return [line[5] for line in lines if line[4] == str(os.getpid())]

    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM run").fetchall()
        held = locks()
        assert any(lock.endswith(f":{path.stat().st_ino}") for lock in held)
        assert is_run(path)
        assert locks() == held


def test_what_a_killed_process_has_left_has_a_name_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where every process is number 1, as in a container."""
    monkeypatch.setattr(os, "getpid", lambda: 1)
    left = temporary_beside(tmp_path / "a.csv")
    left.mkdir()
    assert left.parent == tmp_path
    assert not temporary_beside(tmp_path / "a.csv").exists()
    assert not temporary_beside(tmp_path / ("a" * 255)).exists(), "of any name's length"
