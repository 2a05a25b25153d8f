"""Records the progress of a session for those who look at the run: stages, heartbeats, stopping."""

from __future__ import annotations

import time

from evaluator.execution.early_end import EarlyEnd
from evaluator.execution.journal import Journal
from evaluator.execution.schedule import Schedule
from evaluator.interfaces import Executor

HEARTBEAT_SECONDS = 2.0


class ProgressRecord:
    """The progress of one session."""

    def __init__(
        self, schedule: Schedule, executor: Executor, journal: Journal, early_end: EarlyEnd
    ) -> None:
        self._schedule = schedule
        self._executor = executor
        self._journal = journal
        self._early_end = early_end
        self._stages_under_way: set[int] = set()
        self._next_heartbeat = 0.0

    def begin_stage(self, stage: int) -> None:
        """Remember a stage of which something is computed, so that its end is recorded."""
        self._stages_under_way.add(stage)

    def record(self, *, stopping: bool, handed_off: bool) -> None:
        """Record the stages that have ended, that the run is stopping, and the heartbeat.

        Raises:
            RunFailed: the run's file, or its lock, was removed or replaced.
        """
        if stopping and not self._journal.stopping:
            self._journal.state("stopping")
            units = len(self._schedule.in_flight)
            self._journal.event("info", f"stopping: {units} units are in flight")
        for stage in filter(self._schedule.ended, tuple(self._stages_under_way)):
            self._stages_under_way.remove(stage)
            self._journal.event("info", f"finished: {self._schedule.stages[stage].title}")
        if time.monotonic() >= self._next_heartbeat:
            self._next_heartbeat = time.monotonic() + HEARTBEAT_SECONDS
            self._journal.check_file()
            self._journal.heartbeat(self._executor.workers())
            if handed_off:
                self._journal.retry(self._early_end.write)
