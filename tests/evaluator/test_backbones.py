"""The classifiers by name: torchvision's own list, their weights, the folder in which torch keeps
them.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from evaluator.backbones import (
    families,
    known_backbone,
    known_backbones,
    local_weights,
    torch_checkpoints,
)
from evaluator.errors import UsageError

OTHER_WEIGHTS = {"regnet_y_128gf", "vit_h_14"}
"""Published with other weights than ``IMAGENET1K_V1`` only."""


def of_torchvision() -> list[str]:
    return [known.key for known in families()["torchvision"].names()]


def test_every_classifier_of_torchvision_is_known_and_no_other() -> None:
    from torchvision import models

    assert len(of_torchvision()) > 70
    assert set(of_torchvision()) == set(models.list_models(module=models)) - OTHER_WEIGHTS
    assert len(set(of_torchvision())) == len(of_torchvision())


def test_every_classifier_has_the_weights_that_default_means() -> None:
    from torchvision import models

    for key in of_torchvision():
        entry = models.get_model_weights(key)["IMAGENET1K_V1"]
        file = known_backbone(key).weights_file
        assert not file or entry.url.endswith(f"/{file}")


def test_a_backbone_by_name() -> None:
    assert known_backbone("vgg16").layer == "features.30"
    assert known_backbone("vgg16").gap_linear is False
    assert known_backbone("resnet50").channels == 2048
    assert known_backbone("densenet121").gap_linear is None
    with pytest.raises(UsageError, match="unknown network 'resnet5O'") as caught:
        known_backbone("resnet5O")
    assert "did you mean 'resnet50'?" in caught.value.hint
    assert known_backbone("vit_b_16").layer == "encoder.layers.encoder_layer_11.ln_1"
    assert list(known_backbones()) == [
        "vgg16",
        "resnet18",
        "resnet50",
        "resnet101",
        "resnext50_32x4d",
        "resnext101_32x8d",
        "efficientnet_lite0",
        "efficientnet_lite1",
        "efficientnet_lite2",
        "synthetic_cnn",
        "synthetic_gap",
        "synthetic_cnn_marks",
        "synthetic_gap_marks",
    ]


def test_of_names_that_begin_so_the_one_whose_weights_are_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UsageError, match="unknown network 'efficientnet'") as caught:
        known_backbone("efficientnet")
    assert "did you mean 'efficientnet_lite0'?" in caught.value.hint
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    file = tmp_path / "hub" / "checkpoints" / known_backbone("resnext101_32x8d").weights_file
    file.parent.mkdir(parents=True)
    file.touch()
    with pytest.raises(UsageError) as caught:
        known_backbone("resnext")
    assert "did you mean 'resnext101_32x8d'?" in caught.value.hint


def test_weights_are_looked_for_where_torch_keeps_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    assert local_weights("resnet18") is None
    file = tmp_path / "hub" / "checkpoints" / "resnet18-f37072fd.pth"
    file.parent.mkdir(parents=True)
    file.touch()
    assert local_weights("resnet18") == file
    assert local_weights("densenet121") is None


def test_torch_agrees_on_the_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import torch

    for name, value in (("XDG_CACHE_HOME", str(tmp_path)), ("TORCH_HOME", str(tmp_path / "t"))):
        monkeypatch.setenv(name, value)
        assert torch_checkpoints() == Path(torch.hub.get_dir()) / "checkpoints"
