"""Networks whose graph cannot be cut: by hooks they give the maps and gradients that the graph
gives, for a forward each.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from evaluator.catalog import method
from evaluator.errors import UsageError
from evaluator.measuring.pipeline import Batch, Pipeline
from evaluator.networks.network import Network
from evaluator.networks.target_layer import split_at
from evaluator.networks.tracing import record_forward
from tests.networks import (
    NETWORKS,
    SIDE,
    GapNetwork,
    as_backbone,
    gap_network,
    plain,
    random_images,
    vgg_like_network,
)

METHODS = [
    "gradcam",
    "gradcampp",
    "layercam",
    "ablationcam",
    "scorecam",
    "eigencam",
    "smoothgradcampp:variant=paper",
    "smoothgradcampp:variant=mean-gradient",
]


def rows(kind: str, build: Any, methods: list[str]) -> dict[str, Any]:
    network = Network(
        as_backbone(build(), kind=kind), device=torch.device("cpu"), precision="fp32", batch_size=3
    )
    assert network.backbone.facts.cut == kind
    return dict(
        Pipeline(network).rows(
            Batch(random_images(4), [b"%d" % n for n in range(4)]), [method(m) for m in methods]
        )
    )


@pytest.mark.parametrize("name", NETWORKS)
def test_hooks_and_graph_give_the_same_rows(name: str) -> None:
    graph, hooks = (rows(kind, NETWORKS[name], METHODS) for kind in ("graph", "hooks"))
    for spec in METHODS:
        for field in ("y", "o", "average_drop", "coherency", "complexity", "adcc"):
            assert getattr(hooks[spec], field) == pytest.approx(
                getattr(graph[spec], field), abs=2e-5
            ), (spec, field)


class Branching(GapNetwork):
    """Control flow that depends on the image, and a layer that is called twice."""

    def __init__(self) -> None:
        super().__init__()
        self.again = nn.Conv2d(12, 12, 3, padding=1)

    def forward(self, images: Tensor) -> Tensor:
        maps = self.again(self.features(images))
        if images.sum() > 0:
            maps = maps * 2
        maps = self.again(maps)
        return self.fc(torch.flatten(self.pool(maps.relu_()), 1))  # type: ignore[no-any-return]  # a module's call is Any


def branching() -> nn.Module:
    torch.manual_seed(5)
    return Branching().eval().requires_grad_(False)


def test_a_network_that_does_not_trace_is_cut_by_hooks() -> None:
    backbone = as_backbone(branching(), "again#2")
    assert backbone.facts.cut == "hooks"
    images = random_images(2)
    seen = backbone.trunk_output(backbone.trunk(images))
    expected = branching()(images)
    assert seen.logits is not None
    assert torch.equal(seen.logits, expected)
    assert torch.allclose(backbone.logits(seen.activation, seen.context), expected, atol=1e-6)
    assert seen.activation.min() < 0, "what follows in place has not overwritten it"


def test_the_gradient_is_that_of_the_whole_network_at_the_last_call() -> None:
    backbone, model, images, targets = (
        as_backbone(branching(), "again#2"),
        branching(),
        random_images(2),
        torch.tensor([1, 7]),
    )
    taken: list[Tensor] = []

    def keep(_module: nn.Module, _inputs: Any, output: Tensor) -> Tensor:
        taken.append(output.detach().requires_grad_())
        return taken[-1].clone()

    model.get_submodule("again").register_forward_hook(keep)
    chosen = model(images).gather(1, targets[:, None]).sum()
    (expected,) = torch.autograd.grad(chosen, taken[-1])
    seen = backbone.trunk_output(backbone.trunk(images))
    assert torch.allclose(seen.activation, taken[-1], atol=1e-6)
    assert torch.allclose(
        backbone.gradient(seen.activation, targets, seen.context), expected, atol=1e-7
    )


def test_another_call_is_cut_at_by_its_number() -> None:
    """What comes behind it, the second call among that, is computed again."""
    backbone, model, images = as_backbone(branching(), "again#1"), branching(), random_images(2)
    seen = backbone.trunk_output(backbone.trunk(images))
    features = model.get_submodule("again")(model.get_submodule("features")(images))
    assert torch.allclose(seen.activation, features, atol=1e-6)
    expected = model(images)
    assert torch.allclose(backbone.logits(seen.activation, seen.context), expected, atol=1e-6)
    changed = backbone.logits(seen.activation * 2, seen.context)
    assert not torch.allclose(changed, expected, atol=1e-3)


class Silent(nn.Module):
    """Works in place without using what that returns: a graph that is cut by its nodes would lose
    it.
    """

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.fc = nn.Linear(4, 3)

    def forward(self, images: Tensor) -> Tensor:
        maps = self.conv(images)
        pooled = maps.mean((2, 3))
        pooled.relu_()
        return self.fc(pooled)  # type: ignore[no-any-return]  # a module's call is Any


def test_a_graph_that_does_not_answer_as_the_network_is_not_used() -> None:
    torch.manual_seed(0)
    model = Silent().eval().requires_grad_(False)
    found = record_forward(model, plain(SIDE))
    assert split_at(model, "conv", found).kind == "hooks"
    with pytest.raises(UsageError, match="its graph does not answer as the network does"):
        split_at(model, "conv", found, kind="graph")


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        ("featurs", "no layer 'featurs'"),
        ("fc", "gives no feature map: its output is 10 for each image"),
    ],
)
def test_layers_that_cannot_be_target_layers(layer: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        as_backbone(gap_network(), layer, kind="hooks")
    assert message in caught.value.message
    assert "features" in caught.value.hint


def test_without_a_layer_the_last_map_counts() -> None:
    assert as_backbone(vgg_like_network(), None, kind="hooks").facts.layer == "avgpool"


class Shared(nn.Module):
    """One activation for two convolutions: what it gives last is the last map."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.relu = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 5, 3), nn.ReLU()
        self.fc = nn.Linear(5, 2)

    def forward(self, images: Tensor) -> Tensor:
        maps = self.relu(self.second(self.relu(self.first(images))))
        return self.fc(maps.mean((2, 3)))  # type: ignore[no-any-return]  # a module's call is Any


def test_without_a_layer_a_module_counts_where_it_is_called_last() -> None:
    hooks, graph = (as_backbone(Shared(), None, kind=kind) for kind in ("hooks", "graph"))
    assert hooks.facts.layer == "relu"
    assert hooks.facts.channels == graph.facts.channels == 5
