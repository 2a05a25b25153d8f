"""A file of labels: what is read, and what is refused with its line."""

from __future__ import annotations

from pathlib import Path

import pytest

from evaluator.errors import Mismatch, UsageError
from evaluator.images import find_images
from evaluator.labels import Listing
from tests.evaluator.test_images import write


def labels(root: Path, csv: Path | None = None) -> dict[bytes, int | None]:
    return {image.path: image.label for image in find_images(root, seed=0, labels=csv).images}


def test_labels_of_a_file(tmp_path: Path) -> None:
    write(tmp_path, "a.png", "deep/b.png", "c.png", "d.png")
    file = tmp_path / "labels.csv"
    file.write_text(
        "image,label\na.png,n15075141\nb.png, 17\n\nelsewhere.png,3\nc.png,0\n", encoding="utf-8"
    )
    assert labels(tmp_path, file) == {b"a.png": 999, b"deep/b.png": 17, b"c.png": 0, b"d.png": None}


def test_labels_of_a_file_from_a_spreadsheet(tmp_path: Path) -> None:
    write(tmp_path, "a.png")
    file = tmp_path / "labels.csv"
    file.write_bytes(b"\xef\xbb\xbfimage,label\r\na.png,5\r\n")
    assert labels(tmp_path, file) == {b"a.png": 5}


def test_labels_of_names_that_are_not_utf8(tmp_path: Path) -> None:
    write(tmp_path, b"a\xff.png")
    (tmp_path / "labels.csv").write_bytes(b"a\xff.png,5\n")
    assert labels(tmp_path, tmp_path / "labels.csv") == {b"a\xff.png": 5}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a.png,dog\n", "line 1: no class index or ImageNet id"),
        (b"image,label\na.png\n", "line 2: no class index"),
        (b"a.png,-1\n", "line 1: no class index"),
        (b"z.png,1\n", "names none of the 1 images"),
        (b"", "names none of the 1 images"),
        (b'"' + b"x" * 200_000 + b"\n", "is not a csv"),
        (b"\x89PNG\r\n\x1a\n", "no class index"),
    ],
)
def test_labels_that_cannot_be_used(tmp_path: Path, content: bytes, message: str) -> None:
    write(tmp_path, "a.png")
    (tmp_path / "labels.csv").write_bytes(content)
    with pytest.raises(UsageError) as caught:
        labels(tmp_path, tmp_path / "labels.csv")
    assert message in caught.value.message


def test_labels_that_are_not_there(tmp_path: Path) -> None:
    write(tmp_path, "a.png")
    for file in (tmp_path / "none.csv", tmp_path):
        with pytest.raises(UsageError, match="cannot read the labels"):
            labels(tmp_path, file)


@pytest.mark.parametrize(
    "content",
    [
        "x/a.png\t3\nb.png\t4\n",
        "x/a.png;3\r\nb.png;4\r\n",
        "label,image\n3,a.png\n4,b.png\n",
        ",image,label\n0,a.png,3\n1,b.png,4\n",
        "image,width,label\na.png,640,3\nb.png,480,4\n",
        'Filename,Class\n"x/a.png","3"\n"b.png","4"\n',
        "a.png,3,tench\nb.png,4,shark\n",
        "./x/a.png,3\nx\\a.png,003\nb.png,4\nb.png,4\n , \n",
        "ROOT/x/a.png,3\nROOT/b.png,4\n",
    ],
)
def test_forms_of_a_file(tmp_path: Path, content: str) -> None:
    root = write(tmp_path / "data", "x/a.png", "b.png")
    file = tmp_path / "labels.csv"
    file.write_text(content.replace("ROOT", str(root)), newline="")
    assert labels(root, file) == {b"x/a.png": 3, b"b.png": 4}


