"""Cutting a network at its target layer, and recognising heads that need no autograd."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import relu
from torchvision import models

from evaluator.errors import UsageError
from evaluator.networks.graph_cut import Split, split_traced
from evaluator.networks.target_layer import split_at
from evaluator.networks.tracing import record_forward, traced
from tests.networks import plain

SIDE = 64


def split(model: nn.Module, layer: str | None) -> Split:
    record = record_forward(model, plain(SIDE))
    return split_traced(traced(model, record.output), model, layer, record)


def network(key: str) -> nn.Module:
    torch.manual_seed(0)
    return _built(key).eval().requires_grad_(False)


def _built(key: str) -> nn.Module:
    """A network of torchvision; a VGG has a small classifier, a DenseNet few channels."""
    model: nn.Module
    if key == "vgg11":
        with torch.device("meta"):
            model = models.vgg11(num_classes=10)
        model.features = models.vgg.make_layers(models.vgg.cfgs["A"])
        model.classifier = nn.Sequential(nn.Linear(512 * 49, 16), nn.ReLU(), nn.Linear(16, 10))
    elif key == "densenet":
        model = models.DenseNet(4, (1, 1, 1, 1), 8, num_classes=10)
    else:
        model = models.get_model(key, num_classes=10)
    return model


@pytest.mark.parametrize(
    ("key", "layer", "gap_linear"),
    [
        ("resnet18", "layer4", True),
        ("resnet18", "layer3", False),
        ("mobilenet_v2", None, True),
        ("mobilenet_v3_small", None, False),
        ("shufflenet_v2_x0_5", None, True),
        ("squeezenet1_1", None, False),
    ],
)
def test_trunk_and_head_together_are_the_network(
    key: str, layer: str | None, gap_linear: bool
) -> None:
    model = network(key)
    images = torch.randn(2, 3, SIDE, SIDE)
    cut = split(model, layer)
    activation = cut.trunk(images)
    assert activation.ndim == 4
    assert torch.allclose(cut.head(activation), model(images), atol=1e-5)
    assert (cut.linear is not None) == gap_linear


def test_the_default_layer_is_the_last_map_before_the_classifiers_pooling() -> None:
    assert split(network("vgg11"), None).layer == "features.20"
    assert split(network("densenet"), None).layer == "relu"
    assert split(network("resnet18"), None).layer.startswith("layer4.1")


def test_the_head_leaves_the_activation_as_it_was() -> None:
    cut = split(network("vgg11"), "features.18")  # a convolution: an in-place ReLU reads it next
    activation = cut.trunk(torch.randn(1, 3, SIDE, SIDE))
    before = activation.clone()
    cut.head(activation)
    assert torch.equal(activation, before)


def test_an_unknown_layer_is_refused_with_the_nearest() -> None:
    with pytest.raises(UsageError) as caught:
        split(network("resnet18"), "layr4")
    assert "layer4" in caught.value.hint


def test_a_layer_without_positions_is_refused() -> None:
    with pytest.raises(UsageError, match="no feature map"):
        split(network("resnet18"), "fc")


class Bypassed(nn.Module):
    """A classifier that also looks past its feature map."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.fc = nn.Linear(7, 2)

    def forward(self, images: Tensor) -> Tensor:
        return self.fc(torch.cat([self.conv(images).mean((2, 3)), images.mean((2, 3))], 1))  # type: ignore[no-any-return]  # a module's call is Any


def test_a_layer_that_the_classifier_bypasses_has_a_side() -> None:
    torch.manual_seed(0)
    model, images = Bypassed().eval().requires_grad_(False), torch.randn(3, 3, SIDE, SIDE)
    cut = split(model, "conv")
    activation, side = cut.trunk(images)
    assert torch.allclose(side, images.mean((2, 3)))
    assert torch.allclose(cut.head(activation, side), model(images), atol=1e-6)


class Activated(nn.Module):
    """GAP and one linear layer, but with an activation between them: not a GAP + linear head."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.fc = nn.Linear(4, 2)

    def forward(self, images: Tensor) -> Tensor:
        return self.fc(torch.relu(self.conv(images).mean((2, 3))))  # type: ignore[no-any-return]  # a module's call is Any


def test_an_activation_between_pooling_and_layer_is_noticed() -> None:
    assert split(Activated().eval(), "conv").linear is None


def test_a_network_without_feature_maps_is_refused() -> None:
    flat = nn.Sequential(nn.Flatten(), nn.Linear(3 * SIDE * SIDE, 5), nn.ReLU(), nn.Linear(5, 2))
    with pytest.raises(UsageError, match="this network has no feature map"):
        split(flat, None)


class InPlaceFunction(nn.Module):
    """A head whose first step is a function that would overwrite what it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.fc = nn.Linear(4, 2)

    def forward(self, images: Tensor) -> Tensor:
        return self.fc(relu(self.conv(images), inplace=True).mean((2, 3)))  # type: ignore[no-any-return]  # a module's call is Any


