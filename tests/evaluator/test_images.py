"""The manifest: which files count, their order, their labels by ImageNet id, and their identity."""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path

import pytest

from evaluator.errors import UsageError
from evaluator.images import (
    DEMO_LABELS,
    DEMO_PHOTOGRAPHS,
    EARLIER_DEMO,
    demo_root,
    find_images,
    folder_of,
    planned_images,
)
from evaluator.labels import Listing, imagenet_wnids
from evaluator.plan import validated_plan
from evaluator.sources.folder import FollowedFolder


def write(root: Path, *names: str | bytes) -> Path:
    for place, name in enumerate(names):
        file = os.path.join(os.fsencode(root), os.fsencode(name))
        os.makedirs(os.path.dirname(file), exist_ok=True)
        with open(file, "wb") as stream:
            stream.write(b"x" * place)
    return root


def paths(root: Path, *, seed: int = 0, limit: int | None = None) -> list[bytes]:
    return [image.path for image in find_images(root, seed=seed, limit=limit).images]


def test_files_that_are_named_like_images_at_any_depth(tmp_path: Path) -> None:
    write(
        tmp_path,
        "a.JPEG",
        "b.txt",
        "c/d.png",
        "c/e/f.webp",
        "c/readme.md",
        "noextension",
    )
    assert sorted(paths(tmp_path)) == [b"a.JPEG", b"c/d.png", b"c/e/f.webp"]


def test_arrays_are_images_of_folders_that_have_no_others(tmp_path: Path) -> None:
    write(tmp_path, "a/b.npy", "c.npy", "d.txt")
    assert sorted(paths(tmp_path)) == [b"a/b.npy", b"c.npy"]
    write(tmp_path, "a/e.png")
    assert paths(tmp_path) == [b"a/e.png"]


LEFT_OUT = (
    ".hidden.jpg", "._a.jpg", "a/._b.png", "a/.ipynb_checkpoints/b-checkpoint.png",
    "__MACOSX/a/b.png", "a/@eaDir/b.png/SYNOPHOTO_THUMB_M.jpg", "#recycle/a.png",
    "$RECYCLE.BIN/a.png", "System Volume Information/a.png", "lost+found/a.png",
    ".Trash-1000/files/a.png", "a/.thumbnails/normal/a.png", ".git/a.png", ".nfs000.jpg",
    "backup~/a.png", "Thumbs.db/256.png", "__macosx/a.png", "LOST+FOUND/b.png",
)  # fmt: skip
ORDINARY = (
    "a/b.png", "a/macosx.jpg", "a/c~d.png", "lost/a.png", "trash/a.png", "recycle.bin/a.png",
    "_/a.jpg", "#1/a.png", "@/a.png",
)  # fmt: skip


@pytest.mark.parametrize("name", LEFT_OUT)
def test_a_hidden_or_system_file_is_no_image_and_is_counted(tmp_path: Path, name: str) -> None:
    root = write(tmp_path, *ORDINARY, name, "a/b.png~", "a/.DS_Store", "desktop.ini")
    found = find_images(root, seed=0)
    assert {os.fsdecode(image.path) for image in found.images} == set(ORDINARY)
    ((level, text),) = found.remarks()
    assert level == "info"
    assert text.startswith("left out: 1 ")


def test_what_is_left_out_is_said_in_one_line(tmp_path: Path) -> None:
    write(tmp_path, *ORDINARY, *LEFT_OUT)
    (line,) = find_images(tmp_path, seed=0).remark_lines()
    assert line.startswith("left out: 14 files in hidden or system folders (")
    assert line.endswith(", 4 hidden or system files (._a.jpg, .hidden.jpg, .nfs000.jpg, …)")
    assert find_images(tmp_path / "trash", seed=0).remark_lines() == []


def test_only_what_is_below_the_data_folder_is_hidden(tmp_path: Path) -> None:
    root = write(tmp_path / ".cache" / "__MACOSX", "n01440764/a.png", ".x/b.png")
    assert paths(root) == [b"n01440764/a.png"]
    (tmp_path / "link").symlink_to(root)
    assert paths(tmp_path / "link") == [b"n01440764/a.png"]


