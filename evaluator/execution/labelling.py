"""Labels of images by their class folders, and a sentence on how many images have one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from evaluator.execution.class_names import imagenet
from evaluator.images import Manifest, folder_of, imagenet_wnids, labels_by_class_name
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
    images: Sequence[ImageRef], backbone: str, *, from_file: bool, by_ids: bool = True
) -> Labelling:
    """Count the labels by their source.

    Args:
        images: with the labels as stored.
        backbone: whose class names the folders were compared with.
        from_file: whether the labels come from ``--labels``.
        by_ids: whether folders named by ImageNet ids have ImageNet's labels.
    """
    wnids = imagenet_wnids()
    labelled = [image for image in images if image.label is not None]
    by_id = sum(folder_of(image.path) in wnids for image in labelled) if by_ids else 0
    parts = []
    if from_file:
        parts.append("by the file of labels")
    else:
        parts += [f"{by_id:,} by the ImageNet ids of their folders"] if by_id else []
        rest = len(labelled) - by_id
        parts += [f"{rest:,} by the class names of {backbone}"] if rest else []
    text = f"labels: {len(labelled):,} of {counted(len(images), 'image')}"
    text += f", {', '.join(parts)}" if labelled else ""
    without = list(dict.fromkeys(folder_of(image.path) for image in images if image.label is None))
    folders = [folder for folder in without if folder]
    if without and not from_file:
        text += f"; {_without(folders, backbone)}"
    return Labelling(len(labelled), text, partial=bool(labelled) and bool(without))


def _without(folders: Sequence[str], backbone: str) -> str:
    """A clause on images without a label: the reason, and the option that gives them one."""
    if not folders:
        return "a flat folder: --labels FILE.csv gives them"
    shown = ", ".join(printable(folder, 30) for folder in folders[:_NAMED])
    more = f" and {len(folders) - _NAMED:,} more" if len(folders) > _NAMED else ""
    verb = "folder {} is" if len(folders) == 1 else "folders {} are"
    return f"the {verb.format(shown + more)} no class of {backbone}: --labels FILE.csv gives labels"
