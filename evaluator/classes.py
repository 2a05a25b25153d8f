"""What classes are called: ImageNet ids, class names, and the folders of a data set."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, lru_cache
from importlib import resources
from typing import Literal

from evaluator.text import printable


@cache
def imagenet_wnids() -> dict[str, int]:
    """ImageNet's 1000 class ids (``n01440764`` …) → class index: their rank in the sorted list."""
    text = resources.files("evaluator").joinpath("data/imagenet_wnids.txt").read_text("ascii")
    return {wnid: index for index, wnid in enumerate(sorted(text.split()))}


@dataclass(frozen=True)
class FolderClasses:
    """Which class each class folder is.

    Attributes:
        index: folder → class index; folders of no class, or of several, are missing.
        source: folder → what says so: ImageNet's ``id``, the class's ``name``, the folder's
            ``number``, the ``order`` of the folders; ``kept``: stored so by an earlier version.
        several: folder → the classes that its name may mean.
        words: how numbers or the order are read, or why they are not.
    """

    index: dict[str, int]
    source: dict[str, Literal["id", "name", "number", "order", "kept"]]
    several: dict[str, tuple[int, ...]] = field(default_factory=dict)
    words: str = ""


def classes_of_folders(
    folders: Collection[str], classes: Sequence[str], class_count: int, *, ids: bool = False
) -> FolderClasses:
    """Which class of a network each class folder of a data set is.

    By class name: exact spelling first, else without case, ``_`` and spaces, and by the names
    between commas; a name of several classes is none of them. Only where no folder is named like a
    class, and there are exactly as many folders as classes, by their numbers or their order.

    Args:
        folders: all of the data set, whatever the limit.
        classes: the class names, empty where there are none.
        class_count: C.
        ids: ImageNet ids are ImageNet's classes.
    """
    found = FolderClasses({}, {})
    wnids = imagenet_wnids() if ids else {}
    for folder in sorted(folders):
        meant = classes_called(folder, classes)
        if len(meant) > 1:
            meant = _spelt_in_full(folder, meant, folders, classes)
        meant = meant or tuple({wnids[folder]} if folder in wnids else ())
        if len(meant) > 1:
            found.several[folder] = meant
        elif meant:
            found.index[folder] = meant[0]
            found.source[folder] = "id" if wnids.get(folder) == meant[0] else "name"
    return found if found.index or found.several else _ranked(sorted(folders), class_count)


def classes_called(name: str, classes: Sequence[str]) -> tuple[int, ...]:
    """The classes of that name, or with that name between commas; exact spelling first."""
    exact, plain = _places(tuple(classes))
    return exact.get(name) or plain.get(plain_name(name)) or ()


@lru_cache(maxsize=4)
def _places(
    classes: tuple[str, ...],
) -> tuple[dict[str, tuple[int, ...]], dict[str, tuple[int, ...]]]:
    """Name → class indices, and the same by ``plain_name``."""
    exact: dict[str, list[int]] = defaultdict(list)
    plain: dict[str, list[int]] = defaultdict(list)
    for place, name in enumerate(classes):
        names = {name, name.strip(), *map(str.strip, name.split(","))} - {""}
        for one in names:
            exact[one].append(place)
        for one in set(map(plain_name, names)) - {""}:
            plain[one].append(place)
    return (
        {key: tuple(where) for key, where in exact.items()},
        {key: tuple(where) for key, where in plain.items()},
    )


def _spelt_in_full(
    folder: str, meant: tuple[int, ...], folders: Collection[str], classes: Sequence[str]
) -> tuple[int, ...]:
    """Of several classes that which is spelt so in full, where the others have their own folder."""
    full = tuple(place for place in meant if classes[place] == folder)
    others = [classes[place] for place in meant if place not in full]
    return full if len(full) == 1 and all(name in folders for name in others) else meant


_SPLITS = frozenset({"train", "training", "val", "valid", "validation", "test", "testing"})


def _ranked(folders: Sequence[str], class_count: int) -> FolderClasses:
    """Classes by the folders' numbers, or by their order as text, as ``ImageFolder`` has it."""
    none = FolderClasses({}, {})
    if not folders:
        return none
    natural = sorted(folders, key=_natural)
    numbers = [folder for folder in natural if _NUMBER.fullmatch(folder)]
    if len(numbers) < len(folders):
        if len(folders) != class_count:
            return none
        if _SPLITS.issuperset(map(str.lower, folders)):
            return replace(none, words="parts of a data set, --data takes one of them")
        if numbers and natural != folders:
            return replace(none, words="some numbers and some not, in no certain order")
        words = f", as text: {_first(folders)}" if natural != folders else ""
        return FolderClasses(
            {folder: rank for rank, folder in enumerate(folders)},
            dict.fromkeys(folders, "order"),
            words=words,
        )
    values = [int(folder) for folder in natural]
    if len(set(values)) < len(values):
        twice = next(n for n in range(len(values)) if values[n] == values[n + 1])
        return replace(
            none, words=f"numbers, and {natural[twice]} and {natural[twice + 1]} are the same"
        )
    if len(folders) != class_count:
        return replace(
            none,
            words=f"numbers, {len(folders):,} for {class_count:,} classes: which is which is not "
            "known",
        )
    if values == list(range(class_count)):
        words = f"{natural[0]} to {natural[-1]}, as class indices"
    elif values == list(range(1, class_count + 1)):
        words = f"{natural[0]} to {natural[-1]}, as classes 0 to {class_count - 1}"
    else:
        words = f"in numeric order: {_first(natural)}"
    if natural != folders:
        words += (
            f" (a network trained on torchvision's ImageFolder has them as text, {_first(folders)}:"
            " --classes FILE gives its order)"
        )
    return FolderClasses(
        {folder: rank for rank, folder in enumerate(natural)},
        dict.fromkeys(natural, "number"),
        words=words,
    )


_NUMBER = re.compile("[0-9]+")


def _natural(name: str) -> list[tuple[int, str]]:
    """Key of the order in which people count: ``class2`` before ``class10``."""
    return [
        (int(part), "") if _NUMBER.fullmatch(part) else (-1, part)
        for part in re.split("([0-9]+)", name)
    ]


def _first(folders: Sequence[str], most: int = 4) -> str:
    more = ", …" if len(folders) > most else ""
    return ", ".join(printable(folder, 20) for folder in folders[:most]) + more


def plain_name(name: str) -> str:
    """A class name without case, underscores and spaces that nobody means."""
    return " ".join(name.replace("_", " ").lower().split())
