"""ImageNet's own two files of labels, known by their form."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat

from evaluator.errors import UsageError
from evaluator.images import find_images
from evaluator.labels import imagenet_wnids

WNIDS = list(imagenet_wnids())


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Three of the 50,000 images, of which one lies in a class folder."""
    for name in ("ILSVRC2012_val_00000001", "x/ILSVRC2012_val_00000003", "ILSVRC2012_val_00000004"):
        file = tmp_path / "data" / f"{name}.JPEG"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"x")
    return tmp_path / "data"


def labels(data: Path, file: Path) -> dict[int, int | None]:
    """Number of an image → its label."""
    found = find_images(data, seed=0, labels=file).images
    return {int(one.path[-8 - 5 : -5]): one.label for one in found}


def test_the_solution_of_kaggle(data: Path, tmp_path: Path) -> None:
    file = tmp_path / "LOC_val_solution.csv"
    file.write_text(
        "ImageId,PredictionString\n"
        f"ILSVRC2012_val_00000003,{WNIDS[7]} 85 1 499 272 \n"
        f"ILSVRC2012_val_00000001,{WNIDS[900]} 1 2 3 4 {WNIDS[900]} 5 6 7 8 \n"
        f"ILSVRC2012_val_00000002,{WNIDS[1]} 1 2 3 4 \n"
    )
    assert labels(data, file) == {1: 900, 3: 7, 4: None}
    file.write_text(
        f"ImageId,PredictionString\nILSVRC2012_val_00000003,{WNIDS[7]} 1 1 2 2 {WNIDS[8]} 1 1 2 2\n"
    )
    with pytest.raises(UsageError, match="line 2: 2 different ImageNet ids"):
        labels(data, file)


def meta(file: Path, order: list[str], *, packed: bool) -> None:
    """The devkit's file: a structure of synsets, of which the first thousand are the classes."""
    kind = [("ILSVRC2012_ID", "O"), ("WNID", "O"), ("words", "O")]
    synsets = np.zeros((len(order), 1), dtype=kind)
    for place, wnid in enumerate(order):
        synsets[place, 0] = (np.array([[place + 1]]), wnid, f"words of {place}, n0")
    savemat(file, {"synsets": synsets}, do_compression=packed)


@pytest.mark.parametrize("packed", [True, False])
def test_the_ground_truth_of_the_devkit(data: Path, tmp_path: Path, packed: bool) -> None:
    file = tmp_path / "ILSVRC2012_validation_ground_truth.txt"
    file.write_text("490\n361\n171\n1000\n5\n")
    with pytest.raises(UsageError, match=r"in the order of meta\.mat") as told:
        labels(data, file)
    assert "meta.mat beside it" in told.value.hint
    order = WNIDS[::-1]
    meta(tmp_path / "meta.mat", [*order, "n00001740", "n00001930"], packed=packed)
    assert labels(data, file) == {1: 999 - 489, 3: 999 - 170, 4: 0}
    (tmp_path / "meta.mat").write_bytes(b"x" * 200)
    with pytest.raises(UsageError, match=r"meta\.mat is not ImageNet's"):
        labels(data, file)


def test_a_column_of_numbers_of_other_images_is_no_ground_truth(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"x")
    (tmp_path / "labels.txt").write_text("490\n361\n")
    with pytest.raises(UsageError, match="no class index or ImageNet id; leave out"):
        find_images(tmp_path, seed=0, labels=tmp_path / "labels.txt")
