"""The labels of a run's images: of which network they are classes, and how many images have one.

An image has one label in a run, a class index. Where networks have other classes, the labels are
those of one of them, the owner: the first with ImageNet's 1000 classes, else the first.

A label that is stored stays while the owner does, also where an earlier version read the folder in
another way; the other images of that folder then have the same.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace
from typing import Literal

from evaluator.backbones import shown_key
from evaluator.classes import FolderClasses, classes_of_folders, imagenet_wnids
from evaluator.errors import UsageError
from evaluator.execution.class_names import (
    class_count,
    first_difference,
    folder_classes,
    imagenet,
    named_by_folders,
    same_classes,
)
from evaluator.execution.journal import Journal
from evaluator.execution.labelling import Labelling, labelling, no_labels
from evaluator.images import Manifest, folder_of
from evaluator.plan import RunPlan
from evaluator.records import LoadedBackbone
from evaluator.store.reader import RunReader
from evaluator.text import counted, printable

_RANKED = ("number", "order")
"""Sources of ``FolderClasses`` that read all folders together."""

_KEPT: Literal["kept"] = "kept"


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
        self._told: set[str] = set()
        self._teller: LoadedBackbone | None = None
        self._before = self._known()
        self._stored = self._stored_labels() if self._before and plan.labels is None else {}

    def _stored_labels(self) -> dict[str, set[int]]:
        """Folder → the labels that its images have in the run."""
        found: dict[str, set[int]] = defaultdict(set)
        for image in self._reader.images.between(0, len(self._manifest.images)):
            if image.label is not None:
                found[folder_of(image.path)].add(image.label)
        return found

    def name_classes(self, loaded: LoadedBackbone) -> LoadedBackbone:
        """Name the classes by the class folders where the network has no names; logged once."""
        found = named_by_folders(self._manifest, loaded)
        if found is not loaded and loaded.key not in self._named:
            self._named.add(loaded.key)
            name = printable(shown_key(loaded.key))
            how = "sorted" if list(found.classes) == sorted(found.classes) else "in numeric order"
            self._journal.event(
                "info",
                f"{name}: its {len(found.classes)} classes are named by the class folders, {how}",
            )
        return found

    def store(self, loaded: LoadedBackbone) -> None:
        """Store the labels that the loaded networks give; may be repeated.

        A network whose classes are not the owner's gives none. Beside a file, folders count that
        are named like a class, for images that the file does not name.
        """
        writer, found = self._journal.writer, self._found()
        if self._plan.labels is None:
            writer.replace_labels(
                (image.id, found.index.get(folder))
                for image in self._manifest.images
                if len(self._stored.get(folder := folder_of(image.path), ())) < 2
            )
        elif same_classes(loaded, self._owner()):
            writer.set_labels(
                (image.id, found.index[folder])
                for image in self._manifest.images
                if found.source.get(folder := folder_of(image.path)) == "name"
            )

    def _found(self) -> FolderClasses:
        """Which class each folder is in this run, by the owner and networks of the same classes.

        Where a stored label contradicts numbers or order, these give other folders none.
        """
        every = [self._folder_classes(one) for one in self._same()]
        by_name = [one for one in every if not {"id", "name"}.isdisjoint(one.source.values())]
        found = (by_name or every)[0]
        for more in by_name:
            found = replace(
                found,
                index={**more.index, **found.index},
                source={**more.source, **found.source},
            )
        kept = self._kept(found)
        if not kept:
            return found
        sources = found.source
        if any(sources.get(folder) in _RANKED for folder in kept):
            sources = {
                folder: source
                for folder, source in sources.items()
                if source not in _RANKED or folder in self._stored
            }
        index = {folder: found.index[folder] for folder in sources}
        return replace(
            found, index={**index, **kept}, source={**sources, **dict.fromkeys(kept, _KEPT)}
        )

    def _kept(self, found: FolderClasses) -> dict[str, int]:
        """Folders whose label in the run is another than they would have in a new one."""
        if self._before and self._owner() != self._owner_of(self._before):
            return {}
        return {
            folder: next(iter(labels))
            for folder, labels in self._stored.items()
            if len(labels) == 1 and labels != {found.index.get(folder)}
        }

    def _folder_classes(self, loaded: LoadedBackbone) -> FolderClasses:
        """Which class of a network each folder is; its names may be the folders' themselves."""
        if loaded.key not in self._named:
            return folder_classes(self._manifest, loaded)
        today = named_by_folders(self._manifest, replace(loaded, classes=()))
        if loaded.classes == today.classes:
            return folder_classes(self._manifest, replace(loaded, classes=()))
        found = classes_of_folders(
            self._manifest.folders, loaded.classes, class_count(loaded)
        )  # as an earlier version has named them
        words = f" ({', '.join(printable(name, 20) for name in loaded.classes[:4])}, …)"
        return replace(found, source=dict.fromkeys(found.index, "order"), words=words)

    def check_classes(self) -> None:
        """Log whose classes the labels are where the networks have other classes.

        Raises:
            UsageError: a file has labels that are no class of the owner; or, with ``--target
                label``, which would explain another class in each.
        """
        self._check_file()
        if self._teller is not None and self._owner() != self._teller:
            found = self._labelling()
            self._journal.event("warning" if found.doubtful else "info", found.text)
        text = self._conflict()
        new = len(self._known()) > len(self._before)
        if text and self._plan.target == "label" and new:
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
        other_count = next((n for n, one in known.items() if class_count(one) != count), None)
        if other_count is not None and self._plan.labels is not None:
            return (
                f"labels are class indices, and {printable(name)} has {count:,} classes, "
                f"{printable(other_count)} {class_count(known[other_count]):,}"
            )
        if other_count is not None:
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

    def check_labels(self) -> str:
        """Log how many images have a label and how; with ``--target label`` there must be some.

        Returns:
            The sentence that was logged.

        Raises:
            UsageError: there are none.
        """
        found = self._labelling()
        self._journal.event("warning" if found.doubtful else "info", found.text)
        if self._plan.target == "label" and not found.labelled:
            raise no_labels()
        return found.text

    def _labelling(self) -> Labelling:
        """The labels, counted, and what is to be said of them."""
        self._teller = owner = self._owner()
        images = self._reader.images.between(0, len(self._manifest.images))
        file, found = self._manifest.label_file, self._found()
        by_file = None
        if file is not None and self._plan.labels is not None:
            by_file = {image.id for image in self._manifest.images if image.path in file.labels}
        said = labelling(
            images,
            next(name for name, one in self._known().items() if one == owner),
            next((one.classes for one in self._same() if one.classes), ()),
            found,
            by_file=by_file,
        )
        kept = self._kept_text(found)
        if not kept:
            return said
        return said._replace(text=f"{said.text} · {kept}", doubtful=True)

    def _kept_text(self, found: FolderClasses) -> str:
        """A sentence on labels that an earlier version has stored and this one would not give."""
        owner = self._owner()
        kept = [folder for folder, source in found.source.items() if source == _KEPT]
        if kept:
            now = self._folder_classes(owner).index.get(kept[0])
            return (
                f"{counted(len(kept), 'folder')} would have another label today "
                f"({printable(kept[0], 30)}: {found.index[kept[0]]} in this run, "
                f"{'none' if now is None else now} in a new one), the run keeps its own, "
                "--name begins another"
            )
        fresh = named_by_folders(self._manifest, replace(owner, classes=()))
        if owner.key in self._named and owner.classes != fresh.classes:
            return (
                "this run has its folders in the order of text, a new one has them by their "
                "numbers, the run keeps its own, --name begins another"
            )
        return ""

    def _check_file(self) -> None:
        """Refuse a file of labels that are no classes of the network that they belong to.

        While another network may have ImageNet's classes, these count.

        Raises:
            UsageError: with the line; only logged in a run of an earlier version.
        """
        file, owner = self._manifest.label_file, self._owner()
        if file is None or self._plan.labels is None:
            return
        name = printable(next(name for name, one in self._known().items() if one == owner))
        count = class_count(owner)
        beyond = next(((line, label) for line, label in file.highest if label >= count), None)
        imagenet_may_follow = len(self._known()) < len(self._plan.backbones) and not any(
            label >= len(imagenet_wnids()) for _, label in file.highest
        )
        if imagenet_may_follow and not imagenet(owner):
            return
        if beyond:
            line, what = beyond[0], f"{beyond[1]} is no class"
        elif file.first_id and not imagenet(owner):
            line, what = file.first_id[0], f"{file.first_id[1]}, an ImageNet id, is no class"
        else:
            return
        text = (
            f"{printable(file.path)}, line {line}: {what} of {name}, which has {count:,} classes "
            f"(0 to {count - 1})"
        )
        if not file.earlier:
            raise UsageError(text, "correct the file, its class indices count from 0")
        if text not in self._told:
            self._told.add(text)
            self._journal.event("warning", text)

    def _known(self) -> dict[str, LoadedBackbone]:
        """Every backbone that has been loaded once, by name, in the order of the plan."""
        return {name: one for name, one in self._reader.backbones().items() if one}

    def _same(self) -> list[LoadedBackbone]:
        """The owner, and the networks that have the same classes."""
        owner = self._owner()
        return [owner, *(one for one in self._known().values() if same_classes(one, owner))]

    def _owner(self) -> LoadedBackbone:
        """The network whose classes the labels are."""
        return self._owner_of(self._known())

    @staticmethod
    def _owner_of(known: Mapping[str, LoadedBackbone]) -> LoadedBackbone:
        networks = list(known.values())
        return next(filter(imagenet, networks), networks[0])
