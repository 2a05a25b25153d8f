"""RefineCAM beside a loop over layers and channels, by hand, and beside torchcam's."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from tests.agreement import small_bench
from tests.evaluator.methods.image_maps import apart, by_hand, image_method, layers_of, view_of
from tests.networks import NETWORKS, random_images
from tests.reference import Explained, bilinear, min_max, position_weight


def slow(
    seen: Explained, base: str = "gradcampp", layers: str = "4", mix: str = "product"
) -> Tensor:
    chosen = layers_of(seen)[-int(layers) :]
    product = torch.ones_like(seen.x[0])
    for activation, gradient in chosen:
        total = torch.zeros_like(activation[0])
        for k in range(len(activation)):
            positive = gradient[k].clamp(min=0)
            if base == "gradcampp":
                rest = activation[k].sum() * gradient[k] ** 3
                total += (position_weight(gradient[k] ** 2, rest) * positive).sum() * activation[k]
            elif base == "layercam":
                total += positive * activation[k]
            else:
                total += gradient[k].mean() * activation[k]
        product *= bilinear(min_max(total.clamp(min=0)), *seen.x.shape[1:])
    return product ** (1 / len(chosen)) if mix == "root" else product


@pytest.mark.parametrize(
    "spec",
    [
        "refinecam",
        "refinecam:base=layercam",
        "refinecam:base=gradcam,layers=2",
        "refinecam:mix=root",
    ],
)
@pytest.mark.parametrize("network", NETWORKS)
def test_agrees_with_the_slow_formula(network: str, spec: str) -> None:
    assert apart(network, spec) < 1e-5


def test_by_hand() -> None:
    """The linear network's one layer is the image; its mean gradient is 0.6875."""
    found = by_hand("refinecam:base=gradcam", torch.eye(4))
    assert (found - torch.eye(4)).abs().max() < 1e-6


def test_one_layer_is_the_base_method_itself() -> None:
    view = view_of(small_bench("vgg-like"), random_images(3, seed=1))
    one = image_method("refinecam:layers=1,base=layercam").combine(view)
    low = (view.gradient.relu() * view.activation).sum(1)
    expected = torch.stack([bilinear(min_max(each.relu()), 32, 32) for each in low.double()])
    assert (one - expected).abs().max() < 1e-5


@pytest.mark.parametrize(("base", "peer"), [("layercam", "LayerCAM"), ("gradcam", "GradCAM")])
def test_agrees_with_torchcam(base: str, peer: str) -> None:
    """But with Grad-CAM++, whose weights torchcam does not divide."""
    import torchcam.methods

    images = random_images(3, seed=1)
    view = view_of(small_bench("vgg-like"), images)
    model = NETWORKS["vgg-like"]().requires_grad_(True)
    names: list[nn.Module | str] = [model.get_submodule(f"features.{place}") for place in (1, 4, 5)]
    with torchcam.methods.RefineCAM(
        model, names, (3, 32, 32), base_method=getattr(torchcam.methods, peer)
    ) as extractor:
        scores = model(images)
        (theirs,) = extractor(view.targets.tolist(), scores, target_shape=(32, 32))
    found = image_method(f"refinecam:base={base}").combine(view)
    found = found / found.amax((1, 2), keepdim=True)
    assert (found - theirs).abs().max() < 1e-5
