"""Annotations of known data sets, in tiny copies of their own layouts, by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from evaluator.errors import TruthUnusable, UsageError
from evaluator.images import find_images
from evaluator.records import ImageRef, Preprocessing
from evaluator.truth.folder import Truths

SIDE = 8
SEEN = Preprocessing(side=SIDE, resize=SIDE)


def picture(file: Path, values: object = None, mode: str = "RGB") -> None:
    """An image of 8 × 8 pixels, black or of given values."""
    file.parent.mkdir(parents=True, exist_ok=True)
    found = Image.new("RGB", (SIDE, SIDE))
    if values is not None:
        found = Image.fromarray(np.asarray(values, dtype=np.uint8))
    if mode == "P":
        found.putpalette([shade for shade in range(256) for _ in range(3)])
    found.save(file)


def block(
    *boxes: tuple[int, int, int, int, int],
) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """Value, first row, row after the last, first column, column after the last."""
    values = np.zeros((SIDE, SIDE), dtype=np.uint8)
    for value, top, bottom, left, right in boxes:
        values[top:bottom, left:right] = value
    return values


def pixels(truth: Path, data: Path, path: str, target: int = 0, *classes: str) -> list[list[int]]:
    """The object's pixels of an image, ``[row, column]``, as the network sees it."""
    image = next(one for one in find_images(data, seed=0).images if one.path == path.encode())
    return np.argwhere(Truths(truth, data).square(image, target, classes, SEEN)).tolist()


def rectangle(top: int, bottom: int, left: int, right: int) -> list[list[int]]:
    return [[row, column] for row in range(top, bottom) for column in range(left, right)]


def cub(root: Path) -> Path:
    """Two birds of one species."""
    species = "001.Black_footed_Albatross"
    lines = [f"{n} {species}/Albatross_{n:04}.jpg" for n in (1, 2)]
    for line in lines:
        picture(root / "images" / line.split()[1])
    (root / "images.txt").write_text("\n".join(lines) + "\n")
    (root / "bounding_boxes.txt").write_text("1 2.0 1.0 3.0 4.0\n2 0.0 0.0 8.0 2.5\n")
    return root


@pytest.mark.parametrize("data", ["images", "images/001.Black_footed_Albatross"])
def test_boxes_of_cub(tmp_path: Path, data: str) -> None:
    """x, y, width, height: columns 2 to 4, rows 1 to 4."""
    place, folder = cub(tmp_path), "001.Black_footed_Albatross/" if data == "images" else ""
    found = pixels(place, place / data, f"{folder}Albatross_0001.jpg")
    assert found == rectangle(1, 5, 2, 5)
    assert len(found) == 12
    assert pixels(place, place / data, f"{folder}Albatross_0002.jpg") == rectangle(0, 3, 0, 8)


def test_segmentations_of_cub_are_what_most_annotators_say(tmp_path: Path) -> None:
    place = cub(tmp_path)
    name = "001.Black_footed_Albatross/Albatross_0001"
    picture(
        place / "segmentations" / f"{name}.png",
        block((102, 0, 8, 0, 8), (153, 2, 6, 2, 6), (255, 3, 4, 3, 4)),
        "L",
    )
    assert pixels(place, place / "images", f"{name}.jpg") == rectangle(2, 6, 2, 6)


def voc(root: Path) -> Path:
    """One image with boxes alone, one with classes too."""
    corners = "<xmin>{}</xmin><ymin>{}</ymin><xmax>{}</xmax><ymax>{}</ymax>"
    box = f"<object><name>{{}}</name><bndbox>{corners}</bndbox></object>"
    size = "<size><width>8</width><height>8</height></size>"
    (root / "Annotations").mkdir(parents=True)
    for name in ("2007_000001", "2007_000002"):
        picture(root / "JPEGImages" / f"{name}.jpg")
        objects = box.format("dog", 1, 1, 2, 3) + box.format("cat", 5, 5, 8, 8)
        (root / "Annotations" / f"{name}.xml").write_text(
            f"<annotation>{size}{objects}</annotation>"
        )
    values = block((12, 0, 3, 0, 3), (255, 3, 4, 0, 3), (8, 6, 8, 6, 8))
    picture(root / "SegmentationClass" / "2007_000002.png", values, "P")
    return root