def test_a_folder_of_hidden_images_only_is_named(tmp_path: Path) -> None:
    write(tmp_path, ".cats/a.png", ".cats/b.png")
    with pytest.raises(
        UsageError, match=r"no images in .*: 2 files in hidden .* \(\.cats\)"
    ) as told:
        find_images(tmp_path, seed=0)
    assert told.value.hint.endswith(f"camtui run --data {tmp_path}/.cats")
    assert sorted(paths(tmp_path / ".cats")) == [b"a.png", b"b.png"]


def test_hidden_folders_are_no_class_folders(tmp_path: Path) -> None:
    write(tmp_path, "b/x.png", "a/x.png", ".ipynb_checkpoints/x.png", "@eaDir/x.png", "a/.b/x.png")
    assert find_images(tmp_path, seed=0).folders == ("a", "b")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may look into every folder")
def test_a_system_folder_that_cannot_be_read_is_nothing_to_warn_of(tmp_path: Path) -> None:
    write(tmp_path, "a.png", "lost+found/a.png")
    (tmp_path / "lost+found").chmod(0)
    assert find_images(tmp_path, seed=0).remarks() == []


def earlier_listing(root: Path) -> Listing:
    """Of a run that an earlier version began: every file that is named like an image counted."""
    names = sorted(
        os.fsencode(file.relative_to(root)) for file in root.rglob("*.*") if file.is_file()
    )
    digest = hashlib.sha256()
    for name in names:
        digest.update(b"%s\0%d\n" % (name, os.stat(os.fsencode(root) + b"/" + name).st_size))
    return Listing(digest.hexdigest(), len(names), None, "")


def test_a_run_of_an_earlier_version_keeps_its_hidden_images(tmp_path: Path) -> None:
    write(tmp_path, "a/x.png", "a/.ipynb_checkpoints/x.png", "._y.png", "b/y.png")
    stored = earlier_listing(tmp_path)
    found = find_images(tmp_path, seed=0, stored=stored)
    assert (found.sha256, found.total) == (stored.sha256, 4)
    ((level, text),) = found.remarks()
    assert level == "warning"
    assert text.startswith("left out: none of 1 file in hidden or system folders (.ipynb_")
    assert find_images(tmp_path, seed=0).total == 2
    new = stored._replace(sha256=find_images(tmp_path, seed=0).sha256)
    assert find_images(tmp_path, seed=0, stored=new).total == 2


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
        == f"a folder is left out: {tmp_path}/data/link: a link that leads round in a circle"
    )
    (tmp_path / "data" / "other\x1b").symlink_to(tmp_path)
    assert find_images(tmp_path / "data", seed=0).warning().startswith("2 folders are left out: ")
    assert find_images(tmp_path / "data" / "a", seed=0).warning() == ""


def linked_classes(root: Path) -> Path:
    """Two class folders elsewhere, a link to each, one link more to one, and one image here."""
    write(root / "store", "cats/x.png", "cats/deep/y.png", "dogs/z.png")
    write(root / "data", "birds/b.png")
    for name, target in (("cat", "cats"), ("dog", "dogs"), ("dog2", "dogs")):
        (root / "data" / name).symlink_to(root / "store" / target)
    (root / "data" / "aves").symlink_to(root / "data" / "birds")
    (root / "store" / "cats" / "back").symlink_to(root / "store" / "cats")
    return root / "data"


def test_links_to_folders_are_followed_once(tmp_path: Path) -> None:
    found = find_images(linked_classes(tmp_path), seed=0)
    names = {b"birds/b.png", b"cat/deep/y.png", b"cat/x.png"}
    assert len(found.images) == 4
    assert names < {image.path for image in found.images}
    assert {left.reason for left in found.skipped_folders} == {
        "a link to a folder of the same data",
        "a link to a folder that another link leads to",
    }
    assert len(found.skipped_folders) == 3


