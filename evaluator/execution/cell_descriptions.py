"""Descriptions of a backbone's cells once it is loaded: whether they apply, and which are equal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from evaluator import catalog
from evaluator.methods.base import Method
from evaluator.plan import RunPlan, cell_identity
from evaluator.plan_validation import applicable
from evaluator.records import Cell, LoadedBackbone


class Described(NamedTuple):
    """One cell of a loaded backbone: its identity, whether it applies, and a note for people."""

    cell: int
    identity: str
    applicable: bool
    note: str


def describe_cells(
    plan: RunPlan, cells: Sequence[Cell], loaded: LoadedBackbone
) -> Iterator[Described]:
    """Describe every cell of one backbone."""
    specs = {spec.name: spec for spec in plan.backbones}
    methods = {cell.id: catalog.method(cell.method) for cell in cells}
    possible = [
        method
        for method in methods.values()
        if applicable(method, loaded.gap_linear, loaded.attention > 0)
    ]
    for cell in cells:
        method = methods[cell.id]
        applies = method in possible
        note = (
            _equal_to(method, possible, loaded.gap_linear)
            if applies
            else f"{method.title} needs {method.needs}"
        )
        yield Described(
            cell.id, cell_identity(plan, specs[cell.backbone], loaded, cell.method), applies, note
        )


def _equal_to(method: Method, others: Sequence[Method], gap_linear: bool) -> str:
    """Name the method of the run with the same map, the one that names the identity or the first.

    Empty where it is this method itself.
    """
    identity = method.map_identity(gap_linear)
    same = [other for other in others if other.map_identity(gap_linear) == identity]
    first = next((other for other in same if other.name == identity), same[0])
    return "" if first == method else f"identical to {first.name} by construction"
