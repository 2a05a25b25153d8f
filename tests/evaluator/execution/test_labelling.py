"""The number of labels and their sources, in words."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from evaluator.backbone_spec import BackboneSpec
from evaluator.errors import UsageError
from evaluator.execution.labelling import check_target, labelling
from evaluator.images import Manifest
from evaluator.plan import RunPlan
from evaluator.records import ImageRef
from evaluator.store.reader import RunReader
from tests.evaluator.execution.support import ROOT

CLASSES = ("tench", "banana")
TENCH, GOLDFISH = b"n01440764", b"n01443537"


def images(*found: tuple[bytes, int | None]) -> list[ImageRef]:
    return [
        ImageRef(place, folder + b"/%d.jpg" % place if folder else b"%d.jpg" % place, 1, label)
        for place, (folder, label) in enumerate(found)
    ]


@pytest.mark.parametrize(
    ("found", "from_file", "text", "partial"),
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
            [(b"apple", None), (b"banana", 954), (b"cherry", None)],
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
    found: list[tuple[bytes, int | None]], from_file: bool, text: str, partial: bool
) -> None:
    said = labelling(images(*found), "resnet50", CLASSES, from_file=from_file)
    assert said == (sum(label is not None for _, label in found), text, partial)


def test_many_folders_are_counted() -> None:
    said = labelling(
        images(*((b"f%d" % n, None) for n in range(9))), "resnet50", CLASSES, from_file=False
    )
    assert "the folders f0, f1, f2, f3 and 5 more are no class of resnet50" in said.text


def test_folders_of_a_network_without_class_names_are_not_called_no_class() -> None:
    said = labelling(images((b"banana", None), (b"tench", None)), "mynet", (), from_file=False)
    assert said.text == (
        "labels: 0 of 2 images: mynet has no class names to compare the folders banana, tench "
        "with, their 2 images are measured without a label (--labels FILE.csv gives labels)"
    )


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
        timeout=120,
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
        "labels are classes of efficientnet_lite0 (1,000), of no backbone with another number "
        "of classes" in log
    )


@pytest.mark.long
def test_a_label_cannot_name_a_class_of_both(tmp_path: Path) -> None:
    _, log = run(tmp_path, "-b", "efficientnet_lite0,synthetic_gap", "--target", "label", code=1)
    assert "--target label: labels are classes of efficientnet_lite0 (1,000)" in log
