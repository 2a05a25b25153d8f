"""``--truth``: masks or VOC boxes in a folder, or a COCO file, and its identity."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from evaluator.crop import size_of
from evaluator.errors import ImageUnreadable, TruthUnusable, UsageError
from evaluator.labels import listed_lines
from evaluator.plan import RunPlan
from evaluator.records import ImageRef, Preprocessing
from evaluator.sources.base import is_hidden
from evaluator.text import printable
from evaluator.truth.coco import MOST_BYTES, CocoFile
from evaluator.truth.formats import read_mask, read_voc
from evaluator.truth.layouts import Layout, layout_of
from evaluator.truth.region import Truth

if TYPE_CHECKING:
    from evaluator.truth.region import Mask

_READERS = {b".png": read_mask, b".xml": read_voc}
"""Formats of a folder, in the order in which an image's truth is looked for."""

_MOST_FILE_BYTES = 256 * 2**20
_HINT = "--truth takes a folder of .png masks or .xml boxes, a data set's own, or one COCO .json"


def planned_truth(plan: RunPlan) -> Truths | None:
    """The truth that a plan names, ``None`` where it names none.

    Raises:
        UsageError: there is none at that place.
    """
    return Truths(Path(plan.truth), plan.folder) if plan.truth else None


class Truths:
    """The truth of a data set.

    Args:
        path: a folder, whose files have the path of their image, or its name alone, but for the
            suffix; or one COCO file.
        data: the folder of the images.

    >>> from tempfile import TemporaryDirectory
    >>> from PIL import Image
    >>> folder = TemporaryDirectory()
    >>> Image.new("L", (4, 3), 8).save(f"{folder.name}/a.png")
    >>> Truths(Path(folder.name), Path("/photos")).having([ImageRef(0, b"a.jpg", 1, None)])
    1
    >>> folder.cleanup()
    """

    def __init__(self, path: Path, data: Path) -> None:
        """Look at what is there; files of a folder are read when an image is asked for.

        Raises:
            UsageError: nothing is there, or a file that is no annotation.
        """
        self._path = path
        self._data = data
        self._coco: CocoFile | None = None
        self._files: dict[bytes, bytes] = {}
        self._hidden: dict[bytes, bytes] = {}
        self._layout: Layout | None = None
        self._digest = hashlib.sha256()
        try:
            if path.is_dir():
                self._layout = layout_of(path)
                self._find()
            elif path.suffix.lower() == ".csv":
                self._list(path)
            elif path.suffix.lower() == ".json":
                content = _read(os.fsencode(path), MOST_BYTES)
                self._digest.update(content)
                self._coco = CocoFile(content, printable(path))
            else:
                raise UsageError(
                    f"no truth in {printable(path)}: no such folder or .json file", _HINT
                )
        except (OSError, TruthUnusable) as error:
            why = error.message if isinstance(error, TruthUnusable) else error.strerror
            raise UsageError(f"cannot read the truth {printable(path)}: {why}", _HINT) from error
        if self._coco is None and not any(self._files.values()):
            raise UsageError(f"no .png and no .xml in {printable(path)}", _HINT)

    def _list(self, path: Path) -> None:
        """Collect the files that a list of images names, relative to its folder.

        An image that it names without a file has none: not that of another folder's image.
        """
        for line, name, _, file in listed_lines(path):
            if file and os.path.splitext(file)[1].lower().encode() not in _READERS:
                raise UsageError(f"{printable(path)}, line {line}: {printable(file)}", _HINT)
            image = os.path.normpath(os.fsencode(name.removeprefix(f"{self._data}/")))
            stem, found = os.path.splitext(image)[0], os.fsencode(file)
            if self._files.setdefault(stem, found) != found:
                raise UsageError(
                    f"{printable(path)}, line {line}: another truth of {printable(stem)}",
                    "one annotation for all images of a name, whatever their endings",
                )
        for stem, found in sorted(self._files.items()):
            self._digest.update(b"%s\0%s\0" % (stem, found))
        self._path = path.parent

    def _find(self) -> None:
        """Collect masks and boxes by path without suffix; links to folders are not followed.

        Hidden and system files are those of hidden images, of runs that have such.
        """
        if self._layout is not None:
            self._files = self._layout.files
            return
        base = os.fsencode(self._path)
        for path, hidden in sorted(_walk(base)):
            stem, suffix = os.path.splitext(path)
            files = self._hidden if hidden else self._files
            known = files.get(stem)
            if known is None or suffix.lower() < os.path.splitext(known)[1].lower():
                files[stem] = path

    def sha256(self, *, hidden: bool = False) -> str:
        """Hash of the COCO file, or over every path and content of the folder's files.

        Of a list also over which image has which.

        Args:
            hidden: with hidden and system files, as earlier versions had it.
        """
        if self._coco is not None:
            return self._digest.hexdigest()
        digest = self._digest.copy()
        digest.update(self._layout.name.encode() if self._layout else b"")
        files = {*self._files.values(), *(self._hidden.values() if hidden else ())}
        for path in sorted(filter(None, files)):
            try:
                content = _read(os.path.join(os.fsencode(self._path), path), _MOST_FILE_BYTES)
            except (OSError, TruthUnusable):
                content = b""
            digest.update(b"%s\0%d\0" % (path, len(content)) + content)
        return digest.hexdigest()

    def having(self, images: Sequence[ImageRef]) -> int:
        """Number of the run's images that have a truth, whether it can be used or not.

        Raises:
            UsageError: one annotation would be that of two images, of one file name in different
                folders.
        """
        found = [image for image in images if self._has(image)]
        seen: dict[bytes, bytes] = {}
        for image in found:
            if self._by_name_only(image):
                name = os.path.splitext(os.path.basename(image.path))[0]
                if name in seen:
                    both = f"{printable(seen[name])} and {printable(image.path)}"
                    raise UsageError(
                        f"{both} would have one annotation, {printable(name)}",
                        "lay the truth out in the folders of the images",
                    )
                seen[name] = image.path
        return len(found)

    def _by_name_only(self, image: ImageRef) -> bool:
        """Whether the annotation of an image is found by its file name, without its folder."""
        if b"/" not in image.path:
            return False
        if self._coco is not None:
            return not self._coco.knows(_name(image))
        stem = os.path.splitext(image.path)[0]
        return stem not in self._files and stem not in self._hidden

    def _has(self, image: ImageRef) -> bool:
        if self._coco is None:
            return self._file_of(image) is not None
        try:
            return self._coco.truth_of(_name(image)) is not None
        except TruthUnusable:
            return True

    def square(
        self, image: ImageRef, target: int, classes: Sequence[str], wanted: Preprocessing
    ) -> Mask:
        """``S``, ``[side, side]``: the object's pixels in what the network saw of an image.

        Raises:
            TruthUnusable: the image has no truth (``no-truth``), an empty one (``truth-empty``),
                one of another size (``truth-size``), or one that cannot be read (``truth-broken``).
        """
        truth = self._truth(image)
        if truth is None:
            raise TruthUnusable("no-truth", "no annotation of this image")
        try:
            size = size_of(self._data, image.path, image.size)
        except (
            ImageUnreadable
        ):  # a finished run whose images have gone: the annotation's own size stands
            size = (truth.width, truth.height)
        if size != (truth.width, truth.height):
            given, expected = (
                f"{width} x {height}" for width, height in ((truth.width, truth.height), size)
            )
            raise TruthUnusable(
                "truth-size", f"an annotation of {given} pixels, the image has {expected}"
            )
        return truth.square(target, classes, wanted)

    def _truth(self, image: ImageRef) -> Truth | None:
        if self._coco is not None:
            return self._coco.truth_of(_name(image))
        file = self._file_of(image)
        if file is None:
            return None
        try:
            content = _read(os.path.join(os.fsencode(self._path), file), _MOST_FILE_BYTES)
        except OSError as error:
            raise TruthUnusable("truth-broken", printable(error.strerror or error)) from error
        if self._layout is not None:
            size = partial(size_of, self._data, image.path, image.size)
            return self._layout.read(content, os.path.splitext(image.path)[0], size)
        return _READERS[os.path.splitext(file)[1].lower()](content)

    def _file_of(self, image: ImageRef) -> bytes | None:
        """The file of an image's path, else one of its name directly in the folder.

        One in another folder is of another image.
        """
        stem = os.path.splitext(image.path)[0]
        name = os.path.basename(stem)
        if self._files.get(stem) == b"":  # a list says that it has none
            return None
        return (
            self._files.get(stem)
            or self._hidden.get(stem)
            or self._files.get(name)
            or self._hidden.get(name)
        )


