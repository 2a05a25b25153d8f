"""LRP beside zennit on the network itself, by hand, what is conserved, and where it is refused."""

from __future__ import annotations

from copy import deepcopy

import pytest
import torch
from torch import nn
from torchvision.models import resnet18, vgg11

from evaluator.catalog import expand_methods, method
from evaluator.measuring.pipeline import Batch
from evaluator.methods.base import COMPOSITES
from evaluator.networks.relevance import relevance, what_no_rule_knows
from tests.agreement import keys_of, small_bench
from tests.evaluator.methods.image_maps import by_hand, image_method, ramp, view_of, weights
from tests.networks import NETWORKS, plain, random_images

CLASSES = {
    "gamma-box": "EpsilonGammaBox",
    "plus-flat": "EpsilonPlusFlat",
    "alpha2-beta1-flat": "EpsilonAlpha2Beta1Flat",
}


@pytest.mark.parametrize("composite", COMPOSITES)
@pytest.mark.parametrize("network", ["gap", "vgg-like"])
def test_agrees_with_zennit(network: str, composite: str) -> None:
    """Batch normalisations merged by its canonizer, its own attributor."""
    from zennit import composites
    from zennit.attribution import Gradient
    from zennit.canonizers import SequentialMergeBatchNorm

    images = random_images(3, seed=1)
    view = view_of(small_bench(network), images)
    box = {"low": torch.zeros(3, 3, 32, 32), "high": torch.ones(3, 3, 32, 32)}
    rules = getattr(composites, CLASSES[composite])(
        **(box if composite == "gamma-box" else {}), canonizers=[SequentialMergeBatchNorm()]
    )
    with Gradient(NETWORKS[network](), rules) as attributor:
        _, theirs = attributor(images, torch.eye(10)[view.targets])
    found = image_method(f"lrp:composite={composite}").explain(view.image)
    assert theirs.abs().max() > 0
    assert (found - theirs).abs().max() < 1e-5 * theirs.abs().max()


def test_by_hand() -> None:
    """z⁺ of a linear layer on positive pixels, flat below: the same for every pixel."""
    found = by_hand("lrp:composite=plus-flat", ramp())
    positive = ramp() * weights()
    assert float(found.std()) > 0
    assert torch.allclose(found.sum(), torch.tensor(1.0), atol=1e-3)
    assert torch.allclose(found, positive / positive.sum(), atol=1e-4)


def test_relevance_is_conserved_on_a_resnet() -> None:
    """Of 1 at the output neuron most reaches the pixels: biases and ε keep the rest."""
    model = _filled(resnet18(num_classes=10))
    assert what_no_rule_knows(model) == ""
    before = {name: one.clone() for name, one in model.state_dict().items()}
    images = random_images(2, seed=1, side=64)
    targets = model(images).argmax(1)
    found = relevance(model, images, targets, "plus-flat", plain(64))
    assert found.sum((1, 2, 3)).sub(1).abs().max() < 0.5
    assert all(torch.equal(one, before[name]) for name, one in model.state_dict().items())


def _filled(model: nn.Module) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        for module in model.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                nn.init.kaiming_normal_(module.weight)
    return model.eval().requires_grad_(False)


def test_networks_that_it_knows_and_does_not() -> None:
    from torchvision.models import efficientnet_b0, vit_b_16

    with torch.device("meta"):
        known = vgg11(num_classes=3).eval()
        assert what_no_rule_knows(known) == ""
        odd = what_no_rule_knows(efficientnet_b0(num_classes=3).eval())
        assert odd.endswith("is no module") or " is a " in odd
        transformer = what_no_rule_knows(vit_b_16(num_classes=3).eval())
        assert transformer == "encoder.layers.encoder_layer_0.ln_1 is a LayerNorm"
    smooth = what_no_rule_knows(NETWORKS["smooth"]())
    assert smooth == "norm is a LayerNorm"
    alone = nn.Sequential(nn.BatchNorm2d(3), deepcopy(NETWORKS["gap"]())).eval()
    assert what_no_rule_knows(alone) == "0 normalises what no convolution gives"


def test_elsewhere_every_image_fails_with_the_reason() -> None:
    made, asked = small_bench("smooth"), [method("lrp"), method("saliency")]
    found = made.pipeline.outcomes(Batch(random_images(2, seed=1), keys_of(2)), asked)
    fault = found["lrp"]
    assert not isinstance(fault, tuple)
    assert fault.reason == "no-relevance"
    assert fault.detail == "zennit has no rule for this network: norm is a LayerNorm"
    assert not fault.by_image
    assert isinstance(found["saliency"], tuple)


def test_no_group_names_what_needs_an_extra() -> None:
    assert "lrp" not in expand_methods(["image", "all"])
