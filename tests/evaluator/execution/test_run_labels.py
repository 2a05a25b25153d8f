"""Labels in a run of networks that have other classes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from evaluator.backbones import BackboneSpec
from evaluator.errors import UsageError
from evaluator.execution.journal import Journal
from evaluator.execution.labelling import RunLabels
from evaluator.images import find_images
from evaluator.records import LoadedBackbone
from evaluator.store.reader import RunReader
from evaluator.store.writer import RunWriter
from tests.evaluator.execution.support import make_plan
from tests.evaluator.execution.test_loop import loaded

PETS = ("cat", "dog")
FRUIT = ("apple", "pear")
WNIDS = ("n01440764", "n01443537")


Over = Callable[..., "Labelled"]


class Labelled:
    """A run of two backbones over an image in each of some folders."""

    def __init__(self, folder: Path, folders: tuple[str, ...], **changes: object) -> None:
        for name in folders:
            (folder / "data" / name).mkdir(parents=True)
            (folder / "data" / name / "a.jpg").write_bytes(b"x")
        backbones = (BackboneSpec("resnet50"), BackboneSpec("vgg16"))
        plan = make_plan(folder / "data", backbones=backbones, **changes)
        labels = Path(plan.labels) if plan.labels else None
        manifest = find_images(Path(plan.data), seed=plan.seed, labels=labels)
        self.writer = RunWriter(folder / "run.db")
        self.writer.begin("run", plan, manifest)
        self.reader = RunReader(folder / "run.db")
        self.plan, self.manifest = plan, manifest
        self.begin_session()

    def begin_session(self) -> None:
        """Another session of the same run."""
        journal = Journal(self.writer, retry_seconds=0.1, tell=lambda _: None, needed=lambda: 0)
        self.labels = RunLabels(self.plan, self.manifest, self.reader, journal)

    def load(self, position: int, classes: tuple[str, ...], count: int | None = None) -> None:
        """The network at that position is loaded, with these class names."""
        name = ("resnet50", "vgg16")[position]
        network: LoadedBackbone = self.labels.name_classes(
            replace(loaded(name), classes=classes, class_count=count or len(classes))
        )
        self.writer.cells.set_backbone(position, network)
        self.labels.store(network)
        self.labels.check_classes()

    def found(self) -> dict[str, int | None]:
        """Folder → label."""
        return {
            image.path.split(b"/")[0].decode(): image.label
            for image in self.reader.images.between(0, 99)
        }

    def said(self) -> list[str]:
        return [event.text for event in self.reader.events()]

    def close(self) -> None:
        self.reader.close()
        self.writer.close()


@pytest.fixture
def over(tmp_path: Path) -> Iterator[Over]:
    """Makes a run over an image in each of some folders."""
    with ExitStack() as stack:

        def make(folders: tuple[str, ...], **changes: object) -> Labelled:
            made = Labelled(tmp_path, folders, **changes)
            stack.callback(made.close)
            return made

        yield make


@pytest.fixture
def pets_and_fruit(over: Over) -> Labelled:
    return over((*PETS, *FRUIT))


def test_a_network_with_other_classes_gives_no_labels_and_this_is_logged(
    pets_and_fruit: Labelled,
) -> None:
    pets_and_fruit.load(0, PETS)
    pets_and_fruit.load(1, FRUIT)
    assert pets_and_fruit.found() == {"cat": 0, "dog": 1, "apple": None, "pear": None}
    assert pets_and_fruit.said() == [
        "labels are class indices, and not the same in all networks: class 0 is cat in resnet50, "
        "apple in vgg16"
    ]


def test_a_network_with_the_same_classes_is_not_mentioned(pets_and_fruit: Labelled) -> None:
    pets_and_fruit.load(0, PETS)
    pets_and_fruit.load(1, ("Cat", "dog"))
    assert pets_and_fruit.found() == {"cat": 0, "dog": 1, "apple": None, "pear": None}
    assert pets_and_fruit.said() == []


def test_imagenet_takes_the_labels_over(pets_and_fruit: Labelled) -> None:
    pets_and_fruit.load(0, PETS)
    pets_and_fruit.load(1, (*(f"thing {n}" for n in range(999)), "pear"))
    assert pets_and_fruit.found() == {"cat": None, "dog": None, "apple": None, "pear": 999}


@pytest.mark.parametrize("from_file", [False, True])
def test_one_class_cannot_be_explained_in_networks_with_other_classes(
    over: Over, filed: Over, from_file: bool
) -> None:
    """By the folder's name, or by an index of a file of labels."""
    made = filed("cat/a.jpg,1\n", target="label") if from_file else over(PETS, target="label")
    made.load(0, PETS)
    with pytest.raises(
        UsageError, match=r"--target label: .* class 0 is cat in resnet50, apple in"
    ):
        made.load(1, FRUIT)
    assert made.found() == {"cat": int(from_file), "dog": 1}


