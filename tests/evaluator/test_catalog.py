"""Names and what they stand for: every spec that is accepted, every one that is refused, torchvision's own list."""

from __future__ import annotations

from pathlib import Path

import pytest

from evaluator import catalog
from evaluator.errors import UsageError
from evaluator.methods import all_methods

TRANSFORMERS = ("vit_", "swin_", "maxvit_")
OTHER_WEIGHTS = {"regnet_y_128gf"}
"""Published with other weights than ``IMAGENET1K_V1`` only."""


def test_every_convolutional_classifier_of_torchvision_is_known_and_no_other() -> None:
    from torchvision import models

    convolutional = {name for name in models.list_models(module=models) if not name.startswith(TRANSFORMERS)} - OTHER_WEIGHTS
    assert len(convolutional) > 60
    assert {*catalog.OTHER_TORCHVISION, *catalog.known_backbones()} - {"efficientnet_lite0"} == convolutional
    assert len(set(catalog.OTHER_TORCHVISION)) == len(catalog.OTHER_TORCHVISION)
    assert not set(catalog.OTHER_TORCHVISION) & set(catalog.known_backbones())


def test_every_classifier_has_the_weights_that_default_means() -> None:
    from torchvision import models

    for key in {*catalog.OTHER_TORCHVISION, *catalog.known_backbones()} - {"efficientnet_lite0"}:
        entry = models.get_model_weights(key)["IMAGENET1K_V1"]
        file = catalog.backbone(key).weights_file
        assert not file or entry.url.endswith(f"/{file}")


def test_a_backbone_by_name() -> None:
    assert catalog.backbone("vgg16").layer == "features.30"
    assert catalog.backbone("vgg16").gap_linear is False
    assert catalog.backbone("resnet50").channels == 2048
    assert catalog.backbone("densenet121").gap_linear is None
    with pytest.raises(UsageError, match="unknown backbone 'resnet5O'") as caught:
        catalog.backbone("resnet5O")
    assert "did you mean 'resnet50'?" in caught.value.hint
    with pytest.raises(UsageError):
        catalog.backbone("vit_b_16")


def test_weights_are_looked_for_where_torch_keeps_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    assert catalog.weights_at_hand("resnet18") is None
    file = tmp_path / "hub" / "checkpoints" / "resnet18-f37072fd.pth"
    file.parent.mkdir(parents=True)
    file.touch()
    assert catalog.weights_at_hand("resnet18") == file
    assert catalog.weights_at_hand("densenet121") is None


def test_torch_agrees_on_the_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import torch

    for name, value in (("XDG_CACHE_HOME", str(tmp_path)), ("TORCH_HOME", str(tmp_path / "t"))):
        monkeypatch.setenv(name, value)
        assert catalog.torch_checkpoints() == Path(torch.hub.get_dir()) / "checkpoints"


@pytest.mark.parametrize("key", list(all_methods()))
def test_a_method_by_name(key: str) -> None:
    assert catalog.method(key).name == key
    assert catalog.method(f" {key} ") == catalog.method(f"{key}:") == all_methods()[key]()


def test_options_are_read_as_their_defaults_kind() -> None:
    method = catalog.method("smoothgradcampp:n=2, sigma=0.5,variant=paper")
    assert method.options == {"variant": "paper", "n": 2, "sigma": 0.5}
    assert catalog.method(method.name) == method


@pytest.mark.parametrize(
    ("spec", "message", "hint"),
    [
        ("gradcamm", "unknown method 'gradcamm'", "did you mean 'gradcam'?"),
        ("", "unknown method ''", "camtui methods"),
        ("gradcam:n=3", "method 'gradcam' has no option 'n'", "it has no options"),
        ("sscam:steps=3", "method 'sscam' has no option 'steps'", "it has n, sigma"),
        (
            "scorecam:variant=cik",
            "scorecam:variant takes released or raw or softmax-logit or cic, not 'cik'",
            "did you mean 'cic'?",
        ),
        ("scorecam:variant", "'scorecam:variant': option 'variant' has no value", "write scorecam:variant=VALUE"),
        ("scorecam:variant=", "has no value", "write scorecam:variant=VALUE"),
        ("iscam:n=0", "iscam:n takes a whole number from 1, not '0'", "-m iscam:n=10"),
        ("iscam:n=2.5", "takes a whole number from 1", "-m iscam:n=10"),
        ("iscam:n=-1", "takes a whole number from 1", ""),
        ("sscam:sigma=nan", "sscam:sigma takes a number above 0, not 'nan'", ""),
        ("sscam:sigma=inf", "takes a number above 0", ""),
        ("sscam:sigma=0", "takes a number above 0", ""),
    ],
)
def test_a_spec_that_cannot_be_met(spec: str, message: str, hint: str) -> None:
    with pytest.raises(UsageError) as caught:
        catalog.method(spec)
    assert message in caught.value.message
    assert hint in caught.value.hint


def test_a_metric_by_name() -> None:
    assert catalog.metric("adcc").title == "ADCC"
    with pytest.raises(UsageError, match="unknown metric 'adc'") as caught:
        catalog.metric("adc")
    assert "did you mean 'adcc'?" in caught.value.hint


def test_lists_with_commas_keep_the_options_of_a_spec_together() -> None:
    assert catalog.split_list(["gradcam, scorecam:variant=cic", "smoothgradcampp:n=2,sigma=0.5,cam", "gradcam,,"]) == [
        "gradcam", "scorecam:variant=cic", "smoothgradcampp:n=2,sigma=0.5", "cam",
    ]  # fmt: skip
    assert catalog.split_list([]) == []
