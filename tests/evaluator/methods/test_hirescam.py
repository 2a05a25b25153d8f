"""HiResCAM beside the paper's formula, beside pytorch-grad-cam, and where it is Grad-CAM."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from evaluator.catalog import method
from tests.agreement import IMAGES
from tests.evaluator.methods.views import clean_view, combined
from tests.networks import NETWORKS, random_images
from tests.peers import gradcam_package, logit_targets

if TYPE_CHECKING:
    from tests.reference import Explained


def slow(seen: Explained) -> Tensor:
    activation, gradient, _ = seen.passed(seen.x)
    total = seen.zeros
    for k in range(len(activation)):
        for i in range(total.shape[0]):
            for j in range(total.shape[1]):
                total[i, j] += gradient[k, i, j] * activation[k, i, j]
    return total


def test_agrees_with_pytorch_grad_cam() -> None:
    images, targets = random_images(IMAGES, seed=1), clean_view("smooth").targets
    theirs = gradcam_package("HiResCAM", NETWORKS["smooth"](), images, logit_targets(targets))
    assert torch.allclose(combined("smooth", "hirescam"), theirs, rtol=1e-4, atol=1e-5)


def test_is_grad_cam_where_the_gradient_is_constant_and_only_there() -> None:
    assert torch.allclose(
        combined("gap", "hirescam"), combined("gap", "gradcam"), rtol=1e-5, atol=1e-6
    )
    assert not torch.allclose(
        combined("smooth", "hirescam"), combined("smooth", "gradcam"), rtol=0.1
    )
    assert method("hirescam").map_identity(True) == method("gradcam").map_identity(True)
    assert method("hirescam").map_identity(False) != method("gradcam").map_identity(False)
