"""Class names, and the files and folders that say which image is of which class."""

from __future__ import annotations

import csv
import hashlib
import os
import re
import struct
import zlib
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, lru_cache
from importlib import resources
from io import StringIO
from pathlib import Path, PurePosixPath
from typing import Literal, NamedTuple

from evaluator.errors import Mismatch, UsageError
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
    folders: Collection[str],
    classes: Sequence[str],
    class_count: int,
    *,
    ids: bool = False,
    ordered: bool = False,
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
        ordered: the folders are in the order of the classes that they were labelled by.
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
    if found.index or found.several:
        return found
    if not ordered:
        return _ranked(sorted(folders), class_count)
    if len(folders) != class_count:
        return FolderClasses({}, {}, words=f"{len(folders):,} classes, of {class_count:,}")
    index = {folder: place for place, folder in enumerate(folders)}
    return FolderClasses(index, dict.fromkeys(index, "order"), words=", as the data number them")


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


class Listing(NamedTuple):
    """How the images and labels of a stored run were found.

    Attributes:
        sha256: the stored ``Manifest.sha256``; ``image_count``: images of the run.
        labels: absolute path of its file of labels, ``None`` without one.
        labels_sha256: of that file as it was checked; empty in runs of earlier versions, which took
            files with contradictions.
    """

    sha256: str
    image_count: int
    labels: str | None
    labels_sha256: str


@dataclass(frozen=True)
class LabelFile:
    """A file of labels, as far as it names images of the data set.

    Attributes:
        labels: path of an image → class index; ``lines``: → the line that says so.
        highest: ``(line, class index)`` of each label above all before it: the first line that is
            beyond a number of classes is among them.
        first_id: line and text of the first ImageNet id, ``None`` where all are class indices.
        faults: what is wrong with it, in words; only of a run of an earlier version, which had it
            accepted. Lines at fault give no label.
        earlier: whether it is such a run's.
    """

    path: Path
    sha256: str
    labels: dict[bytes, int]
    lines: dict[bytes, int]
    highest: tuple[tuple[int, int], ...]
    first_id: tuple[int, str] | None
    faults: tuple[str, ...] = ()
    earlier: bool = False


_MOST_CLASSES = 1_000_000
_EXAMPLE = "each line is image,label: ILSVRC2012_val_00000001.JPEG,n01751748"
_IMAGE_COLUMNS = frozenset({
    "image", "images", "file", "filename", "file_name", "path", "filepath", "image_name",
    "image_path", "imageid", "image_id", "img", "name", "id",
})  # fmt: skip
_LABEL_COLUMNS = frozenset({
    "label", "labels", "class", "class_index", "class_id", "class_idx", "classid", "target",
    "index", "wnid", "synset", "category", "label_id", "labelid", "y",
})  # fmt: skip


def planned_labels(
    file: Path, root: Path, paths: Sequence[bytes], stored: Listing | None
) -> LabelFile:
    """The labels of a file, held against those that the stored run's own file gives.

    The former file gives labels to images that this one does not name; what both say of images of
    the run is compared with the run itself, when they are stored.

    Raises:
        UsageError: it cannot be used. Mismatch: the two contradict each other.
    """
    former = Path(stored.labels) if stored and stored.labels else None
    earlier = former == file and stored is not None and not stored.labels_sha256
    labels = _LabelReader(file, root, paths, forgiving=earlier).read()
    if former is None or former == file or stored is None:
        return labels
    try:
        before = _LabelReader(former, root, paths, forgiving=True).read()
    except UsageError:
        return labels  # it has gone
    for path in paths[stored.image_count :]:
        one, other = before.labels.get(path), labels.labels.get(path)
        if one is not None and other is not None and one != other:
            raise Mismatch(
                f"{printable(file)}, line {labels.lines[path]}: {printable(path, 60)} is {other}, "
                f"and {one} in {printable(former)}, line {before.lines[path]}",
                "correct one of the two, or begin a run of its own: camtui run --name NAME "
                "--labels FILE",
            )
        if one is not None and other is None:
            labels.labels[path] = one
            labels.lines[path] = before.lines[path]
    return labels


def labels_of_source(root: Path, paths: Sequence[bytes], said: Mapping[bytes, str]) -> LabelFile:
    """The labels that lie beside the images in their archive, as of a file.

    Args:
        root: the data; ``paths``: of its images; ``said``: path → label as text.

    Raises:
        UsageError: one is no class index or ImageNet id.
    """
    labels: dict[bytes, int] = {}
    highest: list[tuple[int, int]] = []
    first_id: tuple[int, str] | None = None
    digest = hashlib.sha256()
    for place, path in enumerate(sorted(path for path in paths if path in said), 1):
        text = said[path]
        index = _index(text)
        if index is None:
            raise UsageError(
                f"{printable(root)}: the label of {printable(path, 60)} is {_no_index(text)}",
                "camtui run --labels FILE.csv gives others",
            )
        labels[path] = index
        digest.update(b"%s\0%d\n" % (path, index))
        if text in imagenet_wnids():
            first_id = first_id or (place, text)
        elif not highest or index > highest[-1][1]:
            highest.append((place, index))
    lines = {path: place for place, path in enumerate(labels, 1)}
    return LabelFile(root, digest.hexdigest(), labels, lines, tuple(highest), first_id)


