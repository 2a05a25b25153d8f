"""FullGrad beside a loop over layers and channels, by hand, complete, and beside a peer's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from evaluator.methods.base import BiasGradient
from tests.agreement import IMAGES, small_bench
from tests.attention import transformer_bench
from tests.evaluator.methods.image_maps import apart, by_hand, image_method, ramp, view_of, weights
from tests.networks import NETWORKS, random_images
from tests.reference import Explained, bilinear, min_max


def slow(seen: Explained, scale: str = "layer") -> Tensor:
    """With the bias of a batch normalisation's convolution moved into it, as when it is folded."""
    kept: list[tuple[nn.Module, Tensor]] = []

    def keep(module: nn.Module, _inputs: Any, output: Tensor) -> Tensor:
        kept.append((module, output))
        return output.clone()  # what follows may overwrite it

    layers = [one for one in seen.model.modules() if isinstance(one, nn.Conv2d | nn.BatchNorm2d)]
    handles = [layer.register_forward_hook(keep) for layer in layers]
    leaf = seen.x.detach().clone().requires_grad_()
    logit = seen.model(leaf[None])[0, seen.c]
    for handle in handles:
        handle.remove()
    found = torch.autograd.grad(logit, [leaf, *(output for _, output in kept)])
    total = _sum(list((seen.x * found[0]).detach()), scale, seen.x.shape[1:])
    carried: Tensor | None = None
    for place, (module, _) in enumerate(kept):
        normalised = isinstance(kept[place + 1][0], nn.BatchNorm2d) if kept[place + 1 :] else False
        if isinstance(module, nn.BatchNorm2d):
            assert carried is not None
            assert module.running_mean is not None
            assert module.running_var is not None
            deviation = torch.sqrt(module.running_var + module.eps)
            bias = module.bias + module.weight * (carried - module.running_mean) / deviation
        else:
            assert isinstance(module, nn.Conv2d)
            assert module.bias is not None
            bias = carried = module.bias
        if not normalised:
            gradient = found[place + 1][0]
            shares = [(bias[k] * gradient[k]).detach() for k in range(len(bias))]
            total += _sum(shares, scale, seen.x.shape[1:])
    return total


def _sum(shares: Sequence[Tensor], scale: str, size: Sequence[int]) -> Tensor:
    sizes = [one.abs() for one in shares]
    if scale == "layer":
        low, high = min(float(one.min()) for one in sizes), max(float(one.max()) for one in sizes)
        sizes = [(one - low) / (high - low) for one in sizes]
    elif scale == "channel":
        sizes = [min_max(one) for one in sizes]
    return torch.stack([bilinear(one, *size) for one in sizes]).sum(0)


@pytest.mark.parametrize("spec", ["fullgrad", "fullgrad:scale=channel", "fullgrad:scale=none"])
@pytest.mark.parametrize("network", NETWORKS)
def test_agrees_with_the_slow_formula(network: str, spec: str) -> None:
    assert apart(network, spec) < 1e-5


def test_by_hand() -> None:
    """No bias: the input's share alone, weight times pixel, by its size."""
    found = by_hand("fullgrad:scale=none", ramp())
    assert (found - (ramp() * weights()).abs()).abs().max() < 1e-4
    scaled = by_hand("fullgrad", ramp())
    assert (scaled - found / found.max()).abs().max() < 1e-6


@pytest.mark.parametrize("network", ["gap", "vgg-like"])
def test_input_and_biases_add_up_to_the_logit(network: str) -> None:
    view = view_of(small_bench(network), random_images(IMAGES, seed=1))

    def shares(of_input: Tensor, layers: Sequence[BiasGradient]) -> Tensor:
        total = of_input.sum((1, 2, 3))
        for gradient, bias in layers:
            assert gradient.ndim in (2, 4)
            along = bias[:, None, None] if gradient.ndim == 4 else bias
            total = total + (gradient * along).flatten(1).sum(1)
        return total

    logits = view.logits.gather(1, view.targets[:, None])[:, 0]
    assert (view.image.biases(shares) - logits).abs().max() < 1e-4


def test_agrees_with_pytorch_grad_cam_where_no_batch_normalisation_is_folded() -> None:
    """It scales every channel by itself and adds 1e-7 to what it divides by. Of a convolution with
    a bias and a batch normalisation behind, as in the GAP network, it counts the two one by one.
    """
    from pytorch_grad_cam import FullGrad
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

    images = random_images(IMAGES, seed=1)
    for network, near in (("vgg-like", True), ("gap", False)):
        view = view_of(small_bench(network), images)
        targets = [ClassifierOutputTarget(target) for target in view.targets.tolist()]
        with FullGrad(NETWORKS[network](), []) as explainer:
            theirs = torch.from_numpy(explainer(images, targets))
        found = image_method("fullgrad:scale=channel").combine(view)
        found = found - found.amin((1, 2), keepdim=True)
        found = found / found.amax((1, 2), keepdim=True)
        assert bool((found - theirs).abs().max() < 1e-3) is near


def test_on_a_transformer_the_maps_of_biases_are_the_patches() -> None:
    made = transformer_bench("torchvision")
    view = view_of(made, random_images(2, seed=1, side=made.network.side))
    shapes: list[tuple[int, ...]] = []

    def note(of_input: Tensor, layers: Sequence[BiasGradient]) -> Tensor:
        shapes.extend(
            tuple(layer.gradient.shape[1:]) for layer in layers if layer.gradient.ndim == 4
        )
        return of_input

    view.image.biases(note)
    assert shapes == [(16, 4, 4)]
    assert image_method("fullgrad").combine(view).shape == (2, 32, 32)