def _name(image: ImageRef) -> str:
    return os.fsdecode(image.path)


def _walk(base: bytes) -> Iterator[tuple[bytes, bool]]:
    """Yield paths of masks and boxes, and whether they are hidden or in a hidden folder.

    Raises:
        OSError: a folder cannot be read, unless it is hidden.
    """
    pending = [(b"", False)]
    while pending:
        folder, hidden_folder = pending.pop()
        try:
            entries = list(os.scandir(os.path.join(base, folder)))
        except OSError:
            if hidden_folder:
                continue
            raise
        for entry in entries:
            path = os.path.join(folder, entry.name)
            hidden = hidden_folder or is_hidden(entry.name)
            if os.path.splitext(entry.name)[1].lower() in _READERS:
                yield path, hidden
            elif entry.is_dir(follow_symlinks=False):
                pending.append((path, hidden))


def _read(path: bytes, most: int) -> bytes:
    """The content of a regular file.

    Raises:
        OSError: it cannot be read; TruthUnusable: it is no regular file, or too large.
    """
    descriptor = os.open(
        path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK
    )  # a pipe must not make it wait
    with open(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise TruthUnusable("truth-broken", "not a regular file")
        if status.st_size > most:
            raise TruthUnusable("truth-broken", f"{status.st_size} bytes, at most {most}")
        return file.read(most)