def test_links_that_others_may_have_laid_are_named(tmp_path: Path) -> None:
    data = linked_classes(tmp_path)
    shutil.rmtree(data / "birds")
    data.chmod(0o777)
    with pytest.raises(UsageError, match=r"no images in .*a link in a folder that others can"):
        find_images(data, seed=0)
    assert len(find_images(FollowedFolder(data), seed=0).images) == 3


def test_a_run_that_was_begun_without_the_linked_images_keeps_its_own(tmp_path: Path) -> None:
    data = linked_classes(tmp_path)
    alone = Path(shutil.copytree(data / "birds", tmp_path / "alone" / "birds")).parent
    before = find_images(alone, seed=0)
    stored = Listing(before.sha256, len(before.images), None, "")
    found = find_images(data, seed=0, stored=stored)
    assert (found.sha256, found.images) == (before.sha256, before.images)
    (text,) = [text for _, text in found.remarks() if "was begun without" in text]
    assert text.startswith("left out: 3 images behind links to folders")


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


def test_pictures_that_are_not_read_are_counted_with_what_to_do(tmp_path: Path) -> None:
    write(tmp_path, "a/b.jpg", "a/1.HEIC", "a/2.heic", "c/3.jfif", "c/.x.avif", "d.txt")
    (line,) = find_images(tmp_path, seed=0).remark_lines()
    assert line == (
        "warning: left out: 2 .heic files (convert to .png), 1 .jfif file (rename to .jpg)"
    )
    (tmp_path / "a" / "b.jpg").unlink()
    with pytest.raises(UsageError, match=r"no images in .*, left out: 2 \.heic files"):
        find_images(tmp_path, seed=0)


@pytest.mark.parametrize(
    ("name", "words", "hint"),
    [
        ("val.zip", "val.zip is no zip archive", "copy it again"),
        ("VAL.TAR", "VAL.TAR is no tar archive", "copy it again"),
        ("val.7z", "val.7z is a file", "camtui run --data "),
        ("a.jpg", "a.jpg is a file", "camtui run --data "),
    ],
)
def test_a_file_in_place_of_a_folder_says_what_to_do(
    tmp_path: Path, name: str, words: str, hint: str
) -> None:
    with pytest.raises(UsageError, match=words) as caught:
        find_images(write(tmp_path, name) / name, seed=0)
    assert caught.value.hint.startswith(hint)


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
    found = find_images(demo_root(), seed=0, demo=True, labels=DEMO_LABELS)
    names = [os.fsdecode(image.path) for image in found.images]
    assert (names[0], set(names)) == ("chelsea.png", set(DEMO_PHOTOGRAPHS))
    labels = {os.fsdecode(image.path): image.label for image in found.images}
    wnids = {name: label and list(imagenet_wnids())[label] for name, label in labels.items()}
    assert wnids == {
        "camera.png": "n04485082",  # tripod
        "chelsea.png": "n02123045",  # tabby
        "coffee.png": "n07920052",  # espresso
        "motorcycle_left.png": None,
        "rocket.jpg": None,
    }


def test_a_listing_says_how_far_it_is(tmp_path: Path) -> None:
    for folder in range(4):
        (tmp_path / f"class{folder}").mkdir()
        for number in range(200):
            (tmp_path / f"class{folder}" / f"{number}.jpg").touch()
    told: list[tuple[int, float]] = []
    find_images(tmp_path, seed=0, progress=lambda *far: told.append(far))
    assert [images for images, _ in told] == [256, 512, 768]
    assert [share for _, share in told] == pytest.approx([0.41, 0.63, 0.97], abs=0.1)
    assert sorted(told) == told


def test_a_demo_that_an_earlier_version_began_keeps_its_photographs() -> None:
    pytest.importorskip("skimage")
    pairs = [(name.encode(), (demo_root() / name).stat().st_size) for name in EARLIER_DEMO]
    text = b"".join(b"%s\0%d\n" % pair for pair in sorted(pairs))
    begun = Listing(hashlib.sha256(text).hexdigest(), 8, None, "")
    found = find_images(demo_root(), seed=0, demo=True, stored=begun)
    assert {os.fsdecode(image.path) for image in found.images} == set(EARLIER_DEMO)
