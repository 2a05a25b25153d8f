"""``--images``: the very images of a list, their labels and the files of their objects."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from camtui.planning import PlanOptions, resolve_plan
from evaluator.errors import UsageError
from evaluator.images import find_images, planned_images
from evaluator.labels import columns_of_list
from evaluator.records import Preprocessing
from evaluator.truth.folder import Truths, planned_truth
from tests.evaluator.sources.makers import files_of, tar_of


def lay(root: Path, *names: str) -> Path:
    for place, name in enumerate(names):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"x" * (place + 1))
    return root


@pytest.mark.parametrize(
    ("text", "columns"),
    [
        ("a/1.jpg\n3.jpg\n", ""),
        ("image\na/1.jpg\n3.jpg\n", ""),
        ("a/1.jpg,7\n3.jpg,n01443537\n", "label"),
        ("image,label\na/1.jpg,7\n3.jpg,1\n", "label"),
        ("label;image\n7;a/1.jpg\n1;./3.jpg\n", "label"),
        ("a/1.jpg\t7\tm/1.png\n3.jpg\t1\n", "label truth"),
        ("image,truth\na/1.jpg,m/1.png\n{root}/3.jpg,\n", "truth"),
    ],
)
def test_a_list_names_the_images(tmp_path: Path, text: str, columns: str) -> None:
    data = lay(tmp_path / "data", "a/1.jpg", "a/2.jpg", "3.jpg")
    listed = tmp_path / "list.csv"
    listed.write_text(text.format(root=data))
    assert columns_of_list(listed) == set(columns.split())
    found = find_images(data, seed=0, images=listed)
    assert {one.path for one in found.images} == {b"a/1.jpg", b"3.jpg"}
    assert found.total == 2
    options = PlanOptions(
        data=data, backbones=["resnet18"], methods=["gradcam"], choices={"images": listed}
    )
    plan = resolve_plan(options, None, cuda=False).plan
    assert (bool(plan.labels), bool(plan.truth)) == ("label" in columns, "truth" in columns)
    labels = {one.path: one.label for one in planned_images(plan).images}
    assert labels == (
        {b"a/1.jpg": 7, b"3.jpg": 1} if plan.labels else {b"a/1.jpg": None, b"3.jpg": None}
    )


def test_the_order_is_that_of_the_seed_and_the_same_in_an_archive(tmp_path: Path) -> None:
    data = lay(tmp_path / "data", *(f"{number}.jpg" for number in range(20)))
    archive = tar_of(tmp_path / "v.tar", files_of(data))
    listed = tmp_path / "list.csv"
    listed.write_text("".join(f"{number}.jpg\n" for number in range(0, 20, 3)))
    whole = find_images(data, seed=4)
    one, other = (find_images(place, seed=4, images=listed, limit=5) for place in (data, archive))
    wanted = [image.path for image in whole.images if int(image.path[:-4]) % 3 == 0]
    assert [image.path for image in one.images] == wanted[:5]
    assert (one.images, one.sha256) == (other.images, other.sha256)


def test_missing_images_are_named_unless_it_is_said_that_they_may_be(tmp_path: Path) -> None:
    data = lay(tmp_path / "data", "1.jpg")
    listed = tmp_path / "list.csv"
    listed.write_text("1.jpg\n" + "".join(f"gone{number}.jpg\n" for number in range(12)))
    words = r"names 12 images that are not in .*data: gone0\.jpg, .*gone9\.jpg and 2 more"
    with pytest.raises(UsageError, match=words) as told:
        find_images(data, seed=0, images=listed)
    assert (told.value.exit_code, told.value.hint) == (2, "--missing ok leaves them out")
    found = find_images(data, seed=0, images=listed, missing_ok=True)
    assert [one.path for one in found.images] == [b"1.jpg"]
    assert found.remarks()[0][0] == "warning"
    listed.write_text("gone.jpg\n")
    with pytest.raises(UsageError, match=r"names 1 image that is not in"):
        find_images(data, seed=0, images=listed, missing_ok=True)


@pytest.mark.parametrize(
    ("text", "words"),
    [("", "names no image"), ("1.jpg\n", "1.jpg is the name of 2 images")],
)
def test_a_list_that_is_not_certain(tmp_path: Path, text: str, words: str) -> None:
    data = lay(tmp_path / "data", "a/1.jpg", "b/1.jpg")
    (tmp_path / "list.csv").write_text(text)
    with pytest.raises(UsageError, match=words):
        find_images(data, seed=0, images=tmp_path / "list.csv")


def test_the_list_says_where_the_objects_are(tmp_path: Path) -> None:
    data = tmp_path / "data"
    (data / "a").mkdir(parents=True)
    (tmp_path / "masks").mkdir()
    for number in range(2):
        Image.new("RGB", (8, 8)).save(data / "a" / f"{number}.png")
    mask = Image.new("L", (8, 8))
    mask.paste(255, (0, 0, 4, 2))
    mask.save(tmp_path / "masks" / "other.png")
    listed = tmp_path / "list.csv"
    listed.write_text("image,truth\na/0.png,masks/other.png\na/1.png,\n")
    options = PlanOptions(
        data=data,
        backbones=["resnet18"],
        methods=["gradcam"],
        metrics=["mass_accuracy"],
        choices={"images": listed},
    )
    plan = resolve_plan(options, None, cuda=False).plan
    truths = planned_truth(plan)
    assert truths is not None
    images = planned_images(plan).images
    assert truths.having(images) == 1
    first = next(one for one in images if one.path == b"a/0.png")
    square = truths.square(first, 0, (), Preprocessing(side=8, resize=8))
    assert (int(square.sum()), bool(square[1, 3]), bool(square[2, 3])) == (8, True, False)
    listed.write_text("image,truth\na/0.png,masks/other.txt\n")
    with pytest.raises(UsageError, match=r"line 2: masks/other\.txt"):
        planned_truth(plan)


def test_the_objects_of_a_list_are_of_the_very_images(tmp_path: Path) -> None:
    """Another folder's image of that name has none, and who has which is in the run's identity."""
    data = lay(tmp_path / "data", "1.jpg", "b/1.jpg", "2.jpg")
    lay(tmp_path, "x.png", "y.png")
    listed = tmp_path / "list.csv"

    def truths(*lines: str) -> Truths:
        listed.write_text("\n".join(("image,truth", *lines)))
        return Truths(listed, data)

    one, other = truths("./1.jpg,x.png", "b/1.jpg,", "2.jpg,y.png"), find_images(data, seed=0)
    assert {image.path for image in other.images if one.having([image])} == {b"1.jpg", b"2.jpg"}
    assert truths("1.jpg,y.png", "b/1.jpg,", "2.jpg,x.png").sha256() != one.sha256()
    with pytest.raises(UsageError, match=r"line 3: another truth of 1"):
        truths("1.jpg,x.png", "1.png,y.png")
