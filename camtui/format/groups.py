"""Averages of a cell by the true class of its images, or by whether the network was right."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, get_args

from camtui.format.cells import CellView
from evaluator.catalog import ROW_METRICS
from evaluator.records import ImageRef, Measurement, Row
from evaluator.statistics import ARCC, CellSummary, summarise, sums_from
from evaluator.store.sums import ArccSources, sums_of
from evaluator.text import printable

if TYPE_CHECKING:
    from evaluator.store.reader import RunReader

By = Literal["class", "correct"]
BYS: tuple[By, ...] = get_args(By)

_UNKNOWN = "label unknown"


@dataclass(frozen=True)
class Group:
    """Some images of a cell.

    Attributes:
        place: where it stands among the others: the class index, or 0 for right and 1 for wrong
            predictions; unknown ones last.
        name: of the class, or ``right`` or ``wrong``.
        index: of the class.
        correct: of predictions; ``None`` where the label is unknown or the other was asked for.
        view: the cell with the averages of these images, without ranks.
    """

    place: int
    name: str
    index: int | None
    correct: bool | None
    view: CellView


def grouped(reader: RunReader, views: Sequence[CellView], by: By) -> list[Group]:
    """Return every group of some cells, cell by cell; reads every row of them."""
    loaded = reader.backbones()
    found = []
    for view in views:
        facts = loaded.get(view.cell.backbone)
        classes = facts.classes if facts else ()
        found += sorted(_groups(reader, view, by, classes), key=lambda group: group.place)
    return found


def _groups(reader: RunReader, view: CellView, by: By, classes: Sequence[str]) -> Iterator[Group]:
    parts: dict[int | None, list[tuple[Row, dict[str, float]]]] = defaultdict(list)
    for row, image, measured in reader.rows.of_cell(view.cell.id, verify=True):
        parts[_key(row, image, by)].append((row._replace(map=None), measured))
    for key, images in parts.items():
        one = replace(view, summary=_summary(view.cell.id, images), images=len(images), marks={})
        if by == "class":
            name = _UNKNOWN if key is None else class_name(classes, key)
            yield Group(len(classes) + 10**6 if key is None else key, name, key, None, one)
        else:
            correct = None if key is None else key == 0
            yield Group(
                2 if key is None else key,
                _UNKNOWN if key is None else ("right", "wrong")[key],
                None,
                correct,
                one,
            )


def _key(row: Row, image: ImageRef, by: By) -> int | None:
    if image.label is None or by == "class":
        return image.label
    return int(row.predicted != image.label)


def class_name(
    classes: Sequence[str], index: int, limit: int = 40, *, before: str = "class "
) -> str:
    """Return a class by name, by its number where the names are not known."""
    return printable(classes[index], limit) if 0 <= index < len(classes) else f"{before}{index}"


def _summary(cell: int, images: Sequence[tuple[Row, dict[str, float]]]) -> CellSummary:
    """Return the averages of a cell over these rows only."""
    measurements = [
        Measurement(cell, row.image, key, value)
        for row, measured in images
        for key, value in measured.items()
    ]
    arcc = [
        _arcc_sources(cell, row, measured)
        for row, measured in images
        if {"arcc", "road"} <= set(measured)
    ]
    found, _ = sums_of([row for row, _ in images], measurements, arcc)
    sums = sums_from((a, b, n, total) for (_, a, b), (n, total) in found.items())
    without_drop = [
        (row.coherency, row.complexity)
        for row, _ in images
        if row.average_drop is None and row.coherency is not None
    ]
    return summarise(cell, sums, 0, without_drop)


def _arcc_sources(cell: int, row: Row, measured: dict[str, float]) -> ArccSources:
    known = {**{key: getattr(row, key) for key in ROW_METRICS}, **measured}
    return ArccSources(cell, *(known[key] for key in ARCC.sources))
