"""Results and events wait for a full disk and are written in their order; SQLite itself is full."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from evaluator.execution.journal import Journal
from evaluator.store.reader import RunReader
from evaluator.store.writer import RunWriter
from tests.evaluator.store.runs import begun, result, row


class Kept:
    """A journal on a small run, and what it told."""

    def __init__(self, writer: RunWriter, path: Path) -> None:
        self.path = path
        self.told: list[str] = []
        self.giving_up: Callable[[], bool] = bool
        self.journal = Journal(
            writer,
            retry_seconds=0.01,
            tell=self.told.append,
            needed=lambda: 3_200_000,
            give_up=lambda: self.giving_up(),
        )

    def limit(self, pages: int) -> None:
        """Limit the pages of the file; SQLite then says SQLITE_FULL, as on a full disk."""
        self.journal.writer.execute(f"PRAGMA max_page_count={pages}")

    def fill(self) -> None:
        """No page more than there is."""
        (pages,) = self.journal.writer.execute("PRAGMA page_count").fetchone()
        self.limit(pages)
        for number in range(200):  # what is left in the last pages
            self.journal.event("info", f"{number} " + 400 * "x")
            if self.journal.paused:
                return
        raise AssertionError("there is still room")

    def events(self) -> list[str]:
        with RunReader(self.path) as reader:
            return [event.text for event in reader.events(limit=10_000)]

    def rows(self) -> int:
        with RunReader(self.path) as reader:
            return sum(summary.n for summary in reader.averages.summaries())


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[Kept]:
    with begun(tmp_path / "run.db") as writer:
        yield Kept(writer, tmp_path / "run.db")


def test_on_a_full_disk_everything_waits_and_nothing_is_lost(kept: Kept) -> None:
    kept.fill()
    journal = kept.journal
    journal.deliver(result(row(1, 0), row(2, 0)), stage=0, images=1)
    journal.state("stopping")
    journal.heartbeat([])
    assert kept.told == ["disk full, needs 4 MB; goes on by itself"]
    assert journal.paused
    assert journal.stopping
    assert not journal.drain(lambda: True), "whoever waits may give up"
    assert kept.rows() == 0
    kept.limit(1_000_000)
    assert journal.drain(lambda: False)
    assert kept.told[1:] == [""]
    assert kept.rows() == 2
    assert kept.events()[-1] == "goes on after a pause (disk full, needs 4 MB)"
    numbers = [int(text.split()[0]) for text in kept.events()[:-1]]
    assert numbers == list(range(len(numbers)))
    with RunReader(kept.path) as reader:
        assert reader.info().state == "stopping"


def test_a_write_is_retried_or_given_up(kept: Kept) -> None:
    kept.fill()
    written: list[str] = []

    def write() -> None:
        kept.journal.writer.event("info", "written " + 4000 * "y")
        written.append("once")

    kept.giving_up = lambda: True
    kept.journal.retry(write)
    assert written == []
    asked: list[int] = []

    def give_up() -> bool:
        asked.append(1)
        if len(asked) == 3:
            kept.limit(1_000_000)
        return False

    kept.giving_up = give_up
    kept.journal.retry(write)
    assert written == ["once"]
    assert len(asked) >= 3


def test_a_file_that_another_program_locks_is_waited_for(kept: Kept) -> None:
    kept.journal.writer.execute("PRAGMA busy_timeout=0")
    with closing(sqlite3.connect(kept.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        kept.journal.event("info", "now or later")
        assert kept.told[0].startswith(
            "the file is locked by another program (database is locked); goes on by itself"
        )
        other.execute("ROLLBACK")
    assert kept.journal.drain(lambda: False)
    assert "now or later" in kept.events()


def test_what_will_not_pass_is_raised(kept: Kept) -> None:
    kept.journal.writer.execute("DROP TABLE run")
    with pytest.raises(sqlite3.OperationalError, match="no such table"):
        kept.journal.state("stopping")
    assert not kept.journal.paused
