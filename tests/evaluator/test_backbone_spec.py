"""A backbone of a plan: its name, and its preprocessing with the user's options."""

from __future__ import annotations

import pytest

from evaluator.backbones import BackboneSpec, parse_backbone
from evaluator.errors import UsageError
from evaluator.records import Preprocessing


@pytest.mark.parametrize(
    ("spec", "name"),
    [
        ("resnet18", "resnet18"),
        ("vgg16:layer=features.29", "vgg16:layer=features.29"),
        ("vgg16:weights=random:0,layer=features.29", "vgg16:layer=features.29,weights=random:0"),
        ("resnet18:weights=/a/b/mine.pth", "resnet18:weights=mine.pth"),
    ],
)
def test_a_backbone_s_name_holds_what_differs(spec: str, name: str) -> None:
    assert parse_backbone(spec).name == name


def test_a_side_brings_its_short_side_along() -> None:
    wide = Preprocessing(side=256, resize=292)
    assert BackboneSpec("resnet18", side=128).preprocessing(wide).resize == 146
    assert BackboneSpec("resnet18", side=128, resize=200).preprocessing(wide).resize == 200
    assert BackboneSpec("resnet18").preprocessing(Preprocessing(), 256).resize == 256
    assert (
        BackboneSpec("resnet18").preprocessing(Preprocessing(side=240, resize=240), 256).resize
        == 274
    )


def test_grey_images_take_one_number() -> None:
    grey = BackboneSpec("resnet18", channels=1).preprocessing(Preprocessing())
    assert (len(grey.mean), len(grey.std)) == (1, 1)
    assert BackboneSpec("resnet18", mean=(0.5,)).preprocessing(Preprocessing()).mean == (0.5,) * 3
    with pytest.raises(UsageError, match="mean has 3 numbers, and the images have 1 channel"):
        BackboneSpec("resnet18", channels=1, mean=(0.1, 0.2, 0.3)).preprocessing(Preprocessing())
