"""Pascal VOC boxes: corners by hand, boxes beyond the image, and XML that means harm."""

from __future__ import annotations

import numpy as np
import pytest

from evaluator.errors import TruthUnusable
from evaluator.truth.formats import read_voc


def boxed(
    *corners: tuple[object, ...],
    name: str = "n02084071",
    size: str = "<width>10</width><height>8</height>",
) -> bytes:
    keys = ("xmin", "ymin", "xmax", "ymax")
    objects = "".join(
        f"<object><name>{name}</name><part><bndbox><xmin>9</xmin></bndbox></part><bndbox>"
        + "".join(f"<{key}>{value}</{key}>" for key, value in zip(keys, one, strict=False))
        + "</bndbox></object>"
        for one in corners
    )
    head = f"<folder>a</folder><size>{size}<depth>3</depth></size>"
    return f"<annotation>{head}{objects}</annotation>".encode()


def pixels(data: bytes) -> list[list[int]]:
    """Rows, columns and counts of the first object."""
    drawn = read_voc(data).regions[0].draw()
    rows, columns = np.flatnonzero(drawn.any(1)), np.flatnonzero(drawn.any(0))
    assert drawn.sum() == len(rows) * len(columns)
    return [rows.tolist(), columns.tolist()]


def test_corners_count_from_one_and_belong_to_the_box() -> None:
    assert pixels(boxed((3, 2, 5, 2))) == [[1], [2, 3, 4]]
    assert pixels(boxed((1, 1, 10, 8))) == [list(range(8)), list(range(10))]
    assert pixels(boxed(("3.9", " 2 ", "5.0", "2"))) == [[1], [2, 3, 4]]


def test_what_lies_beyond_the_image_is_cut_off() -> None:
    assert pixels(boxed((0, -5, 2, 1))) == [[0], [0, 1]]
    assert pixels(boxed((9, 7, 999, 999))) == [[6, 7], [8, 9]]


def test_every_object_and_its_name() -> None:
    truth = read_voc(boxed((1, 1, 2, 2), (5, 5, 6, 6), name=" dog "))
    assert [region.name for region in truth.regions] == ["dog", "dog"]
    assert (truth.width, truth.height) == (10, 8)


BOMB = b"""<!DOCTYPE a [<!ENTITY x "ha"><!ENTITY y "&x;&x;&x;&x;&x;&x;&x;&x;&x;&x;">]>
<annotation><size><width>&y;</width></size></annotation>"""
OUTSIDE = b'<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><annotation>&x;</annotation>'


@pytest.mark.parametrize(
    ("data", "reason", "words"),
    [
        (BOMB, "truth-broken", "document type"),
        (OUTSIDE, "truth-broken", "document type"),
        (b"<annotation>&x;</annotation>", "truth-broken", "no XML"),
        (b"", "truth-broken", "no XML"),
        (b"\xff\xfe<annotation/>", "truth-broken", "no XML"),
        (b"<annotation>" + b"<a>" * 9, "truth-broken", "no annotation"),
        (b"<annotation><size><width>3</width>", "truth-broken", "no XML"),
        (boxed(), "truth-empty", "without an object"),
        (
            boxed((1, 1, 2, 2), size="<width>99999999</width><height>99999999</height>"),
            "truth-broken",
            "99999999 x 99999999",
        ),
        (boxed((1, 1, 2, 2), size="<width>0</width><height>8</height>"), "truth-broken", "0 x 8"),
        (boxed((1, 1, 2, 2), size=""), "truth-broken", "None x None"),
        (boxed((1, 1, 2)), "truth-broken", "four corners"),
        (boxed((1, 1, "nan", 2)), "truth-broken", "four corners"),
        (boxed((1, 1, 2, 2)) + b" " * 5_000_000, "truth-broken", "bytes, at most"),
    ],
)
def test_what_is_no_annotation(data: bytes, reason: str, words: str) -> None:
    with pytest.raises(TruthUnusable, match=words) as caught:
        read_voc(data)
    assert caught.value.reason == reason


@pytest.mark.parametrize(
    ("corners", "words"),
    [
        ((5, 5, 4, 6), "without a size"),
        ((11, 1, 20, 2), "outside the image"),
        ((-9, 1, 0, 2), "outside the image"),
    ],
)
def test_a_box_that_is_none_is_said_when_it_is_drawn(corners: tuple[int, ...], words: str) -> None:
    with pytest.raises(TruthUnusable, match=words):
        read_voc(boxed(corners)).regions[0].draw()