@pytest.mark.parametrize(
    ("content", "message", "hint"),
    [
        ("a.png,3\na.png,5\n", "line 2: a.png is 5, and 3 in line 1", "leave one of the two"),
        ("a.png,3\nb.png,4\n\n./a.png,n01440764\n", "line 4: ./a.png is 0, and 3", "one label"),
        ("a.png,3\nc.png,5\n", "line 2: c.png is the name of 3 images (x/c.png, y/c.png, z/", "x/"),
        ("a.png,1.0\n", "line 1: no class index or ImageNet id: 1.0; indices are whole", "image,"),
        ("a.png,1e3\n", "line 1: no class index", "image,label"),
        ("a.png,-3\n", "line 1: no class index or ImageNet id: -3; indices count from 0", ""),
        ("a.png,\n", "line 1: no class index or ImageNet id; leave out lines", "image,label"),
        ("a.png,nan\n", "line 1: no class index", "image,label"),
        ("a.png,９\n", "line 1: no class index", "image,label"),
        ("a.png,n99999999\n", "line 1: no class index or ImageNet id: n99999999", "image,label"),
        ("a.png,99999999999999999999\n", "line 1: no class index", "image,label"),
        ("a.png,3,640\n", "line 1: 3 columns, of which the label is not certain", "header"),
        ("image,label,class\na.png,3\na,b.png,3,7,9\n", "line 3: no class index", ""),
        ("image,width,height\na.png,3,4\n", "line 1: which column is the label?", "image,label"),
        ("image,class,target\na.png,3,4\n", "line 1: which column is the label?", "image,label"),
    ],
)
def test_what_is_refused_with_its_line(
    tmp_path: Path, content: str, message: str, hint: str
) -> None:
    write(tmp_path, "a.png", "b.png", "x/c.png", "y/c.png", "z/c.png")
    (tmp_path / "labels.csv").write_text(content)
    with pytest.raises(UsageError) as caught:
        labels(tmp_path, tmp_path / "labels.csv")
    assert message in caught.value.message
    assert hint in caught.value.hint


def test_a_path_is_itself_before_it_is_the_name_of_others(tmp_path: Path) -> None:
    write(tmp_path, "a.png", "x/a.png")
    (tmp_path / "labels.csv").write_text("a.png,3\nx/a.png,4\n")
    assert labels(tmp_path, tmp_path / "labels.csv") == {b"a.png": 3, b"x/a.png": 4}


def test_names_of_files_that_are_left_out_are_not_counted(tmp_path: Path) -> None:
    write(tmp_path, "x/a.png", "__MACOSX/a.png", ".ipynb_checkpoints/a.png")
    (tmp_path / "labels.csv").write_text("a.png,3\n")
    assert labels(tmp_path, tmp_path / "labels.csv") == {b"x/a.png": 3}


def test_the_first_line_beyond_a_number_of_classes_is_known(tmp_path: Path) -> None:
    write(tmp_path, "a.png", "b.png", "c.png")
    (tmp_path / "labels.csv").write_text("a.png,3\nb.png,12\nc.png,7\n")
    file = find_images(tmp_path, seed=0, labels=tmp_path / "labels.csv").label_file
    assert file is not None
    assert file.highest == ((1, 3), (2, 12))
    assert file.first_id is None


# -- of a run that is there
# --------------------------------------------------------------------------------------------------


def listing(labels: Path, *, count: int = 0, checked: str = "") -> Listing:
    return Listing("0" * 64, count, str(labels), checked)


def test_a_file_that_an_earlier_version_took_is_taken_without_the_lines_at_fault(
    tmp_path: Path,
) -> None:
    write(tmp_path, "a.png", "b.png", "x/c.png", "y/c.png")
    file = tmp_path / "labels.csv"
    file.write_text("a.png,3\na.png,5\nb.png,4\nc.png,1\n")
    found = find_images(tmp_path, seed=0, labels=file, stored=listing(file))
    assert {image.path: image.label for image in found.images if image.label} == {b"b.png": 4}
    assert [level for level, _ in found.remarks()] == ["warning", "warning"]
    with pytest.raises(UsageError, match=r"line 2: a\.png is 5, and 3 in line 1"):
        find_images(tmp_path, seed=0, labels=file, stored=listing(file, checked="1" * 64))


def test_a_second_file_adds_labels_and_may_not_contradict_the_first(tmp_path: Path) -> None:
    write(tmp_path, "a.png", "b.png", "c.png")
    first, second = tmp_path / "first.csv", tmp_path / "second.csv"
    first.write_text("a.png,3\nb.png,4\n")
    second.write_text("b.png,4\nc.png,5\n")
    found = find_images(tmp_path, seed=0, labels=second, stored=listing(first))
    assert {image.path: image.label for image in found.images} == {
        b"a.png": 3, b"b.png": 4, b"c.png": 5,
    }  # fmt: skip
    second.write_text("image,label\nb.png,6\n")
    with pytest.raises(
        Mismatch, match=r"second\.csv, line 2: b\.png is 6, and 4 in .*first\.csv, line 2"
    ):
        find_images(tmp_path, seed=0, labels=second, stored=listing(first))
    stored = listing(first, count=3)  # the run itself says what its images have
    find_images(tmp_path, seed=0, labels=second, stored=stored)
