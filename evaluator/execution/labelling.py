"""Labels of images by their class folders, and a sentence on how many images have one."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from typing import NamedTuple

from evaluator.classes import FolderClasses
from evaluator.errors import UsageError
from evaluator.images import Manifest, folder_of
from evaluator.plan import RunPlan
from evaluator.records import ImageRef
from evaluator.text import counted, printable

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


def no_labels() -> UsageError:
    """Return the error of ``--target label`` where no image has a label."""
    return UsageError(
        "--target label needs labels, and no image has one",
        "camtui run --labels FILE.csv, or folders named by wnid",
    )


def check_target(plan: RunPlan, manifest: Manifest) -> None:
    """Refuse ``--target label`` where no network can give any image a label.

    Raises:
        UsageError: no image has a label by its folder's ImageNet id or by file, nor a folder.
    """
    if plan.target != "label":
        return
    folders_count = plan.labels is None
    if not any(
        image.label is not None or (folders_count and folder_of(image.path))
        for image in manifest.images
    ):
        raise no_labels()


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
