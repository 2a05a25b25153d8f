"""The manifest: which images there are, in which order they are evaluated, and what is in them.

Hidden and system files are no images, and what is in hidden or system folders neither. Labels come
from a file, or from the names of the class folders.
"""

from __future__ import annotations

import hashlib
import os
import shlex
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, NamedTuple

from evaluator.crop import distrust, is_within
from evaluator.errors import UsageError
from evaluator.labels import LabelFile, Listing, imagenet_wnids, planned_labels
from evaluator.plan import RunPlan
from evaluator.records import ImageRef
from evaluator.stopping_rule import enough_to_look
from evaluator.text import counted, did_you_mean, printable

EXTENSIONS = (
    b".jpg", b".jpeg", b".png", b".ppm", b".bmp", b".pgm", b".tif", b".tiff", b".webp", b".gif",
)  # fmt: skip

OTHER_PICTURES = {
    b".jfif": "rename to .jpg", b".jpe": "rename to .jpg", b".jif": "rename to .jpg",
    **dict.fromkeys((
        b".avif", b".heic", b".heif", b".jp2", b".j2k", b".jpx", b".jxl", b".tga", b".psd", b".svg",
        b".exr", b".hdr", b".dng", b".cr2", b".cr3", b".nef", b".arw", b".dcm", b".ico", b".jps",
    ), "convert to .png"),
}  # fmt: skip
"""Endings of pictures that are not read, and what to do with such files."""

ARCHIVES = {b".zip": "unzip -q {} -d FOLDER"} | dict.fromkeys(
    (b".tar", b".tar.gz", b".tgz", b".tar.bz2", b".tar.xz", b".tar.zst"), "tar -xf {} -C FOLDER"
)
"""Endings of archives, and the command that unpacks one."""

ARRAYS = (b".npy",)
"""What counts as an image in a folder that has no others, beside which an array may be anything."""

SYSTEM_NAMES = frozenset({
    b"__macosx", b"@eadir", b"@recycle", b"@recently-snapshot", b"@tmp", b"#recycle", b"#snapshot",
    b"$recycle.bin", b"system volume information", b"lost+found", b"network trash folder",
    b"temporary items", b"thumbs.db", b"ehthumbs.db", b"desktop.ini",
})  # fmt: skip
"""What operating systems, file servers and archives lay into a folder by themselves, in lower case;
besides names that begin with a dot (``.ipynb_checkpoints``, ``.Trash-1000``, ``._x`` of macOS,
``.nfs…``) and editors' backups (``x~``).
"""

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
        linked: images behind links to folders; ``lacks_linked``: they are none all the same, of a
            run that was begun without them.
        hidden: files named like images that are hidden or system files, or in such folders;
            ``keeps_hidden``: they are images all the same, of a run that an earlier version began.
        label_file: the labels by file.
        skipped_folders: folders that could not be looked into; to be said to whoever believes that
            all images are here.
        other_pictures: endings of pictures that are not read, and how many files have each.
        changes: how the folder differs from the run's images, which are kept; ``found_sha256``: as
            ``sha256``, of the folder as it is.
    """

    root: Path
    images: tuple[ImageRef, ...]
    sha256: str
    total: int
    skipped_folders: tuple[SkippedFolder, ...] = ()
    folders: tuple[str, ...] = ()
    hidden: tuple[bytes, ...] = ()
    keeps_hidden: bool = False
    linked: int = 0
    lacks_linked: bool = False
    label_file: LabelFile | None = None
    other_pictures: Mapping[bytes, int] = field(default_factory=dict)
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


def planned_images(plan: RunPlan, stored: Listing | None = None) -> Manifest:
    """The manifest of the data that a plan names.

    Args:
        plan: the whole of it.
        stored: how the images of the run that is there were found; ``None`` for a new run.

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
        demo=plan.demo,
        stored=stored,
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
    stored: Listing | None = None,
) -> Manifest:
    """The manifest of a folder of class folders, or of a flat folder.

    The order is by the hash of (seed, path): reproducible everywhere, and a file that is added does
    not move the others. Hidden and system files are left out, unless the stored run has them.

    Args:
        root: the data folder.
        seed: of the shuffle.
        limit: take the first n of the shuffled order.
        labels: csv with columns image, label (an ImageNet id or a class index), for flat folders.
        demo: only ``DEMO_PHOTOGRAPHS`` among scikit-image's files.
        stored: of the run that is there.

    Raises:
        UsageError: no such folder, no images in it, or labels that cannot be used.
        Mismatch: labels that contradict those of the stored run's file.
    """
    root = _existing_folder(root)
    skipped_folders: list[SkippedFolder] = []
    found: list[tuple[bytes, int]] = []
    hidden: list[tuple[bytes, int]] = []
    linked: list[tuple[bytes, int]] = []
    others: Counter[bytes] = Counter()
    for extensions in (EXTENSIONS, ARRAYS):
        skipped_folders.clear()
        others.clear()
        for path, size, is_hidden, is_linked in _walk(root, skipped_folders, others, extensions):
            (hidden if is_hidden else linked if is_linked else found).append((path, size))
        if found or hidden or linked:
            break
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
    found.sort(key=lambda item: hashlib.sha256(b"%d\0%s" % (seed, item[0])).digest())
    chosen = found[:limit]
    file = planned_labels(labels, root, [path for path, _ in found], stored) if labels else None
    label_of = file.labels if file else _labels_from_folders(path for path, _ in chosen)
    images = tuple(
        ImageRef(rank, path, size, label_of.get(path)) for rank, (path, size) in enumerate(chosen)
    )
    return Manifest(
        root=root,
        images=images,
        sha256=_fingerprint(found),
        total=len(found),
        skipped_folders=tuple(skipped_folders),
        folders=tuple(sorted({folder_of(path) for path, _ in found} - {""})),
        hidden=tuple(sorted(path for path, _ in hidden)),
        keeps_hidden=keeps_hidden,
        linked=len(linked),
        lacks_linked=lacks_linked,
        label_file=file,
        other_pictures=others,
    )


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


