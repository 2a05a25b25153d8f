"""Ends a run when its rule (``--until``) is met.

Asks the looks after every commit, and tells the schedule and the file.
"""

from __future__ import annotations

from evaluator.execution.journal import Journal
from evaluator.execution.looks import Looks
from evaluator.execution.schedule import Schedule
from evaluator.records import Look
from evaluator.store.reader import RunReader
from evaluator.text import counted


class EarlyEnd:
    """Between the looks, the schedule and the journal.

    Where the plan has no rule, it does nothing.
    """

    def __init__(
        self, looks: Looks, schedule: Schedule, reader: RunReader, journal: Journal
    ) -> None:
        """What has been decided already holds for the schedule at once; nothing is written yet."""
        self._looks = looks
        self._schedule = schedule
        self._reader = reader
        self._journal = journal
        self._written: Look | None = reader.look()
        self._said: set[int] = set(looks.dropped)
        self._images = reader.info().image_count
        self._apply()

    @property
    def conclusion(self) -> str:
        """Why the run is complete, empty where it had no rule."""
        look = self._looks.record()
        if look is None:
            return ""
        if look.decided is None:
            return f"--until {look.rule}: not met by all {counted(self._images, 'image')}"
        return f"--until {look.rule}: met by the first {look.decided:,} of {counted(self._images, 'image')}"

    def backbone_loaded(self, name: str) -> None:
        """Its cells are known."""
        self._looks.backbone_loaded(name)
        self.look()

    def leave_out(self, name: str) -> None:
        """A backbone that cannot be loaded."""
        self._looks.leave_out(name)
        self.look()

    def look(self) -> None:
        """Look again, now that rows have been stored."""
        if self._looks.decided is not None or not self._looks.advance():
            return
        self._apply()
        for cell, images in self._looks.dropped.items():
            if cell not in self._said:
                self._said.add(cell)
                self._journal.event(
                    "info",
                    f"{self._name(cell)} is certainly worse after {counted(images, 'image')}: "
                    "dropped",
                )
        if self._looks.decided is not None:
            self._journal.event("info", self.conclusion)

    def write(self) -> None:
        """Store what has been decided so far, where that is news."""
        record = self._looks.record()
        if record != self._written:
            self._journal.writer.set_look(record)
            self._written = record

    def _apply(self) -> None:
        self._schedule.drop(self._looks.dropped)
        if self._looks.decided is not None:
            self._schedule.end_at(self._looks.decided)

    def _name(self, cell: int) -> str:
        return next(
            f"{one.backbone}/{one.method}" for one in self._reader.cells() if one.id == cell
        )
