"""Finer-CAM beside the paper's formula by full-model autograd, beside torchcam, and beside what
pytorch-grad-cam makes of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import Tensor, nn

from evaluator.catalog import method
from tests.agreement import IMAGES
from tests.evaluator.methods.views import clean_view, combined
from tests.networks import CLASSES, LAYER, NETWORKS, random_images
from tests.peers import gradcam_package

if TYPE_CHECKING:
    from tests.reference import Explained


def slow(seen: Explained, gamma: float = 0.6, n: int = 3) -> Tensor:
    """The gradient of every class by a pass of its own; the classes nearest to the target by their
    logits.
    """
    activation, target_gradient, logits = seen.passed(seen.x)
    others = [d for d in range(len(logits)) if d != seen.c]
    nearest = sorted(others, key=lambda d: abs(float(logits[d] - logits[seen.c])))[:n]
    gradient = target_gradient.clone()
    for d in nearest:
        gradient -= gamma / len(nearest) * seen._replace(c=d).passed(seen.x)[1]
    total = seen.zeros
    for k in range(len(activation)):
        total += gradient[k].mean() * activation[k]
    return total


def torchcam_maps(network: str, gamma: float) -> Tensor:
    """``relu(L)`` of torchcam, one image at a time."""
    from torchcam.methods import FinerCAM

    model, maps = NETWORKS[network](), []
    for image in random_images(IMAGES, seed=1):
        with FinerCAM(model, LAYER, input_shape=tuple(image.shape), gamma=gamma) as extractor:
            scores = model(image[None])
            maps += extractor(int(scores.argmax()), scores, normalized=False)
    return torch.cat(maps).detach()


@pytest.mark.parametrize("gamma", [0.6, 1.0])
@pytest.mark.parametrize("network", ["gap", "vgg-like", "smooth"])
def test_agrees_with_torchcam(network: str, gamma: float) -> None:
    theirs = torchcam_maps(network, gamma)
    assert torch.allclose(
        combined(network, f"finercam:gamma={gamma}").relu(), theirs, rtol=1e-4, atol=1e-5
    )
    assert theirs.amax((1, 2)).min() > 0


def test_agrees_with_pytorch_grad_cam_where_its_target_is_the_paper_s() -> None:
    """Its own target weighs the classes by their probabilities and differentiates them too: another
    map.
    """
    view = clean_view("smooth")
    images, model = random_images(IMAGES, seed=1), NETWORKS["smooth"]()
    apart = (view.logits - view.logits.gather(1, view.targets[:, None])).abs()
    nearest = apart.argsort(1)[:, 1:4]

    def contrast(place: int) -> Any:
        return lambda logits: logits[view.targets[place]] - logits[nearest[place]].mean()

    ours = combined("smooth", "finercam:gamma=1")
    theirs = gradcam_package(
        "FinerCAM", model, images, [contrast(place) for place in range(IMAGES)]
    )
    assert torch.allclose(ours, theirs, rtol=1e-4, atol=1e-5)
    own = gradcam_package(
        "FinerCAM", model, images, [_own_target(view.targets[p], nearest[p]) for p in range(IMAGES)]
    )
    assert (ours - own).abs().max() > 0.01 * ours.abs().max()


def _own_target(c: Tensor, nearest: Tensor) -> Any:
    from pytorch_grad_cam.utils.model_targets import FinerWeightedTarget

    return FinerWeightedTarget(int(c), nearest.tolist(), 1.0)


def test_without_comparison_it_is_grad_cam() -> None:
    assert torch.allclose(
        combined("gap", "finercam:gamma=1e-9"), combined("gap", "gradcam"), rtol=1e-5, atol=1e-6
    )
    assert not torch.allclose(combined("gap", "finercam"), combined("gap", "gradcam"), rtol=0.1)
    assert method("finercam").map_identity(True) == "finercam"


def test_more_classes_than_there_are_is_all_of_them() -> None:
    all_of_them = combined("gap", f"finercam:n={CLASSES - 1}")
    assert torch.equal(combined("gap", "finercam:n=50"), all_of_them)


def test_a_single_class_has_nothing_to_be_compared_with() -> None:
    view = clean_view("gap")
    linear = view._network.backbone.linear
    assert isinstance(linear, nn.Linear)
    view.logits = view.logits[:, :1]
    view.targets = torch.zeros_like(view.targets)
    contrast = method("finercam")._contrast(view)  # type: ignore[attr-defined]  # a detail of Finer-CAM's own
    assert contrast.tolist() == [[1.0]] * IMAGES
