"""Small seeded random classifiers, one with global average pooling and one linear layer, one with a
VGG-like head.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor, fx, nn

from evaluator.measuring.pipeline import Pipeline
from evaluator.networks.backbone_loading import Backbone, with_attention
from evaluator.networks.fast import fold_batch_norms
from evaluator.networks.maps import prefix_tokens
from evaluator.networks.network import Network
from evaluator.networks.target_layer import split_at
from evaluator.networks.tracing import record_forward
from evaluator.records import LoadedBackbone, Preprocessing

SIDE = 32
CLASSES = 10
LAYER = "features"

DEAD, CONSTANT = (1, 7), 4
"""Channels of the GAP network's target layer that are all zero, and one that is a positive
constant.
"""


class GapNetwork(nn.Module):
    """Two convolutions with batch normalisation, ReLU, global average pooling, one linear layer;
    target layer 12 × 8 × 8.
    """

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 8, 3, stride=2, padding=1),
            nn.BatchNorm2d(8),
            nn.ReLU(inplace=True),
            nn.Conv2d(8, 12, 3, stride=2, padding=1),
            nn.ReLU(inplace=True),
        )
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.dropout = nn.Dropout(0.5)
        self.fc = nn.Linear(12, CLASSES)

    def forward(self, images: Tensor) -> Tensor:
        pooled: Tensor = self.dropout(torch.flatten(self.pool(self.features(images)), 1))
        return self.fc(pooled)  # type: ignore[no-any-return]  # nn.Module.__call__ is Any


class VggLikeNetwork(nn.Module):
    """Convolution, ReLU and max-pooling, then adaptive pooling and three linear layers; target
    layer 10 × 8 × 8.
    """

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 8, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(2),
            nn.Conv2d(8, 10, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(2),
        )
        self.avgpool = nn.AdaptiveAvgPool2d(4)
        self.classifier = nn.Sequential(
            nn.Linear(160, 24),
            nn.ReLU(inplace=True),
            nn.Dropout(),
            nn.Linear(24, 16),
            nn.ReLU(inplace=True),
            nn.Dropout(),
            nn.Linear(16, CLASSES),
        )

    def forward(self, images: Tensor) -> Tensor:
        return self.classifier(torch.flatten(self.avgpool(self.features(images)), 1))  # type: ignore[no-any-return]  # a module's call is Any


class SmoothNetwork(nn.Module):
    """A head with curvature: layer normalisation, GELU and a product; target layer 9 × 8 × 8."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 8, 3, stride=2, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(8, 9, 3, stride=2, padding=1),
            nn.ReLU(inplace=True),
        )
        self.pool = nn.AvgPool2d(2)
        self.norm = nn.LayerNorm(144)
        self.hidden = nn.Linear(144, 20)
        self.activation = nn.GELU()
        self.fc = nn.Linear(20, CLASSES)

    def forward(self, images: Tensor) -> Tensor:
        hidden = self.hidden(self.norm(torch.flatten(self.pool(self.features(images)), 1)))
        return self.fc(self.activation(hidden) * hidden)  # type: ignore[no-any-return]  # nn.Module.__call__ is Any


def gap_network(seed: int = 0) -> nn.Module:
    """A GAP + linear classifier with two dead channels and a constant one, in evaluation mode."""
    model = _seeded(seed, GapNetwork)
    normalisation, last = model.get_submodule("features.1"), model.get_submodule("features.3")
    assert isinstance(normalisation, nn.BatchNorm2d)
    assert isinstance(normalisation.running_mean, Tensor)
    assert isinstance(normalisation.running_var, Tensor)
    assert isinstance(last, nn.Conv2d)
    assert last.bias is not None
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        normalisation.running_mean.copy_(torch.randn(8, generator=generator) / 5)
        normalisation.running_var.copy_(torch.rand(8, generator=generator) + 0.5)
        last.bias[list(DEAD)] = -1e3
        last.weight[CONSTANT] = 0
        last.bias[CONSTANT] = 0.5
    return model


