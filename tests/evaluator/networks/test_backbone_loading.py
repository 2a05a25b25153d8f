"""Loading classifiers: weights from files, seeds and nowhere; identity; gradients of the head
alone.
"""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torchvision import models

from evaluator.backbones import BackboneSpec, torch_checkpoints
from evaluator.errors import BackboneUnavailable
from evaluator.networks.backbone_loading import Backbone, load_backbone
from evaluator.networks.families.efficientnet_lite import EfficientNetLite
from evaluator.networks.weights import sha256_of

SIDE = 64


@pytest.fixture(scope="module")
def resnet() -> Backbone:
    return load_backbone(BackboneSpec("resnet18", "random:0", side=SIDE))


def test_random_weights_are_a_function_of_the_seed(resnet: Backbone) -> None:
    again = load_backbone(BackboneSpec("resnet18", "random:0", side=SIDE))
    other = load_backbone(BackboneSpec("resnet18", "random:1", side=SIDE))
    assert resnet.facts.sha256 == again.facts.sha256 != other.facts.sha256
    assert resnet.facts.weights == "random:0"
    assert resnet.facts.classes == ()


def test_loading_leaves_the_callers_random_state_alone() -> None:
    torch.manual_seed(7)
    expected = torch.rand(1)
    torch.manual_seed(7)
    load_backbone(BackboneSpec("resnet18", "random:0", side=SIDE))
    assert torch.equal(torch.rand(1), expected)


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
def test_a_file_gives_the_same_network_whatever_its_format(tmp_path: Path, suffix: str) -> None:
    torch.manual_seed(3)
    model = models.resnet18(num_classes=10).eval()
    file = tmp_path / f"mine{suffix}"
    state = dict(model.state_dict())
    if suffix == ".pth":
        torch.save(
            {"state_dict": {f"module.{name}": tensor for name, tensor in state.items()}}, file
        )
    else:
        save_file(state, file)
    loaded = load_backbone(BackboneSpec("resnet18", str(file), side=SIDE))
    images = torch.randn(2, 3, SIDE, SIDE)
    with torch.no_grad():
        assert torch.allclose(loaded.logits(loaded.trunk(images)), model(images), atol=1e-4)
    assert loaded.facts.weights == file.name
    assert loaded.facts.channels == 512


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "other.safetensors"
    save_file(models.resnet34(num_classes=10).state_dict(), file)
    with pytest.raises(BackboneUnavailable, match="do not fit resnet18"):
        load_backbone(BackboneSpec("resnet18", str(file), side=SIDE))


def test_a_pickle_is_never_run(tmp_path: Path) -> None:
    file = tmp_path / "evil.pth"
    torch.save({"weight": Trap(tmp_path / "sprung")}, file)
    with pytest.raises(BackboneUnavailable, match="no plain tensors"):
        load_backbone(BackboneSpec("resnet18", str(file), side=SIDE))
    assert not (tmp_path / "sprung").exists()


class Trap:
    """Touches a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[Path]]:
        return Path.touch, (self.path,)


def test_without_a_network_the_error_names_the_file_and_the_way_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")  # nobody listens there
    with pytest.raises(BackboneUnavailable) as caught:
        load_backbone(BackboneSpec("resnet18", side=SIDE))
    assert "resnet18" in caught.value.message
    assert str(tmp_path / "hub" / "checkpoints" / "resnet18-f37072fd.pth") in caught.value.hint
    assert "random:0" in caught.value.hint


def test_the_closed_gradient_is_the_heads_autograd_gradient(resnet: Backbone) -> None:
    activation = torch.rand(2, 512, 2, 2)
    targets = torch.tensor([3, 999])
    leaf = activation.clone().requires_grad_()
    resnet.head(leaf).gather(1, targets[:, None]).sum().backward()
    assert leaf.grad is not None
    assert torch.allclose(resnet.gradient(activation, targets), leaf.grad, atol=1e-7)


def test_the_gradient_of_a_deep_head_is_that_of_the_whole_network() -> None:
    backbone = load_backbone(BackboneSpec("mobilenet_v3_small", "random:0", side=SIDE))
    assert not backbone.gap_linear
    activation = backbone.trunk(torch.randn(1, 3, SIDE, SIDE))
    targets = torch.tensor([5])
    gradient = backbone.gradient(activation, targets)
    step = torch.zeros_like(activation)
    step[0, 7, 1, 1] = 1e-2
    with torch.no_grad():
        slope = (backbone.logits(activation + step) - backbone.logits(activation - step))[
            0, 5
        ] / 2e-2
    assert gradient[0, 7, 1, 1].item() == pytest.approx(slope.item(), rel=0.05, abs=1e-6)


@pytest.mark.parametrize(("key", "transforms"), [("resnet18", False), ("googlenet", True)])
def test_published_weights_are_taken_from_torchs_cache(
    key: str, transforms: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """GoogLeNet's own weights expect inputs that it transforms itself; torchvision's builder says
    so, and so do we.
    """
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    options = {"init_weights": False} if transforms else {}
    torch.manual_seed(1)
    published = models.get_model(key, **options)
    file = torch_checkpoints() / "made.pth"
    file.parent.mkdir(parents=True)
    torch.save(published.state_dict(), file)
    name = f"{key}-{sha256_of(file)[:8]}.pth"
    file.rename(file.with_name(name))
    entry = models.get_model_weights(key).IMAGENET1K_V1
    monkeypatch.setattr(entry.value, "url", f"https://nowhere.invalid/{name}")
    loaded = load_backbone(BackboneSpec(key, side=SIDE))
    assert loaded.facts.weights == "IMAGENET1K_V1"
    assert loaded.facts.classes[:2] == ("tench", "goldfish")
    if transforms:
        published.transform_input = True
    images = torch.randn(2, 3, SIDE, SIDE)
    with torch.no_grad():
        assert torch.allclose(
            loaded.logits(loaded.trunk(images)), published.eval()(images), atol=1e-4
        )


def test_the_demos_network_with_random_weights_and_without_any(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    loaded = load_backbone(BackboneSpec("efficientnet_lite0", "random:3", side=SIDE))
    assert (loaded.facts.weights, loaded.facts.classes, loaded.facts.channels) == (
        "random:3",
        (),
        1280,
    )
    monkeypatch.setattr(EfficientNetLite, "local_weights", lambda self, key: None)
    with pytest.raises(
        BackboneUnavailable, match="the weights of efficientnet_lite0 are not installed"
    ):
        load_backbone(BackboneSpec("efficientnet_lite0", side=SIDE))