def test_boxes_and_classes_of_voc(tmp_path: Path) -> None:
    """Corners count from 1 and belong to the box; 255 is the border, 12 a dog, 8 a cat."""
    place = voc(tmp_path / "VOC2007")
    for name, dog, cat in (
        ("2007_000001", (0, 3, 0, 2), (4, 8, 4, 8)),
        ("2007_000002", (0, 3, 0, 3), (6, 8, 6, 8)),
    ):
        for target, expected in enumerate((cat, dog)):
            found = pixels(place, place / "JPEGImages", f"{name}.jpg", target, "cat", "dog")
            assert found == rectangle(*expected)


@pytest.mark.parametrize("named", [".", "annotations", "annotations/trimaps"])
def test_trimaps_of_pets(tmp_path: Path, named: str) -> None:
    """1 is the pet, 2 the background, 3 the border, which is neither."""
    picture(tmp_path / "images" / "Abyssinian_1.jpg")
    values = block((2, 0, 8, 0, 8), (3, 1, 7, 1, 7), (1, 2, 6, 2, 5))
    picture(tmp_path / "annotations" / "trimaps" / "Abyssinian_1.png", values, "L")
    (tmp_path / "annotations" / "trimaps" / "._Abyssinian_1.png").write_bytes(b"x")
    found = pixels(tmp_path / named, tmp_path / "images", "Abyssinian_1.jpg")
    assert found == rectangle(2, 6, 2, 5)


@pytest.mark.parametrize("flat", [False, True])
@pytest.mark.parametrize("named", [".", "validation-segmentation"])
def test_classes_of_imagenet_s(tmp_path: Path, named: str, flat: bool) -> None:
    """Red + 256 · green: 300 = 44 + 256 is the class, 1000 = 232 + 3 · 256 nobody's."""
    name = "ILSVRC2012_val_00000293"
    folder = "" if flat else "n01440764/"
    picture(tmp_path / "val" / f"{folder}{name}.JPEG")
    red = block((232, 0, 8, 4, 8), (44, 2, 5, 1, 4))
    green = block((3, 0, 8, 4, 8), (1, 2, 5, 1, 4))
    values = np.stack([red, green, np.zeros_like(red)], 2)
    picture(tmp_path / "validation-segmentation" / "n01440764" / f"{name}.png", values)
    found = pixels(tmp_path / named, tmp_path / "val", f"{folder}{name}.JPEG")
    assert found == rectangle(2, 5, 1, 4)


@pytest.mark.parametrize("data", ["", "test"])
def test_part_maps_of_funnybirds(tmp_path: Path, data: str) -> None:
    """Every part has a colour; background is black."""
    picture(tmp_path / "test" / "3" / "000017.png", block((9, 0, 8, 0, 8)), "L")
    (tmp_path / "parts.json").write_text("{}")
    values = np.zeros((SIDE, SIDE, 3), dtype=np.uint8)
    values[1:3, 2:4], values[3, 2] = (255, 255, 0), (0, 0, 255)
    picture(tmp_path / "test_part_map" / "3" / "000017.png", values)
    path = "3/000017.png" if data else "test/3/000017.png"
    image = ImageRef(0, path.encode(), (tmp_path / "test/3/000017.png").stat().st_size, None)
    found = Truths(tmp_path, tmp_path / data).square(image, 0, (), SEEN)
    assert np.argwhere(found).tolist() == [*rectangle(1, 3, 2, 4), [3, 2]]


def test_what_is_damaged_or_empty_is_said(tmp_path: Path) -> None:
    place = cub(tmp_path)
    (place / "bounding_boxes.txt").write_text("1 a b c d\n2 0 0 0 0\n")
    for number, reason in ((1, "numbers are none"), (2, "without a size")):
        with pytest.raises(TruthUnusable, match=reason):
            pixels(place, place / "images", f"001.Black_footed_Albatross/Albatross_000{number}.jpg")
    picture(tmp_path / "p" / "trimaps" / "a.png", block((2, 0, 8, 0, 8)), "L")
    picture(tmp_path / "i" / "a.jpg")
    with pytest.raises(TruthUnusable, match="without an object"):
        pixels(tmp_path / "p", tmp_path / "i", "a.jpg")
    (tmp_path / "none").mkdir()
    with pytest.raises(UsageError, match=r"no \.png and no \.xml"):
        Truths(tmp_path / "none", tmp_path)


def test_the_identity_tells_how_it_is_read(tmp_path: Path) -> None:
    """The same files under another name are masks of classes."""
    picture(tmp_path / "trimaps" / "a.png", block((1, 0, 4, 0, 4)), "L")
    picture(tmp_path / "masks" / "a.png", block((1, 0, 4, 0, 4)), "L")
    one, other = (Truths(tmp_path / name, tmp_path).sha256() for name in ("trimaps", "masks"))
    assert one != other
