"""Which part of a data set is read, and what is said of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from evaluator.errors import UsageError
from evaluator.images import find_images
from evaluator.sources.splits import part_of
from tests.evaluator.sources.makers import npz_of, parquet_of, tar_of, zip_of


def lay(root: Path, *files: str) -> Path:
    for file in files:
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        (root / file).write_bytes(b"x")
    return root


@pytest.mark.parametrize(
    ("files", "split", "expected"),
    [
        (("val/a/b.jpg", "train/a/c.jpg"), None, "val"),
        (("Val/a/b.jpg", "test/a/c.jpg", "meta.txt"), None, "Val"),
        (("validation/b.jpg", "train/c.jpg", "annotations/x.txt"), None, "validation"),
        (("test/b.jpg", "train/c.jpg"), None, "test"),
        (("val/b.jpg", "train/c.jpg"), "train", "train"),
        (("val/b.jpg", "train/c.jpg"), ".", ""),
        (("val/b.jpg", "c.jpg"), None, ""),
        (("data/b.jpg", "README.md"), None, ""),
        (("data/val/b.jpg", "data/train/b.jpg"), None, "data/val"),
        (("val/b.jpg", "c.jpg"), "val", "val"),
        (("cats/b.jpg", "train/c.jpg"), None, ""),
        (("cats/b.jpg", "dogs/c.jpg"), None, ""),
        ((".val/b.jpg", "dogs/c.jpg"), None, ""),
    ],
)
def test_the_split_of_a_folder(
    tmp_path: Path, files: tuple[str, ...], split: str | None, expected: str
) -> None:
    root, said = part_of(lay(tmp_path, *files), split)
    assert root == tmp_path / expected
    assert bool(said) == bool(expected)
    assert Path(expected).name.lower() in said


def test_it_is_said_what_is_not_read(tmp_path: Path) -> None:
    said = part_of(lay(tmp_path, "val/a.jpg", "train/a.jpg", "extra/a.jpg")).said
    assert said.startswith(f"the split val and not train of {tmp_path} is read; --split NAME")


@pytest.mark.parametrize("files", [("val/a.jpg", "train/a.jpg"), ("cats/a.jpg",)])
def test_a_split_that_is_not_there(tmp_path: Path, files: tuple[str, ...]) -> None:
    with pytest.raises(UsageError, match=r"has no split test"):
        part_of(lay(tmp_path, *files), "test")


@pytest.mark.parametrize(
    ("members", "split", "expected"),
    [
        (("n01/a.jpg", "n02/a.jpg"), None, ""),
        (("val/n01/a.jpg", "train/n01/a.jpg"), None, "val"),
        (("val/n01/a.jpg", "train/n01/a.jpg"), "train", "train"),
        (("imagenet/val/n01/a.jpg", "imagenet/train/n01/b.jpg"), None, "imagenet/val"),
        (("photos/n01/a.jpg", "photos/n02/a.jpg"), None, "photos"),
        (("photos/a.jpg", "__MACOSX/photos/._a.jpg"), None, ""),
        (("a.jpg", "val/b.jpg"), None, ""),
        (("val/a.jpg", "train/b.jpg"), ".", ""),
    ],
)
def test_the_folder_of_an_archive(
    tmp_path: Path, members: tuple[str, ...], split: str | None, expected: str
) -> None:
    for make, name in ((tar_of, "x.tar"), (zip_of, "x.zip")):
        file = make(tmp_path / name, [(member, b"x") for member in members])
        assert part_of(file, split).root == file / expected
        assert find_images(part_of(file, split).root, seed=0).total


def test_the_arrays_of_medmnist(tmp_path: Path) -> None:
    images = np.zeros((2, 4, 4), dtype=np.uint8)
    names = ("train_images", "val_images", "test_images")
    file = npz_of(tmp_path / "x.npz", dict.fromkeys(names, images))
    assert part_of(file).root == file / "val"
    assert part_of(file, "test").root == file / "test"


@pytest.mark.parametrize("inside", ["", "data"])
def test_the_parquet_files_and_shards_of_a_folder(tmp_path: Path, inside: str) -> None:
    place = tmp_path / inside
    lay(tmp_path, "README.md", ".gitattributes")
    for split, count in (("train", 2), ("validation", 2), ("test", 1)):
        for number in range(count):
            file = place / f"{split}-{number:05}-of-{count:05}.parquet"
            file.parent.mkdir(exist_ok=True)
            parquet_of(file, [(f"{split}{number}.jpg", b"x")])
    found = part_of(tmp_path)
    assert found.root == place / "validation*.parquet"
    assert "the split validation and not test, train" in found.said
    assert {one.path for one in find_images(found.root, seed=0).images} == {
        b"validation0.jpg", b"validation1.jpg"
    }  # fmt: skip
    assert part_of(tmp_path, "test").root == place / "test-00000-of-00001.parquet"


def test_shards_without_a_split_are_read_together(tmp_path: Path) -> None:
    for number in range(2):
        tar_of(tmp_path / f"{number:05}.tar", [(f"{number}.jpg", b"x")])
    assert part_of(tmp_path) == (tmp_path / "*.tar", "")
    assert find_images(tmp_path / "*.tar", seed=0).total == 2
