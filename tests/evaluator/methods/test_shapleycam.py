"""ShapleyCAM beside the paper's formula by full-model autograd, beside pytorch-grad-cam, and where
it is Grad-CAM.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import Tensor, nn

from evaluator.catalog import method
from evaluator.networks.attention import unfused
from tests.agreement import IMAGES
from tests.attention import transformer_bench
from tests.evaluator.methods.views import clean_view, combined
from tests.networks import NETWORKS, random_images
from tests.peers import gradcam_package, logit_targets

if TYPE_CHECKING:
    from tests.reference import Explained

STEP = 1e-4


def slow(seen: Explained) -> Tensor:
    """``H·A`` by central differences of full-model gradients: no second backward pass."""
    activation, gradient, _ = seen.passed(seen.x)
    ahead, behind = (gradient_at(seen, 1 + sign * STEP) for sign in (1, -1))
    curvature = (ahead - behind) / (2 * STEP)
    total = seen.zeros
    for k in range(len(activation)):
        total += (gradient[k] - curvature[k] / 2).mean() * activation[k]
    return total


def gradient_at(seen: Explained, scale: float) -> Tensor:
    """``∂s_c/∂A`` of the whole network where the target layer's activation is scaled on its way."""
    kept: list[Tensor] = []

    def scaled(_module: nn.Module, _inputs: Any, output: Tensor) -> Tensor:
        kept.append((output.clone() * scale).requires_grad_())
        return kept[0]

    handle = seen.layer.register_forward_hook(scaled)
    try:
        logits = seen.model(seen.x[None])[0]
    finally:
        handle.remove()
    return torch.autograd.grad(logits[seen.c], kept[0])[0][0]


def test_agrees_with_pytorch_grad_cam() -> None:
    images, targets = random_images(IMAGES, seed=1), clean_view("smooth").targets
    theirs = gradcam_package("ShapleyCAM", NETWORKS["smooth"](), images, logit_targets(targets))
    assert torch.allclose(combined("smooth", "shapleycam"), theirs.detach(), rtol=1e-4, atol=1e-5)


def test_is_grad_cam_where_the_head_has_no_curvature_and_only_there() -> None:
    for network in ("gap", "vgg-like"):
        assert torch.allclose(
            combined(network, "shapleycam"), combined(network, "gradcam"), rtol=1e-5, atol=1e-6
        )
    assert not torch.allclose(
        combined("smooth", "shapleycam"), combined("smooth", "gradcam"), rtol=0.1
    )
    assert method("shapleycam").map_identity(True) == method("gradcam").map_identity(True)
    assert method("shapleycam").map_identity(False) != method("gradcam").map_identity(False)


def test_the_product_is_that_with_the_whole_hessian() -> None:
    view = clean_view("smooth")
    vector = torch.randn(view.activation.shape, generator=torch.Generator().manual_seed(0))

    def logit(activation: Tensor) -> Tensor:
        return view._network.backbone.head(activation[None])[0, view.targets[1]]  # type: ignore[no-any-return]  # a module's call

    hessian = torch.autograd.functional.hessian(logit, view.activation[1])  # type: ignore[no-untyped-call]  # torch has no type
    expected = torch.einsum("abcdef,def->abc", hessian, vector[1])
    assert torch.allclose(view.hessian_product(vector)[1], expected, atol=1e-5)
    assert expected.abs().max() > 1e-2


@pytest.mark.parametrize("network", ["torchvision", "timm"])
def test_transformers_have_a_second_derivative(network: str) -> None:
    """Fused attention has none: the product is that of attention in single operations."""
    backbone = transformer_bench(network).network.backbone
    with torch.no_grad():
        seen = backbone.trunk_output(backbone.trunk(random_images(2, seed=1)))
    vector = torch.randn(seen.activation.shape, generator=torch.Generator().manual_seed(0))
    targets = torch.tensor([3, 5])
    found = backbone.hessian_product(seen.activation, targets, vector, seen.context)
    with unfused(backbone.head):
        expected = backbone.hessian_product(seen.activation, targets, vector, seen.context)
    assert torch.allclose(found, expected, rtol=1e-4, atol=1e-5 * float(expected.abs().max()))
    assert expected.abs().max() > 1e-3
