"""Arrays: the rows of ``images``, MedMNIST's splits, and what is no file of images."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from evaluator.errors import UsageError
from evaluator.images import find_images
from evaluator.sources import read_image
from tests.evaluator.sources.makers import npz_of

COLOUR = np.random.default_rng(0).integers(0, 256, (9, 8, 6, 3), dtype=np.uint8)
GREY = np.random.default_rng(1).random((5, 4, 4)).astype(">f4")


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("images", [COLOUR, GREY], ids=["colour", "grey"])
def test_a_row_is_the_file_that_numpy_would_write(
    tmp_path: Path, images: Any, packed: bool
) -> None:
    labels = np.arange(len(images), dtype=np.int64)
    file = npz_of(tmp_path / "v.npz", {"images": images, "labels": labels}, packed=packed)
    found = find_images(file, seed=0)
    assert {one.path: one.label for one in found.images} == {
        b"%05d.npy" % row: row for row in range(len(images))
    }
    for one in found.images:
        data = read_image(file, one.path, one.size)
        row = images[int(one.path[:5])]
        written = BytesIO()
        np.save(written, row)
        assert data == written.getvalue()


def test_a_large_packed_array_is_unpacked_from_places_within(tmp_path: Path) -> None:
    images = np.random.default_rng(2).integers(0, 3, (400, 100, 100), dtype=np.uint8)
    file = npz_of(tmp_path / "v.npz", {"images": images}, packed=True)
    for row in (399, 0, 200, 399):
        data = read_image(file, b"%05d.npy" % row)
        assert np.array_equal(np.load(BytesIO(data)), images[row])


def test_splits_of_medmnist_are_folders(tmp_path: Path) -> None:
    arrays = {
        f"{split}_{what}": array[:count]
        for split, count in (("train", 9), ("test", 4))
        for what, array in (("images", COLOUR), ("labels", np.arange(9, dtype=np.uint8)[:, None]))
    }
    file = npz_of(tmp_path / "pathmnist.npz", arrays, packed=True)
    assert find_images(file, seed=0).total == 13
    found = find_images(file / "test", seed=0)
    assert {one.path: one.label for one in found.images} == {
        b"%05d.npy" % row: row for row in range(4)
    }


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"weights": COLOUR}, "has no array of images, but weights"),
        ({"images": COLOUR[:, 0, 0]}, "has no array of images"),
        ({"images": np.array([object()])}, "has no array of images, but no array"),
        ({"images": COLOUR, "labels": np.arange(8)}, "has 9 images and 8 labels"),
    ],
)
def test_what_is_no_file_of_images(tmp_path: Path, arrays: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        find_images(npz_of(tmp_path / "v.npz", arrays), seed=0)


def test_several_labels_of_an_image_are_none(tmp_path: Path) -> None:
    several = np.zeros((9, 14), dtype=np.uint8)
    found = find_images(npz_of(tmp_path / "v.npz", {"images": COLOUR, "labels": several}), seed=0)
    assert {one.label for one in found.images} == {None}


@pytest.mark.parametrize("packed", [False, True])
def test_an_array_that_is_damaged(tmp_path: Path, packed: bool) -> None:
    file = npz_of(tmp_path / "v.npz", {"images": COLOUR}, packed=packed)
    data = bytearray(file.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 64] = bytes(64)
    file.write_bytes(data)
    with pytest.raises(UsageError, match="images do not fit their checksum"):
        find_images(file, seed=0)
