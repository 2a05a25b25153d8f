"""Smooth Grad-CAM++ and its variants beside loops over noisy passes with the same noise."""

from __future__ import annotations

from itertools import combinations

import torch

from evaluator.catalog import method
from tests.evaluator.methods.views import clean_view, combined

VARIANTS = ("last-pass", "paper", "mean-gradient", "mean-maps")


def test_the_mean_gradient_is_grad_cam_pp_on_a_gap_network() -> None:
    smooth = combined("gap", "smoothgradcampp:variant=mean-gradient")
    assert torch.allclose(smooth, combined("gap", "gradcampp"), rtol=1e-5, atol=1e-6)
    identity = method("gradcampp").map_identity(True)
    assert method("smoothgradcampp:variant=mean-gradient").map_identity(True) == identity
    for other in ("smoothgradcampp", "smoothgradcampp:variant=paper"):
        assert method(other).map_identity(True) != identity


def test_the_printed_formula_on_a_gap_network_lacks_a_gradient() -> None:
    """With one gradient at every position and no noise in it, the printed weights are
    ``h·w / (2 + g ΣA)`` where g is positive: those of Grad-CAM++ over g.
    """
    view = clean_view("gap")
    activation, g = view.activation, view.gradient[:, :, 0, 0]
    weights = activation[0, 0].numel() / (2 + g * activation.sum((2, 3)))
    expected = torch.einsum("bk,bkhw->bhw", weights * (g > 0), activation)
    found = method("smoothgradcampp:variant=paper").combine(view)
    assert torch.allclose(found, expected, rtol=1e-4)
    plain = torch.einsum("bk,bkhw->bhw", weights * g.clamp(min=0), activation)
    assert torch.allclose(method("gradcampp").combine(view), plain, rtol=1e-4)


def test_noise_does_not_change_the_printed_formula_on_a_gap_network() -> None:
    one, other = (
        method(f"smoothgradcampp:variant=paper,{options}") for options in ("n=2", "sigma=0.1")
    )
    assert one.map_identity(True) == other.map_identity(True)
    assert one.map_identity(False) != other.map_identity(False)
    assert (one.noisy_passes(True), one.forwards(512, True)) == ([], 1)
    assert (len(one.noisy_passes(False)), one.forwards(512, False)) == (2, 5)


def test_variants_are_four_different_maps() -> None:
    maps = [combined("vgg-like", f"smoothgradcampp:variant={variant}") for variant in VARIANTS]
    assert all((a - b).abs().max() > 1e-3 for a, b in combinations(maps, 2))
