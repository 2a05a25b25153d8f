"""Poison-unit bisection: finds the one (cell, image, metric) whose computation fails.

A unit that has failed twice is halved, and each half that fails again, until one pair is left.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from evaluator.records import ImageRef, Unit


def halves(unit: Unit) -> list[Unit]:
    """The unit in parts: by images, else by cells, else by metrics; none of a single pair."""
    for parts in (_by_images(unit), _by_cells(unit), _by_metrics(unit)):
        if parts:
            return parts
    return []


def _by_images(unit: Unit) -> list[Unit]:
    middle = len(unit.images) // 2
    return (
        [with_images(unit, part) for part in (unit.images[:middle], unit.images[middle:])]
        if middle
        else []
    )


def with_images(unit: Unit, images: tuple[ImageRef, ...]) -> Unit:
    """The part of a unit that is of these images."""
    ids = {image.id for image in images}
    return replace(
        unit, images=images, maps={key: value for key, value in unit.maps.items() if key[1] in ids}
    )


def _by_cells(unit: Unit) -> list[Unit]:
    middle = len(unit.cells) // 2
    return (
        [_with_cells(unit, part) for part in (slice(None, middle), slice(middle, None))]
        if middle
        else []
    )


def _with_cells(unit: Unit, part: slice) -> Unit:
    cells = unit.cells[part]
    maps = {key: value for key, value in unit.maps.items() if key[0] in cells}
    return replace(unit, cells=cells, methods=unit.methods[part], maps=maps)


def _by_metrics(unit: Unit) -> list[Unit]:
    return (
        [replace(unit, metrics=(metric,)) for metric in unit.metrics]
        if len(unit.metrics) > 1
        else []
    )


class Bisection:
    """Failures of units in flight, across the ids under which a unit is handed out again."""

    def __init__(self, requeue: Callable[[Iterable[Unit]], list[Unit]]) -> None:
        """No unit has failed yet.

        Args:
            requeue: hands units out again under other ids, and returns them (``Schedule.requeue``).
        """
        self._requeue = requeue
        self._failures: dict[int, int] = {}

    def retry(self, unit: Unit) -> None:
        """Hand a unit out again as it is; its failures are those of the new one."""
        (renewed,) = self._requeue([unit])
        if unit.id in self._failures:
            self._failures[renewed.id] = self._failures.pop(unit.id)

    def narrow(self, unit: Unit, *, certain: bool = False) -> bool:
        """Record a failure: hand the unit out again, from the second failure on in halves.

        Args:
            certain: it would fail each time; it is halved at once.

        Returns:
            ``False`` where it is a single pair, which has failed for good.
        """
        self._failures[unit.id] = self._failures.get(unit.id, 0) + 1
        if not certain and self._failures[unit.id] < 2:
            self.retry(unit)
            return True
        parts = halves(unit)
        self.clear(unit.id)
        for part in self._requeue(parts):
            self._failures[part.id] = 1  # as the whole has failed: the next failure is the second
        return bool(parts)

    def clear(self, unit_id: int) -> None:
        """The unit is done."""
        self._failures.pop(unit_id, None)
