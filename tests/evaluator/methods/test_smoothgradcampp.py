"""Smooth Grad-CAM++ and its variants beside loops over noisy passes with the same noise."""

from __future__ import annotations

import pytest
import torch

from evaluator.catalog import method
from tests.agreement import compared
from tests.evaluator.methods.views import combined

VARIANTS = ("last-pass", "paper", "mean-maps")


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("options", ["n=4,sigma=0.3", "n=2,sigma=0.1"])
def test_agrees_with_the_slow_formula_on_a_gap_network(variant: str, options: str) -> None:
    found = compared("gap", f"smoothgradcampp:variant={variant},{options}")
    assert found.varied
    assert found.largest < 1e-5


@pytest.mark.parametrize("variant", VARIANTS)
def test_agrees_with_the_slow_formula_on_a_vgg_like_network(variant: str) -> None:
    """The denominator of a nearly cancels at some positions (it loses two digits there), hence
    5e-5.
    """
    found = compared("vgg-like", f"smoothgradcampp:variant={variant}")
    assert found.varied
    assert found.largest < 5e-5


def test_the_paper_variant_is_grad_cam_pp_on_a_gap_network() -> None:
    smooth, plain = combined("gap", "smoothgradcampp:variant=paper"), combined("gap", "gradcampp")
    assert torch.allclose(smooth, plain, rtol=1e-5, atol=1e-6)
    assert method("smoothgradcampp:variant=paper").map_identity(True) == method(
        "gradcampp"
    ).map_identity(True)
    assert method("smoothgradcampp").map_identity(True) != method("gradcampp").map_identity(True)


def test_variants_are_three_different_maps() -> None:
    maps = [combined("vgg-like", f"smoothgradcampp:variant={variant}") for variant in VARIANTS]
    assert all(
        (a - b).abs().max() > 1e-3
        for a, b in ((maps[0], maps[1]), (maps[1], maps[2]), (maps[0], maps[2]))
    )