class Listed(NamedTuple):
    """An image of a list.

    Attributes:
        truth: the file of its object, as it is written there; empty where none is.
    """

    path: bytes
    truth: str


class ImageList(NamedTuple):
    """The images that a list names: those of the data set, and the others as they are written."""

    images: tuple[Listed, ...]
    missing: tuple[str, ...]


def listed_images(file: Path, root: Path, paths: Sequence[bytes]) -> ImageList:
    """The images of a list: ``image[,label[,truth]]`` lines, with or without a header.

    Raises:
        UsageError: it cannot be read, names nothing, or is not certain which image it means.
    """
    reader = _LabelReader(file, root, paths, forgiving=False)
    found: dict[bytes, Listed] = {}
    missing: dict[str, None] = {}
    for line, name, _, truth in listed_lines(file):
        path = reader.image(name, line)
        if path is None:
            missing[name] = None
        else:
            found[path] = Listed(path, truth)
    if not found and not missing:
        raise UsageError(f"{printable(file)} names no image", _LIST_EXAMPLE)
    return ImageList(tuple(found.values()), tuple(missing))


def columns_of_list(file: Path) -> frozenset[str]:
    """Which of ``label`` and ``truth`` a list of images gives.

    Raises:
        UsageError: it cannot be read.
    """
    rows = [row[2:] for row in listed_lines(file)]
    return frozenset(
        name for place, name in enumerate(("label", "truth")) if any(row[place] for row in rows)
    )


