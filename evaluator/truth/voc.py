"""Pascal VOC boxes, ImageNet's format: an XML file for each image, read without entities."""

from __future__ import annotations

from functools import partial
from typing import NamedTuple
from xml.parsers import expat

from evaluator.errors import TruthUnusable
from evaluator.text import printable
from evaluator.truth.region import Region, Truth, box, checked_size

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
