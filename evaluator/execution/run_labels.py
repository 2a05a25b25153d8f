"""The labels of a run's images: of which network they are classes, and how many images have one.

An image has one label in a run, a class index. Where networks have other classes, the labels are
those of one of them, the owner: the first with ImageNet's 1000 classes, else the first.
"""

from __future__ import annotations

from collections.abc import Iterable

from evaluator.backbones import shown_key
from evaluator.errors import UsageError
from evaluator.execution.class_names import (
    class_count,
    first_difference,
    imagenet,
    named_by_folders,
    same_classes,
)
from evaluator.execution.journal import Journal
from evaluator.execution.labelling import labelling, labels_of_ids, labels_of_names, no_labels
from evaluator.images import Manifest
from evaluator.plan import RunPlan
from evaluator.records import LoadedBackbone
from evaluator.store.reader import RunReader
from evaluator.text import printable


class RunLabels:
    """Labels of one run, completed and checked as its backbones are loaded."""

    def __init__(
        self, plan: RunPlan, manifest: Manifest, reader: RunReader, journal: Journal
    ) -> None:
        self._plan = plan
        self._manifest = manifest
        self._reader = reader
        self._journal = journal
        self._named: set[str] = set()

    def name_classes(self, loaded: LoadedBackbone) -> LoadedBackbone:
        """Name the classes by the class folders where the network has no names; logged once."""
        found = named_by_folders(self._manifest, loaded)
        if found is not loaded and loaded.key not in self._named:
            self._named.add(loaded.key)
            name = printable(shown_key(loaded.key))
            self._journal.event(
                "info",
                f"{name}: its {len(found.classes)} classes are named by the class folders, sorted",
            )
        return found

    def store(self, loaded: LoadedBackbone) -> None:
        """Store the labels that a loaded network gives; may be repeated.

        A network whose classes are not the owner's gives none.
        """
        writer, known, owner = self._journal.writer, self._known().values(), self._owner()
        by_folders = self._plan.labels is None
        if by_folders and not all(map(imagenet, known)):
            writer.replace_labels(labels_of_ids(self._manifest.images, owner))
        if by_folders and not all(same_classes(one, owner) for one in known):
            writer.replace_labels(labels_of_names(self._manifest, owner))
        elif same_classes(loaded, owner):
            writer.set_labels(_only_known(labels_of_names(self._manifest, loaded)))

    def check_classes(self) -> None:
        """Log whose classes the labels are where the networks have other classes.

        Raises:
            UsageError: with ``--target label``, which would explain another class in each.
        """
        text = self._conflict()
        if text and self._plan.target == "label":
            raise UsageError(
                f"--target label: {text}", "a run for each: camtui run --name NAME -b BACKBONE"
            )
        if text:
            self._journal.event("warning", text)

    def _conflict(self) -> str:
        """A sentence on labels that do not mean the same class in all networks; empty as a rule."""
        known, owner = self._known(), self._owner()
        name = next(name for name, one in known.items() if one == owner)
        count = class_count(owner)
        if self._plan.labels is None and any(class_count(one) != count for one in known.values()):
            return (
                f"labels are classes of {printable(name)} ({count:,}), of no backbone with another "
                "number of classes"
            )
        for other_name, other in known.items():
            place = first_difference(owner, other)
            if place is not None:
                return (
                    f"labels are class indices, and not the same in all backbones: class {place} "
                    f"is {printable(owner.classes[place], 60)} in {printable(name)}, "
                    f"{printable(other.classes[place], 60)} in {printable(other_name)}"
                )
        return ""

    def check_labels(self, position: int) -> str:
        """Log how many images have a label and how; with ``--target label`` there must be some.

        Args:
            position: of the backbone whose class names are known now.

        Returns:
            The sentence that was logged.

        Raises:
            UsageError: there are none.
        """
        images = self._reader.images.between(0, len(self._manifest.images))
        backbone = self._plan.backbones[position].name
        loaded = self._reader.backbones()[backbone]
        found = labelling(
            images,
            backbone,
            loaded.classes if loaded else (),
            from_file=self._plan.labels is not None,
            by_ids=imagenet(self._owner()),
        )
        self._journal.event("warning" if found.partial else "info", found.text)
        if self._plan.target == "label" and not found.labelled:
            raise no_labels()
        return found.text

    def _known(self) -> dict[str, LoadedBackbone]:
        """Every backbone that has been loaded once, by name, in the order of the plan."""
        return {name: one for name, one in self._reader.backbones().items() if one}

    def _owner(self) -> LoadedBackbone:
        """The network whose classes the labels are."""
        known = list(self._known().values())
        return next(filter(imagenet, known), known[0])


def _only_known(labels: Iterable[tuple[int, int | None]]) -> list[tuple[int, int]]:
    return [(image, label) for image, label in labels if label is not None]
