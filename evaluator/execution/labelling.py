"""Labels of images by their class folders, and a sentence on how many images have one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from evaluator.errors import UsageError
from evaluator.execution.class_names import imagenet
from evaluator.images import (
    Manifest,
    folder_of,
    imagenet_wnids,
    labels_by_class_name,
    plain_name,
)
from evaluator.plan import RunPlan
from evaluator.records import ImageRef, LoadedBackbone
from evaluator.text import counted, printable

_NAMED = 4
"""Most folders that are listed by name."""


class Labelling(NamedTuple):
    """The labels of a run, counted.

    Attributes:
        labelled: images with a label.
        text: the counts in words.
        partial: some images have a label and others have none, which is seldom meant.
    """

    labelled: int
    text: str
    partial: bool


def labels_of_ids(
    images: Sequence[ImageRef], loaded: LoadedBackbone
) -> list[tuple[int, int | None]]:
    """Labels of the images in folders named by ImageNet ids, for one network.

    Returns:
        ``(image, class index)``: ImageNet's where the network has 1000 classes, else by the
        network's class names; ``None`` where they do not name the folder.
    """
    wnids = imagenet_wnids()
    folders = {image.id: folder for image in images if (folder := folder_of(image.path)) in wnids}
    index = (
        wnids if imagenet(loaded) else labels_by_class_name(set(folders.values()), loaded.classes)
    )
    return [(image, index.get(folder)) for image, folder in folders.items()]


def labels_of_names(manifest: Manifest, loaded: LoadedBackbone) -> list[tuple[int, int | None]]:
    """Labels of the images in folders that are not named by ImageNet ids, for one network.

    Returns:
        ``(image, class index)``, by the network's class names; ``None`` where they do not name the
        folder.
    """
    unknown = {
        image.id: folder
        for image in manifest.images
        if image.label is None and (folder := folder_of(image.path))
    }
    index = labels_by_class_name(set(unknown.values()), loaded.classes)
    return [(image, index.get(folder)) for image, folder in unknown.items()]


def labelling(
    images: Sequence[ImageRef],
    backbone: str,
    classes: Sequence[str],
    *,
    from_file: bool,
    by_ids: bool = True,
) -> Labelling:
    """Count the labels by their source, and name the folders that were read as classes.

    Args:
        images: with the labels as stored.
        backbone: whose class names the folders were compared with.
        classes: the class names; empty where the network has none.
        from_file: whether the labels come from ``--labels``.
        by_ids: whether folders named by ImageNet ids have ImageNet's labels.
    """
    labelled = [image for image in images if image.label is not None]
    without = [image for image in images if image.label is None]
    sources = _sources(labelled, backbone, classes, by_ids=by_ids)
    if from_file:
        sources = ["by the file of labels"]
    text = f"labels: {len(labelled):,} of {counted(len(images), 'image')}"
    text += f", {', '.join(sources)}" if labelled else ""
    if without and not from_file:
        text += f": {_without(without, backbone, named=bool(classes))}"
    return Labelling(len(labelled), text, partial=bool(labelled) and bool(without))


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
    labelled: Sequence[ImageRef], backbone: str, classes: Sequence[str], *, by_ids: bool
) -> list[str]:
    """Return how many labels come from ids, from class names and from the order of the folders."""
    wnids = imagenet_wnids() if by_ids else {}
    names = set(map(plain_name, classes))
    by_id, by_name, by_order = [], [], []
    for image in labelled:
        folder = folder_of(image.path)
        if folder in wnids:
            by_id.append(folder)
        elif plain_name(folder) in names:
            by_name.append(folder)
        else:
            by_order.append(folder)
    sources = [f"{len(by_id):,} by the ImageNet ids of their folders"] if by_id else []
    if by_name:
        named = _folders(list(dict.fromkeys(by_name)))
        sources.append(f"{len(by_name):,} by the class names of {backbone} ({named})")
    if by_order:
        sources.append(
            f"{len(by_order):,} by the order of the folders, as many as {backbone} has classes"
        )
    return sources


def _without(images: Sequence[ImageRef], backbone: str, *, named: bool) -> str:
    """Return why these images have no label, what becomes of them, and what to do about it."""
    folders = list(dict.fromkeys(folder_of(image.path) for image in images))
    folders = [folder for folder in folders if folder]
    if not folders:
        return "a flat folder: --labels FILE.csv gives them"
    their = f"{'its' if len(folders) == 1 else 'their'} {counted(len(images), 'image')}"
    if named:
        verb = "is" if len(folders) == 1 else "are"
        why = f"the {_folders(folders)} {verb} no class of {backbone}"
    else:
        why = f"{backbone} has no class names to compare the {_folders(folders)} with"
    are = "is" if len(images) == 1 else "are"
    return f"{why}, {their} {are} measured without a label (--labels FILE.csv gives labels)"


def _folders(folders: Sequence[str]) -> str:
    shown = ", ".join(printable(folder, 30) for folder in folders[:_NAMED])
    more = f" and {len(folders) - _NAMED:,} more" if len(folders) > _NAMED else ""
    return f"{'folder' if len(folders) == 1 else 'folders'} {shown}{more}"