def test_folders_named_by_ids_are_compared_by_the_classes_of_one_network(over: Over) -> None:
    made = over(WNIDS)
    made.load(0, WNIDS)
    assert made.found() == {WNIDS[0]: 0, WNIDS[1]: 1}
    made.load(1, WNIDS[::-1])
    assert made.found() == {WNIDS[0]: 0, WNIDS[1]: 1}
    assert "class 0 is n01440764 in resnet50, n01443537 in vgg16" in made.said()[0]


# -- folders that may be read in several ways
# --------------------------------------------------------------------------------------------------


@pytest.fixture
def cardigan(over: Over) -> Labelled:
    return over(("Cardigan", "CARDIGAN", "tench"))


KNITWEAR = ("tench", "Cardigan", "cardigan")


def test_the_dog_is_not_the_knitwear(cardigan: Labelled) -> None:
    cardigan.load(0, KNITWEAR)
    assert cardigan.found() == {"Cardigan": 1, "CARDIGAN": None, "tench": 0}
    assert "the folder CARDIGAN may be several classes of resnet50 (1 Cardigan, 2 cardigan)" in (
        cardigan.labels.check_labels()
    )


def test_a_run_of_an_earlier_version_keeps_its_labels_and_says_so_once(cardigan: Labelled) -> None:
    cardigan.load(0, KNITWEAR)
    ids = {image.path.split(b"/")[0]: image.id for image in cardigan.manifest.images}
    cardigan.writer.replace_labels([(ids[b"Cardigan"], 2), (ids[b"CARDIGAN"], 2)])
    for _ in range(2):
        cardigan.begin_session()
        cardigan.load(0, KNITWEAR)
        assert cardigan.found() == {"Cardigan": 2, "CARDIGAN": 2, "tench": 0}
        text = cardigan.labels.check_labels()
        assert "2 as this run has stored them" in text
        assert "2 folders would have another label today (" in text
        assert "CARDIGAN: 2 in this run, none in a new one" in text or (
            "Cardigan: 2 in this run, 1 in a new one" in text
        )
        assert text.endswith(", the run keeps its own, --name begins another")


def test_images_that_come_later_have_the_label_that_their_folder_has(cardigan: Labelled) -> None:
    cardigan.load(0, KNITWEAR)
    image = next(one for one in cardigan.manifest.images if one.path.startswith(b"Cardigan"))
    cardigan.writer.replace_labels([(image.id, 2)])
    cardigan.begin_session()
    cardigan.writer.replace_labels([(one.id, None) for one in cardigan.manifest.images])
    cardigan.load(0, KNITWEAR)
    assert cardigan.found() == {"Cardigan": 2, "CARDIGAN": None, "tench": 0}


NUMBERS = tuple(map(str, range(12)))


@pytest.fixture
def numbers(over: Over) -> Labelled:
    return over(NUMBERS)


def test_numbers_are_class_indices_of_a_network_without_names(numbers: Labelled) -> None:
    numbers.load(0, (), 12)
    stored = numbers.reader.backbones()["resnet50"]
    assert stored is not None
    assert stored.classes == NUMBERS
    assert {folder: str(label) for folder, label in numbers.found().items()} == {
        name: name for name in NUMBERS
    }
    text = numbers.labels.check_labels()
    assert "12 by the numbers of their folders, 0 to 11, as class indices" in text
    assert "by the class names" not in text
    assert numbers.said()[0].endswith("are named by the class folders, in numeric order")


def test_names_that_an_earlier_version_gave_in_the_order_of_text_stay(numbers: Labelled) -> None:
    text = tuple(sorted(NUMBERS))
    named = replace(loaded("resnet50"), classes=text, class_count=12)
    numbers.writer.cells.set_backbone(0, named)
    numbers.begin_session()
    numbers.load(0, (), 12)
    assert numbers.found() == {name: text.index(name) for name in NUMBERS}
    assert numbers.labels.check_labels().endswith(
        " · this run has its folders in the order of text, a new one has them by their numbers, "
        "the run keeps its own, --name begins another"
    )


