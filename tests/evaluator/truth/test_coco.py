"""COCO: polygons, run lengths and boxes by hand, images found by name, and JSON that is none."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from evaluator.errors import TruthUnusable, UsageError
from evaluator.truth.coco import CocoFile
from evaluator.truth.region import Truth

IMAGE = {"id": 7, "file_name": "val/seven.jpg", "width": 6, "height": 4}


def coco(*annotations: dict[str, Any], images: Any = (IMAGE,), **more: Any) -> CocoFile:
    of_image = [{"image_id": 7, "category_id": 18, **one} for one in annotations]
    document = {
        "images": list(images),
        "annotations": of_image,
        "categories": [{"id": 18, "name": "dog"}],
        **more,
    }
    return CocoFile(json.dumps(document).encode(), "file.json")


def drawn(annotation: dict[str, Any]) -> list[list[int]]:
    truth = coco(annotation).truth_of("seven.jpg")
    assert isinstance(truth, Truth)
    return [row.astype(int).tolist() for row in truth.regions[0].draw()]


BOX = [[0, 0, 0, 0, 0, 0], [0, 1, 1, 1, 0, 0], [0, 1, 1, 1, 0, 0], [0, 0, 0, 0, 0, 0]]
RUNS = [5, 2, 2, 2, 2, 2, 9]
"""BOX, column by column."""


@pytest.mark.parametrize(
    "annotation",
    [
        {"bbox": [1, 1, 3, 2]},
        {"bbox": [1.2, 0.8, 2.5, 2.0]},
        {"segmentation": {"size": [4, 6], "counts": RUNS}},
        {"segmentation": {"size": [4, 6], "counts": "522000000"[:3] + "000" + "7"}},
        {"segmentation": [[1, 1, 4, 1, 4, 3, 1, 3]]},
        {"segmentation": [], "bbox": [1, 1, 3, 2]},
    ],
    ids=["box", "fractions", "runs", "text", "polygon", "no-shape"],
)
def test_the_same_pixels_in_every_form(annotation: dict[str, Any]) -> None:
    assert drawn(annotation) == BOX


def test_a_polygon_takes_the_pixels_whose_centres_it_holds() -> None:
    """A triangle: of the row y = 1/2 the centres up to x = 2, of the next up to 1."""
    assert drawn({"segmentation": [[0, 0, 2.6, 0, 0, 2.6]]}) == [
        [1, 1, *[0] * 4],
        [1, *[0] * 5],
        [0] * 6,
        [0] * 6,
    ]
    assert drawn({"segmentation": [[-9, -9, 99, -9, 99, 99, -9, 99]]}) == [[1] * 6] * 4
    two = {"segmentation": [[0, 0, 1, 0, 1, 1, 0, 1], [5, 3, 6, 3, 6, 4, 5, 4]]}
    assert drawn(two) == [[1, *[0] * 5], [0] * 6, [0] * 6, [*[0] * 5, 1]]


def test_images_are_found_by_path_and_by_name() -> None:
    file = coco({"bbox": [1, 1, 3, 2]})
    for name in ("val/seven.jpg", "seven.jpg"):
        truth = file.truth_of(name)
        assert truth is not None
        assert (truth.width, truth.height, truth.regions[0].name) == (6, 4, "dog")
    assert file.truth_of("elsewhere/seven.jpg") is None, "that is another image"
    assert file.truth_of("eight.jpg") is None
    assert coco().truth_of("seven.jpg") is None
    assert coco({"bbox": [1, 1, 3, 2], "iscrowd": 1}).truth_of("seven.jpg") is None, (
        "a crowd is no object"
    )


@pytest.mark.parametrize(
    ("annotation", "words"),
    [
        ({}, "no numbers"),
        ({"bbox": [1, 1, "3", 2]}, "no numbers"),
        ({"bbox": [1, 1, 3]}, "no numbers"),
        ({"bbox": [1, 1, 10**400, 2]}, "no numbers"),
        ({"bbox": [1, 1, 0, 2]}, "without a size"),
        ({"bbox": [60, 1, 3, 2]}, "outside the image"),
        ({"segmentation": [[1, 1, 4, 1]]}, "three points"),
        ({"segmentation": [[1, 1, 4, 1, 4, float("nan")]]}, "no numbers"),
        ({"segmentation": {"size": [4, 6], "counts": [24, 1]}}, "do not add up"),
        ({"segmentation": {"size": [6, 4], "counts": RUNS}}, "do not add up"),
        ({"segmentation": {"size": [4, 6], "counts": [-5, 29]}}, "do not add up"),
        ({"segmentation": {"size": [4, 6], "counts": "5\n"}}, "cannot be read"),
        ({"segmentation": {"size": [4, 6], "counts": "ooooooooooooooo"}}, "cannot be read"),
        ({"segmentation": {"size": [4, 6], "counts": "5o"}}, "end in the middle"),
    ],
)
def test_an_annotation_that_is_none_is_said_when_it_is_drawn(
    annotation: dict[str, Any], words: str
) -> None:
    with pytest.raises(TruthUnusable, match=words):
        drawn(annotation)


def test_an_image_without_a_size() -> None:
    file = coco({"bbox": [1, 1, 3, 2]}, images=[{**IMAGE, "width": 10**9}])
    with pytest.raises(TruthUnusable, match="1000000000 x 4"):
        file.truth_of("seven.jpg")


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "no JSON"),
        (b"\xff", "no JSON"),
        (b"[" * 100_000, "no JSON"),
        (b"[]", "no images and annotations"),
        (b'{"images": []}', "no images and annotations"),
    ],
)
def test_a_file_that_is_none(data: bytes, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        CocoFile(data, "file.json")


def test_entries_of_another_kind_are_left_out() -> None:
    file = coco(
        {"bbox": [1, 1, 3, 2]},
        images=[IMAGE, 5, {"id": [1], "file_name": "a.jpg"}, {"id": 3, "file_name": 4}],
        more=1,
    )
    truth = file.truth_of("seven.jpg")
    assert truth is not None
    assert np.array_equal(truth.regions[0].draw(), np.array(BOX, dtype=bool))
    assert CocoFile(b'{"images": 5, "annotations": "x"}', "f").truth_of("seven.jpg") is None
