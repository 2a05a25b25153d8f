"""Torchvision's transformers, and a cut inside a residual block, against whole networks and against
pytorch-grad-cam.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from evaluator.backbone_spec import BackboneSpec
from evaluator.backbones import families
from evaluator.catalog import method
from evaluator.measuring.maps import low_map, min_max, upsample
from evaluator.measuring.views import BatchView
from evaluator.networks.backbone_loading import Backbone, load_backbone
from evaluator.networks.network import Network
from tests.networks import random_images
from tests.peers import logit_targets, up_to_scale

pytestmark = pytest.mark.slow

LAYERS = {
    "vit_b_16": "encoder.layers.encoder_layer_11.ln_1",
    "swin_t": "features.7.1.norm1",
    "resnet18": "layer3.0.bn2",
}
SEED = "random:0"


class Case(NamedTuple):
    """A network whole and cut, and images of its side."""

    model: nn.Module
    backbone: Backbone
    images: Tensor
    view: BatchView


@pytest.fixture(scope="module", params=LAYERS)
def case(request: pytest.FixtureRequest) -> Case:
    spec = BackboneSpec(request.param, SEED, layer=LAYERS[request.param])
    backbone = load_backbone(spec)
    model = families()["torchvision"].build(spec).model.eval().requires_grad_(False)
    images = random_images(2, seed=4, side=224)
    network = Network(backbone, device=torch.device("cpu"), precision="fp32", batch_size=1)
    seen = network.observe(2, lambda start, stop: images[start:stop])
    return Case(
        model,
        backbone,
        images,
        BatchView(network, lambda: images, seen, torch.tensor([3, 800]), [b"a", b"b"]),
    )


class Whole(NamedTuple):
    """Output of a layer, and the gradient of the targets' logits with respect to it, of the whole
    network.
    """

    activation: Tensor
    gradient: Tensor
    logits: Tensor


def whole(case: Case, layer: str) -> Whole:
    kept: list[Tensor] = []

    def keep(_module: nn.Module, _inputs: Any, output: Tensor) -> Tensor:
        kept.append(output.detach().clone().requires_grad_())
        return kept[-1].clone()

    handle = case.model.get_submodule(layer).register_forward_hook(keep)
    logits = case.model(case.images)
    handle.remove()
    (gradient,) = torch.autograd.grad(logits.gather(1, case.view.targets[:, None]).sum(), kept[-1])
    return Whole(kept[-1].detach(), gradient, logits.detach())


def test_activation_gradient_and_logits_are_the_whole_network_s(case: Case) -> None:
    facts = case.backbone.facts
    expected = whole(case, facts.layer)
    to_map = case.backbone.layout.to_map
    assert facts.cut == "graph"
    assert not facts.gap_linear
    assert case.view.logits.std() > 1e-3, "seeded logits must differ"
    assert torch.allclose(case.view.logits, expected.logits, atol=1e-5)
    assert torch.allclose(case.view.activation, to_map(expected.activation)[0], atol=1e-5)
    scale = expected.gradient.abs().max()
    assert scale > 0
    assert torch.allclose(
        case.view.gradient / scale, to_map(expected.gradient)[0] / scale, atol=1e-5
    )
    assert len(case.view.context(torch.tensor([0]))) == (2 if facts.tokens is not None else 1), (
        "one side, and prefix tokens"
    )


def test_switching_a_channel_off_is_what_a_hook_does(case: Case) -> None:
    facts = case.backbone.facts

    def without(_module: nn.Module, _inputs: Any, output: Tensor) -> Tensor:
        values, rest = case.backbone.layout.to_map(output.clone())
        changed = values.clone()
        changed[:, 5] = 0
        return case.backbone.layout.to_raw(changed, rest)

    handle = case.model.get_submodule(facts.layer).register_forward_hook(without)
    expected = case.model(case.images)
    handle.remove()
    ablated = case.view.activation.clone()
    ablated[:, 5] = 0
    found = case.view.head(ablated, torch.tensor([0, 1]))
    assert not torch.allclose(found, case.view.logits, atol=1e-6)
    assert torch.allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize(("name", "kind"), [("gradcam", "GradCAM"), ("hirescam", "HiResCAM")])
def test_maps_are_those_of_pytorch_grad_cam(case: Case, name: str, kind: str) -> None:
    """At the layer's resolution to 1e-5; its resizing (OpenCV, then scaled again) leaves 0.02 and a
    correlation of 0.99999.
    """
    if case.backbone.facts.key == "resnet18":
        pytest.skip("it keeps no copy of what the residual sum then overwrites")
    theirs = peer(case, kind)
    combined = method(name).combine(case.view)
    assert up_to_scale(combined, theirs.low) < 1e-5
    ours = min_max(upsample(low_map(combined).values, 224, 224))
    for mine, other in zip(ours.numpy(), theirs.resized, strict=True):
        assert np.abs(mine - other).max() < 0.021
        assert np.corrcoef(mine.ravel(), other.ravel())[0, 1] >= 0.99999


class Peer(NamedTuple):
    """Its maps before and after it resizes them."""

    low: Tensor
    resized: Any


def peer(case: Case, kind: str) -> Peer:
    import pytorch_grad_cam

    def to_map(raw: Tensor) -> Tensor:
        return case.backbone.layout.to_map(raw)[0]

    layer = case.model.get_submodule(case.backbone.facts.layer)
    explainer = getattr(pytorch_grad_cam, kind)(case.model, [layer], reshape_transform=to_map)
    kept: list[Tensor] = []
    original = explainer.get_cam_image

    def keep(*arguments: Any) -> Any:
        kept.append(torch.as_tensor(original(*arguments)))
        return kept[0].numpy()

    explainer.get_cam_image = keep
    with explainer:
        resized = explainer(case.images.clone().requires_grad_(), logit_targets(case.view.targets))
    return Peer(kept[0], resized)


@pytest.mark.parametrize("key", ["maxvit_t", "convnext_tiny", "swin_v2_t", "vit_b_32"])
def test_other_transformers_are_cut_by_their_graph(key: str) -> None:
    facts = load_backbone(BackboneSpec(key, SEED)).facts
    assert facts.cut == "graph"
    assert (facts.height, facts.width) == (7, 7)
    assert ("filled" in facts.weights) == (key == "vit_b_32")
