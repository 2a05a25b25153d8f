"""Removal of a backbone or a method from a run, with all that was computed for it."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from evaluator.errors import NotFound
from evaluator.plan import RunPlan, without
from evaluator.store.reader import RunReader
from evaluator.store.writer import locked_writer
from evaluator.text import did_you_mean, printable


class Part(NamedTuple):
    """A part of a run that would go.

    Attributes:
        plan: what is left; ``cells``: ids; ``positions``: of backbones in the plan.
        rows: rows that were computed for it.
    """

    plan: RunPlan
    cells: tuple[int, ...]
    positions: tuple[int, ...]
    rows: int


def part_of(
    reader: RunReader, *, backbones: tuple[str, ...] = (), methods: tuple[str, ...] = ()
) -> Part:
    """The part that removing backbones or methods would take out of a run; nothing is changed.

    Args:
        backbones, methods: as the run names them.

    Raises:
        NotFound: the run has none of that name.
        UsageError: nothing would be left.
    """
    plan = reader.plan()
    names = [spec.name for spec in plan.backbones]
    for given, known in ((backbones, names), (methods, plan.methods)):
        for name in given:
            if name not in known:
                hint = f"{did_you_mean(name, known)}it has {', '.join(map(printable, known))}"
                raise NotFound(f"the run has no '{printable(name, 60)}'", hint)
    cells = [
        cell for cell in reader.cells() if cell.backbone in backbones or cell.method in methods
    ]
    counted = {summary.cell: summary.n for summary in reader.averages.summaries()}
    positions = tuple(place for place, name in enumerate(names) if name in backbones)
    left = without(plan, backbones=backbones, methods=methods)
    return Part(
        left, tuple(cell.id for cell in cells), positions, sum(counted[cell.id] for cell in cells)
    )


def remove_part(
    path: Path, *, backbones: tuple[str, ...] = (), methods: tuple[str, ...] = ()
) -> Part:
    """Take backbones or methods out of a run.

    Raises:
        TryAgain: a driver holds the run; NotFound, UsageError: as ``part_of``.
    """
    with locked_writer(path) as writer:
        with RunReader(path) as reader:
            part = part_of(reader, backbones=backbones, methods=methods)
        writer.cells.remove(part.plan, part.cells, part.positions)
    return part
