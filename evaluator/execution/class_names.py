"""Whether the classes of two networks are the same, and which class a folder is of a network."""

from __future__ import annotations

from dataclasses import replace

from evaluator.classes import FolderClasses, classes_of_folders, imagenet_wnids, plain_name
from evaluator.images import Manifest
from evaluator.records import LoadedBackbone

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
        manifest.folders, loaded.classes, class_count(loaded), ids=imagenet(loaded) and not other
    )


def named_by_folders(manifest: Manifest, loaded: LoadedBackbone) -> LoadedBackbone:
    """Name the classes of a network without names by the class folders.

    By their numbers, or in their sorted order, and only where there are as many folders as classes.
    """
    if loaded.classes or loaded.class_count != len(manifest.folders):
        return loaded
    index = classes_of_folders(manifest.folders, (), loaded.class_count).index
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