def test_a_stored_order_and_numbers_are_never_mixed(numbers: Labelled) -> None:
    """The network has names of its own; an earlier version has ranked the folders as text."""
    names = tuple(f"thing {n}" for n in range(12))
    numbers.load(0, names)
    text, of = (
        sorted(NUMBERS),
        {image.path.split(b"/")[0].decode(): image.id for image in numbers.manifest.images},
    )
    few = ("0", "1", "10", "2")
    numbers.writer.replace_labels(
        [(of[name], text.index(name) if name in few else None) for name in NUMBERS]
    )
    numbers.begin_session()
    numbers.load(0, names)
    assert {name: label for name, label in numbers.found().items() if label is not None} == {
        name: text.index(name) for name in few
    }
    assert "(10: 2 in this run, 10 in a new one)" in numbers.labels.check_labels() or (
        "(2: 4 in this run, 2 in a new one)" in numbers.labels.check_labels()
    )


def test_folders_are_ranked_by_the_whole_data_set_not_by_the_first_images(over: Over) -> None:
    made = over((*PETS, *FRUIT))
    made.manifest = replace(made.manifest, images=made.manifest.images[:2])
    made.begin_session()
    made.load(0, ("one", "two"))
    assert set(made.found().values()) == {None}


def test_parts_of_a_data_set_name_no_classes(over: Over) -> None:
    made = over(("train", "val"))
    made.load(0, (), 2)
    assert set(made.found().values()) == {None}
    assert made.said() == []
    text = made.labels.check_labels()
    assert "are parts of a data set, --data takes one of them, their 2 images are measured" in text


def test_ids_are_no_classes_of_a_network_whose_thousand_are_others(over: Over) -> None:
    made = over(WNIDS)
    made.load(0, tuple(f"thing {n}" for n in range(1000)))
    assert made.found() == {WNIDS[0]: None, WNIDS[1]: None}


# -- files of labels that do not fit the network
# --------------------------------------------------------------------------------------------------


@pytest.fixture
def filed(over: Over, tmp_path: Path) -> Over:
    """Makes a run over pets with a file of labels."""

    def make(content: str, **changes: object) -> Labelled:
        (tmp_path / "labels.csv").write_text(content)
        return over(PETS, labels=str(tmp_path / "labels.csv"), **changes)

    return make


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("cat/a.jpg,1\ndog/a.jpg,2\n", "line 2: 2 is no class of resnet50, which has 2 classes"),
        ("cat/a.jpg,100000\n", "line 1: 100000 is no class of resnet50, which has 2 classes"),
        ("cat/a.jpg,n01440764\n", "line 1: n01440764, an ImageNet id, is no class of resnet50"),
    ],
)
def test_labels_beyond_the_classes_are_refused_with_their_line(
    filed: Over, content: str, message: str
) -> None:
    made = filed(content)
    made.plan = replace(made.plan, backbones=made.plan.backbones[:1])
    made.begin_session()
    with pytest.raises(UsageError, match=message) as told:
        made.load(0, PETS)
    assert "count from 0" in told.value.hint
    assert made.manifest.label_file is not None
    earlier = replace(made.manifest.label_file, earlier=True)
    made.manifest = replace(made.manifest, label_file=earlier)
    made.begin_session()
    made.load(0, PETS)
    assert message in made.said()[-1]


def test_labels_of_imagenet_may_come_before_its_network(filed: Over) -> None:
    made = filed("cat/a.jpg,n01443537\n")
    made.load(0, PETS)
    made.load(1, (), 1000)
    assert made.found()["cat"] == 1


def test_an_index_is_no_class_of_two_networks_with_other_numbers_of_classes(
    filed: Over,
) -> None:
    made = filed("cat/a.jpg,1\n", target="label")
    made.load(0, (), 2)
    with pytest.raises(UsageError, match="resnet50 has 2 classes, vgg16 3"):
        made.load(1, (), 3)
    made.begin_session()
    made.load(1, (), 3)
    assert "resnet50 has 2 classes, vgg16 3" in made.said()[-1], "an earlier version began it"
