"""COCO annotations: one JSON file for all images; polygons, run lengths and boxes."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from functools import partial
from math import ceil
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, cast

from evaluator.errors import TruthUnusable, UsageError
from evaluator.text import printable
from evaluator.truth.region import Region, Truth, box, checked_size

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MOST_BYTES = 2**30
_MOST_CROSSINGS = 10**8
"""Of the rows of an image with the edges of a polygon."""

_EXAMPLE = "an instances file of COCO: images, annotations, categories"

Record = dict[str, Any]


class CocoFile:
    """The annotations of one file, by image; a damaged entry costs its image its truth, no more.

    >>> image, box = {"id": 1, "file_name": "a.jpg", "width": 4, "height": 3}, [0, 0, 2, 2]
    >>> annotations = [{"image_id": 1, "category_id": 7, "bbox": box}]
    >>> document = json.dumps({"images": [image], "annotations": annotations})
    >>> CocoFile(document.encode(), "a.json").truth_of("a.jpg").width
    4
    """

    def __init__(self, data: bytes, name: str) -> None:
        """Read them.

        Raises:
            UsageError: no JSON, or not of COCO's layout.
        """
        try:
            document = json.loads(data)
        except (ValueError, RecursionError) as error:
            raise UsageError(f"{name} is no JSON: {printable(error, 100)}", _EXAMPLE) from error
        if not isinstance(document, dict) or not {"images", "annotations"} <= set(document):
            raise UsageError(f"{name} has no images and annotations", _EXAMPLE)
        self._names = {
            one.get("id"): one.get("name")
            for one in _records(document, "categories")
            if _hashable(one.get("id"))
        }
        self._of_image: dict[object, list[Record]] = defaultdict(list)
        for one in _records(document, "annotations"):
            if _hashable(one.get("image_id")) and one.get("iscrowd") in (None, 0, False):
                self._of_image[one["image_id"]].append(one)
        self._images: dict[str, Record] = {}
        for one in _records(document, "images"):
            if isinstance(one.get("file_name"), str) and _hashable(one.get("id")):
                self._images[one["file_name"]] = one
        names = Counter(PurePosixPath(path).name for path in self._images)
        self._by_name = {PurePosixPath(path).name: image for path, image in self._images.items()}
        for name in [name for name, count in names.items() if count > 1]:
            del self._by_name[name]

    def knows(self, path: str) -> bool:
        """Whether an image is named by its whole path."""
        return path in self._images

    def truth_of(self, path: str) -> Truth | None:
        """The objects of an image, ``None`` where it has none.

        It is found by its path. Failing that by its file name, where one of the two has no folder
        that could be another.

        Raises:
            TruthUnusable: its annotation is damaged.
        """
        name = PurePosixPath(path).name
        image = self._images.get(path) or self._images.get(name)
        if image is None and "/" not in path:
            image = self._by_name.get(name)
        annotations = self._of_image.get(image["id"], []) if image else []
        if not image or not annotations:
            return None
        width, height = checked_size(image.get("width"), image.get("height"))
        return Truth(width, height, tuple(self._region(one, width, height) for one in annotations))

    def _region(self, one: Record, width: int, height: int) -> Region:
        category = one.get("category_id")
        name = self._names.get(category) if _hashable(category) else None
        return Region(
            name if isinstance(name, str) else str(category), partial(_draw, one, width, height)
        )


def _records(document: Record, name: str) -> list[Record]:
    found = document.get(name)
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []


def _hashable(value: object) -> bool:
    return isinstance(value, int | str)


def _draw(one: Record, width: int, height: int) -> NDArray[np.bool_]:
    """The pixels of an annotation: its segmentation, or its box where it has none."""
    shape = one.get("segmentation")
    if isinstance(shape, dict):
        return _run_lengths(shape, width, height)
    if isinstance(shape, list) and shape:
        return _polygons(shape, width, height)
    left, top, across, down = _numbers(one.get("bbox"), 4)
    return box(width, height, left, top, left + across, top + down)


def _numbers(values: object, count: int = 0) -> list[float]:
    """Finite numbers.

    Raises:
        TruthUnusable: they are none, or not as many as expected.
    """
    if isinstance(values, list) and (not count or len(values) == count):
        numbers = [
            float(one) for one in values if isinstance(one, int | float) and abs(one) < 10**9
        ]
        if len(numbers) == len(values):
            return numbers
    raise TruthUnusable("truth-broken", "an annotation whose coordinates are no numbers")


def _polygons(shape: list[Any], width: int, height: int) -> NDArray[np.bool_]:
    """The pixels whose centres lie in one of the polygons."""
    import numpy as np

    inside = np.zeros((height, width), dtype=bool)
    for polygon in shape:
        numbers = _numbers(polygon)
        if len(numbers) < 6 or len(numbers) % 2:
            raise TruthUnusable("truth-broken", "a polygon of fewer than three points")
        inside |= _filled(list(zip(numbers[::2], numbers[1::2], strict=True)), width, height)
    return inside


def _filled(points: list[tuple[float, float]], width: int, height: int) -> NDArray[np.bool_]:
    """The pixels in one polygon, by the even-odd rule along each row of centres."""
    import numpy as np

    crossings = np.zeros((height, width + 1), dtype=np.int32)
    crossed = 0
    for (x, y), (next_x, next_y) in zip(points, points[1:] + points[:1], strict=True):
        first = max(0, ceil(min(y, next_y) - 0.5))
        last = min(height, ceil(max(y, next_y) - 0.5))
        if first >= last:
            continue
        crossed += last - first
        if crossed > _MOST_CROSSINGS:
            raise TruthUnusable("truth-broken", "a polygon of too many edges")
        rows = np.arange(first, last)
        columns = x + (rows + 0.5 - y) * (next_x - x) / (next_y - y)
        crossings[rows, np.ceil(columns - 0.5).clip(0, width).astype(int)] += 1
    return np.asarray(crossings[:, :width].cumsum(1) % 2 == 1)


def _run_lengths(shape: Record, width: int, height: int) -> NDArray[np.bool_]:
    """Runs of 0 and 1 in turn, column by column, as a list or in COCO's compressed text."""
    import numpy as np

    counts = shape.get("counts")
    runs = _decompressed(counts) if isinstance(counts, str) else _numbers(counts)
    lengths = np.array(runs, dtype=np.int64)
    if (
        shape.get("size") != [height, width]
        or (lengths < 0).any()
        or int(lengths.sum()) != width * height
    ):
        raise TruthUnusable("truth-broken", "run lengths that do not add up to the image")
    values = np.repeat(np.arange(len(lengths)) % 2 == 1, lengths)
    return cast("NDArray[np.bool_]", values.reshape(width, height).T)


def _decompressed(text: str) -> list[int]:
    """The runs of COCO's text: five bits a character, least first, the sixth says that more follow.

    From the fourth on they are differences to the run two before.

    Raises:
        TruthUnusable: it is none.
    """
    runs: list[int] = []
    value = shift = 0
    for character in text:
        bits = ord(character) - 48
        if not 0 <= bits < 64 or shift > 60:
            raise TruthUnusable("truth-broken", "run lengths that cannot be read")
        value |= (bits & 31) << shift
        shift += 5
        if not bits & 32:
            if bits & 16:
                value -= 1 << shift
            runs.append(value + (runs[-2] if len(runs) > 2 else 0))
            value = shift = 0
    if shift:
        raise TruthUnusable("truth-broken", "run lengths that end in the middle")
    return runs
