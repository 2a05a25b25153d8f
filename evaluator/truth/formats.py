"""Formats of one image's truth: masks as PNG, boxes as Pascal VOC's XML."""

from __future__ import annotations

import warnings
from functools import partial
from io import BytesIO
from typing import TYPE_CHECKING, NamedTuple
from xml.parsers import expat

from evaluator.errors import TruthUnusable
from evaluator.text import printable
from evaluator.truth.region import MOST_PIXELS, Region, Truth, box, checked_size

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_MOST_CLASSES = 1000


def read_mask(data: bytes) -> Truth:
    """The objects of a mask.

    One value besides 0 is the object, whatever the value. Several are classes: ``class index + 1``.
    Of colours, every pixel that is not black belongs to the object.

    Raises:
        TruthUnusable: no PNG, a damaged one, one of too many pixels, or one without an object.

    >>> from PIL import Image
    >>> file = BytesIO()
    >>> Image.new("L", (4, 3), 8).save(file, "png")
    >>> [region.name for region in read_mask(file.getvalue()).regions]
    [7]
    """
    import numpy as np

    values = read_values(data)
    found = [int(value) for value in np.unique(values) if value]
    if len(found) > _MOST_CLASSES:
        raise TruthUnusable("truth-broken", f"{len(found)} different values in a mask")
    if not found:
        raise TruthUnusable("truth-empty", "a mask without an object")
    height, width = values.shape
    regions = tuple(Region(value - 1, partial(equal_to, values, value)) for value in found)
    return Truth(width, height, regions)


def equal_to(values: NDArray[np.int32], value: int) -> NDArray[np.bool_]:
    """Where an array has a value."""
    equal: NDArray[np.bool_] = values == value
    return equal


def read_values(data: bytes, colours: tuple[int, int, int] | None = None) -> NDArray[np.int32]:
    """Values ``[height, width]`` of a PNG: grey values and palette indices.

    Args:
        colours: what red, green and blue are multiplied with; without, 1 for all but black.

    Raises:
        TruthUnusable: no PNG, a damaged one, or one of too many pixels.
    """
    import numpy as np
    from PIL import Image, UnidentifiedImageError

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(BytesIO(data), formats=("PNG",)) as image:
                if image.width * image.height > MOST_PIXELS:
                    raise TruthUnusable(
                        "truth-broken", f"a mask of {image.width} x {image.height} pixels"
                    )
                if image.mode in ("1", "L", "P", "I", "I;16"):
                    return np.array(image, dtype=np.int32)
                seen = np.asarray(image.convert("RGB"))
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise TruthUnusable("truth-broken", "a mask of too many pixels") from error
    except UnidentifiedImageError as error:
        raise TruthUnusable("truth-broken", "a mask that is no PNG") from error
    except (
        OSError,
        ValueError,
        SyntaxError,
        EOFError,
    ) as error:  # what Pillow's decoder raises on damaged files
        raise TruthUnusable("truth-broken", printable(f"a damaged mask: {error}", 160)) from error
    if colours is not None:
        return np.array(seen @ np.array(colours, dtype=np.int32), dtype=np.int32)
    return np.array(seen.any(axis=2), dtype=np.int32)


_MOST_BYTES = 4 * 2**20
_MOST_OBJECTS = 10_000
_CORNERS = ("xmin", "ymin", "xmax", "ymax")


class _Object(NamedTuple):
    name: str
    corners: dict[str, str]


def read_voc(data: bytes) -> Truth:
    """The boxes of a file, clipped to the image; corners count from 1 and belong to the box.

    Raises:
        TruthUnusable: no XML, a document type (where entities would be declared), no size, no
            object, a box that is none.

    >>> corners = "<xmin>1</xmin><ymin>1</ymin><xmax>2</xmax><ymax>2</ymax>"
    >>> box = f"<object><name>dog</name><bndbox>{corners}</bndbox></object>"
    >>> text = f"<annotation><size><width>4</width><height>3</height></size>{box}</annotation>"
    >>> [(one.name, int(one.draw().sum())) for one in read_voc(text.encode()).regions]
    [('dog', 4)]
    """
    if len(data) > _MOST_BYTES:
        raise TruthUnusable(
            "truth-broken", f"an XML file of {len(data)} bytes, at most {_MOST_BYTES}"
        )
    found = _Annotation()
    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartDoctypeDeclHandler = _refuse
    parser.EntityDeclHandler = _refuse
    parser.StartElementHandler, parser.EndElementHandler = found.start, found.end
    parser.CharacterDataHandler = found.text
    try:
        parser.Parse(data, True)
    except (expat.ExpatError, ValueError) as error:
        raise TruthUnusable("truth-broken", printable(f"no XML: {error}", 120)) from error
    width, height = checked_size(_whole(found.size.get("width")), _whole(found.size.get("height")))
    if not found.objects:
        raise TruthUnusable("truth-empty", "an annotation without an object")
    return Truth(width, height, tuple(_region(one, width, height) for one in found.objects))


def _refuse(*_: object) -> None:
    raise TruthUnusable(
        "truth-broken", "an XML file with a document type, which no annotation needs"
    )


class _Annotation:
    """Collector of ``annotation/size`` and every ``annotation/object`` while a file is parsed."""

    def __init__(self) -> None:
        self.size: dict[str, str] = {}
        self.objects: list[_Object] = []
        self._path: list[str] = []
        self._text = ""

    def start(self, name: str, _: dict[str, str]) -> None:
        self._path.append(name)
        self._text = ""
        if self._path == ["annotation", "object"]:
            self.objects.append(_Object("", {}))
        if len(self._path) > 8 or len(self.objects) > _MOST_OBJECTS:
            raise TruthUnusable("truth-broken", "an XML file that is no annotation")

    def end(self, name: str) -> None:
        match self._path:
            case ["annotation", "size", side]:
                self.size[side] = self._text
            case ["annotation", "object", "name"]:
                self.objects[-1] = self.objects[-1]._replace(name=self._text.strip())
            case ["annotation", "object", "bndbox", corner]:
                self.objects[-1].corners[corner] = self._text
        self._path.pop()
        self._text = ""

    def text(self, data: str) -> None:
        self._text += data


def _region(one: _Object, width: int, height: int) -> Region:
    corners = [_whole(one.corners.get(corner)) for corner in _CORNERS]
    left, top, right, bottom = (0 if corner is None else corner for corner in corners)
    if None in corners:
        raise TruthUnusable("truth-broken", "a box without four corners")
    return Region(one.name, partial(box, width, height, left - 1, top - 1, right, bottom))


def _whole(text: str | None) -> int | None:
    """A whole number of at most nine digits; fractions (of some tools) are rounded down."""
    digits = (text or "").strip().partition(".")[0]
    return int(digits) if digits.removeprefix("-").isdecimal() and len(digits) < 10 else None
