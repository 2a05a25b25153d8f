"""Whether the classes of two networks are the same, by their number and their names."""

from __future__ import annotations

from dataclasses import replace

from evaluator.images import Manifest, imagenet_wnids, plain_name
from evaluator.records import LoadedBackbone

_SHARED_NAMES = 0.5
"""Share of ImageNet's 1000 names that must agree: lists of them differ in the spelling of some."""


def imagenet(loaded: LoadedBackbone) -> bool:
    """Whether the network has as many classes as ImageNet, so that ImageNet ids name them."""
    return loaded.class_count in (0, len(imagenet_wnids()))


def class_count(loaded: LoadedBackbone) -> int:
    """The number of a network's classes; files of version 1 know ImageNet's only."""
    return loaded.class_count or len(imagenet_wnids())


def named_by_folders(manifest: Manifest, loaded: LoadedBackbone) -> LoadedBackbone:
    """Name the classes of a network without names by the class folders, in their sorted order.

    Only where there are as many folders as classes.
    """
    if loaded.classes or loaded.class_count != len(manifest.folders):
        return loaded
    return replace(loaded, classes=manifest.folders)


def same_classes(one: LoadedBackbone, other: LoadedBackbone) -> bool:
    """Whether a class index means the same in both networks, as far as numbers and names tell."""
    return class_count(one) == class_count(other) and first_difference(one, other) is None


def first_difference(one: LoadedBackbone, other: LoadedBackbone) -> int | None:
    """The first class index with another name in the other network.

    Names are compared without case, underscores and synonyms behind a comma.

    Returns:
        ``None`` where no name differs, where one of the networks has no names, and where both have
        ImageNet's number of classes and most names agree.
    """
    pairs = [(_plain(a), _plain(b)) for a, b in zip(_names(one), _names(other), strict=False)]
    differing = [place for place, (a, b) in enumerate(pairs) if a != b]
    if imagenet(one) and imagenet(other) and len(differing) <= _SHARED_NAMES * len(pairs):
        return None
    return next(iter(differing), None)


def _names(loaded: LoadedBackbone) -> tuple[str, ...]:
    """The class names; none where they are ImageNet's ids, which have no names to compare."""
    return () if loaded.classes == tuple(imagenet_wnids()) else loaded.classes


def _plain(name: str) -> str:
    return plain_name(name.split(",")[0])
