"""How many labels there are, and how they were found."""

from __future__ import annotations

import pytest

from evaluator.execution.labelling import labelling
from evaluator.records import ImageRef

TENCH, GOLDFISH = b"n01440764", b"n01443537"


def images(*found: tuple[bytes, int | None]) -> list[ImageRef]:
    return [ImageRef(place, folder + b"/%d.jpg" % place if folder else b"%d.jpg" % place, 1, label)
            for place, (folder, label) in enumerate(found)]  # fmt: skip


@pytest.mark.parametrize(
    ("found", "from_file", "text", "partial"),
    [
        ([(TENCH, 0), (GOLDFISH, 1)], False, "labels: 2 of 2 images, 2 by the ImageNet ids of their folders", False),
        ([(b"tench", 0)], False, "labels: 1 of 1 image, 1 by the class names of resnet50", False),
        (
            [(b"apple", None), (b"banana", 954), (b"cherry", None)], False,
            "labels: 1 of 3 images, 1 by the class names of resnet50; "
            "the folders apple, cherry are no class of resnet50: --labels FILE.csv gives labels", True,
        ),
        ([(b"cats", None)], False,
         "labels: 0 of 1 image; the folder cats is no class of resnet50: --labels FILE.csv gives labels", False),
        ([(b"", None), (b"", None)], False, "labels: 0 of 2 images; a flat folder: --labels FILE.csv gives them", False),
        ([(b"", 3), (b"", None)], True, "labels: 1 of 2 images, by the file of labels", True),
    ],
)  # fmt: skip
def test_what_is_said(found: list[tuple[bytes, int | None]], from_file: bool, text: str, partial: bool) -> None:
    said = labelling(images(*found), "resnet50", from_file=from_file)
    assert said == (sum(label is not None for _, label in found), text, partial)


def test_many_folders_are_counted() -> None:
    said = labelling(images(*((b"f%d" % n, None) for n in range(9))), "resnet50", from_file=False)
    assert "the folders f0, f1, f2, f3 and 5 more are no class of resnet50" in said.text
