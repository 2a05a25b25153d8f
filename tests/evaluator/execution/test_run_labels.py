"""Labels in a run of networks that have other classes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from evaluator.backbone_spec import BackboneSpec
from evaluator.errors import UsageError
from evaluator.execution.journal import Journal
from evaluator.execution.run_labels import RunLabels
from evaluator.images import find_images
from evaluator.records import LoadedBackbone
from evaluator.store.reader import RunReader
from evaluator.store.writer import RunWriter
from tests.evaluator.execution.support import make_plan
from tests.evaluator.execution.test_loop import loaded

PETS = ("cat", "dog")
FRUIT = ("apple", "pear")
WNIDS = ("n01440764", "n01443537")


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
        journal = Journal(self.writer, retry_seconds=0.1, tell=lambda _: None, needed=lambda: 0)
        self.labels = RunLabels(plan, manifest, self.reader, journal)

    def load(self, position: int, classes: tuple[str, ...], count: int | None = None) -> None:
        """The network at that position is loaded, with these class names."""
        name = ("resnet50", "vgg16")[position]
        network: LoadedBackbone = replace(
            loaded(name), classes=classes, class_count=count or len(classes)
        )
        self.writer.cells.set_backbone(position, network)
        self.labels.store(network)
        self.labels.check_classes()

    def found(self) -> dict[str, int | None]:
        """Folder → label."""
        return {
            image.path.split(b"/")[0].decode(): image.label
            for image in self.reader.images.between(0, 9)
        }

    def said(self) -> list[str]:
        return [event.text for event in self.reader.events()]

    def close(self) -> None:
        self.reader.close()
        self.writer.close()


@pytest.fixture
def pets_and_fruit(tmp_path: Path) -> Iterator[Labelled]:
    made = Labelled(tmp_path, (*PETS, *FRUIT))
    yield made
    made.close()


def test_a_network_with_other_classes_gives_no_labels_and_this_is_logged(
    pets_and_fruit: Labelled,
) -> None:
    pets_and_fruit.load(0, PETS)
    pets_and_fruit.load(1, FRUIT)
    assert pets_and_fruit.found() == {"cat": 0, "dog": 1, "apple": None, "pear": None}
    assert pets_and_fruit.said() == [
        "labels are class indices, and not the same in all backbones: class 0 is cat in resnet50, "
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


def test_one_class_cannot_be_explained_in_networks_with_other_classes(tmp_path: Path) -> None:
    made = Labelled(tmp_path, PETS, target="label")
    made.load(0, PETS)
    with pytest.raises(
        UsageError, match=r"--target label: .* class 0 is cat in resnet50, apple in"
    ):
        made.load(1, FRUIT)
    made.close()


def test_nor_can_an_index_of_a_file_of_labels(tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_text("image,label\ncat/a.jpg,1\n")
    made = Labelled(tmp_path, PETS, target="label", labels=str(tmp_path / "labels.csv"))
    made.load(0, PETS)
    with pytest.raises(
        UsageError, match=r"--target label: .* class 0 is cat in resnet50, apple in"
    ):
        made.load(1, FRUIT)
    assert made.found() == {"cat": 1, "dog": 1}
    made.close()


def test_folders_named_by_ids_are_compared_by_the_classes_of_one_network(tmp_path: Path) -> None:
    made = Labelled(tmp_path, WNIDS)
    made.load(0, WNIDS)
    assert made.found() == {WNIDS[0]: 0, WNIDS[1]: 1}
    made.load(1, WNIDS[::-1])
    assert made.found() == {WNIDS[0]: 0, WNIDS[1]: 1}
    assert "class 0 is n01440764 in resnet50, n01443537 in vgg16" in made.said()[0]
    made.close()
