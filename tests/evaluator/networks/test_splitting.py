"""Cutting a network at its target layer, and recognising heads that need no autograd."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import relu
from torchvision import models

from evaluator.errors import UsageError
from evaluator.networks.splitting import split_at

SIDE = 64


def network(key: str) -> nn.Module:
    torch.manual_seed(0)
    model: nn.Module = models.get_model(key, num_classes=10)
    return model.eval().requires_grad_(False)


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
def test_trunk_and_head_together_are_the_network(key: str, layer: str | None, gap_linear: bool) -> None:
    model = network(key)
    images = torch.randn(2, 3, SIDE, SIDE)
    split = split_at(model, layer, SIDE)
    activation = split.trunk(images)
    assert activation.ndim == 4
    assert torch.allclose(split.head(activation), model(images), atol=1e-5)
    assert (split.linear is not None) == gap_linear


def test_the_default_layer_is_the_last_map_before_the_classifiers_pooling() -> None:
    assert split_at(network("vgg11"), None, SIDE).layer == "features.20"
    assert split_at(network("densenet121"), None, SIDE).layer == "relu"
    assert split_at(network("resnet18"), None, SIDE).layer.startswith("layer4.1")


def test_the_head_leaves_the_activation_as_it_was() -> None:
    split = split_at(network("vgg11"), "features.18", SIDE)  # a convolution: an in-place ReLU reads it next
    activation = split.trunk(torch.randn(1, 3, SIDE, SIDE))
    before = activation.clone()
    split.head(activation)
    assert torch.equal(activation, before)


def test_an_unknown_layer_is_refused_with_the_nearest() -> None:
    with pytest.raises(UsageError) as caught:
        split_at(network("resnet18"), "layr4", SIDE)
    assert "layer4" in caught.value.hint


def test_a_layer_without_positions_is_refused() -> None:
    with pytest.raises(UsageError, match="no feature map"):
        split_at(network("resnet18"), "fc", SIDE)


class Bypassed(nn.Module):
    """A classifier that also looks past its feature map."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.fc = nn.Linear(7, 2)

    def forward(self, images: Tensor) -> Tensor:
        return self.fc(torch.cat([self.conv(images).mean((2, 3)), images.mean((2, 3))], 1))  # type: ignore[no-any-return]  # a module's call is Any


def test_a_layer_that_the_classifier_bypasses_is_refused() -> None:
    with pytest.raises(UsageError, match="not a whole cut"):
        split_at(Bypassed().eval(), "conv", SIDE)


class Activated(nn.Module):
    """GAP and one linear layer, but with an activation between them: not a GAP + linear head."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.fc = nn.Linear(4, 2)

    def forward(self, images: Tensor) -> Tensor:
        return self.fc(torch.relu(self.conv(images).mean((2, 3))))  # type: ignore[no-any-return]  # a module's call is Any


def test_an_activation_between_pooling_and_layer_is_noticed() -> None:
    assert split_at(Activated().eval(), "conv", SIDE).linear is None


def test_a_network_without_feature_maps_is_refused() -> None:
    flat = nn.Sequential(nn.Flatten(), nn.Linear(3 * SIDE * SIDE, 5), nn.ReLU(), nn.Linear(5, 2))
    with pytest.raises(UsageError, match="this network has no feature map"):
        split_at(flat, None, SIDE)


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
    split = split_at(InPlaceFunction().requires_grad_(False), "conv", SIDE)
    activation = split.trunk(torch.randn(1, 3, SIDE, SIDE))
    before = activation.clone()
    split.head(activation)
    assert before.min() < 0
    assert torch.equal(activation, before)
