"""The driver's only way to the run's file: writes results, events and states in their order.

A full disk delays what is written and loses nothing. The reason of a pause is shown by the run's
lock, since nothing can be written into the file meanwhile.
"""

from __future__ import annotations

import sqlite3
import time
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

from evaluator.errors import RunFailed
from evaluator.execution.run_log import LEVELS, LOGGER, bound_log
from evaluator.execution.testing_hooks import crash_point
from evaluator.records import RunState, UnitResult, WorkerState
from evaluator.store.disk_space import full_words, is_full
from evaluator.text import printable

if TYPE_CHECKING:
    from evaluator.store.writer import RunWriter

_PASSING = {
    sqlite3.SQLITE_IOERR: "disk error",
    sqlite3.SQLITE_BUSY: "the file is locked by another program",
}
"""Other errors that pass by themselves, by SQLite's primary error code."""


class Journal:
    """Writes through ``RunWriter``; keeps what cannot be written, and tries again after a while."""

    def __init__(
        self,
        writer: RunWriter,
        *,
        retry_seconds: float,
        tell: Callable[[str], None],
        needed: Callable[[], int],
        problem: Callable[[], str] = str,
        give_up: Callable[[], bool] = bool,
    ) -> None:
        """A journal that is not paused.

        Args:
            writer: of the run's file.
            retry_seconds: between two attempts while it is paused.
            tell: shows the reason of a pause to whoever looks at the run; empty at its end.
            needed: bytes that the rest of the run will take, for people.
            problem: why the file that is written is not the one that others see; empty as a rule.
            give_up: whether nobody waits for the disk any longer; asked again and again.
        """
        self.writer = writer
        self._tell = tell
        self._needed = needed
        self._problem = problem
        self._give_up = give_up
        self._retry_seconds = retry_seconds
        self._waiting: deque[Callable[[], object]] = deque()
        self._events: deque[tuple[str, str]] = deque()
        self._state: tuple[RunState, str] = ("starting", "")
        self._state_written = True
        self._next_attempt = 0.0
        self.trouble = ""
        self.owns_log = False
        """Whether standard error is the run's own log, which is kept from growing without end."""

    @property
    def paused(self) -> bool:
        """Whether something waits for the disk, so that nothing new should be begun."""
        return bool(self.trouble)

    @property
    def stopping(self) -> bool:
        """Whether the run's state is that it is about to stop."""
        return self._state[0] == "stopping"

    def state(self, state: RunState, message: str = "") -> None:
        """Set the run's state."""
        self._state = (state, message)
        self._state_written = False
        self.flush()

    def event(self, level: str, text: str) -> None:
        """Write one line of history, into the file and into the log."""
        line = printable(text, 2000)
        LOGGER.log(LEVELS[level], line)
        self._events.append((level, line))
        self.flush()

    def deliver(self, result: UnitResult, *, stage: int, images: int) -> None:
        """Commit what a unit brought, now or as soon as there is room."""
        self._waiting.append(partial(self.writer.rows.commit, result, stage=stage, images=images))
        self.flush()

    def check_file(self) -> None:
        """Check that the file that is written is the one that others see.

        Raises:
            RunFailed: the file, or its lock, was removed or replaced.
        """
        if problem := self._problem():
            raise RunFailed(problem, "camtui ls")

    def heartbeat(self, workers: Sequence[WorkerState]) -> None:
        """Record that the driver is alive, with these workers."""
        self.flush()
        if self.owns_log:
            bound_log()
        if not self.paused:
            self._attempt(lambda: self.writer.heartbeat(workers))

    def flush(self) -> None:
        """Write what waits, unless the disk was full a moment ago."""
        if self.paused and time.monotonic() < self._next_attempt:
            return
        while self._waiting:
            if not self._attempt(self._commit_first):
                return
        while self._events:
            if not self._attempt(self._write_first_event):
                return
        if not self._state_written and not self._attempt(self._write_state):
            return
        if self.paused:
            trouble, self.trouble = self.trouble, ""
            self._tell("")
            self.event("info", f"goes on after a pause ({trouble})")

    def retry(self, write: Callable[[], None]) -> None:
        """Write something now, again and again until there is room or nobody waits any longer."""
        while not self._attempt(write):
            self.drain()
            if self._give_up():
                return

    def drain(self, give_up: Callable[[], bool] | None = None) -> bool:
        """Wait until everything is written; whether it is.

        Args:
            give_up: in place of the journal's own.
        """
        give_up = give_up or self._give_up
        while self.paused and not give_up():
            time.sleep(min(0.1, self._retry_seconds))
            self.flush()
        return not self.paused

    def abandon(self) -> None:
        """Give up the results that wait: they could not be stored, and are computed again."""
        self._waiting.clear()

    def _commit_first(self) -> None:
        crash_point("before-commit")
        self._waiting[0]()
        crash_point("after-commit")
        self._waiting.popleft()

    def _write_first_event(self) -> None:
        self.writer.event(*self._events[0])
        self._events.popleft()

    def _write_state(self) -> None:
        self.writer.set_state(*self._state)
        self._state_written = True

    def _attempt(self, write: Callable[[], None]) -> bool:
        try:
            write()
        except sqlite3.OperationalError as error:
            trouble = self._trouble_of(error)
            if not trouble:
                raise
            self._pause(trouble)
            return False
        return True

    def _trouble_of(self, error: sqlite3.OperationalError) -> str:
        """The reason why nothing can be written; empty where it will not pass by itself."""
        if is_full(error):
            return f"{full_words()}, needs {-(-self._needed() // 10**6)} MB"
        why = _PASSING.get(error.sqlite_errorcode & 0xFF, "")
        return why and f"{why} ({printable(error)})"

    def _pause(self, trouble: str) -> None:
        self._next_attempt = time.monotonic() + self._retry_seconds
        if not self.paused:
            self.trouble = trouble
            self._tell(f"{trouble}; goes on by itself")
            LOGGER.warning(f"paused: {trouble}")
