"""The manifest: which files count, their order, their labels by ImageNet id, and their identity."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

import pytest

from evaluator.errors import UsageError
from evaluator.images import (
    DEMO_PHOTOGRAPHS,
    demo_root,
    find_images,
    folder_of,
    imagenet_wnids,
    labels_by_class_name,
    planned_images,
)
from evaluator.plan_validation import validated_plan
from tests.shared import SHARED


def write(root: Path, *names: str | bytes) -> Path:
    for place, name in enumerate(names):
        file = os.path.join(os.fsencode(root), os.fsencode(name))
        os.makedirs(os.path.dirname(file), exist_ok=True)
        with open(file, "wb") as stream:
            stream.write(b"x" * place)
    return root


def paths(root: Path, *, seed: int = 0, limit: int | None = None) -> list[bytes]:
    return [image.path for image in find_images(root, seed=seed, limit=limit).images]


def test_a_thousand_classes_by_sorted_id() -> None:
    wnids = imagenet_wnids()
    assert len(wnids) == 1000
    assert (wnids["n01440764"], wnids["n01443537"], wnids["n15075141"]) == (0, 1, 999)
    assert list(wnids.values()) == list(range(1000))


@pytest.mark.skipif(
    not (SHARED / "imagenet-wnids.txt").is_file(),
    reason="the shared list of ids is not beside the checkout",
)
def test_the_packaged_list_is_the_shared_one() -> None:
    assert sorted((SHARED / "imagenet-wnids.txt").read_text().split()) == list(imagenet_wnids())


def test_files_that_are_named_like_images_at_any_depth(tmp_path: Path) -> None:
    write(
        tmp_path,
        "a.JPEG",
        "b.txt",
        "c/d.png",
        "c/e/f.webp",
        "c/readme.md",
        ".hidden.jpg",
        "noextension",
    )
    assert sorted(paths(tmp_path)) == [b".hidden.jpg", b"a.JPEG", b"c/d.png", b"c/e/f.webp"]


def test_names_that_are_not_utf8(tmp_path: Path) -> None:
    write(tmp_path, b"class\xff/image\x80.png")
    assert paths(tmp_path) == [b"class\xff/image\x80.png"]
    assert folder_of(b"class\xff/image\x80.png") == os.fsdecode(b"class\xff")


def test_what_cannot_be_read_becomes_a_failure_later_not_a_gap(tmp_path: Path) -> None:
    (tmp_path / "folder.jpg").mkdir()
    (tmp_path / "dangling.png").symlink_to(tmp_path / "nowhere")
    assert sorted(paths(tmp_path)) == [b"dangling.png", b"folder.jpg"]


def test_a_circle_of_links_ends(tmp_path: Path) -> None:
    write(tmp_path, "a/x.png")
    (tmp_path / "a" / "round").symlink_to(tmp_path)
    assert paths(tmp_path) == [b"a/x.png"]


def test_folders_that_are_not_looked_into_are_named(tmp_path: Path) -> None:
    write(tmp_path / "data", "a/x.png")
    (tmp_path / "data" / "link").symlink_to(tmp_path)
    found = find_images(tmp_path / "data", seed=0)
    assert [left.path for left in found.skipped_folders] == [b"link"]
    assert (
        found.warning()
        == f"a folder is left out: {tmp_path}/data/link: a link to a folder, which is not followed"
    )
    (tmp_path / "data" / "other\x1b").symlink_to(tmp_path)
    assert find_images(tmp_path / "data", seed=0).warning().startswith("2 folders are left out: ")
    assert find_images(tmp_path / "data" / "a", seed=0).warning() == ""


def test_the_order_is_a_function_of_seed_and_path(tmp_path: Path) -> None:
    names = [f"{number}.png" for number in range(30)]
    write(tmp_path / "one", *names)
    write(tmp_path / "two", *reversed(names))
    assert paths(tmp_path / "one") == paths(tmp_path / "two")
    assert paths(tmp_path / "one") != paths(tmp_path / "one", seed=1)
    assert paths(tmp_path / "one") != sorted(paths(tmp_path / "one"))


def test_a_file_that_is_added_does_not_move_the_others(tmp_path: Path) -> None:
    write(tmp_path, *[f"{number}.png" for number in range(30)])
    before = paths(tmp_path)
    write(tmp_path, "new.png")
    assert [path for path in paths(tmp_path) if path != b"new.png"] == before


def test_the_order_is_pinned(tmp_path: Path) -> None:
    """Another order would make stored runs and new ones of the same seed different samples."""
    write(tmp_path, "a.png", "b.png", "c.png", "d.png")
    assert paths(tmp_path) == [b"b.png", b"c.png", b"a.png", b"d.png"]


def test_a_limit_takes_the_first_and_knows_the_total(tmp_path: Path) -> None:
    write(tmp_path, *[f"{number}.png" for number in range(9)])
    few, all_ = find_images(tmp_path, seed=0, limit=4), find_images(tmp_path, seed=0)
    assert few.images == all_.images[:4]
    assert [image.id for image in all_.images] == list(range(9))
    assert (few.total, all_.total) == (9, 9)
    assert few.sha256 == all_.sha256, "identity is that of the data set, whatever the limit"


def test_identity_is_paths_and_sizes(tmp_path: Path) -> None:
    write(tmp_path, "a.png", "b.png")
    before = find_images(tmp_path, seed=0).sha256
    assert find_images(tmp_path, seed=5).sha256 == before
    (tmp_path / "a.png").write_bytes(b"four")
    changed = find_images(tmp_path, seed=0).sha256
    (tmp_path / "c.png").touch()
    assert len({before, changed, find_images(tmp_path, seed=0).sha256}) == 3


# -- labels
# --------------------------------------------------------------------------------------------------


def labels(root: Path, csv: Path | None = None) -> dict[bytes, int | None]:
    return {image.path: image.label for image in find_images(root, seed=0, labels=csv).images}


def test_class_folders_are_labelled_by_id_not_by_rank(tmp_path: Path) -> None:
    write(tmp_path, "n15075141/a.png", "n01443537/b.png", "other/c.png", "flat.png")
    assert labels(tmp_path) == {
        b"n15075141/a.png": 999,
        b"n01443537/b.png": 1,
        b"other/c.png": None,
        b"flat.png": None,
    }


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
    ("folders", "expected"),
    [
        (["Great White_shark", "tench"], {"Great White_shark": 1, "tench": 0}),
        (["tench", "unheard of"], {"tench": 0}),
        (["x", "y", "z"], {"x": 0, "y": 1, "z": 2}),
        (["x", "y"], {}),
        (["tench", "x", "y"], {"tench": 0}),
    ],
)
def test_other_folder_names(folders: Iterable[str], expected: dict[str, int]) -> None:
    """By class name; by rank only if there are exactly as many folders as classes and no name fits;
    else unknown.
    """
    assert (
        labels_by_class_name(set(folders), ("tench", "great white shark", "goldfish")) == expected
    )


# -- what is asked for wrongly
# --------------------------------------------------------------------------------------------------


def test_no_such_folder_names_a_near_one(tmp_path: Path) -> None:
    (tmp_path / "imagenet").mkdir()
    with pytest.raises(UsageError, match="no such folder") as caught:
        find_images(tmp_path / "imagenett", seed=0)
    assert "did you mean 'imagenet'?" in caught.value.hint
    for far in (tmp_path / "opt", tmp_path / "a" / "b" / "c"):
        with pytest.raises(UsageError, match="no such folder") as caught:
            find_images(far, seed=0)
        assert caught.value.hint == "camtui run --data FOLDER"


def test_a_folder_without_images(tmp_path: Path) -> None:
    write(tmp_path, "notes.txt")
    with pytest.raises(UsageError, match="no images in"):
        find_images(tmp_path, seed=0)


def test_a_plan_names_its_images(tmp_path: Path) -> None:
    write(tmp_path, *(f"{name}.png" for name in "abcde"))
    file = tmp_path / "labels.csv"
    file.write_text("image,label\na.png,7\n", encoding="utf-8")
    asked = {
        "data": str(tmp_path),
        "backbones": ["resnet18"],
        "methods": ["gradcam"],
        "seed": 3,
        "limit": 4,
        "labels": str(file),
    }
    found = planned_images(validated_plan(asked))
    assert found == find_images(tmp_path, seed=3, limit=4, labels=file)
    assert (len(found.images), found.total) == (4, 5)


def test_the_demo_s_photographs() -> None:
    pytest.importorskip("skimage")
    found = find_images(demo_root(), seed=0, demo=True)
    assert 5 <= len(found.images) <= len(DEMO_PHOTOGRAPHS)
    assert {os.fsdecode(image.path) for image in found.images} <= set(DEMO_PHOTOGRAPHS)
    assert {"astronaut.png", "chelsea.png", "coffee.png", "rocket.jpg"} <= {
        os.fsdecode(image.path) for image in found.images
    }
