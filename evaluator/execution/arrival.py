"""What loading a backbone tells: which of its cells apply, which are equal by construction, and whose labels are known now."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from evaluator import catalog
from evaluator.images import Manifest, folder_of, labels_by_class_name
from evaluator.methods.base import Method
from evaluator.plan import RunPlan, applicable, cell_identity
from evaluator.records import Cell, LoadedBackbone


class Described(NamedTuple):
    """One cell, now that its backbone is known."""

    cell: int
    identity: str
    applicable: bool
    note: str


def describe_cells(plan: RunPlan, cells: Sequence[Cell], loaded: LoadedBackbone) -> Iterator[Described]:
    """Every cell of one backbone."""
    methods = {cell.id: catalog.method(cell.method) for cell in cells}
    possible = [method for method in methods.values() if applicable(method, loaded.gap_linear)]
    for cell in cells:
        method = methods[cell.id]
        applies = method in possible
        note = _equal_to(method, possible, loaded.gap_linear) if applies else f"{method.title} needs a GAP + linear head"
        yield Described(cell.id, cell_identity(plan, loaded.sha256, loaded.layer, cell.method), applies, note)


def _equal_to(method: Method, others: Sequence[Method], gap_linear: bool) -> str:
    """A note where another method of the run has the same map: the one that names the identity, else the first."""
    identity = method.map_identity(gap_linear)
    same = [other for other in others if other.map_identity(gap_linear) == identity]
    first = next((other for other in same if other.name == identity), same[0])
    return "" if first == method else f"identical to {first.name} by construction"


def new_labels(manifest: Manifest, loaded: LoadedBackbone) -> list[tuple[int, int]]:
    """``(image, class index)`` for images in folders that are named like the network's classes."""
    unknown = {image.id: folder_of(image.path) for image in manifest.images if image.label is None}
    folders = {folder for folder in unknown.values() if folder}
    if not folders or not loaded.classes:
        return []
    index = labels_by_class_name(folders, loaded.classes)
    return [(image, index[folder]) for image, folder in unknown.items() if folder in index]
