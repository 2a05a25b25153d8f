"""The networks of the synthetic images, as backbones."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from evaluator.backbones import known_backbone, known_backbones, local_weights, parse_backbone
from evaluator.errors import BackboneUnavailable
from evaluator.networks.backbone_loading import load_backbone
from evaluator.synthetic.scene import CLASSES
from evaluator.synthetic.train import (
    MEAN,
    SIDE,
    STD,
    TARGET_LAYER,
    UNSEEN_SEED,
    examples,
    world_of,
)

NAMES = ("synthetic_cnn", "synthetic_gap", "synthetic_cnn_marks", "synthetic_gap_marks")


@pytest.mark.parametrize("name", NAMES)
def test_it_is_listed_and_its_weights_are_here(name: str) -> None:
    assert name in known_backbones()
    known = known_backbone(name)
    assert known.preprocessing is not None
    assert (known.preprocessing.side, known.layer) == (SIDE, TARGET_LAYER)
    assert (known.preprocessing.mean, known.preprocessing.std) == ((MEAN,) * 3, (STD,) * 3)
    file = local_weights(name)
    assert file is not None
    assert file.stat().st_size < 500_000


@pytest.mark.parametrize("name", NAMES)
def test_loaded_it_knows_the_images(name: str) -> None:
    backbone = load_backbone(parse_backbone(name))
    facts = backbone.facts
    assert facts.classes == CLASSES
    assert (facts.channels, facts.height, facts.width) == (48, 8, 8)
    assert facts.gap_linear == known_backbone(name).gap_linear == name.startswith("synthetic_gap")
    given = examples(UNSEEN_SEED, 60, world=world_of(name))
    with torch.no_grad():
        found = backbone.logits(backbone.trunk(given.images)).argmax(1)
    assert (found == given.labels).double().mean() > 0.9


def test_random_weights_are_seeded_and_keep_the_classes() -> None:
    one, again, other = (
        load_backbone(parse_backbone(f"synthetic_cnn:weights=random:{seed}")).facts
        for seed in (1, 1, 2)
    )
    assert one.sha256 == again.sha256 != other.sha256
    assert one.classes == CLASSES
    assert one.weights == "random:1"


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    file = local_weights("synthetic_gap")
    with pytest.raises(BackboneUnavailable, match="do not fit synthetic_cnn"):
        load_backbone(parse_backbone(f"synthetic_cnn:weights={file}"))
