"""Annotations of known data sets, each found by the files that it has.

CUB-200-2011, Pascal VOC, Oxford-IIIT Pet, ImageNet-S and FunnyBirds; ``--truth`` names the folder
that was unpacked.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from evaluator.errors import TruthUnusable
from evaluator.sources.base import is_hidden
from evaluator.truth.formats import equal_to, read_mask, read_values, read_voc
from evaluator.truth.region import Region, Truth, box, checked_size

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_T = TypeVar("_T")
Size = Callable[[], tuple[int, int]]
Read = Callable[[bytes, bytes, Size], Truth]


class Layout(NamedTuple):
    """The annotations of a data set.

    Attributes:
        name: of the data set.
        files: path of an image without its ending → the file of its annotation, both relative.
        read: makes the truth of the file's content, the image's path and the size of the image.

    >>> from evaluator.truth.formats import read_voc
    >>> Layout("voc", {b"a": b"Annotations/a.xml"}, lambda data, *_: read_voc(data)).files[b"a"]
    b'Annotations/a.xml'
    """

    name: str
    files: dict[bytes, bytes]
    read: Read


def layout_of(root: Path) -> Layout | None:
    """The layout of a folder; ``None`` where it is none that is known.

    >>> layout_of(Path("/data/masks")) is None
    True
    """
    return next((found for look in _LAYOUTS if (found := look(root)) and found.files), None)


def _cub(root: Path) -> Layout | None:
    """CUB-200-2011: ``images.txt``, and ``segmentations/`` or ``bounding_boxes.txt``.

    A segmentation is grey: how many of its five annotators had a pixel in the bird; most must.
    """
    if not all((root / name).is_file() for name in ("images.txt", "bounding_boxes.txt")):
        return None
    if files := _files(root, "segmentations"):
        return Layout("cub", _by_name(files), _grey)
    names = {number: os.fsencode(words[0]) for number, words in _table(root / "images.txt")}
    boxes = _by_name(
        {
            os.path.splitext(names[number])[0]: corners
            for number, corners in _table(root / "bounding_boxes.txt")
            if number in names
        }
    )
    files = dict.fromkeys(boxes, b"bounding_boxes.txt")
    return Layout("cub", files, partial(_cub_box, boxes))


def _cub_box(boxes: dict[bytes, list[str]], _: bytes, stem: bytes, size: Size) -> Truth:
    try:
        left, top, across, down = map(float, boxes.get(stem) or boxes[os.path.basename(stem)])
    except ValueError as error:
        raise TruthUnusable("truth-broken", "a box whose numbers are none") from error
    width, height = checked_size(*size())
    draw = partial(box, width, height, left, top, left + across, top + down)
    return Truth(width, height, (Region("", draw),))


_VOC = (
    "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow",
    "diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train",
    "tvmonitor",
)  # fmt: skip


def _voc(root: Path) -> Layout | None:
    """Pascal VOC: ``SegmentationClass/`` where an image has one, else ``Annotations/``.

    255, the border of an object, is nobody's.
    """
    if not ((root / "Annotations").is_dir() and (root / "JPEGImages").is_dir()):
        return None
    boxes, masks = _files(root, "Annotations", b".xml"), _files(root, "SegmentationClass")
    return Layout("voc", boxes | masks, _voc_truth)


def _voc_truth(data: bytes, _: bytes, __: Size) -> Truth:
    if data.lstrip().startswith(b"<"):
        return read_voc(data)
    return _regions(read_values(data), dict(enumerate(_VOC, 1)))


def _pets(root: Path) -> Layout | None:
    """Oxford-IIIT Pet: ``trimaps/`` or ``annotations/trimaps/``; 1 pet, 2 background, 3 border."""
    folders = ("annotations/trimaps", "trimaps", *([""] if root.name == "trimaps" else []))
    files = next((found for one in folders if (found := _files(root, one))), {})
    return Layout("pets", _by_name(files), lambda data, *_: _regions(read_values(data), {1: ""}))


def _imagenet_s(root: Path) -> Layout | None:
    """ImageNet-S: ``validation-segmentation/WNID/NAME.png``, class number R + 256 · G.

    1000 is what nobody has decided; the folder is the class of the image.
    """
    inside = root.name == "validation-segmentation"
    files = _files(root, "" if inside else "validation-segmentation")
    return Layout("imagenet-s", _by_name(files), _imagenet_s_truth)


def _imagenet_s_truth(data: bytes, *_: object) -> Truth:
    values = read_values(data, (1, 256, 0))
    return _regions(((values > 0) & (values != 1000)).astype(values.dtype), {1: ""})


def _funnybirds(root: Path) -> Layout | None:
    """FunnyBirds: ``test_part_map/CLASS/NUMBER.png``, a colour for each part of the bird."""
    if not (root / "parts.json").is_file():
        return None
    test, train = (_files(root, f"{split}_part_map") for split in ("test", "train"))
    files = {b"train/" + stem: file for stem, file in train.items()}
    files |= {b"test/" + stem: file for stem, file in test.items()}
    return Layout("funnybirds", (test or train) | files, lambda data, *_: read_mask(data))


_LAYOUTS = (_cub, _voc, _pets, _imagenet_s, _funnybirds)


def _grey(data: bytes, *_: object) -> Truth:
    values = read_values(data)
    return _regions((values > 127).astype(values.dtype), {1: ""})


def _regions(values: NDArray[np.int32], names: dict[int, str]) -> Truth:
    """The pixels of each named value that there is.

    Raises:
        TruthUnusable: there is none.
    """
    height, width = values.shape
    import numpy as np

    there = set(np.unique(values).tolist())
    regions = tuple(
        Region(name, partial(equal_to, values, value))
        for value, name in names.items()
        if value in there
    )
    if not regions:
        raise TruthUnusable("truth-empty", "a mask without an object")
    return Truth(width, height, regions)


def _table(file: Path) -> Iterator[tuple[str, list[str]]]:
    """First word and the others of each line."""
    for line in file.read_text("utf-8", "replace").splitlines():
        first, *others = line.split()[:9] or [""]
        if others:
            yield first, others


def _files(root: Path, folder: str, ending: bytes = b".png") -> dict[bytes, bytes]:
    """Path below a folder without its ending → the file below the root; none that is hidden."""
    base = os.path.normpath(os.path.join(os.fsencode(root), os.fsencode(folder)))
    found = {}
    for place, folders, names in os.walk(base):
        folders[:] = [name for name in folders if not is_hidden(name)]
        for name in names:
            if name.lower().endswith(ending) and not is_hidden(name):
                file = os.path.join(place, name)
                stem = os.path.splitext(os.path.relpath(file, base))[0]
                found[stem] = os.path.relpath(file, os.fsencode(root))
    return found


def _by_name(files: dict[bytes, _T]) -> dict[bytes, _T]:
    """The same, found by the name of an image alone too: a data set gives none to two."""
    return {os.path.basename(stem): file for stem, file in files.items()} | files
