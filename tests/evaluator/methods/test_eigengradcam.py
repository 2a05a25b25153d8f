"""Eigen-Grad-CAM beside a singular value decomposition, and beside pytorch-grad-cam where only
centring and sign differ.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from evaluator.methods.eigencam import high_power
from tests.agreement import IMAGES
from tests.evaluator.methods.views import StillView, clean_view
from tests.networks import NETWORKS, random_images
from tests.peers import gradcam_package, logit_targets, up_to_scale

if TYPE_CHECKING:
    from tests.reference import Explained


def slow(seen: Explained) -> Tensor:
    """``O v`` of ``g ⊙ A`` by a singular value decomposition, turned so that its sum is not
    negative.
    """
    activation, gradient, _ = seen.passed(seen.x)
    positions = (activation * gradient).flatten(1).T
    total: Tensor = positions @ torch.linalg.svd(positions).Vh[0]
    return (total if total.sum() >= 0 else -total).view(activation.shape[1:])


def test_by_hand() -> None:
    """One pattern in two channels of opposite gradient: rank one, singular value √2 · |pattern|,
    and the sign of its sum.
    """
    pattern = torch.tensor([[0.0, 1.0], [2.0, -1.0]])
    view = StillView(
        torch.stack([pattern, pattern])[None],
        torch.tensor([-1.0, 1.0]).view(1, 2, 1, 1).expand(1, 2, 2, 2),
    )
    assert view.combine("eigengradcam")[0].float().allclose(2**0.5 * pattern)


def test_agrees_with_pytorch_grad_cam_when_centred() -> None:
    """Its map is the first principal component of the centred product; which sign that has is left
    to its SVD.
    """
    view = clean_view("smooth")
    theirs = gradcam_package(
        "EigenGradCAM",
        NETWORKS["smooth"](),
        random_images(IMAGES, seed=1),
        logit_targets(view.targets),
    )
    product = (view.gradient * view.activation).flatten(2).double()
    centred = product - product.mean(2, keepdim=True)
    component = high_power(centred.mT @ centred) @ theirs.double().flatten(1)[:, :, None]
    assert up_to_scale(component.view_as(theirs), theirs) < 1e-4
