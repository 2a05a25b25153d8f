"""Ends a run when its rule (``--until``) is met, by an interim look after every commit."""

from __future__ import annotations

from evaluator.execution.interim_looks import Looks
from evaluator.execution.journal import Journal
from evaluator.execution.schedule import Schedule
from evaluator.records import Look
from evaluator.store.reader import RunReader
from evaluator.text import counted


class EarlyEnd:
    """Applies the decisions of interim looks to the schedule; inert where the plan has no rule."""

    def __init__(
        self, looks: Looks, schedule: Schedule, reader: RunReader, journal: Journal
    ) -> None:
        """Apply what the stored rows decide to the schedule; nothing is written yet."""
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
        """The reason why the run is complete; empty without a rule."""
        look = self._looks.record()
        if look is None:
            return ""
        if look.decided is None:
            return f"--until {look.rule}: not met by all {counted(self._images, 'image')}"
        images = counted(self._images, "image")
        return f"--until {look.rule}: met by the first {look.decided:,} of {images}"

    def backbone_loaded(self, name: str) -> None:
        """Begin the comparison of a backbone whose cells are known now."""
        self._looks.backbone_loaded(name)
        self.look()

    def leave_out(self, name: str) -> None:
        """Go on without a backbone that cannot be loaded."""
        self._looks.leave_out(name)
        self.look()

    def look(self) -> None:
        """Make the interim looks that the stored rows allow now, and log their decisions."""
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
        """Store the decisions so far, if they are not stored yet."""
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
