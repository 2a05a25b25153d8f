"""The manifest: which images there are, in which order they are evaluated, and what is in them."""

from __future__ import annotations

import csv
import hashlib
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from typing import NamedTuple

from evaluator.errors import UsageError
from evaluator.plan import RunPlan
from evaluator.records import ImageRef
from evaluator.stopping_rule import enough_to_look
from evaluator.text import did_you_mean, printable

EXTENSIONS = (
    b".jpg", b".jpeg", b".png", b".ppm", b".bmp", b".pgm", b".tif", b".tiff", b".webp", b".gif",
)  # fmt: skip

DEMO_PHOTOGRAPHS = (
    "astronaut.png", "camera.png", "chelsea.png", "coffee.png", "coins.png",
    "motorcycle_left.png", "rocket.jpg", "hubble_deep_field.jpg",
)  # fmt: skip
"""The photographs inside scikit-image's wheel (its drawings, textures and microscope slides are not
ImageNet's subject).
"""


class SkippedFolder(NamedTuple):
    """A folder whose images are not in the manifest, and why."""

    path: bytes
    reason: str


@dataclass(frozen=True)
class Manifest:
    """The images of a data set in the order of evaluation.

    Attributes:
        root: the data folder, links resolved.
        images: in the order of the seeded shuffle; labels by ImageNet id or by file where these
            give them.
        sha256: over every path and size of the whole data set, whatever the limit.
        total: images in the data set before the limit.
        folders: class folders of the whole data set, sorted; empty for a flat folder.
        skipped_folders: folders that could not be looked into; to be said to whoever believes that
            all images are here.
    """

    root: Path
    images: tuple[ImageRef, ...]
    sha256: str
    total: int
    skipped_folders: tuple[SkippedFolder, ...] = ()
    folders: tuple[str, ...] = ()

    def warning(self) -> str:
        """A sentence on the folders that are left out, empty where there are none."""
        if not self.skipped_folders:
            return ""
        path, reason = self.skipped_folders[0]
        count = (
            f"{len(self.skipped_folders)} folders are"
            if len(self.skipped_folders) > 1
            else "a folder is"
        )
        place = printable(os.path.join(os.fsencode(self.root), path), 120)
        return f"{count} left out: {place}: {reason}"


@cache
def imagenet_wnids() -> dict[str, int]:
    """ImageNet's 1000 class ids (``n01440764`` …) → class index: their rank in the sorted list."""
    text = resources.files("evaluator").joinpath("data/imagenet_wnids.txt").read_text("ascii")
    return {wnid: index for index, wnid in enumerate(sorted(text.split()))}


def demo_root() -> Path:
    """The folder of scikit-image's own photographs.

    Raises:
        UsageError: scikit-image is not installed.
    """
    from importlib.util import find_spec

    spec = find_spec("skimage")
    if spec is None or spec.origin is None:
        raise UsageError(
            "the demo's photographs come with scikit-image, which is not installed",
            'pip install "camtui[demo]"',
        )
    return Path(spec.origin).parent / "data"


def planned_images(plan: RunPlan) -> Manifest:
    """The manifest of the data that a plan names.

    Raises:
        UsageError: as ``find_images`` does; or there are too few images for the plan's rule.
    """
    labels = Path(plan.labels) if plan.labels else None
    manifest = find_images(
        Path(plan.data), seed=plan.seed, limit=plan.limit, labels=labels, demo=plan.demo
    )
    if plan.rule:
        enough_to_look(len(manifest.images))
    return manifest


def find_images(
    root: Path,
    *,
    seed: int,
    limit: int | None = None,
    labels: Path | None = None,
    demo: bool = False,
) -> Manifest:
    """The manifest of a folder of class folders, or of a flat folder.

    The order is by the hash of (seed, path): reproducible everywhere, and a file that is added does
    not move the others.

    Args:
        root: the data folder.
        seed: of the shuffle.
        limit: take the first n of the shuffled order.
        labels: csv with columns image, label (an ImageNet id or a class index), for flat folders.
        demo: only the photographs among scikit-image's files.

    Raises:
        UsageError: no such folder, no images in it, or labels that cannot be read.
    """
    root = _existing_folder(root)
    skipped_folders: list[SkippedFolder] = []
    found = list(_walk(root, skipped_folders))
    if demo:
        found = [entry for entry in found if os.fsdecode(entry[0]) in DEMO_PHOTOGRAPHS]
    if skipped_folders and not skipped_folders[0].path:
        raise UsageError(
            f"cannot read {printable(root)}: {skipped_folders[0].reason}",
            f"ls -ld {printable(root)}",
        )
    if not found:
        raise UsageError(
            f"no images in {printable(root)}",
            f"looked for {' '.join(e.decode() for e in EXTENSIONS)} in it and its folders; try "
            "camtui run --demo",
        )
    found.sort(key=lambda item: hashlib.sha256(b"%d\0%s" % (seed, item[0])).digest())
    chosen = found[:limit]
    label_of = (
        _labels_from_file(labels, found)
        if labels
        else _labels_from_folders(path for path, _ in chosen)
    )
    images = tuple(
        ImageRef(rank, path, size, label_of.get(path)) for rank, (path, size) in enumerate(chosen)
    )
    folders = tuple(sorted({folder_of(path) for path, _ in found} - {""}))
    return Manifest(root, images, _fingerprint(found), len(found), tuple(skipped_folders), folders)


