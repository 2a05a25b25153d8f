"""Which input is to blame when workers die.

A unit that has killed twice is halved until one (cell, image) is left.
"""

from __future__ import annotations

from dataclasses import replace

from evaluator.records import ImageRef, Unit


def halves(unit: Unit) -> list[Unit]:
    """The unit in two parts, by images, then by cells, then by metrics.

    Empty where it is one (cell, image, metric) already.
    """
    for parts in (_by_images(unit), _by_cells(unit), _by_metrics(unit)):
        if parts:
            return parts
    return []


def _by_images(unit: Unit) -> list[Unit]:
    middle = len(unit.images) // 2
    return (
        [_with_images(unit, part) for part in (unit.images[:middle], unit.images[middle:])]
        if middle
        else []
    )


def _with_images(unit: Unit, images: tuple[ImageRef, ...]) -> Unit:
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
    """Counts deaths unit by unit, across the ids under which a unit is handed out again."""

    def __init__(self) -> None:
        self._deaths: dict[int, int] = {}

    def record_failure(self, unit: Unit) -> int:
        """A worker died computing it: how often that has happened to it now."""
        self._deaths[unit.id] = self._deaths.get(unit.id, 0) + 1
        return self._deaths[unit.id]

    def rename(self, old: Unit, new: Unit) -> None:
        """The unit has been handed out under another id; its record follows."""
        if old.id in self._deaths:
            self._deaths[new.id] = self._deaths.pop(old.id)

    def record_half(self, unit: Unit) -> None:
        """A part of a unit that killed twice: the next death of it counts as its second."""
        self._deaths[unit.id] = 1

    def clear(self, unit_id: int) -> None:
        """The unit is done."""
        self._deaths.pop(unit_id, None)
