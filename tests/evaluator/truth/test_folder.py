"""``--truth``: what belongs to which image, what is wrong with it, and whether it has changed."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from evaluator.errors import TruthUnusable, UsageError
from evaluator.images import find_images
from evaluator.records import ImageRef, Preprocessing
from evaluator.truth.folder import Truths

XML = "<annotation><size><width>300</width><height>240</height></size>{}</annotation>"
BOX = (
    "<object><name>a</name><bndbox><xmin>101</xmin><ymin>81</ymin>"
    "<xmax>200</xmax><ymax>160</ymax></bndbox></object>"
)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Three images of 300 × 240."""
    for name in ("n01440764/one.JPEG", "n01440764/two.JPEG", "n01443537/three.JPEG"):
        file = tmp_path / "data" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((240, 300, 3), 90, dtype=np.uint8)).save(file)
    return tmp_path / "data"


@pytest.fixture
def truth(tmp_path: Path) -> Path:
    """A mask in the same folder, a box file without one, and nothing for the third."""
    folder = tmp_path / "truth"
    (folder / "n01440764").mkdir(parents=True)
    mask = np.zeros((240, 300), dtype=np.uint8)
    mask[100:140, 140:160] = 255
    Image.fromarray(mask).save(folder / "n01440764/one.png")
    (folder / "two.xml").write_text(XML.format(BOX))
    return folder


def images(data: Path) -> dict[str, ImageRef]:
    return {os.path.basename(ref.path).decode(): ref for ref in find_images(data, seed=0).images}


def extent(square: np.ndarray[tuple[int, ...], np.dtype[np.bool_]]) -> list[list[int]]:
    """First and last row, first and last column."""
    rows, columns = np.flatnonzero(square.any(1)), np.flatnonzero(square.any(0))
    return [rows[[0, -1]].tolist(), columns[[0, -1]].tolist()]


def reason_of(truths: Truths, ref: ImageRef) -> str:
    with pytest.raises(TruthUnusable) as caught:
        truths.square(ref, 0, (), Preprocessing(resize=240))
    return caught.value.reason


def test_masks_and_boxes_by_path_or_by_name(data: Path, truth: Path) -> None:
    refs, truths = images(data), Truths(truth, data)
    assert truths.having(list(refs.values())) == 2
    one = truths.square(refs["one.JPEG"], 0, (), Preprocessing(resize=240))
    assert extent(one) == [[92, 131], [102, 121]]
    two = truths.square(refs["two.JPEG"], 0, (), Preprocessing(resize=240))
    assert extent(two) == [[72, 151], [62, 161]]
    assert reason_of(truths, refs["three.JPEG"]) == "no-truth"


def test_a_mask_comes_before_boxes(data: Path, truth: Path) -> None:
    (truth / "n01440764/one.xml").write_text("no annotation")
    assert (
        Truths(truth, data).square(images(data)["one.JPEG"], 0, (), Preprocessing(resize=240)).any()
    )


def test_an_annotation_of_another_size(data: Path, truth: Path) -> None:
    Image.fromarray(np.ones((240, 299), dtype=np.uint8)).save(truth / "n01440764/one.png")
    truths, ref = Truths(truth, data), images(data)["one.JPEG"]
    with pytest.raises(TruthUnusable, match="299 x 240 pixels, the image has 300 x 240"):
        truths.square(ref, 0, (), Preprocessing(resize=240))
    (data / "n01440764/one.JPEG").unlink()
    assert truths.square(ref, 0, (), Preprocessing(resize=240)).any(), (
        "without the image its own size stands"
    )


def test_files_that_cannot_be_read_cost_their_image_only(data: Path, truth: Path) -> None:
    (truth / "n01440764/one.png").write_bytes(b"no mask")
    (truth / "three.xml").mkdir()
    os.mkfifo(truth / "four.png")
    refs, truths = images(data), Truths(truth, data)
    assert reason_of(truths, refs["one.JPEG"]) == "truth-broken"
    assert reason_of(truths, refs["three.JPEG"]) == "truth-broken"
    assert truths.square(refs["two.JPEG"], 0, (), Preprocessing(resize=240)).any()
    assert len(truths.sha256()) == 64