def _existing_folder(root: Path) -> Path:
    root = root.expanduser()
    if not root.is_dir():
        raise UsageError(
            f"no such folder: {printable(root)}", f"{_near_folder(root)}camtui run --data FOLDER"
        )
    return root.resolve()


def _walk(root: Path, skipped_folders: list[SkippedFolder]) -> Iterator[tuple[bytes, int]]:
    """Every entry that is named like an image; one that cannot be read becomes a failure later.

    Folders that cannot be looked into, and links to folders (which may lead out, or round), are
    added to ``skipped_folders``.
    """
    base = os.fsencode(root)
    pending = [b""]
    while pending:
        folder = pending.pop()
        try:
            entries = sorted(os.scandir(os.path.join(base, folder)), key=lambda entry: entry.name)
        except OSError as error:
            skipped_folders.append(SkippedFolder(folder, error.strerror or str(error)))
            continue
        for entry in entries:
            path = os.path.join(folder, entry.name)
            if entry.name.lower().endswith(EXTENSIONS):
                yield path, _size(entry)
            elif entry.is_dir(follow_symlinks=False):
                pending.append(path)
            elif _is_folder(entry):
                skipped_folders.append(
                    SkippedFolder(path, "a link to a folder, which is not followed")
                )


def _is_folder(entry: os.DirEntry[bytes]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that leads round in a circle
        return False


def _size(entry: os.DirEntry[bytes]) -> int:
    try:
        return entry.stat().st_size
    except OSError:
        return 0


def _fingerprint(found: Iterable[tuple[bytes, int]]) -> str:
    digest = hashlib.sha256()
    for path, size in sorted(found):
        digest.update(b"%s\0%d\n" % (path, size))
    return digest.hexdigest()


def folder_of(path: bytes) -> str:
    """The class folder of an image, empty in a flat data set."""
    return os.fsdecode(path.split(b"/")[0]) if b"/" in path else ""


def _labels_from_folders(paths: Iterable[bytes]) -> dict[bytes, int]:
    wnids = imagenet_wnids()
    return {path: wnids[folder] for path in paths if (folder := folder_of(path)) in wnids}


def labels_by_class_name(folders: set[str], classes: tuple[str, ...]) -> dict[str, int]:
    """Folder name → class index for folders that are not named by ImageNet ids.

    By class name where it is one of the network's (case, ``_`` and spaces aside); by rank only if
    there are exactly as many folders as classes; else unknown.
    """
    index = {plain_name(name): place for place, name in enumerate(classes)}
    named = {folder: index[plain_name(folder)] for folder in folders if plain_name(folder) in index}
    if not named and len(folders) == len(classes):
        return {folder: rank for rank, folder in enumerate(sorted(folders))}
    return named


def plain_name(name: str) -> str:
    """A class name without case, underscores and spaces that nobody means."""
    return " ".join(name.replace("_", " ").lower().split())


def _labels_from_file(file: Path, found: list[tuple[bytes, int]]) -> dict[bytes, int]:
    """``image,label`` lines; image is a path relative to the data folder or a bare file name."""
    known: dict[str, bytes] = {}
    for path, _ in found:
        known[os.fsdecode(os.path.basename(path))] = path
        known[os.fsdecode(path)] = path
    labels: dict[bytes, int] = {}
    example = "each line is image,label: ILSVRC2012_val_00000001.JPEG,n01751748"
    try:
        with open(file, newline="", encoding="utf-8-sig", errors="surrogateescape") as stream:
            for number, line in enumerate(csv.reader(stream), 1):
                if not line or (
                    number == 1 and line[0].strip().lower() in ("image", "file", "filename", "path")
                ):
                    continue
                if len(line) < 2 or (label := _class_index(line[1].strip())) is None:
                    raise UsageError(
                        f"{printable(file)}, line {number}: no class index or ImageNet id", example
                    )
                if line[0].strip() in known:
                    labels[known[line[0].strip()]] = label
    except OSError as error:
        raise UsageError(
            f"cannot read the labels {printable(file)}: {error.strerror}",
            "camtui run --labels FILE.csv",
        ) from error
    except csv.Error as error:
        raise UsageError(f"{printable(file)} is not a csv: {error}", example) from error
    if not labels:
        raise UsageError(f"{printable(file)} names none of the {len(found)} images", example)
    return labels


def _class_index(text: str) -> int | None:
    if text in imagenet_wnids():
        return imagenet_wnids()[text]
    return int(text) if text.isdecimal() else None


def _near_folder(root: Path) -> str:
    if not root.parent.is_dir():
        return ""
    try:
        folders = [entry.name for entry in root.parent.iterdir() if entry.is_dir()]
    except OSError:
        return ""
    return did_you_mean(root.name, folders)
