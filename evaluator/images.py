"""The manifest: which images there are, in which order they are evaluated, and what is in them.

Hidden and system files are no images, and what is in hidden or system folders neither. Labels come
from a file, or from the names of the class folders.
"""

from __future__ import annotations

import hashlib
import os
import shlex
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, NamedTuple

from evaluator.errors import UsageError
from evaluator.labels import (
    LabelFile,
    Listing,
    imagenet_wnids,
    labels_of_source,
    listed_images,
    planned_labels,
)
from evaluator.plan import RunPlan
from evaluator.records import ImageRef
from evaluator.sources import matching, source_at, split_place
from evaluator.sources.base import ARRAYS, EXTENSIONS, OTHER_PICTURES, is_hidden
from evaluator.stopping_rule import enough_to_look
from evaluator.text import counted, nearest, printable

LEFT_OUT = "left out: "
"""What the sentence on files that are no images begins with."""

DEMO_PHOTOGRAPHS = (
    "camera.png", "chelsea.png", "coffee.png", "motorcycle_left.png", "rocket.jpg",
)  # fmt: skip
"""The photographs inside scikit-image's wheel that show an object of ImageNet."""

EARLIER_DEMO = (*DEMO_PHOTOGRAPHS, "astronaut.png", "coins.png", "hubble_deep_field.jpg")
"""Those of the demo of earlier versions."""

DEMO_LABELS = Path(__file__).parent / "data" / "demo_labels.csv"
"""The classes of those photographs that are of one beyond doubt."""


ListProgress = Callable[[int, float], None]
"""Called while a folder is listed: images so far, and the share of it that has been read."""

