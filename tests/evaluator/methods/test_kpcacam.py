"""KPCA-CAM beside an eigendecomposition written out, beside scikit-learn's kernel PCA and
pytorch-grad-cam.
"""

from __future__ import annotations

from math import exp, tanh
from typing import TYPE_CHECKING

import pytest
import torch
from torch import Tensor

from evaluator.methods.kpcacam import _first_component
from tests.agreement import IMAGES
from tests.evaluator.methods.views import StillView, combined
from tests.networks import NETWORKS, random_images
from tests.peers import gradcam_package, up_to_scale

if TYPE_CHECKING:
    from tests.reference import Explained

KERNELS = ("sigmoid", "rbf")


def slow(seen: Explained, kernel: str = "sigmoid") -> Tensor:
    """The leading eigenvector of the centred kernel matrix, entry by entry, its largest entry
    positive.
    """
    activation, _, _ = seen.passed(seen.x)
    points = activation.flatten(1).T
    points = points - points.mean(0)
    count, channels = points.shape
    matrix = torch.zeros(count, count, dtype=torch.float64)
    for i in range(count):
        for j in range(i + 1):
            apart = float(((points[i] - points[j]) ** 2).sum())
            alike = (
                exp(-apart / channels)
                if kernel == "rbf"
                else tanh(float(points[i] @ points[j]) / channels + 1)
            )
            matrix[i, j] = matrix[j, i] = alike
    centring = torch.eye(count, dtype=torch.float64) - 1 / count
    found = torch.linalg.eigh(centring @ matrix @ centring).eigenvectors[:, -1]
    turned: Tensor = found * found[found.abs().argmax()].sign()
    return turned.view(activation.shape[1:]).to(activation)


@pytest.mark.parametrize("kernel", KERNELS)
def test_agrees_with_pytorch_grad_cam(kernel: str) -> None:
    theirs = gradcam_package(
        "KPCA_CAM", NETWORKS["vgg-like"](), random_images(IMAGES, seed=1), [], kernel=kernel
    )
    assert up_to_scale(combined("vgg-like", f"kpcacam:kernel={kernel}"), theirs) < 1e-4


def test_the_largest_eigenvalue_counts_though_a_negative_one_is_larger_in_magnitude() -> None:
    """``uuᵀ − 2vvᵀ`` on vectors whose entries add up to 0, so that centring leaves it as it is."""
    u, v = torch.tensor([2.0, -1, -1, 0]).double(), torch.tensor([0.0, 1, -1, 0]).double()
    kernel = torch.outer(u, u) / u.dot(u) - 2 * torch.outer(v, v) / v.dot(v)
    found = _first_component(kernel[None])[0]
    assert (found / found[0]).allclose(u / 2, atol=1e-6)
    assert found[0] > 0


def test_positions_that_are_alike_show_nothing_and_one_bad_image_is_alone() -> None:
    activation = torch.rand(3, 4, 7, 7, generator=torch.Generator().manual_seed(0))
    alone = StillView(activation[2:], activation[2:]).combine("kpcacam")
    activation[0] = torch.rand(4, 1, 1, generator=torch.Generator().manual_seed(1))
    activation[1, 0, 0, 0] = torch.nan
    found = StillView(activation, activation).combine("kpcacam")
    assert found[0].abs().max() == 0
    assert found[1].isnan().any()
    assert found[2:].equal(alone)
