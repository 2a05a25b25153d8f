"""Interim looks of a sequential test: the decisions of ``--until``, and what they end.

An interim look is made at a fixed number of images (``until.next_look``), once all methods that are
still compared have a row or a failure for each of so many images of the seeded order. Rows of later
images, which workers may have finished already, are not used: the decisions are the same after
every crash. A row is read once in a session.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from evaluator import catalog
from evaluator.execution.journal import Journal
from evaluator.execution.schedule import Schedule
from evaluator.plan import RunPlan
from evaluator.records import Cell, Look
from evaluator.statistics import COMPONENTS
from evaluator.stopping_rule import Rule, next_look
from evaluator.store.reader import RunReader
from evaluator.text import counted

if TYPE_CHECKING:
    from evaluator.sequential import Race


class Looks:
    """The interim looks of one run. Where the plan has no rule, nothing is ever decided."""

    def __init__(self, plan: RunPlan, reader: RunReader, *, images: int) -> None:
        """Look at what is stored already.

        Args:
            plan: as asked for; cells that it adds and the store lacks count in the number of
                comparisons.
            reader: of the run.
            images: of the run, the most that are looked at.
        """
        self._plan = plan
        self._reader = reader
        self._ceiling = images
        self._races: dict[str, Race] = {}
        self._open = {spec.name for spec in plan.backbones} if plan.rule else set()
        self.images = 0
        if plan.rule:
            for name, loaded in reader.backbones().items():
                if loaded is not None and name in self._open:
                    self.backbone_loaded(name)
            self.advance()

    @property
    def decided(self) -> int | None:
        """Images after which every comparison was decided; ``None`` before, and without a rule."""
        return self.images if self._races and not self._open else None

    @property
    def dropped(self) -> dict[int, int]:
        """Cell → images after which it was decided, where decided cells are computed no further."""
        if not self._plan.drop_decided:
            return {}
        out = {cell: images for race in self._races.values() for cell, images in race.out.items()}
        return {
            cell: images
            for cell, images in out.items()
            if self.decided is None or images < self.decided
        }

    @property
    def needed(self) -> int | None:
        """Estimated number of images until all is decided; ``None`` before there is one."""
        if self.decided is not None:
            return self.decided
        forecasts = [race.needed for race in self._races.values()]
        if not self._races or None in forecasts:
            return None
        return min(self._ceiling, max(filter(None, forecasts)))

    def backbone_loaded(self, name: str) -> None:
        """Begin to compare the cells of a backbone, of which is known now whether they apply."""
        from evaluator.sequential import (
            Race,  # numpy, which runs without a rule need not wait for
        )

        rule = self._plan.rule
        if rule is None or name in self._races or name not in self._open:
            return
        cells = [cell for cell in self._reader.cells() if cell.backbone == name]
        there = [cell.id for cell in cells if cell.applicable]
        ranked = frozenset(cell.id for cell in cells if cell.applicable and _is_ranked(cell))
        self._races[name] = Race(there, ranked, rule, self._pairs(cells))
        if not there:
            self._open.discard(name)

    def _pairs(self, cells: Sequence[Cell]) -> int:
        """Number of comparisons of a backbone's ranked methods, those without a cell included."""
        left_out = {cell.method for cell in cells if not cell.applicable or not _is_ranked(cell)}
        count = sum(
            not catalog.is_control(method)
            for method in self._plan.methods
            if method not in left_out
        )
        return count * (count - 1) // 2

    def leave_out(self, name: str) -> None:
        """Leave a backbone that cannot be loaded out of the decision."""
        self._open.discard(name)
        self._races.pop(name, None)

    def advance(self) -> bool:
        """Make every interim look that the stored rows allow now; whether there was one."""
        looked = False
        while self._open and self._open <= self._races.keys() and self.images < self._ceiling:
            end = min(next_look(self.images), self._ceiling)
            if not self._absorb(end):
                break
            self.images, looked = end, True
            for name in sorted(self._open):
                self._races[name].look()
                if self._races[name].decided is not None:
                    self._open.discard(name)
        return looked

    def _absorb(self, end: int) -> bool:
        """Add the images up to ``end`` by one query; ``False`` where some are not computed yet."""
        import numpy as np

        races = [self._races[name] for name in sorted(self._open)]
        wanted = [cell for race in races for cell in race.racing]
        found = self._reader.rows.components(wanted, self.images, end)
        if len(found) < len(wanted) * (end - self.images):
            return False
        self._reader.checks.verify(wanted, "", range(self.images, end))
        for race in races:
            values = np.full((end - self.images, len(race.cells), len(COMPONENTS)), np.nan)
            place = {cell: number for number, cell in enumerate(race.cells)}
            for cell, image, *parts in found:
                if cell in place:
                    values[image - self.images, place[cell]] = [
                        np.nan if part is None else part for part in parts
                    ]
            race.absorb(values)
        return True

    def record(self) -> Look | None:
        """The decisions as they are stored; ``None`` where the plan has no rule."""
        rule = self._plan.rule
        if rule is None:
            return None
        texts = {name: self._verdict(race, rule) for name, race in self._races.items()}
        return Look(
            rule=str(rule),
            images=self.images,
            needed=self.needed,
            decided=self.decided,
            dropped=self.dropped,
            verdicts=tuple(f"{name}: {text}" for name, text in texts.items() if text),
        )

    def _verdict(self, race: Race, rule: Rule) -> str:
        """The decisions on one network, in words."""
        if race.images == 0:
            return ""
        if rule.kind == "ci":
            known = f"known to ± {100 * rule.width:g} points"
            if race.decided is None:
                return f"not {known} yet"
            return f"each method is {known} after {race.decided:,} images"
        if race.best is None:
            return "no methods to compare" if race.decided is not None else ""
        method = {cell.id: cell.method for cell in self._reader.cells()}
        equal = [cell for cell in race.racing if frozenset((cell, race.best)) in race.equal]
        unsettled = [
            cell for cell in race.racing if cell in race.ranked and cell not in (race.best, *equal)
        ]
        parts = [f"{method[race.best]} is best"]
        for cells, words in (
            (equal, f"differ by less than {100 * rule.margin:g}"),
            (list(race.out), "worse"),
            (unsettled, "not decided"),
        ):
            if cells:
                parts.append(f"{', '.join(method[cell] for cell in cells)}: {words}")
        return "; ".join(parts)


def _is_ranked(cell: Cell) -> bool:
    """Whether a cell is compared: no control, nor equal to another by construction (its note)."""
    return not catalog.is_control(cell.method) and not (cell.applicable and cell.note)


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
        if looks.dropped or looks.decided is not None:
            self._apply()

    @property
    def conclusion(self) -> str:
        """The reason why the run is complete; empty without a rule."""
        look = self._looks.record()
        if look is None:
            return ""
        if look.decided is None:
            return f"--until {look.rule}: not met after all {counted(self._images, 'image')}"
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
