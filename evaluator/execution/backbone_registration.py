"""What loading a backbone tells: which of its cells apply, which are equal by construction.

And whose labels are known now.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

from evaluator import catalog
from evaluator.backbones import shown_key
from evaluator.errors import UsageError
from evaluator.execution.journal import Journal
from evaluator.execution.labelling import imagenet, labelling, labels_of_ids
from evaluator.execution.schedule import Schedule
from evaluator.execution.stages import plan_stages
from evaluator.images import Manifest, folder_of, labels_by_class_name
from evaluator.methods.base import Method
from evaluator.plan import RunPlan, cell_identity
from evaluator.plan_validation import applicable
from evaluator.records import Cell, LoadedBackbone
from evaluator.store.reader import RunReader
from evaluator.text import printable


class Described(NamedTuple):
    """One cell, now that its backbone is known."""

    cell: int
    identity: str
    applicable: bool
    note: str


def describe_cells(
    plan: RunPlan, cells: Sequence[Cell], loaded: LoadedBackbone
) -> Iterator[Described]:
    """Every cell of one backbone."""
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
    """A note where another method of the run has the same map.

    The one that names the identity, else the first.
    """
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


def named_by_folders(manifest: Manifest, loaded: LoadedBackbone) -> LoadedBackbone:
    """A network without class names takes those of the class folders, in their sorted order.

    Where there are as many.
    """
    if loaded.classes or loaded.class_count != len(manifest.folders):
        return loaded
    return replace(loaded, classes=manifest.folders)


class BackboneRegistration:
    """Puts what a backbone tells, once it is loaded, into the store and the schedule."""

    def __init__(
        self,
        plan: RunPlan,
        manifest: Manifest,
        reader: RunReader,
        journal: Journal,
        schedule: Schedule,
        *,
        cuda: bool,
    ) -> None:
        self._plan = plan
        self._manifest = manifest
        self._reader = reader
        self._journal = journal
        self._schedule = schedule
        self._cuda = cuda
        self._named: set[str] = set()

    def named(self, loaded: LoadedBackbone) -> LoadedBackbone:
        """With the names of the class folders where it has none of its own; said once."""
        found = named_by_folders(self._manifest, loaded)
        if found is not loaded and loaded.key not in self._named:
            self._named.add(loaded.key)
            name = printable(shown_key(loaded.key))
            self._journal.event(
                "info",
                f"{name}: its {len(found.classes)} classes are named by the class folders, sorted",
            )
        return found

    def store(self, position: int, loaded: LoadedBackbone) -> None:
        """Store what the backbone tells about cells, stages and labels; may be done twice."""
        writer, name = self._journal.writer, self._plan.backbones[position].name
        cells = [cell for cell in self._reader.cells() if cell.backbone == name]
        for told in describe_cells(self._plan, cells, loaded):
            writer.cells.describe(
                told.cell, identity=told.identity, applicable=told.applicable, note=told.note
            )
        images = self._reader.info().image_count
        for stage in plan_stages(
            self._plan, self._reader.cells(), self._reader.backbones(), cuda=self._cuda
        ):
            if stage.backbone == position and stage != self._schedule.stages[stage.id]:
                self._schedule.replace_stage(stage)
                writer.change_stage(stage.record(images))
        writer.set_labels(new_labels(self._manifest, loaded))
        known = [one for one in self._reader.backbones().values() if one]
        if self._plan.labels is None and not all(map(imagenet, known)):
            writer.replace_labels(labels_of_ids(self._manifest.images, self._labels_of()))

    def _labels_of(self) -> LoadedBackbone:
        """Whose classes the labels are, of the backbones loaded so far.

        The first with ImageNet's 1000, else the first.
        """
        known = [one for one in self._reader.backbones().values() if one]
        return next(filter(imagenet, known), known[0])

    def check_classes(self) -> None:
        """Say whose classes the labels are where backbones differ in their number.

        Raises:
            UsageError: with ``--target label``, which would explain another class in each.
        """
        owner = self._labels_of()
        counts = {one.class_count or 1000 for one in self._reader.backbones().values() if one}
        if self._plan.labels is not None or len(counts) == 1:
            return
        name = printable(shown_key(owner.key))
        text = f"labels are classes of {name} ({owner.class_count or 1000:,}), of no backbone with another number of classes"
        if self._plan.target == "label":
            raise UsageError(
                f"--target label: {text}", "a run for each: camtui run --name NAME -b BACKBONE"
            )
        self._journal.event("warning", text)

    def check_labels(self, position: int) -> str:
        """Say how many images have a label and how; with ``--target label`` there must be some.

        Args:
            position: of the backbone whose class names are known now.

        Returns:
            What was said.

        Raises:
            UsageError: there are none.
        """
        images = self._reader.images.between(0, len(self._manifest.images))
        backbone = self._plan.backbones[position].name
        found = labelling(
            images,
            backbone,
            from_file=self._plan.labels is not None,
            by_ids=imagenet(self._labels_of()),
        )
        self._journal.event("warning" if found.partial else "info", found.text)
        if self._plan.target == "label" and not found.labelled:
            raise UsageError(
                "--target label needs labels, and no image has one",
                "camtui run --labels FILE.csv, or folders named by wnid",
            )
        return found.text