_EVERY = 256
"""Images between two such calls."""


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
        folders: class folders of the whole data set, sorted; empty for a flat folder; ``ordered``:
            in the order of the classes, as the data have their names.
        linked: images behind links to folders; ``lacks_linked``: they are none all the same, of a
            run that was begun without them.
        hidden: files named like images that are hidden or system files, or in such folders;
            ``keeps_hidden``: they are images all the same, of a run that an earlier version began.
        label_file: the labels by file.
        skipped_folders: folders that could not be looked into; to be said to whoever believes that
            all images are here.
        other_pictures: endings of pictures that are not read, and how many files have each.
        missing: which images of a list are not there, in a sentence.
        changes: how the folder differs from the run's images, which are kept; ``found_sha256``: as
            ``sha256``, of the folder as it is.
    """

    root: Path
    images: tuple[ImageRef, ...]
    sha256: str
    total: int
    skipped_folders: tuple[SkippedFolder, ...] = ()
    folders: tuple[str, ...] = ()
    ordered: bool = False
    hidden: tuple[bytes, ...] = ()
    keeps_hidden: bool = False
    linked: int = 0
    lacks_linked: bool = False
    label_file: LabelFile | None = None
    other_pictures: Mapping[bytes, int] = field(default_factory=dict)
    missing: str = ""
    changes: str = ""
    found_sha256: str = ""

    def remarks(self) -> list[tuple[Literal["info", "warning"], str]]:
        """What is to be said of the images, by its level."""
        found: list[tuple[Literal["info", "warning"], str]] = []
        if self.hidden and self.keeps_hidden:
            text = (
                f"{LEFT_OUT}none of {_hidden_text(self.hidden)}, which counted as images when this "
                "run began: a run of another --name leaves them out"
            )
            found.append(("warning", text))
        elif self.hidden:
            found.append(("info", LEFT_OUT + _hidden_text(self.hidden)))
        if self.missing:
            found.append(("warning", self.missing))
        if self.changes:
            found.append(("warning", f"the run keeps its images: {self.changes}"))
        if self.lacks_linked:
            text = (
                f"{LEFT_OUT}{counted(self.linked, 'image')} behind links to folders, which "
                "this run was begun without: a run of another --name has them"
            )
            found.append(("warning", text))
        if self.other_pictures:
            found.append(("warning", LEFT_OUT + _other_text(self.other_pictures)))
        if warning := self.warning():
            found.append(("warning", warning))
        if self.label_file:
            found += [("warning", text) for text in self.label_file.faults[:3]]
        return found

    def remark_lines(self) -> list[str]:
        """The same for a terminal, a line each."""
        return [
            f"{'warning: ' if level == 'warning' else ''}{text}" for level, text in self.remarks()
        ]

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


def planned_images(
    plan: RunPlan, stored: Listing | None = None, progress: ListProgress | None = None
) -> Manifest:
    """The manifest of the data that a plan names.

    Args:
        plan: the whole of it.
        stored: how the images of the run that is there were found; ``None`` for a new run.
        progress: called every few hundred images.

    Raises:
        UsageError, Mismatch: as ``find_images`` does; or there are too few images for the plan's
            rule.
    """
    labels = Path(plan.labels) if plan.labels else None
    manifest = find_images(
        plan.folder,
        seed=plan.seed,
        limit=plan.limit,
        labels=labels,
        images=Path(plan.images) if plan.images else None,
        missing_ok=plan.missing == "ok",
        demo=plan.demo,
        stored=stored,
        progress=progress,
    )
    if plan.rule:
        enough_to_look(len(manifest.images))
    return manifest


def no_labels() -> UsageError:
    """The error of ``--target label`` where no image has a label."""
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
    folders_count = plan.labels is None and manifest.label_file is None
    if not any(
        image.label is not None or (folders_count and folder_of(image.path))
        for image in manifest.images
    ):
        raise no_labels()


def find_images(
    root: Path,
    *,
    seed: int,
    limit: int | None = None,
    labels: Path | None = None,
    images: Path | None = None,
    missing_ok: bool = False,
    demo: bool = False,
    stored: Listing | None = None,
    progress: ListProgress | None = None,
) -> Manifest:
    """The manifest of a folder of class folders, or of a flat folder.

    The order is by the hash of (seed, path): reproducible everywhere, and a file that is added does
    not move the others. Hidden and system files are left out, unless the stored run has them.

    Args:
        root: the data folder.
        seed: of the shuffle.
        limit: take the first n of the shuffled order.
        labels: csv with columns image, label (an ImageNet id or a class index), for flat folders.
        images: csv whose column image names those that are meant; ``missing_ok``: as far as they
            are there.
        demo: only ``DEMO_PHOTOGRAPHS`` among scikit-image's files.
        stored: of the run that is there.
        progress: called every few hundred images.

    Raises:
        UsageError: no such folder, no images in it, or labels that cannot be used.
        Mismatch: labels that contradict those of the stored run's file.
    """
    root = _existing(root)
    source = source_at(root)
    skipped_folders: list[SkippedFolder] = []
    others: Counter[bytes] = Counter()
    said: dict[bytes, str] = {}
    sorts: dict[str, tuple[_Found, _Found, _Found]] = {
        kind: ([], [], []) for kind in ("image", "array")
    }
    for number, entry in enumerate(source.entries(), 1):
        if progress and number % _EVERY == 0:
            progress(number, entry.share)
        if entry.kind == "folder":
            skipped_folders.append(SkippedFolder(entry.path, entry.why))
        elif entry.kind == "other":
            others[os.path.splitext(entry.path)[1].lower()] += 1
        else:
            place = 1 if entry.hidden else 2 if entry.linked else 0
            sorts[entry.kind][place].append((entry.path, entry.size or 0))
            if entry.label:
                said[entry.path] = entry.label
    found, hidden, linked = sorts["image" if any(sorts["image"]) else "array"]
    if demo:
        others.clear()
        there = {os.fsdecode(entry[0]): entry for entry in found}
        found, earlier = (
            [there[name] for name in names if name in there]
            for names in (DEMO_PHOTOGRAPHS, EARLIER_DEMO)
        )
        if stored and stored.sha256 == _fingerprint(earlier):
            found = earlier
        hidden, linked = [], []
    if skipped_folders and not skipped_folders[0].path:
        raise UsageError(
            f"cannot read {printable(root)}: {skipped_folders[0].reason}",
            f"ls -ld {printable(root)}",
        )
    lacks_linked, keeps_hidden = _as_found(stored, found, linked, hidden)
    found += [] if lacks_linked else linked
    found += hidden if keeps_hidden else []
    if not found and hidden:
        raise UsageError(
            f"no images in {printable(root)}, {LEFT_OUT}{_hidden_text([p for p, _ in hidden])}",
            "name the folder itself where they are meant: "
            f"camtui run --data {_hidden_folder(root, hidden[0][0])}",
        )
    if not found and others:
        raise UsageError(
            f"no images in {printable(root)}, {LEFT_OUT}{_other_text(others)}",
            f"it reads {' '.join(e.decode() for e in EXTENSIONS)}",
        )
    if not found and skipped_folders:
        skipped = skipped_folders[0]
        raise UsageError(
            f"no images in {printable(root)}, {LEFT_OUT}{printable(skipped.path)}: "
            f"{skipped.reason}",
            "camtui run --follow-links follows every link"
            if "link" in skipped.reason
            else f"ls -ld {printable(root)}",
        )
    if not found:
        raise UsageError(
            f"no images in {printable(root)}",
            f"looked for {' '.join(e.decode() for e in EXTENSIONS + ARRAYS)} in it and its "
            "folders; try camtui run --demo",
        )
    missing: tuple[str, ...] = ()
    if images:
        listed = listed_images(images, root, [path for path, _ in found])
        missing, wanted = listed.missing, {one.path for one in listed.images}
        if missing and not (missing_ok and wanted):
            raise UsageError(_missing_text(missing, images, root), "--missing ok leaves them out")
        found = [entry for entry in found if entry[0] in wanted]
    found.sort(key=lambda item: hashlib.sha256(b"%d\0%s" % (seed, item[0])).digest())
    chosen = found[:limit]
    paths = [path for path, _ in found]
    file = planned_labels(labels, root, paths, stored) if labels else None
    if said and file is None:
        file = labels_of_source(root, paths, said)
    label_of = file.labels if file else _labels_from_folders(path for path, _ in chosen)
    refs = tuple(
        ImageRef(rank, path, size, label_of.get(path)) for rank, (path, size) in enumerate(chosen)
    )
    return Manifest(
        root=root,
        images=refs,
        sha256=_fingerprint(found),
        total=len(found),
        skipped_folders=tuple(skipped_folders),
        folders=source.names or tuple(sorted({folder_of(path) for path, _ in found} - {""})),
        ordered=bool(source.names),
        hidden=tuple(sorted(path for path, _ in hidden)),
        keeps_hidden=keeps_hidden,
        linked=len(linked),
        lacks_linked=lacks_linked,
        label_file=file,
        other_pictures=others if images is None else {},
        missing=_missing_text(missing, images, root) if images and missing else "",
    )


def _missing_text(missing: Sequence[str], images: Path, root: Path) -> str:
    names = ", ".join(printable(name, 60) for name in missing[:_NAMED])
    more = f" and {len(missing) - _NAMED:,} more" if len(missing) > _NAMED else ""
    return (
        f"{printable(images)} names {counted(len(missing), 'image')} that "
        f"{'is' if len(missing) == 1 else 'are'} not in {printable(root)}: {names}{more}"
    )


_NAMED = 10
"""Missing images that are named one by one."""


def with_images_of(
    manifest: Manifest,
    known: Sequence[ImageRef],
    sha256: str,
    *,
    accepted: bool,
    wanted: int | None = None,
) -> Manifest:
    """The manifest of a run that is there, whose images stay.

    Files that were added, removed or changed beyond the run's images change nothing.

    Args:
        manifest: of the folder as it is now.
        known: the run's images, in order; ``sha256``: of its manifest.
        accepted: the user has accepted that the folder has changed: its files are compared one by
            one when they are read.
        wanted: of how many images the run is to be, ``None``: of all that there are; images that
            are new come behind the known ones.
    """
    now = manifest.images
    if [one[:3] for one in now[: len(known)]] == [one[:3] for one in known]:
        return replace(manifest, sha256=sha256)
    if not accepted:
        return manifest
    sizes, paths = {image.path: image.size for image in now}, {image.path for image in known}
    labels = {image.path: image.label for image in now}
    more = [image for image in now if image.path not in paths]
    room = len(more) if wanted is None else max(0, wanted - len(known))
    kept = [
        image._replace(label=labels.get(image.path, image.label), content=None) for image in known
    ]
    kept += [image._replace(id=place) for place, image in enumerate(more[:room], len(known))]
    counts = {
        "missing": sum(image.path not in sizes for image in known),
        "changed": sum(sizes.get(image.path, image.size) != image.size for image in known),
        "left out as they are new": len(more) - (len(kept) - len(known)) if wanted else 0,
    }
    told = ", ".join(f"{count} {words}" for words, count in counts.items() if count)
    return replace(
        manifest,
        images=tuple(kept),
        sha256=sha256,
        changes=told or "files were added or removed",
        found_sha256=manifest.sha256,
    )


_Found = list[tuple[bytes, int]]


def _as_found(
    stored: Listing | None, found: _Found, linked: _Found, hidden: _Found
) -> tuple[bool, bool]:
    """Whether a run's images are those without the linked ones, and with the hidden ones.

    Earlier versions followed no links to folders, and took hidden files for images.
    """
    for lacks, keeps in ((False, False), (True, False), (False, True), (True, True)):
        if stored is None or (lacks and not linked) or (keeps and not hidden):
            continue
        images = [*found, *([] if lacks else linked), *(hidden if keeps else [])]
        if _fingerprint(images) == stored.sha256:
            return lacks, keeps
    return False, False


def _existing(root: Path) -> Path:
    """The place of the images, links resolved.

    Raises:
        UsageError: there is no such folder, and no file that holds images.
    """
    root = root.expanduser()
    if root.is_dir():
        return root.resolve()
    place = split_place(root)
    if place is None and root.is_file():
        raise UsageError(
            f"{printable(root)} is a file, and images are read from a folder or an archive",
            f"camtui run --data {shlex.quote(printable(root.parent))}",
        )
    if place is None:
        near = _near_folder(root)
        meant = f"did you mean '{near.name}'? " if near else ""
        raise UsageError(
            f"no such folder: {printable(root)}",
            f"{meant}camtui run --data {shlex.quote(printable(near)) if near else 'FOLDER'}",
        )
    for file in matching(place.file):
        if not file.exists():
            raise UsageError(
                f"no such file: {printable(file)}", f"ls -l {shlex.quote(printable(file.parent))}"
            )
    return root.absolute()


def _other_text(others: Mapping[bytes, int]) -> str:
    """``12 .heic files (convert to .png), 1 .jfif file (rename to .jpg)``."""
    return ", ".join(
        f"{counted(count, f'{ending.decode()} file')} ({OTHER_PICTURES[ending]})"
        for ending, count in sorted(others.items(), key=lambda one: (-one[1], one[0]))
    )


def _hidden_part(path: bytes) -> bytes:
    """The name in a path that makes it hidden."""
    return next(filter(is_hidden, path.split(b"/")), path)


def _hidden_folder(root: Path, path: bytes) -> str:
    """The hidden folder of a hidden image; the root where the file itself is hidden."""
    parts = path.split(b"/")[:-1]
    length = next((n for n, part in enumerate(parts, 1) if is_hidden(part)), 0)
    return printable(os.path.join(os.fsencode(root), *parts[:length]))


def _hidden_text(paths: Iterable[bytes]) -> str:
    """``3 files in hidden or system folders (.ipynb_checkpoints), 2 hidden files (._a.jpg)``."""
    files: list[bytes] = []
    folders: list[bytes] = []
    for path in paths:
        name = _hidden_part(path)
        (files if path.split(b"/")[-1] == name else folders).append(name)
    parts = []
    if folders:
        parts.append(
            f"{counted(len(folders), 'file')} in hidden or system folders ({_examples(folders)})"
        )
    if files:
        parts.append(f"{counted(len(files), 'hidden or system file')} ({_examples(files)})")
    return ", ".join(parts)


def _examples(names: Iterable[bytes], most: int = 3) -> str:
    different = list(dict.fromkeys(names))
    more = ", …" if len(different) > most else ""
    return ", ".join(printable(name, 40) for name in different[:most]) + more


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


def _near_folder(root: Path) -> Path | None:
    if not root.parent.is_dir():
        return None
    try:
        folders = [
            entry.name
            for entry in root.parent.iterdir()
            if entry.is_dir() and not is_hidden(os.fsencode(entry.name))
        ]
    except OSError:
        return None
    near = nearest(root.name, folders)
    return root.parent / near[0] if near else None
