from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from evaluator.errors import Mismatch, UsageError
from evaluator.images import find_images, folder_of
from evaluator.labels import classes_of_folders
from evaluator.synthetic.scene import CLASSES, DataSet, draw, scene, write_images


def written(folder: Path, count: int, seed: int = 0, side: int = 64) -> dict[str, bytes]:
    assert list(write_images(DataSet(folder, seed, side), count)) == list(range(1, count + 1))
    files = {
        str(file.relative_to(folder)): file.read_bytes()
        for file in folder.rglob("*")
        if file.is_file()
    }
    assert {Path(name).suffix for name in files} == {".png", ".json"}
    return files


def test_the_same_seed_gives_the_same_bytes(tmp_path: Path) -> None:
    assert written(tmp_path / "one", 12) == written(tmp_path / "two", 12)
    assert written(tmp_path / "three", 12, seed=1) != written(tmp_path / "one", 12)


def test_an_image_does_not_depend_on_how_many_there_are(tmp_path: Path) -> None:
    few, many = written(tmp_path / "few", 5), written(tmp_path / "many", 12)
    assert len([name for name in few if name.endswith(".png")]) == 10
    assert {name: many[name] for name in few if name.endswith(".png")} == {
        n: b for n, b in few.items() if n.endswith(".png")
    }
    assert json.loads(few["plan.json"])["images"] == json.loads(many["plan.json"])["images"][:5]
    assert written(tmp_path / "few", 12) == many  # it has grown


def test_fewer_images_than_are_there_take_none_away(tmp_path: Path) -> None:
    many = written(tmp_path, 12)
    assert written(tmp_path, 5) == many


def test_images_and_masks_are_those_of_the_plan(tmp_path: Path) -> None:
    written(tmp_path, 6)
    plan = json.loads((tmp_path / "plan.json").read_text())
    assert (plan["seed"], plan["side"], plan["classes"]) == (0, 64, list(CLASSES))
    for index, entry in enumerate(plan["images"]):
        name = f"{entry['class']}/{index:06}.png"
        picture = draw(scene(0, index), 64)
        assert np.array_equal(np.asarray(Image.open(tmp_path / "images" / name)), picture.pixels)
        assert np.array_equal(np.asarray(Image.open(tmp_path / "masks" / name)), picture.mask * 255)
        assert entry["object"]["outline"] == entry["class"]
        assert entry == json.loads(json.dumps(scene(0, index).to_dict()))


def test_the_evidence_of_the_world_marks_has_a_folder_of_its_own(tmp_path: Path) -> None:
    wanted = DataSet(tmp_path / "marks", 0, 64, "marks")
    assert list(write_images(wanted, 3)) == [1, 2, 3]
    plan = json.loads((tmp_path / "marks/plan.json").read_text())
    assert plan["world"] == "marks"
    for index, entry in enumerate(plan["images"]):
        name, picture = f"{entry['class']}/{index:06}.png", draw(scene(0, index, "marks"), 64)
        for folder, mask in (("masks", picture.mask), ("evidence", picture.evidence)):
            read = np.asarray(Image.open(tmp_path / "marks" / folder / name))
            assert np.array_equal(read, mask * 255)
        assert entry["mark"]["outline"] == entry["class"]
    with pytest.raises(Mismatch, match="world marks, asked for shapes"):
        written(tmp_path / "marks", 3)
    written(tmp_path / "shapes", 3)
    assert not (tmp_path / "shapes/evidence").exists()
    assert "world" not in json.loads((tmp_path / "shapes/plan.json").read_text())


def test_the_class_folders_are_the_labels(tmp_path: Path) -> None:
    written(tmp_path, 20)
    manifest = find_images(tmp_path / "images", seed=0)
    folders = {folder_of(image.path) for image in manifest.images}
    index = classes_of_folders(folders, CLASSES, len(CLASSES)).index
    for image in manifest.images:
        number = int(Path(os.fsdecode(image.path)).stem)
        assert index[folder_of(image.path)] == scene(0, number).label


def test_a_folder_that_holds_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("precious")
    with pytest.raises(UsageError, match="something else"):
        written(tmp_path, 3)
    assert [file.name for file in tmp_path.iterdir()] == ["thesis.txt"]


@pytest.mark.parametrize(
    "plan", ["", "[]", "{}", '{"rules": 1, "seed": 0, "side": "x", "images": []}']
)
def test_a_plan_that_is_none_is_left_alone(tmp_path: Path, plan: str) -> None:
    (tmp_path / "plan.json").write_text(plan)
    with pytest.raises(UsageError, match="something else"):
        written(tmp_path, 3)


def test_another_seed_is_refused_with_the_difference(tmp_path: Path) -> None:
    before = written(tmp_path, 3)
    with pytest.raises(Mismatch, match=r"seed 0, asked for 5; side 64, asked for 96"):
        written(tmp_path, 3, seed=5, side=96)
    assert written(tmp_path, 3) == before


def test_what_an_interruption_left_is_finished(tmp_path: Path) -> None:
    whole = written(tmp_path / "whole", 8)
    writing = write_images(DataSet(tmp_path / "half", 0, 64), 8)
    assert [next(writing) for _ in range(3)] == [1, 2, 3]
    writing.close()
    assert written(tmp_path / "half", 8) == whole


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="cannot write"):
        written(tmp_path / "file" / "below", 3)