def test_its_identity_is_that_of_its_content(data: Path, truth: Path) -> None:
    before = Truths(truth, data).sha256()
    assert Truths(truth, data).sha256() == before
    (truth / "two.xml").write_text(XML.format(BOX).replace("101", "102"))
    after = Truths(truth, data).sha256()
    assert after != before
    (truth / "two.xml").rename(truth / "too.xml")
    assert Truths(truth, data).sha256() not in (before, after)


def test_hidden_and_system_files_are_not_in_it(data: Path, truth: Path) -> None:
    before = Truths(truth, data).sha256()
    for name in (".ipynb_checkpoints/two-checkpoint.xml", "__MACOSX/._two.xml", "._two.xml"):
        (truth / name).parent.mkdir(exist_ok=True)
        (truth / name).write_text(XML.format(""))
    after = Truths(truth, data)
    assert after.sha256() == before
    assert after.sha256(hidden=True) != before, "as earlier versions had it"
    assert after.having(list(images(data).values())) == 2


def test_a_hidden_image_of_an_earlier_run_has_its_own(data: Path, truth: Path) -> None:
    (truth / ".x").mkdir()
    (truth / "two.xml").rename(truth / ".x/one.xml")
    ref = images(data)["one.JPEG"]
    (data / ".x").mkdir()
    (data / os.fsdecode(ref.path)).rename(data / ".x/one.JPEG")
    hidden = ref._replace(path=b".x/one.JPEG")
    found = Truths(truth, data).square(hidden, 0, (), Preprocessing(resize=240))
    assert found.sum() > 1000


def test_one_file_for_all(data: Path, tmp_path: Path) -> None:
    file = tmp_path / "instances.json"
    image = {"id": 1, "file_name": "one.JPEG", "width": 300, "height": 240}
    document = {
        "images": [image],
        "annotations": [{"image_id": 1, "category_id": 1, "bbox": [140, 100, 20, 40]}],
    }
    file.write_text(json.dumps(document))
    refs, truths = images(data), Truths(file, data)
    assert truths.having(list(refs.values())) == 1
    found = truths.square(refs["one.JPEG"], 0, (), Preprocessing(resize=240))
    assert extent(found) == [[92, 131], [102, 121]]
    assert reason_of(truths, refs["two.JPEG"]) == "no-truth"
    before = truths.sha256()
    file.write_text(json.dumps(document) + " ")
    assert Truths(file, data).sha256() != before


@pytest.mark.parametrize("name", ["missing", "empty", "file.txt", "broken.json"])
def test_what_is_no_truth_is_said_at_the_start(name: str, data: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "file.txt").touch()
    (tmp_path / "broken.json").write_text("{")
    with pytest.raises(UsageError, match=name) as caught:
        Truths(tmp_path / name, data)
    assert caught.value.hint


def test_an_annotation_in_another_folder_is_of_another_image(tmp_path: Path) -> None:
    for name in ("data/a/1.png", "data/b/1.png", "truth/a/1.png"):
        (tmp_path / name).parent.mkdir(parents=True)
        Image.fromarray(np.full((40, 40), 255, dtype=np.uint8)).save(tmp_path / name)
    refs = {ref.path: ref for ref in find_images(tmp_path / "data", seed=0).images}
    truths = Truths(tmp_path / "truth", tmp_path / "data")
    assert truths.having(list(refs.values())) == 1
    assert reason_of(truths, refs[b"b/1.png"]) == "no-truth"
    (tmp_path / "flat").mkdir()
    Image.fromarray(np.full((40, 40), 255, dtype=np.uint8)).save(tmp_path / "flat" / "1.png")
    with pytest.raises(UsageError, match="would have one annotation"):
        Truths(tmp_path / "flat", tmp_path / "data").having(list(refs.values()))
    coco = {
        "images": [{"id": 1, "file_name": "a/1.png", "width": 40, "height": 40}],
        "annotations": [{"image_id": 1, "bbox": [0, 0, 9, 9]}],
    }
    (tmp_path / "coco.json").write_text(json.dumps(coco))
    boxes = Truths(tmp_path / "coco.json", tmp_path / "data")
    assert boxes.having(list(refs.values())) == 1
    assert reason_of(boxes, refs[b"b/1.png"]) == "no-truth"
