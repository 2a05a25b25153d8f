"""The number of labels and their sources, in words."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from evaluator.backbones import BackboneSpec
from evaluator.errors import UsageError
from evaluator.execution.labelling import Labelling, labelling
from evaluator.images import Manifest, check_target, folder_of
from evaluator.labels import classes_of_folders
from evaluator.plan import RunPlan
from evaluator.records import ImageRef
from evaluator.store.reader import RunReader
from tests.evaluator.execution.support import PATIENCE, ROOT

CLASSES = ("tench", "banana")
TENCH, GOLDFISH = b"n01440764", b"n01443537"


def images(*found: tuple[bytes, int | None]) -> list[ImageRef]:
    return [
        ImageRef(place, folder + b"/%d.jpg" % place if folder else b"%d.jpg" % place, 1, label)
        for place, (folder, label) in enumerate(found)
    ]


def said_of(
    found: list[ImageRef], classes: tuple[str, ...] = CLASSES, *, from_file: bool = False
) -> Labelling:
    """What is said of images that are the whole data set, of a network of these classes."""
    folders = {folder_of(image.path) for image in found} - {""}
    index = classes_of_folders(folders, classes, len(classes), ids=True)
    by_file = {image.id for image in found if image.label is not None} if from_file else None
    return labelling(found, "resnet50", classes, index, by_file=by_file)


@pytest.mark.parametrize(
    ("found", "from_file", "text", "doubtful"),
    [
        (
            [(TENCH, 0), (GOLDFISH, 1)],
            False,
            "labels: 2 of 2 images, 2 by the ImageNet ids of their folders",
            False,
        ),
        (
            [(b"tench", 0)],
            False,
            "labels: 1 of 1 image, 1 by the class names of resnet50 (folder tench)",
            False,
        ),
        (
            [(b"apple", None), (b"banana", 1), (b"cherry", None)],
            False,
            "labels: 1 of 3 images, 1 by the class names of resnet50 (folder banana): the folders "
            "apple, cherry are no class of resnet50, their 2 images are measured without a label "
            "(--labels FILE.csv gives labels)",
            True,
        ),
        (
            [(b"cats", None)],
            False,
            "labels: 0 of 1 image: the folder cats is no class of resnet50, its 1 image is "
            "measured without a label (--labels FILE.csv gives labels)",
            False,
        ),
        (
            [(b"one", 0), (b"two", 1)],
            False,
            "labels: 2 of 2 images, 2 by the order of the folders, as many as resnet50 has classes",
            False,
        ),
        (
            [(b"", None), (b"", None)],
            False,
            "labels: 0 of 2 images: a flat folder: --labels FILE.csv gives them",
            False,
        ),
        ([(b"", 3), (b"", None)], True, "labels: 1 of 2 images, by the file of labels", True),
    ],
)
def test_what_is_said(
    found: list[tuple[bytes, int | None]], from_file: bool, text: str, doubtful: bool
) -> None:
    said = said_of(images(*found), from_file=from_file)
    assert said == (sum(label is not None for _, label in found), text, doubtful)


def test_many_folders_are_counted() -> None:
    said = said_of(images(*((b"f%d" % n, None) for n in range(9))))
    assert "the folders f0, f1, f2, f3 and 5 more are no class of resnet50" in said.text


def test_folders_of_a_network_without_class_names_are_not_called_no_class() -> None:
    said = said_of(images((b"banana", None), (b"tench", None)), ())
    assert said.text == (
        "labels: 0 of 2 images: resnet50 has no class names to compare the folders banana, tench "
        "with, their 2 images are measured without a label (--labels FILE.csv gives labels)"
    )


def test_numbers_are_said_to_be_numbers() -> None:
    names = ("apple", "pear")
    assert said_of(images((b"0", 0), (b"1", 1)), names).text.endswith(
        ", 2 by the numbers of their folders, 0 to 1, as class indices"
    )
    assert said_of(images((b"1", 0), (b"2", 1)), names).text.endswith(
        ", 2 by the numbers of their folders, 1 to 2, as classes 0 to 1"
    )
    said = said_of(images((b"0", None), (b"1", None), (b"2", None)), names).text
    assert "the folders 0, 1, 2 are numbers, 3 for 2 classes: which is which is not known" in said


def test_a_folder_that_may_be_several_classes_is_said_to_be_so() -> None:
    said = said_of(images((b"CRANE", None), (b"tench", 2)), ("Crane", "crane", "tench"))
    assert said.doubtful
    assert "the folder CRANE may be several classes of resnet50 (0 Crane, 1 crane)" in said.text


def test_folders_of_one_class_are_named() -> None:
    said = said_of(images((b"Tench", 0), (b"tench", 0)))
    assert said.doubtful
    assert said.text.endswith(" · the folders Tench, tench are one class, 0 tench")


def test_a_file_that_says_another_class_than_the_folder_is_named() -> None:
    said = said_of(images((b"tench", 1), (b"banana", 1)), from_file=True)
    assert said.doubtful
    assert said.text.endswith("of 1 image (tench/0.jpg: 1 in the file, 0 by its folder)")


@pytest.mark.parametrize(
    ("folder", "label", "labels", "refused"),
    [
        (b"", None, None, True),
        (b"", 3, "/labels.csv", False),
        (b"cats", None, None, False),  # its network may have such a class
        (b"cats", None, "/labels.csv", True),
    ],
)
def test_a_target_without_any_label(
    folder: bytes, label: int | None, labels: str | None, refused: bool
) -> None:
    plan = RunPlan("/data", (BackboneSpec("resnet18"),), ("gradcam",), labels=labels)
    manifest = Manifest(Path("/data"), tuple(images((folder, label))), "", 1)
    check_target(plan, manifest)
    asked = replace(plan, target="label")
    if refused:
        with pytest.raises(UsageError, match="--target label needs labels, and no image has one"):
            check_target(asked, manifest)
    else:
        check_target(asked, manifest)


def run(folder: Path, *words: str, code: int = 0) -> tuple[list[int | None], str]:
    """Labels of two images in folders named by ImageNet ids, and the log."""
    for name, colour in ((TENCH, "teal"), (GOLDFISH, "orange")):
        (folder / "data" / name.decode()).mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (64, 64), colour).save(folder / "data" / name.decode() / "a.png")
    ask = [
        "run",
        "--data",
        str(folder / "data"),
        "--name",
        "ids",
        "-m",
        "gradcam",
        "--device",
        "cpu",
        "--no-watch",
        "-q",
        *words,
    ]
    command = [sys.executable, "-P", "-m", "camtui", *ask]
    environment = os.environ | {
        "CAMTUI_HOME": str(folder),
        "PYTHONPATH": str(ROOT),
        "OMP_NUM_THREADS": "1",
    }
    done = subprocess.run(
        command,
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )
    assert done.returncode == code, done.stderr
    with RunReader(folder / "runs" / "ids.db") as reader:
        found = sorted(reader.images.between(0, 2), key=lambda image: image.path)
        return [image.label for image in found], "\n".join(
            str(event) for event in reader.events()
        ) + done.stderr


@pytest.mark.long
def test_imagenet_ids_are_no_labels_of_a_network_with_other_classes(tmp_path: Path) -> None:
    labels, log = run(tmp_path, "-b", "synthetic_gap")
    assert labels == [None, None]
    assert "labels: 0 of 2 images: the folders " in log
    assert "are no class of synthetic_gap, their 2 images are measured without a label" in log
    labels, log = run(tmp_path, "-b", "synthetic_gap,efficientnet_lite0")
    assert labels == [0, 1]
    assert (
        "labels are classes of efficientnet_lite0 (1,000), of no network with another number "
        "of classes" in log
    )


@pytest.mark.long
def test_a_label_cannot_name_a_class_of_both(tmp_path: Path) -> None:
    _, log = run(tmp_path, "-b", "efficientnet_lite0,synthetic_gap", "--target", "label", code=1)
    assert "--target label: labels are classes of efficientnet_lite0 (1,000)" in log