def _existing_folder(root: Path) -> Path:
    root = root.expanduser()
    if root.is_file():
        name = os.fsencode(root.name.lower())
        unpack = next((text for ending, text in ARCHIVES.items() if name.endswith(ending)), "")
        raise UsageError(
            f"{printable(root)} is {'an archive' if unpack else 'a file'}, and images are read "
            "from a folder",
            f"{unpack.format(shlex.quote(printable(root)))}; camtui run --data FOLDER"
            if unpack
            else f"camtui run --data {shlex.quote(printable(root.parent))}",
        )
    if not root.is_dir():
        raise UsageError(
            f"no such folder: {printable(root)}", f"{_near_folder(root)}camtui run --data FOLDER"
        )
    return root.resolve()


def is_hidden(name: bytes) -> bool:
    """Whether a file or folder of that name is hidden, the system's, or an editor's backup."""
    return name.startswith(b".") or name.endswith(b"~") or name.lower() in SYSTEM_NAMES


def _walk(
    root: Path,
    skipped_folders: list[SkippedFolder],
    others: Counter[bytes],
    extensions: tuple[bytes, ...],
) -> Iterator[tuple[bytes, int, bool, bool]]:
    """Every entry that is named like an image; one that cannot be read becomes a failure later.

    Folders that cannot be looked into, and links to folders that are not followed (``distrust``;
    those that lead round), are added to ``skipped_folders``, but for hidden ones; pictures that are
    not read are counted in ``others``.

    Yields:
        Path below the root, size, whether it is hidden or in a hidden folder, and whether it is
        behind a link to a folder.
    """
    base = os.fsencode(root)
    pending = [(b"", False, False)]
    followed: list[bytes] = []
    while pending:
        folder, hidden_folder, linked = pending.pop()
        try:
            entries = sorted(os.scandir(os.path.join(base, folder)), key=lambda entry: entry.name)
        except OSError as error:
            if not hidden_folder:
                skipped_folders.append(SkippedFolder(folder, error.strerror or str(error)))
            continue
        for entry in entries:
            path = os.path.join(folder, entry.name)
            hidden = hidden_folder or is_hidden(entry.name)
            if entry.name.lower().endswith(extensions):
                yield path, _size(entry), hidden, linked
            elif entry.is_dir(follow_symlinks=False):
                pending.append((path, hidden, linked))
            elif not hidden and (end := os.path.splitext(entry.name)[1].lower()) in OTHER_PICTURES:
                others[end] += 1
            elif not hidden and _is_folder(entry):
                if why := _not_followed(root, path, followed):
                    skipped_folders.append(SkippedFolder(path, why))
                else:
                    pending.append((path, hidden, True))


def _not_followed(root: Path, path: bytes, followed: list[bytes]) -> str:
    """Why a link to a folder is not followed; one that is, is added to ``followed``."""
    base = os.path.realpath(os.fsencode(root))
    target = os.path.realpath(os.path.join(base, path))
    if is_within(base, target):
        return "a link that leads round in a circle"
    if is_within(target, base) and not any(
        map(is_hidden, os.path.relpath(target, base).split(b"/"))
    ):
        return "a link to a folder of the same data"
    if any(is_within(target, other) for other in followed):
        return "a link to a folder that another link leads to"
    try:
        if why := distrust(root, path):
            return why
    except OSError as error:
        return f"a link to a folder: {error.strerror}"
    followed.append(target)
    return ""


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


def _near_folder(root: Path) -> str:
    if not root.parent.is_dir():
        return ""
    try:
        folders = [
            entry.name
            for entry in root.parent.iterdir()
            if entry.is_dir() and not is_hidden(os.fsencode(entry.name))
        ]
    except OSError:
        return ""
    return did_you_mean(root.name, folders)
