"""Parquet files: Hugging Face's columns, class names, row groups, and what is no file of images."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from evaluator.errors import ImageUnreadable, UsageError
from evaluator.images import find_images
from evaluator.labels import classes_of_folders
from evaluator.sources import read_image
from tests.evaluator.sources.makers import parquet_of

MEMBERS = [(f"{number}.JPEG", bytes([number]) * (number + 1)) for number in range(10)]
NAMES = ("zebra", "ant, pismire", "A/C")


def test_rows_are_images_in_folders_named_by_their_classes(tmp_path: Path) -> None:
    labels = [number % 4 - 1 for number in range(10)]  # -1: without one, as in test sets
    file = parquet_of(tmp_path / "v.parquet", MEMBERS, names=NAMES, labels=labels)
    found = find_images(file, seed=0)
    assert found.folders == ("zebra", "ant, pismire", "A_C")
    assert {one.path.decode() for one in found.images} == {
        ("" if label < 0 else f"{found.folders[label]}/") + name
        for (name, _), label in zip(MEMBERS, labels, strict=True)
    }
    for one in found.images:
        number = int(one.path.rpartition(b"/")[2][:-5])
        assert one.size == number + 1
        assert read_image(file, one.path, one.size) == MEMBERS[number][1]


def test_names_are_classes_by_name_else_by_their_numbers(tmp_path: Path) -> None:
    file = parquet_of(tmp_path / "v.parquet", MEMBERS, names=NAMES, labels=[0] * 10)
    folders = find_images(file, seed=0).folders
    by_name = classes_of_folders(folders, ("ant", "bee", "zebra", "yak"), 4, ordered=True)
    assert by_name.index == {"zebra": 2, "ant, pismire": 0} or by_name.index == {"zebra": 2}
    by_number = classes_of_folders(folders, (), 3, ordered=True)
    assert by_number.index == {"zebra": 0, "ant, pismire": 1, "A_C": 2}
    assert not classes_of_folders(folders, (), 4, ordered=True).index


def test_labels_without_names_are_class_indices(tmp_path: Path) -> None:
    file = parquet_of(tmp_path / "v.parquet", MEMBERS, labels=list(range(10)))
    found = find_images(file, seed=0)
    assert {one.path: one.label for one in found.images} == {
        name.encode(): number for number, (name, _) in enumerate(MEMBERS)
    }


def test_rows_without_a_path_or_with_the_same_one(tmp_path: Path) -> None:
    file = parquet_of(tmp_path / "v.parquet", MEMBERS[:2], paths=False)
    assert {one.path for one in find_images(file, seed=0).images} == {
        b"v-000000.png", b"v-000001.png"
    }  # fmt: skip
    same = [("/home/me/a.jpg", b"x"), ("../../a.jpg", b"yy"), ("a", b"zzz")]
    parquet_of(file, same)
    found = {one.path: one.size for one in find_images(file, seed=0).images}
    assert found == {b"a.jpg": 1, b"v-000001.png": 2, b"v-000002.png": 3}
    assert read_image(file, b"v-000001.png", 2) == b"yy"


def test_a_folder_of_files_is_one_source(tmp_path: Path) -> None:
    for number in range(2):
        parquet_of(tmp_path / f"test-{number}.parquet", MEMBERS[number * 5 : number * 5 + 5])
    place = tmp_path / "test-*.parquet"
    assert {one.path for one in find_images(place, seed=0).images} == {
        name.encode() for name, _ in MEMBERS
    }
    assert read_image(place, b"7.JPEG", 8) == b"\7" * 8
    with pytest.raises(ImageUnreadable, match="no such member of test-0"):
        read_image(place, b"11.JPEG")


def test_a_column_of_bytes_is_one_of_images(tmp_path: Path) -> None:
    table = pa.table({"id": [1, 2], "jpg": [b"x", b"yy"], "label": ["ant", "bee"]})
    pq.write_table(table, tmp_path / "v.parquet")
    found = find_images(tmp_path / "v.parquet", seed=0)
    assert {one.path for one in found.images} == {b"ant/v-000000.png", b"bee/v-000001.png"}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"x" * 100, "is no parquet file, or it was cut"),
        (None, "has no column of images: id, text"),
    ],
)
def test_what_is_no_file_of_images(tmp_path: Path, content: bytes | None, words: str) -> None:
    file = tmp_path / "v.parquet"
    if content is None:
        pq.write_table(pa.table({"id": [1], "text": ["x"]}), file)
    else:
        file.write_bytes(content)
    with pytest.raises(UsageError, match=words):
        find_images(file, seed=0)


def test_a_file_that_was_cut(tmp_path: Path) -> None:
    file = parquet_of(tmp_path / "v.parquet", MEMBERS)
    file.write_bytes(file.read_bytes()[:-20])
    with pytest.raises(UsageError, match="or it was cut"):
        find_images(file, seed=0)