def test_a_function_of_the_head_leaves_the_activation_as_it_was() -> None:
    torch.manual_seed(0)
    cut = split(InPlaceFunction().requires_grad_(False), "conv")
    activation = cut.trunk(torch.randn(1, 3, SIDE, SIDE))
    before = activation.clone()
    cut.head(activation)
    assert before.min() < 0
    assert torch.equal(activation, before)


def small_vit() -> nn.Module:
    torch.manual_seed(2)
    model: nn.Module = models.VisionTransformer(
        image_size=SIDE,
        patch_size=16,
        num_layers=2,
        num_heads=2,
        hidden_dim=24,
        mlp_dim=32,
        num_classes=10,
    )
    nn.init.normal_(model.get_submodule("heads.head").weight)  # type: ignore[arg-type]  # torchvision leaves zeros
    return model.eval().requires_grad_(False)


def small_swin() -> nn.Module:
    torch.manual_seed(3)
    model: nn.Module = models.SwinTransformer(
        patch_size=[4, 4],
        embed_dim=12,
        depths=[2, 2],
        num_heads=[2, 2],
        window_size=[4, 4],
        num_classes=10,
    )
    return model.eval().requires_grad_(False)


@pytest.mark.parametrize(
    ("build", "layer", "sides", "shape"),
    [
        (small_vit, "encoder.layers.encoder_layer_1.ln_1", 1, (24, 4, 4)),
        (small_vit, "encoder.ln", 0, (24, 4, 4)),
        (small_swin, "features.3.1.norm1", 1, (24, 8, 8)),
        (small_swin, "norm", 0, (24, 8, 8)),
        (lambda: network("resnet18"), "layer3.0.bn2", 1, (256, 4, 4)),
        (lambda: network("resnet18"), "layer3.0", 0, (256, 4, 4)),
    ],
)
def test_sides_are_what_is_used_past_the_layer(
    build: Callable[[], nn.Module], layer: str, sides: int, shape: tuple[int, ...]
) -> None:
    model, images = build(), torch.randn(3, 3, SIDE, SIDE)
    taken: list[Tensor] = []
    model.get_submodule(layer).register_forward_hook(
        lambda _module, _inputs, output: taken.append(output.clone())
    )
    expected = model(images)
    cut = split(build(), layer)
    given = cut.trunk(images)
    output, *others = given if isinstance(given, tuple) else (given,)
    assert torch.allclose(output, taken[0], atol=1e-5)
    assert len(others) == sides
    assert (cut.layout.channels, cut.layout.height, cut.layout.width) == shape
    before = output.clone()
    assert torch.allclose(cut.head(output, *others), expected, atol=1e-4)
    assert torch.equal(output, before), "a residual sum in place must not overwrite it"


@pytest.mark.parametrize(
    ("build", "layer"),
    [(small_vit, "encoder.layers.encoder_layer_1.ln_1"), (small_swin, "features.3.1.norm1")],
)
def test_without_a_layer_a_transformer_is_cut_at_its_last_block_s_first_norm(
    build: Callable[[], nn.Module], layer: str
) -> None:
    model = build()
    assert split_at(model, None, record_forward(model, plain(SIDE))).layer == layer


class Counting(nn.Module):
    """Reads the number of images before the layer, and has an argument with a default."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, stride=8)
        self.fc = nn.Linear(4 * 64, 2)

    def forward(self, images: Tensor, scale: Tensor | None = None) -> Tensor:
        count = images.shape[0]
        if scale is not None:
            images = images * scale
        return self.fc(self.conv(images).view(count, -1))  # type: ignore[no-any-return]  # a module's call is Any


def test_the_number_of_images_is_the_head_s_own() -> None:
    model = Counting().eval().requires_grad_(False)
    cut = split(model, "conv")
    images = torch.randn(5, 3, SIDE, SIDE)
    assert torch.allclose(cut.head(cut.trunk(images)), model(images), atol=1e-6)
    assert cut.head(cut.trunk(images)[:1]).shape == (1, 2)


def test_a_layer_that_the_classifier_does_not_use_is_refused() -> None:
    with pytest.raises(UsageError, match="no layer 'conv'"):
        split(Unused().eval(), "conv")


class Unused(nn.Module):
    """Computes a map for nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.fc = nn.Linear(3, 2)

    def forward(self, images: Tensor) -> Tensor:
        self.conv(images)
        return self.fc(images.mean((2, 3)))  # type: ignore[no-any-return]  # a module's call is Any