def _content(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise UsageError(
            f"cannot read the labels {printable(file)}: {error.strerror}",
            "camtui run --labels FILE.csv",
        ) from error


def listed_lines(file: Path) -> Iterator[tuple[int, str, str, str]]:
    """Line, image, label and truth of each line; what it does not give is empty.

    Raises:
        UsageError: it is no csv.
    """
    text = _content(file).decode("utf-8-sig", "surrogateescape")
    head = next((line for line in text.splitlines() if line.strip()), "")
    delimiter = next((mark for mark in "\t,;" if mark in head), ",")
    rows = csv.reader(StringIO(text, newline=""), delimiter=delimiter)
    places: list[int] | None = None
    try:
        for row in rows:
            cells = [cell.strip() for cell in row]
            if not any(cells):
                continue
            if places is None:
                names = [cell.lower() for cell in cells]
                titled = not _IMAGE_COLUMNS.isdisjoint(names)
                places = _places_of(names) if titled else [0, 1, 2]
                if titled:
                    continue
            found = [cells[n] if 0 <= n < len(cells) else "" for n in places]
            yield rows.line_num, found[0], found[1], found[2]
    except csv.Error as error:
        raise UsageError(f"{printable(file)} is not a csv: {error}", _LIST_EXAMPLE) from error


_LIST_EXAMPLE = "each line is an image: image, or image,label, or image,label,truth"


class _LabelReader:
    """Reads one file of labels for the images of a data set."""

    def __init__(self, file: Path, root: Path, paths: Sequence[bytes], *, forgiving: bool) -> None:
        """Make a reader.

        Args:
            forgiving: lines at fault are left out and noted, in place of a refusal.
        """
        self._file = file
        self._root = os.fsdecode(os.fsencode(root))
        self._forgiving = forgiving
        self._paths = {os.fsdecode(path): path for path in paths}
        self._by_name: dict[str, list[bytes]] = defaultdict(list)
        for path in paths:
            self._by_name[os.fsdecode(os.path.basename(path))].append(path)
        self._labels: dict[bytes, int] = {}
        self._lines: dict[bytes, int] = {}
        self._contradicted: set[bytes] = set()
        self._highest: list[tuple[int, int]] = []
        self._first_id: tuple[int, str] | None = None
        self._faults: list[str] = []

    def read(self) -> LabelFile:
        """``image,label`` lines; image is a path below the data folder or a bare file name.

        Between them a comma, a tab or a semicolon; with or without a header.

        Raises:
            UsageError: with the line at fault.
        """
        content = _content(self._file)
        try:
            self._read(content.decode("utf-8-sig", "surrogateescape"))
        except csv.Error as error:
            raise UsageError(f"{printable(self._file)} is not a csv: {error}", _EXAMPLE) from error
        for path in self._contradicted:
            del self._labels[path]
        if not self._labels and not self._faults:
            raise UsageError(
                f"{printable(self._file)} names none of the {len(self._paths)} images", _EXAMPLE
            )
        return LabelFile(
            self._file,
            hashlib.sha256(content).hexdigest(),
            self._labels,
            self._lines,
            tuple(self._highest),
            self._first_id,
            tuple(self._faults),
            earlier=self._forgiving,
        )

    def _read(self, text: str) -> None:
        head = next((line for line in text.splitlines() if line.strip()), "")
        if head.strip().lower().split(",") == ["imageid", "predictionstring"]:
            self._read_solution(text)
            return
        if any(map(_VALIDATION.fullmatch, self._by_stem())) and _is_ground_truth(text):
            self._read_ground_truth(text)
            return
        delimiter = next((mark for mark in "\t,;" if mark in head), ",")
        rows = csv.reader(StringIO(text, newline=""), delimiter=delimiter)
        columns: tuple[int, int] | None = None
        width = 0
        for row in rows:
            cells = [cell.strip() for cell in row]
            if not any(cells):
                continue
            if columns is None:
                columns, width = self._columns(cells, rows.line_num)
                if width:
                    continue
            self._take(cells, columns, width, rows.line_num)

    def _by_stem(self) -> dict[str, list[bytes]]:
        """Name of an image without its ending → the images of that name."""
        found: dict[str, list[bytes]] = defaultdict(list)
        for name, paths in self._by_name.items():
            found[os.path.splitext(name)[0]] += paths
        return found

    def _read_solution(self, text: str) -> None:
        """Kaggle's ``LOC_val_solution.csv``: ``NAME,WNID x y x y WNID x y x y …`` lines."""
        images = self._by_stem()
        for line, row in enumerate(csv.reader(StringIO(text, newline="")), 1):
            if line == 1 or len(row) < 2:
                continue
            wnids = dict.fromkeys(word for word in row[1].split() if word in imagenet_wnids())
            if len(wnids) != 1:
                self._fault(line, f"{len(wnids)} different ImageNet ids", _EXAMPLE)
                continue
            self._note_ids(images[row[0]], next(iter(wnids)), line)

    def _read_ground_truth(self, text: str) -> None:
        """``ILSVRC2012_validation_ground_truth.txt``: a number for each image, by their numbers.

        Raises:
            UsageError: what the numbers mean stands in ``meta.mat``, which is not beside it.
        """
        order, images = self._order_of_meta(), self._by_stem()
        for line, number in enumerate(text.split(), 1):
            self._note_ids(images[f"ILSVRC2012_val_{line:08}"], order[int(number) - 1], line)

    def _note_ids(self, paths: Sequence[bytes], wnid: str, line: int) -> None:
        for path in paths:
            self._note(path, os.fsdecode(path), imagenet_wnids()[wnid], line)
            self._first_id = self._first_id or (line, wnid)

    def _order_of_meta(self) -> list[str]:
        """ImageNet's ids in the order of ``meta.mat``, beside the file or in ``data/`` there."""
        hint = "put the devkit's meta.mat beside it; LOC_val_solution.csv needs none"
        for place in (self._file.parent, self._file.parent / "data"):
            try:
                found = _ids_of_meta((place / "meta.mat").read_bytes())
            except OSError:
                continue
            if set(found) == set(imagenet_wnids()):
                return found
            raise UsageError(f"{printable(place / 'meta.mat')} is not ImageNet's of 2012", hint)
        raise UsageError(
            f"{printable(self._file)} numbers the classes in the order of meta.mat, not by their "
            "sorted ids",
            hint,
        )

    def _columns(self, cells: list[str], line: int) -> tuple[tuple[int, int], int]:
        """The columns of image and label, and how many a header names; 0 where there is none."""
        names = [cell.lower() for cell in cells]
        if (_IMAGE_COLUMNS | _LABEL_COLUMNS).isdisjoint(names) or any(
            _index(cell) is not None for cell in cells
        ):
            return (0, 1), 0
        images = [place for place, name in enumerate(names) if name in _IMAGE_COLUMNS]
        image = images[0] if images else 0
        labels = [place for place, name in enumerate(names) if name in _LABEL_COLUMNS]
        labels = [place for place in labels if names[place] == "label"] or labels
        if not images and labels == [0]:
            image = 1
        if not labels:
            labels = [place for place in range(len(names)) if place != image]
        if len(labels) != 1 or image == labels[0] or image >= len(names):
            self._fault(
                line,
                f"which column is the label? ({', '.join(printable(name, 20) for name in cells)})",
                "a header of two columns: image,label",
            )
            return (len(names), len(names)), len(names)
        return (image, labels[0]), len(names)

    def _take(self, cells: list[str], columns: tuple[int, int], width: int, line: int) -> None:
        image, label = columns
        if image == label:
            return  # the header is at fault, and said
        name = cells[image] if image < len(cells) else ""
        text = cells[label] if label < len(cells) else ""
        beyond = cells[width:] if width else cells[2:]
        index = _index(text)
        if index is None:
            self._fault(line, _no_index(text), _EXAMPLE)
        elif any(beyond) if width else any(_index(cell) is not None for cell in beyond):
            self._fault(
                line,
                f"{len(cells)} columns, of which the label is not certain",
                'a header image,label says which; a name with a comma is quoted: "a,b.png",7',
            )
        elif (path := self.image(name, line)) is not None:
            self._note(path, name, index, line)
            if text in imagenet_wnids():
                self._first_id = self._first_id or (line, text)
            elif not self._highest or index > self._highest[-1][1]:
                self._highest.append((line, index))

    def image(self, name: str, line: int) -> bytes | None:
        """The image that a line names, ``None`` where it is none of the data set's."""
        slashed = name.replace("\\", "/")
        if slashed.startswith(f"{self._root}/"):
            slashed = slashed[len(self._root) + 1 :]
        for spelling in (name, str(PurePosixPath(slashed))):
            if spelling in self._paths:
                return self._paths[spelling]
        several = self._by_name.get(name, [])
        if len(several) > 1:
            shown = ", ".join(printable(path, 40) for path in sorted(several)[:3])
            self._fault(
                line,
                f"{printable(name, 60)} is the name of {len(several)} images ({shown}"
                f"{', …' if len(several) > 3 else ''})",
                f"give the path below the data folder: {printable(min(several), 60)},LABEL",
            )
            return None
        return several[0] if several else None

    def _note(self, path: bytes, name: str, index: int, line: int) -> None:
        if self._labels.setdefault(path, index) != index:
            self._contradicted.add(path)
            self._fault(
                line,
                f"{printable(name, 60)} is {index}, and {self._labels[path]} in line "
                f"{self._lines[path]}",
                "leave one of the two lines, an image has one label",
            )
        self._lines.setdefault(path, line)

    def _fault(self, line: int, text: str, hint: str) -> None:
        text = f"{printable(self._file)}, line {line}: {text}"
        if not self._forgiving:
            raise UsageError(text, hint)
        self._faults.append(text)


_VALIDATION = re.compile(r"ILSVRC2012_val_\d{8}")
_MOST_META_BYTES = 2**24


def _is_ground_truth(text: str) -> bool:
    """Whether a file is a column of ImageNet's numbers of classes, from 1 to 1000."""
    return all(
        _NUMBER.fullmatch(one) and len(one) < 5 and 0 < int(one) <= len(imagenet_wnids())
        for one in text.split()
    )


def _ids_of_meta(data: bytes) -> list[str]:
    """The first thousand ids in a MATLAB file, in its order, which is that of the numbers.

    Its parts are compressed one by one; texts have one or two bytes a character.
    """
    parts, place = [data], 128
    while place + 8 <= len(data):
        kind, length = struct.unpack_from("<2I", data, place)
        if kind == _COMPRESSED:
            unpack = zlib.decompressobj()
            try:
                parts.append(unpack.decompress(data[place + 8 :][:length], _MOST_META_BYTES))
            except zlib.error:
                break
        place += 8 + length
    plain = b"".join(parts).replace(b"\0", b"")
    found = dict.fromkeys(one.decode() for one in re.findall(rb"(?<![0-9a-z])n\d{8}", plain))
    return list(found)[: len(imagenet_wnids())]


_COMPRESSED = 15


def _places_of(names: Sequence[str]) -> list[int]:
    """The columns of image, label and truth by their titles; -1 for none."""
    groups: tuple[Collection[str], ...] = (_IMAGE_COLUMNS, _LABEL_COLUMNS, ("truth", "mask"))
    found: list[int] = []
    for known in groups:
        places = [n for n, name in enumerate(names) if name in known and n not in found]
        found.append(places[0] if places else -1)
    return found


def _index(text: str) -> int | None:
    """The class index that a cell says, ``None`` where it says none."""
    if text in imagenet_wnids():
        return imagenet_wnids()[text]
    return (
        int(text)
        if _NUMBER.fullmatch(text) and len(text) < 19 and (int(text) < _MOST_CLASSES)
        else None
    )


def _no_index(text: str) -> str:
    """Why a cell is no class index."""
    if not text:
        return "no class index or ImageNet id; leave out lines of images without a label"
    shown = f"no class index or ImageNet id: {printable(text, 40)}"
    try:
        number = float(text)
    except ValueError:
        return shown
    if number < 0:
        return f"{shown}; indices count from 0"
    return f"{shown}; indices are whole numbers below {_MOST_CLASSES:,}"
