"""Labels of images by their class folders or a file, and a sentence on how many have one."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Literal, NamedTuple

from evaluator.backbones import shown_key
from evaluator.errors import UsageError
from evaluator.execution.journal import Journal
from evaluator.images import Manifest, folder_of, no_labels
from evaluator.labels import FolderClasses, classes_of_folders, imagenet_wnids, plain_name
from evaluator.plan import RunPlan
from evaluator.records import ImageRef, LoadedBackbone
from evaluator.store.reader import RunReader
from evaluator.text import counted, printable

_SHARED_NAMES = 0.5
"""Share of ImageNet's 1000 names that must agree: lists of them differ in the spelling of some."""

_MOVED_NAMES = 10
"""Most of them that may stand at another index: lists differ in which of two cranes is *crane*."""

_LANDMARKS = {1: "goldfish", 9: "ostrich", 340: "zebra", 388: "giant panda", 954: "banana"}
"""Names of ImageNet on which all lists of them agree."""


def imagenet(loaded: LoadedBackbone) -> bool:
    """Whether the network has as many classes as ImageNet, so that ImageNet ids name them."""
    return loaded.class_count in (0, len(imagenet_wnids()))


def class_count(loaded: LoadedBackbone) -> int:
    """The number of a network's classes; files of version 1 know ImageNet's only."""
    return loaded.class_count or len(imagenet_wnids())


def folder_classes(manifest: Manifest, loaded: LoadedBackbone) -> FolderClasses:
    """Which class of a network each class folder is.

    ImageNet ids are classes of a network with 1000 of them, unless their names are others.
    """
    names = tuple(map(_plain, _names(loaded)))
    other = len(names) == len(imagenet_wnids()) and not any(
        names[place] == name for place, name in _LANDMARKS.items()
    )
    return classes_of_folders(
        manifest.folders,
        loaded.classes,
        class_count(loaded),
        ids=imagenet(loaded) and not other,
        ordered=manifest.ordered,
    )


def named_by_folders(manifest: Manifest, loaded: LoadedBackbone) -> LoadedBackbone:
    """Name the classes of a network without names by the class folders.

    By their numbers, or in their sorted order, and only where there are as many folders as classes.
    """
    if loaded.classes or loaded.class_count != len(manifest.folders):
        return loaded
    index = classes_of_folders(
        manifest.folders, (), loaded.class_count, ordered=manifest.ordered
    ).index
    classes = tuple(sorted(index, key=index.__getitem__))
    return replace(loaded, classes=classes) if classes else loaded


def same_classes(one: LoadedBackbone, other: LoadedBackbone) -> bool:
    """Whether a class index means the same in both networks, as far as numbers and names tell."""
    return class_count(one) == class_count(other) and first_difference(one, other) is None


def first_difference(one: LoadedBackbone, other: LoadedBackbone) -> int | None:
    """The first class index with another name in the other network.

    Names are compared without case, underscores and synonyms behind a comma.

    Returns:
        ``None`` where no name differs, where one of the networks has no names, and where both have
        ImageNet's number of classes, most names agree and hardly one stands at another index.
    """
    pairs = [(_plain(a), _plain(b)) for a, b in zip(_names(one), _names(other), strict=False)]
    differing = [place for place, (a, b) in enumerate(pairs) if a != b]
    if imagenet(one) and imagenet(other) and len(differing) <= _SHARED_NAMES * len(pairs):
        here, there = {a for a, _ in pairs}, {b for _, b in pairs}
        moved = [p for p in differing if pairs[p][0] in there or pairs[p][1] in here]
        return moved[0] if moved and (here == there or len(moved) > _MOVED_NAMES) else None
    return next(iter(differing), None)


def _names(loaded: LoadedBackbone) -> tuple[str, ...]:
    """The class names; none where they are ImageNet's ids, which have no names to compare."""
    return () if loaded.classes == tuple(imagenet_wnids()) else loaded.classes


def _plain(name: str) -> str:
    return plain_name(name.split(",")[0])


LABELS = "labels: "
"""What the sentence on the labels begins with."""

_NAMED = 4
"""Most folders that are listed by name."""


class Labelling(NamedTuple):
    """The labels of a run, counted.

    Attributes:
        labelled: images with a label.
        text: the counts in words.
        doubtful: some images have a label and others have none, or something else is seldom meant.
    """

    labelled: int
    text: str
    doubtful: bool


def labelling(
    images: Sequence[ImageRef],
    backbone: str,
    classes: Sequence[str],
    found: FolderClasses,
    *,
    by_file: Collection[int] | None = None,
) -> Labelling:
    """Count the labels by their source, and name the folders that were read as classes.

    Args:
        images: with the labels as stored.
        backbone: whose classes the folders were compared with.
        classes: the class names; empty where the network has none.
        found: which class each folder is.
        by_file: the images that have their label from ``--labels``; ``None`` without it.
    """
    labelled = [image for image in images if image.label is not None]
    without = [image for image in images if image.label is None]
    text = f"{LABELS}{len(labelled):,} of {counted(len(images), 'image')}"
    if labelled:
        text += f", {', '.join(_sources(labelled, backbone, found, by_file))}"
    if without and by_file is None:
        text += f": {_without(without, backbone, classes, found)}"
    remarks = [_one_class(found, classes)] if by_file is None else []
    if by_file:
        remarks.append(_contradicted(labelled, found, by_file))
    remarks = [remark for remark in remarks if remark]
    doubtful = bool(remarks) or (bool(labelled) and bool(without)) or bool(found.several)
    return Labelling(len(labelled), " · ".join([text, *remarks]), doubtful)


