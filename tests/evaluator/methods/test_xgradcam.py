"""XGrad-CAM beside the paper's formula, and where it is Grad-CAM."""

from __future__ import annotations

import torch

from evaluator.catalog import method
from tests.agreement import evaluated, small_bench
from tests.evaluator.methods.views import combined
from tests.networks import random_images


def test_its_own_formula_gives_grad_cam_on_a_gap_network() -> None:
    """The pipeline copies Grad-CAM's rows there; here the formula itself runs."""
    assert torch.allclose(
        combined("gap", "xgradcam"), combined("gap", "gradcam"), rtol=1e-5, atol=1e-6
    )
    assert torch.allclose(
        combined("gap", "cam") / 64, combined("gap", "gradcam"), rtol=1e-5, atol=1e-6
    )


def test_differs_from_grad_cam_elsewhere() -> None:
    images = random_images(2, seed=1)
    made = small_bench("vgg-like")
    assert evaluated(made, images, "xgradcam").maps != evaluated(made, images, "gradcam").maps


def test_identity_says_so() -> None:
    assert method("xgradcam").map_identity(True) == method("gradcam").map_identity(True)
    assert method("xgradcam").map_identity(False) != method("gradcam").map_identity(False)
