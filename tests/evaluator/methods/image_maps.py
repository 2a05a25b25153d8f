"""Image methods for tests of their formulas: on small networks, beside ``slow``, and by hand."""

from __future__ import annotations

from copy import deepcopy
from typing import cast

import torch
from torch import Tensor, nn

from evaluator.catalog import method
from evaluator.measuring.saliency import low_map
from evaluator.measuring.views import BatchView
from evaluator.methods.base import ImageMethod
from evaluator.networks.network import Network
from tests.agreement import IMAGES, keys_of, noise_of, small_bench
from tests.networks import NETWORKS, Bench, as_backbone, random_images
from tests.reference import Explained, combination, min_max

WEIGHTS = (1.0, -2.0, 3.0, 0.5, -1.0, 0.0, 2.0, -3.0, 1.5, 1.0, -0.5, 4.0, 2.0, -1.0, 1.0, 1.0)
"""``∂s_1/∂x`` of the linear network, row by row of 4 × 4 pixels; ``s_0`` is 0."""


def image_method(spec: str) -> ImageMethod:
    """The image method of a spec."""
    return cast("ImageMethod", method(spec))


def apart(network: str, spec: str, *, masked: bool = False) -> float:
    """Largest difference of the scaled maps before they are rounded, from those of ``slow``."""
    made, images = small_bench(network), random_images(IMAGES, seed=1)
    view = view_of(made, images)
    found = low_map(image_method(spec).combine(view).relu()).values
    assert found.amax((1, 2)).min() == 1
    slow = deepcopy(NETWORKS[network]()).double().requires_grad_(False)
    layer = slow.get_submodule(made.network.backbone.facts.layer)
    expected = []
    for image, key, target in zip(images, keys_of(IMAGES), view.targets.tolist(), strict=True):
        seen = Explained(slow, layer, image.double(), target, noise_of(made, key), masked=masked)
        expected.append(min_max(combination(spec, seen).clamp(min=0)))
    return float((found - torch.stack(expected)).abs().max())


def view_of(made: Bench, images: Tensor, first: int = 0) -> BatchView:
    """The clean pass over some images, ``first`` of those that have keys, predicted classes."""
    observed = made.network.observe(len(images), lambda start, stop: images[start:stop])
    keys = keys_of(first + len(images))[first:]
    return BatchView(made.network, lambda: images, observed, observed.logits.argmax(1), keys)


def gradient_at(seen: Explained, x: Tensor) -> Tensor:
    """``∂s_c/∂x``, ``[C, H, W]``, by autograd through the whole network."""
    leaf = x.detach().clone().requires_grad_()
    (found,) = torch.autograd.grad(seen.model(leaf[None])[0, seen.c], leaf)
    return found


def layers_of(seen: Explained) -> list[tuple[Tensor, Tensor]]:
    """``A`` and ``g`` ``[K, h, w]`` of the last module of every resolution up to the target layer,
    finest first: one pass each.
    """
    last: dict[int, nn.Module] = {}
    coarsest = len(seen.zeros)

    def note(module: nn.Module, _inputs: object, output: Tensor) -> None:
        if output.ndim == 4 and output.shape[2] >= coarsest:
            last[output.shape[2]] = module

    leaves = [module for module in seen.model.modules() if not list(module.children())]
    before = leaves[: leaves.index(list(seen.layer.modules())[-1]) + 1]
    handles = [module.register_forward_hook(note) for module in before]
    seen.logits(seen.x)
    for handle in handles:
        handle.remove()
    return [
        seen._replace(layer=last[size]).passed(seen.x)[:2] for size in sorted(last, reverse=True)
    ]


def baseline_of(seen: Explained, kind: str) -> Tensor:
    """``zero`` and ``black`` are one where nothing is normalised."""
    assert kind in ("zero", "black")
    return torch.zeros_like(seen.x)


def collapsed(values: Tensor, sign: str) -> Tensor:
    """``[C, H, W]`` as one map, channel by channel."""
    total = torch.zeros_like(values[0])
    for channel in values:
        total += channel.abs() if sign == "absolute" else channel
    return total


class LinearNetwork(nn.Module):
    """Two logits of 4 × 4 pixels: 0, and the sum of the pixels times ``WEIGHTS``."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Conv2d(1, 1, 1, bias=False)
        self.fc = nn.Linear(16, 2, bias=False)
        with torch.no_grad():
            self.features.weight.fill_(1)
            self.fc.weight.copy_(torch.tensor([[0.0] * 16, WEIGHTS]))

    def forward(self, images: Tensor) -> Tensor:
        return self.fc(torch.flatten(self.features(images), 1))  # type: ignore[no-any-return]  # nn.Module.__call__ is Any


def by_hand(spec: str, pixels: Tensor) -> Tensor:
    """What a method explains of class 1 on the linear network: ``explain``, ``[4, 4]``."""
    backbone = as_backbone(LinearNetwork(), "features", 4, channels=1)
    network = Network(backbone, device=torch.device("cpu"), precision="fp32", batch_size=3)
    images = pixels[None, None]
    observed = network.observe(1, lambda start, stop: images[start:stop])
    view = BatchView(network, lambda: images, observed, torch.tensor([1]), [b"key"])
    return image_method(spec).explain(view.image).reshape(4, 4)


def weights() -> Tensor:
    """``WEIGHTS`` as an image."""
    return torch.tensor(WEIGHTS).view(4, 4)


def ramp() -> Tensor:
    """Pixels 0 to 15."""
    return torch.arange(16.0).view(4, 4)