def vgg_like_network(seed: int = 0) -> nn.Module:
    """A classifier whose head is no single linear layer, in evaluation mode."""
    return _seeded(seed, VggLikeNetwork)


def smooth_network(seed: int = 0) -> nn.Module:
    """A classifier whose logits are curved in the activation of its target layer, in evaluation
    mode.
    """
    return _seeded(seed, SmoothNetwork)


def stubborn_network() -> nn.Module:
    """A GAP network that always predicts class 3, against which every channel speaks: every
    gradient map is all zero.
    """
    model = gap_network()
    linear = model.get_submodule("fc")
    assert isinstance(linear, nn.Linear)
    with torch.no_grad():
        linear.weight[3] = -linear.weight[3].abs() - 0.01
        linear.bias[3] = 10.0
    return model


NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "gap": gap_network,
    "vgg-like": vgg_like_network,
    "smooth": smooth_network,
}


def random_images(count: int, seed: int = 0, side: int = SIDE) -> Tensor:
    """``[count, 3, side, side]``, smooth blobs with a little noise: drops differ from image to
    image.
    """
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.randn(count, 3, 4, 4, generator=generator) * 1.5
    blobs = nn.functional.interpolate(
        coarse, size=(side, side), mode="bicubic", align_corners=False
    )
    return blobs + 0.2 * torch.randn(count, 3, side, side, generator=generator)


def plain(side: int = SIDE, channels: int = 3) -> Preprocessing:
    """Preprocessing that normalises nothing."""
    return Preprocessing(
        side, side, mean=(0.0,) * channels, std=(1.0,) * channels, channels=channels
    )


def as_backbone(
    model: nn.Module,
    layer: str | None = LAYER,
    side: int = SIDE,
    *,
    channels: int = 3,
    kind: str | None = None,
) -> Backbone:
    """The model cut at a layer, as ``evaluator.networks.backbone_loading.load_backbone`` would."""
    whole = deepcopy(model).eval().requires_grad_(False)
    found = record_forward(whole, plain(side, channels))
    split = split_at(whole, layer, found, prefix=prefix_tokens(whole, None), kind=kind)
    if isinstance(split.trunk, fx.GraphModule):
        split = split._replace(trunk=fold_batch_norms(split.trunk))
    layout = split.layout
    facts = LoadedBackbone(
        "small",
        "random:0",
        "0" * 64,
        split.layer,
        layout.channels,
        layout.height,
        layout.width,
        split.linear is not None,
        (),
        plain(side, channels),
        found.logits.shape[1],
        cut=split.kind,
        tokens=layout.tokens,
    )
    backbone = Backbone(
        split.trunk,
        split.head,
        split.linear,
        facts,
        layout,
        as_built=lambda: deepcopy(model).eval().requires_grad_(False),
    )
    return with_attention(backbone, whole, found)


class Bench(NamedTuple):
    """A network on the CPU with its pipeline."""

    network: Network
    pipeline: Pipeline


def bench(
    model: nn.Module, batch_size: int = 16, layer: str | None = LAYER, side: int = SIDE
) -> Bench:
    """Network and pipeline of a model, at the small side."""
    network = Network(
        as_backbone(model, layer, side),
        device=torch.device("cpu"),
        precision="fp32",
        batch_size=batch_size,
    )
    return Bench(network, Pipeline(network))


def normalising(made: Bench, mean: tuple[float, ...], std: tuple[float, ...]) -> Bench:
    """The same network, whose images are said to be normalised by these."""
    facts = made.network.backbone.facts
    seen = replace(facts.preprocessing, mean=mean, std=std)
    network = Network(
        replace(made.network.backbone, facts=replace(facts, preprocessing=seen)),
        device=torch.device("cpu"),
        precision="fp32",
        batch_size=made.network.batch_sizes["fp32"],
    )
    return Bench(network, made.pipeline)


def _seeded(seed: int, build: Callable[[], nn.Module]) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = build()
    for module in model.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            module.weight.data *= 2.0  # torch's initialisation gives ten nearly equal logits
    return model.eval()
