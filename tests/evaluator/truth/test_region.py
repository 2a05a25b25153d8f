"""An object's pixels in what the network saw: which objects are meant, and where a mark at a known
pixel comes out.
"""

from __future__ import annotations

import numpy as np
import pytest

from evaluator.errors import TruthUnusable
from evaluator.records import Preprocessing
from evaluator.truth.region import Region, Truth

CLASSES = ("tench, Tinca tinca", "goldfish", "great white shark", *("another",) * 997)


def dot(row: int, column: int, name: int | str = "") -> Region:
    def draw() -> np.ndarray[tuple[int, int], np.dtype[np.bool_]]:
        mask = np.zeros((300, 400), dtype=bool)
        mask[row, column] = True
        return mask

    return Region(name, draw)


def marks(truth: Truth, target: int = 0) -> list[tuple[int, int]]:
    found = truth.square(target, CLASSES, Preprocessing(resize=300))
    return [(int(row), int(column)) for row, column in zip(*found.nonzero(), strict=True)]


def test_a_mark_is_moved_by_the_crop() -> None:
    """400 × 300 with a short side of 300 is cropped by 88 on the left and 38 above."""
    assert marks(Truth(400, 300, (dot(100, 200),))) == [(62, 112)]


def test_objects_of_one_class_are_all_meant_whatever_it_is_called() -> None:
    assert marks(Truth(400, 300, (dot(100, 200, "dog"), dot(101, 201, "dog")))) == [
        (62, 112),
        (63, 113),
    ]


@pytest.mark.parametrize("name", [1, "n01443537", "Goldfish"])
def test_of_objects_of_several_classes_those_of_the_target_are(name: int | str) -> None:
    truth = Truth(400, 300, (dot(100, 200, name), dot(101, 201, "dog")))
    assert marks(truth, target=1) == [(62, 112)]
    with pytest.raises(TruthUnusable, match="no object of the class") as caught:
        marks(truth, target=2)
    assert caught.value.reason == "no-truth"


def test_an_imagenet_id_says_nothing_to_a_network_of_other_classes() -> None:
    truth = Truth(400, 300, (dot(100, 200, "n01443537"), dot(101, 201, "n01440764")))
    with pytest.raises(TruthUnusable, match="no object of the class"):
        truth.square(1, ("cat", "dog"), Preprocessing(resize=300))


def test_one_of_a_class_s_names_is_enough() -> None:
    assert marks(Truth(400, 300, (dot(100, 200, "Tinca_Tinca"), dot(1, 1, "dog"))), target=0) == [
        (62, 112)
    ]


def test_an_object_beyond_the_crop_has_no_pixel() -> None:
    with pytest.raises(TruthUnusable) as caught:
        marks(Truth(400, 300, (dot(5, 5),)))
    assert caught.value.reason == "truth-empty"


def test_a_name_is_that_of_the_class_that_is_spelt_so_and_of_several_it_is_none() -> None:
    names = ("Cardigan", "cardigan", "dog")

    def of(name: str, target: int) -> bool:
        return dot(1, 1, name).is_of(target, names)

    assert [of("Cardigan", 0), of("Cardigan", 1)] == [True, False]
    assert [of("cardigan", 0), of("cardigan", 1)] == [False, True]
    assert [of("CARDIGAN", 0), of("CARDIGAN", 1)] == [False, False]
    assert of("DOG", 2)
