"""Which class a name is, and which the folders of a data set are."""

from __future__ import annotations

import pytest

from evaluator.labels import classes_called, classes_of_folders, imagenet_wnids
from tests.shared import SHARED


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


NAMES = ("tench", "Cardigan", "cardigan", "crane", "crane", "great white shark", "maillot, tank")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("tench", (0,)),
        ("TENCH", (0,)),
        ("Cardigan", (1,)),
        ("cardigan", (2,)),
        ("CARDIGAN", (1, 2)),
        ("crane", (3, 4)),
        ("Great_White_shark", (5,)),
        ("tank", (6,)),
        ("maillot", (6,)),
        ("maillot, tank", (6,)),
        ("", ()),
        ("_", ()),
        ("unheard of", ()),
    ],
)
def test_exact_spelling_comes_first(name: str, expected: tuple[int, ...]) -> None:
    assert classes_called(name, NAMES) == expected


@pytest.mark.parametrize(
    ("folders", "expected"),
    [
        (["Great White_shark", "tench"], {"Great White_shark": 1, "tench": 0}),
        (["tench", "unheard of"], {"tench": 0}),
        (["x", "y", "z"], {"x": 0, "y": 1, "z": 2}),
        (["x", "y"], {}),
        (["tench", "x", "y"], {"tench": 0}),
        (["0", "1", "2"], {"0": 0, "1": 1, "2": 2}),
        (["tench", "1", "2"], {"tench": 0}),
        (["0", "2"], {}),
        (["train", "val", "test"], {}),
    ],
)
def test_folders_by_name_else_by_number_or_rank_else_not_at_all(
    folders: list[str], expected: dict[str, int]
) -> None:
    names = ("tench", "great white shark", "goldfish")
    assert classes_of_folders(folders, names, len(names)).index == expected


@pytest.mark.parametrize("form", ["{}", "{:02}", "0{}"])
@pytest.mark.parametrize("first", [0, 1, 7])
def test_numbers_are_in_numeric_order(form: str, first: int) -> None:
    folders = [form.format(n) for n in range(first, first + 12)]
    found = classes_of_folders(folders, (), 12)
    assert [found.index[folder] for folder in folders] == list(range(12))
    assert set(found.source.values()) == {"number"}
    assert ("as class indices" in found.words) == (first == 0)
    assert ("as classes 0 to 11" in found.words) == (first == 1)
    assert ("ImageFolder has them as text" in found.words) == (sorted(folders) != folders)


def test_the_order_that_imagefolder_gave_a_network_is_said_by_its_class_names() -> None:
    text = tuple(sorted(map(str, range(12))))
    found = classes_of_folders(text, text, 12)
    assert (found.index["10"], found.source["10"]) == (2, "name")


@pytest.mark.parametrize(
    ("folders", "words"),
    [
        (["1", "01", "2"], "01 and 1 are the same"),
        (["1", "2", "10", "other"], "some numbers and some not"),
        (["0", "1"], "2 for 12 classes"),
        (["Train", "val"], "parts of a data set"),
    ],
)
def test_numbers_and_orders_that_are_not_certain_are_no_classes(
    folders: list[str], words: str
) -> None:
    found = classes_of_folders(folders, (), 12 if folders == ["0", "1"] else len(folders))
    assert found.index == {}
    assert words in found.words


def test_names_with_numbers_are_in_the_order_of_text_and_this_is_said() -> None:
    folders = [f"class{n}" for n in range(12)]
    found = classes_of_folders(folders, (), 12)
    assert (found.index["class10"], found.index["class2"]) == (2, 4)
    assert found.words == ", as text: class0, class1, class10, class11, …"


def test_a_name_that_two_classes_share_is_the_one_s_that_it_spells_in_full() -> None:
    names = ("maillot", "maillot, tank suit")
    assert classes_of_folders(["maillot"], names, 2).several == {"maillot": (0, 1)}
    assert classes_of_folders(names, names, 2).index == {"maillot": 0, "maillot, tank suit": 1}


def test_ids_are_imagenet_s_unless_the_network_spells_its_classes_so() -> None:
    folders = ["n01440764", "n01443537"]
    assert classes_of_folders(folders, (), 1000, ids=True).index == {folders[0]: 0, folders[1]: 1}
    assert classes_of_folders(folders, (), 3).index == {}
    other = classes_of_folders(folders, folders[::-1], 2, ids=True)
    assert other.index == {folders[0]: 1, folders[1]: 0}