def _sources(
    labelled: Sequence[ImageRef],
    backbone: str,
    found: FolderClasses,
    by_file: Collection[int] | None,
) -> list[str]:
    """Return how many labels come from a file, ids, class names, numbers or the folders' order."""
    of: dict[str, list[str]] = defaultdict(list)
    for image in labelled:
        folder = folder_of(image.path)
        if by_file is not None and image.id in by_file:
            source = "file"
        elif found.index.get(folder) == image.label:
            source = found.source[folder]
        else:
            source = "file" if by_file is not None else "kept"
        of[source].append(folder)
    named = _folders(list(dict.fromkeys(of["name"])))
    words = {
        "file": "by the file of labels",
        "id": "by the ImageNet ids of their folders",
        "name": f"by the class names of {backbone} ({named})",
        "number": f"by the numbers of their folders, {found.words}",
        "order": f"by the order of the folders, as many as {backbone} has classes{found.words}",
        "kept": "as this run has stored them",
    }
    if set(filter(of.get, of)) == {"file"}:
        return [words["file"]]
    return [f"{len(of[source]):,} {text}" for source, text in words.items() if of[source]]


def _one_class(found: FolderClasses, classes: Sequence[str]) -> str:
    """Return that several folders are of one class, empty as a rule."""
    folders: dict[int, list[str]] = defaultdict(list)
    for folder, place in found.index.items():
        folders[place].append(folder)
    for place, names in folders.items():
        if len(names) > 1:
            name = f" {printable(classes[place], 40)}" if place < len(classes) else ""
            return f"the {_folders(names)} are one class, {place}{name}"
    return ""


def _contradicted(
    labelled: Sequence[ImageRef], found: FolderClasses, by_file: Collection[int]
) -> str:
    """Return that the file says another class than the folder, empty as a rule."""
    other = [
        image
        for image in labelled
        if image.id in by_file
        and found.source.get(folder_of(image.path)) in ("id", "name")
        and found.index[folder_of(image.path)] != image.label
    ]
    if not other:
        return ""
    first = other[0]
    return (
        f"the file counts where folders say another class, of {counted(len(other), 'image')} "
        f"({printable(first.path, 60)}: {first.label} in the file, "
        f"{found.index[folder_of(first.path)]} by its folder)"
    )


def _without(
    images: Sequence[ImageRef], backbone: str, classes: Sequence[str], found: FolderClasses
) -> str:
    """Return why these images have no label, what becomes of them, and what to do about it."""
    folders = list(dict.fromkeys(folder_of(image.path) for image in images))
    folders = [folder for folder in folders if folder]
    if not folders:
        return "a flat folder: --labels FILE.csv gives them"
    their = f"{'its' if len(folders) == 1 else 'their'} {counted(len(images), 'image')}"
    verb = "is" if len(folders) == 1 else "are"
    several = next((folder for folder in folders if folder in found.several), None)
    if several is not None:
        of_several = [folder for folder in folders if folder in found.several]
        many = " each" if len(of_several) > 1 else ""
        why = f"the {_folders(of_several)} may{many} be several classes of {backbone} ("
        why += f"{_classes(found.several[several], classes)})"
        others = [folder for folder in folders if folder not in found.several]
        if others:
            why += f", the {_folders(others)} {'is' if len(others) == 1 else 'are'} none"
    elif found.words and not found.index:
        why = f"the {_folders(folders)} {verb} {found.words}"
    elif classes:
        why = f"the {_folders(folders)} {verb} no class of {backbone}"
    else:
        why = f"{backbone} has no class names to compare the {_folders(folders)} with"
    are = "is" if len(images) == 1 else "are"
    return f"{why}, {their} {are} measured without a label (--labels FILE.csv gives labels)"


def _classes(places: Sequence[int], classes: Sequence[str]) -> str:
    shown = ", ".join(f"{place} {printable(classes[place], 40)}" for place in places[:_NAMED])
    return f"{shown}, …" if len(places) > _NAMED else shown


def _folders(folders: Sequence[str]) -> str:
    shown = ", ".join(printable(folder, 30) for folder in folders[:_NAMED])
    more = f" and {len(folders) - _NAMED:,} more" if len(folders) > _NAMED else ""
    return f"{'folder' if len(folders) == 1 else 'folders'} {shown}{more}"


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
        by_folders = self._before and manifest.label_file is None
        self._stored = self._stored_labels() if by_folders else {}

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
        if self._manifest.label_file is None:
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
                f"--target label: {text}", "a run for each: camtui run --name NAME -b NETWORK"
            )
        if text:
            self._journal.event("warning", text)

    def _conflict(self) -> str:
        """A sentence on labels that do not mean the same class in all networks; empty as a rule."""
        known, owner = self._known(), self._owner()
        name = next(name for name, one in known.items() if one == owner)
        count = class_count(owner)
        other_count = next((n for n, one in known.items() if class_count(one) != count), None)
        if other_count is not None and self._manifest.label_file is not None:
            return (
                f"labels are class indices, and {printable(name)} has {count:,} classes, "
                f"{printable(other_count)} {class_count(known[other_count]):,}"
            )
        if other_count is not None:
            return (
                f"labels are classes of {printable(name)} ({count:,}), of no network with another "
                "number of classes"
            )
        for other_name, other in known.items():
            place = first_difference(owner, other)
            if place is not None:
                return (
                    f"labels are class indices, and not the same in all networks: class {place} "
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
        if file is not None:
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
        if file is None:
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
