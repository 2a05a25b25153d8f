"""The papers, slowly: every method and metric for one image at a time, by full-model autograd and
loops over channels.

Shares no formula with ``evaluator``. Works in whatever dtype model and image have; tests give it
float64. Symbols are those of ``spec/evaluation.md``: ``A`` ``[K, h, w]``, ``g = ∂s_c/∂A``, ``U``
the saliency map ``[H, W]``.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from itertools import pairwise
from math import exp, floor
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from scipy.ndimage import gaussian_filter
from torch import Tensor, nn


class Noise(Protocol):
    """The random numbers of one image; ``masked``: those of its explanation map."""

    def __call__(self, name: str, step: int, channels: int, masked: bool) -> Tensor:
        """Standard normal ``[channels, H, W]``."""

    def uniform(self, name: str, count: int, masked: bool) -> Tensor:
        """``[count]`` in [-1, 1)."""


class Explained(NamedTuple):
    """What a method explains: class ``c`` of image ``x`` ``[3, H, W]``, by a network and its target
    layer.
    """

    model: nn.Module
    layer: nn.Module
    x: Tensor
    c: int
    noise: Noise
    masked: bool

    @property
    def zeros(self) -> Tensor:
        activation, _, _ = self.passed(self.x)
        return torch.zeros_like(activation[0])

    def passed(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """``A``, ``g`` and logits of one image, autograd through the whole network."""
        kept: list[Tensor] = []

        def keep(_module: nn.Module, _inputs: Any, output: Tensor) -> Tensor:
            kept.append(output.clone())  # what follows may overwrite its input
            return kept[0]

        handle = self.layer.register_forward_hook(keep)
        try:
            logits = self.model(x.detach().clone()[None].requires_grad_())[0]
        finally:
            handle.remove()
        (gradient,) = torch.autograd.grad(logits[self.c], kept[0])
        return kept[0][0].detach(), gradient[0], logits.detach()

    def logits(self, x: Tensor) -> Tensor:
        with torch.no_grad():
            return self.model(x[None])[0]  # type: ignore[no-any-return]  # nn.Module.__call__ is Any

    def probability(self, x: Tensor) -> Tensor:
        return self.logits(x).softmax(0)[self.c]

    def logits_where(self, change: Callable[[Tensor], Tensor]) -> Tensor:
        """Logits of the whole network where the activation ``[K, h, w]`` of the target layer is
        changed on its way.
        """

        def changed(_module: nn.Module, _inputs: Any, output: Tensor) -> Tensor:
            return change(output[0].clone())[None]

        handle = self.layer.register_forward_hook(changed)
        try:
            return self.logits(self.x)
        finally:
            handle.remove()

    def logit_without(self, channel: int) -> Tensor:
        """``s_c`` of the whole network with one channel of the target layer set to zero."""

        def ablate(activation: Tensor) -> Tensor:
            activation[channel] = 0
            return activation

        return self.logits_where(ablate)[self.c]


# -- methods: each returns L before ReLU, [h, w]
# ---------------------------------------------------------------------------------


def cam(seen: Explained) -> Tensor:
    activation, _, _ = seen.passed(seen.x)
    weight = [module for module in seen.model.modules() if isinstance(module, nn.Linear)][
        -1
    ].weight.detach()
    total = seen.zeros
    for k in range(len(activation)):
        total += weight[seen.c, k] * activation[k]
    return total


def gradcam(seen: Explained) -> Tensor:
    activation, gradient, _ = seen.passed(seen.x)
    total = seen.zeros
    for k in range(len(activation)):
        total += gradient[k].mean() * activation[k]
    return total


def xgradcam(seen: Explained) -> Tensor:
    activation, gradient, _ = seen.passed(seen.x)
    total = seen.zeros
    for k in range(len(activation)):
        if activation[k].sum() != 0:
            total += (gradient[k] * activation[k]).sum() / activation[k].sum() * activation[k]
    return total


def gradcampp(seen: Explained) -> Tensor:
    activation, gradient, _ = seen.passed(seen.x)
    total = seen.zeros
    for k in range(len(activation)):
        weight = position_weight(gradient[k] ** 2, activation[k].sum() * gradient[k] ** 3)
        total += (weight * gradient[k].clamp(min=0)).sum() * activation[k]
    return total


def position_weight(second: Tensor, rest: Tensor) -> Tensor:
    """``G2 / (2 G2 + rest)`` at every position of one channel, 0 where the denominator is 0."""
    return position_ratio(second, second, rest)


def position_ratio(numerator: Tensor, second: Tensor, rest: Tensor) -> Tensor:
    weight = torch.zeros_like(second)
    for i in range(second.shape[0]):
        for j in range(second.shape[1]):
            denominator = 2 * second[i, j] + rest[i, j]
            if denominator != 0:
                weight[i, j] = numerator[i, j] / denominator
    return weight


def smoothgradcampp(
    seen: Explained, variant: str = "last-pass", n: int = 4, sigma: float = 0.3
) -> Tensor:
    clean, _, _ = seen.passed(seen.x)
    passes = [
        seen.passed(seen.x + sigma * seen.noise("smoothgradcampp", m, 3, seen.masked).to(seen.x))[
            :2
        ]
        for m in range(n)
    ]
    if variant == "paper":
        return _smooth_as_printed(clean, [gradient for _, gradient in passes])
    if variant == "last-pass":
        shown = [passes[-1]]
    elif variant == "mean-gradient":
        shown = [(clean, torch.stack([gradient for _, gradient in passes]).mean(0))]
    else:
        shown = passes
    total = seen.zeros
    for activation, gradient in shown:
        for k in range(len(clean)):
            second = torch.stack([g[k] ** 2 for _, g in passes]).mean(0)
            third = torch.stack([g[k] ** 3 for _, g in passes]).mean(0)
            # the specification sums the product, Σ_ij (A G3), as torchcam does; Grad-CAM++ has
            # (Σ_ab A_ab) g³
            weight = position_weight(second, (clean[k] * third).sum().expand_as(second))
            total += (weight * gradient[k].clamp(min=0)).sum() * activation[k] / len(shown)
    return total


def _smooth_as_printed(activation: Tensor, gradients: list[Tensor]) -> Tensor:
    """Omeiza et al. 2019: averages of the first three derivatives, the first one in the numerator,
    and ``Σ_ab A_ab`` times the third.
    """
    total = torch.zeros_like(activation[0])
    for k in range(len(activation)):
        first, second, third = (
            sum((g[k] ** power for g in gradients), torch.zeros_like(activation[0]))
            / len(gradients)
            for power in (1, 2, 3)
        )
        weight = position_ratio(first, second, activation[k].sum() * third)
        total += (weight * first.clamp(min=0)).sum() * activation[k]
    return total


def scorecam(seen: Explained, variant: str = "released") -> Tensor:
    activation, _, _ = seen.passed(seen.x)
    live = [k for k in range(len(activation)) if activation[k].max() != activation[k].min()]
    inputs = {k: seen.x * bilinear(min_max(activation[k]), *seen.x.shape[1:]) for k in live}
    total = seen.zeros
    exponentials = {k: exp(float(seen.logits(inputs[k])[seen.c])) for k in live}
    for k in live:
        if variant == "released":
            total += seen.probability(inputs[k]) * min_max(activation[k])
        elif variant == "raw":
            total += seen.probability(inputs[k]) * activation[k]
        elif variant == "softmax-logit":
            total += exponentials[k] / sum(exponentials.values()) * activation[k]
        elif variant == "cic":
            total += (
                seen.probability(inputs[k]) - seen.probability(torch.zeros_like(seen.x))
            ) * activation[k]
    return total


def ablationcam(seen: Explained) -> Tensor:
    activation, _, logits = seen.passed(seen.x)
    total = seen.zeros
    for k in range(len(activation)):
        total += (logits[seen.c] - seen.logit_without(k)) / logits[seen.c] * activation[k]
    return total


def sscam(seen: Explained, n: int = 35, sigma: float = 2.0) -> Tensor:
    activation, _, _ = seen.passed(seen.x)
    total = seen.zeros
    for k in range(len(activation)):
        mask = bilinear(min_max(activation[k]), *seen.x.shape[1:])
        noisy = [
            mask + sigma * seen.noise("sscam", i, 1, seen.masked)[0].to(mask) for i in range(n)
        ]
        total += (
            sum(float(seen.probability(seen.x * m)) for m in noisy) / n * min_max(activation[k])
        )
    return total


def iscam(seen: Explained, n: int = 10) -> Tensor:
    activation, _, _ = seen.passed(seen.x)
    total = seen.zeros
    for k in range(len(activation)):
        mask = bilinear(min_max(activation[k]), *seen.x.shape[1:])
        total += (
            sum(float(seen.probability(seen.x * mask * i / n)) for i in range(1, n + 1))
            / n
            * min_max(activation[k])
        )
    return total


def layercam(seen: Explained) -> Tensor:
    activation, gradient, _ = seen.passed(seen.x)
    total = seen.zeros
    for k in range(len(activation)):
        total += gradient[k].clamp(min=0) * activation[k]
    return total


METHODS: dict[str, Callable[..., Tensor]] = {
    method.__name__: method
    for method in (
        cam,
        gradcam,
        xgradcam,
        gradcampp,
        smoothgradcampp,
        scorecam,
        ablationcam,
        sscam,
        iscam,
        layercam,
    )
}


def slow_form(key: str) -> Callable[..., Tensor]:
    """The slow form of a method: the function of its name above, or ``slow`` in the method's own
    test file.
    """
    slow: Callable[..., Tensor] = (
        METHODS.get(key) or import_module(f"tests.evaluator.methods.test_{key}").slow
    )
    return slow


def combination(spec: str, seen: Explained) -> Tensor:
    """``L`` of the method that ``key:option=value,…`` names."""
    key, _, tail = spec.partition(":")
    options: dict[str, Any] = {}
    for part in filter(None, tail.split(",")):
        name, _, value = part.partition("=")
        numbers = {"n": int, "sigma": float, "gamma": float, "k": float}
        options[name] = numbers.get(name, str)(value)
    return slow_form(key)(seen, **options)


# -- from L to U
# --------------------------------------------------------------------------------------------------


def min_max(values: Tensor) -> Tensor:
    low, high = values.min(), values.max()
    return torch.zeros_like(values) if high == low else (values - low) / (high - low)


def bilinear(low: Tensor, height: int, width: int) -> Tensor:
    """Bilinear upsampling of ``[h, w]``, half-pixel centres (``align_corners=False``), written as
    two small matrices.
    """
    return _stretch(low.shape[0], height).to(low) @ low @ _stretch(low.shape[1], width).to(low).T


def _stretch(small: int, large: int) -> Tensor:
    matrix = torch.zeros(large, small, dtype=torch.float64)
    for place in range(large):
        source = max((place + 0.5) * small / large - 0.5, 0.0)
        before = floor(source)
        after = min(before + 1, small - 1)
        matrix[place, before] += 1 - (source - before)
        matrix[place, after] += source - before
    return matrix


def fake_map(height: int, width: int) -> Tensor:
    saliency = torch.ones(height, width, dtype=torch.float64)
    saliency[0, 0] = 0
    return saliency


def centre_map(height: int, width: int) -> Tensor:
    saliency = torch.zeros(height, width, dtype=torch.float64)
    for i in range(height):
        for j in range(width):
            down, across = (i + 0.5) / height - 0.5, (j + 0.5) / width - 0.5
            saliency[i, j] = exp(-8 * (down**2 + across**2))
    return saliency


FIXED_MAPS: dict[str, Callable[[int, int], Tensor]] = {"fakecam": fake_map, "centre": centre_map}


# -- metrics
# --------------------------------------------------------------------------------------------------


def average_drop(y: float, o: float) -> float | None:
    return max(0.0, y - o) / y if y > 0 else None


def coherency(first: Tensor, second: Tensor) -> float:
    if first.max() == first.min() or second.max() == second.min():
        return 0.0
    pearson = torch.corrcoef(torch.stack([first.double().flatten(), second.double().flatten()]))[
        0, 1
    ]
    return (float(pearson) + 1) / 2


def adcc(coherency: float, complexity: float, drop: float | None) -> float | None:
    if drop is None:
        return None
    parts = (coherency, 1 - complexity, 1 - drop)
    return 0.0 if 0 in parts else 3 / sum(1 / part for part in parts)


# -- the protocol
# --------------------------------------------------------------------------------------------------


def reference_row(
    model: nn.Module,
    layer_module: nn.Module,
    image: Tensor,
    method_spec: str,
    *,
    target: int | None = None,
    noise: Noise,
) -> dict[str, Any]:
    """One image, one method, every value of a row; ``map`` is the normalised map at low resolution,
    ``None`` for a fixed map.
    """
    height, width = image.shape[1:]
    with torch.no_grad():
        probabilities = model(image[None])[0].double().softmax(0)
    predicted = int(probabilities.argmax())
    c = predicted if target is None else target
    low, saliency = _saliency(
        Explained(model, layer_module, image, c, noise, masked=False), method_spec
    )
    explanation = image * saliency.to(image)
    with torch.no_grad():
        o = float(model(explanation[None])[0].double().softmax(0)[c])
    _, again = _saliency(
        Explained(model, layer_module, explanation, c, noise, masked=True), method_spec
    )
    y = float(probabilities[c])
    drop, coherent, complexity = (
        average_drop(y, o),
        coherency(saliency, again),
        float(saliency.double().sum() / (height * width)),
    )
    return {
        "target": c,
        "predicted": predicted,
        "y": y,
        "o": o,
        "average_drop": drop,
        "average_increase": 1.0 if o > y else 0.0,
        "coherency": coherent,
        "complexity": complexity,
        "adcc": adcc(coherent, complexity, drop),
        "degenerate": low is not None and not bool(low.any()),
        "map": low,
    }


def _saliency(seen: Explained, spec: str) -> tuple[Tensor | None, Tensor]:
    """The low-resolution map and ``U``."""
    height, width = seen.x.shape[1:]
    if spec in FIXED_MAPS:
        return None, FIXED_MAPS[spec](height, width)
    low = min_max(combination(spec, seen).clamp(min=0))
    return low, bilinear(low, height, width)


def reference_curves(
    model: nn.Module,
    image: Tensor,
    saliency: Tensor,
    target: int,
    *,
    steps: int,
    insertion_start: str = "zero",
) -> dict[str, list[float]]:
    """Deletion and insertion of one map ``[H, W]``: S + 1 forwards each, one image at a time, end
    points included.
    """
    values = saliency.flatten().tolist()
    order = sorted(range(len(values)), key=lambda index: (-values[index], index))
    start = {
        "zero": torch.zeros_like(image),
        "blur": rise_blurred(image),
        "blur-torchvision": blurred(image),
    }[insertion_start]
    size = len(values) // steps
    deletion, insertion = image.clone(), start.clone()
    curves: dict[str, list[float]] = {"deletion": [], "insertion": []}
    for step in range(steps + 1):
        if step:
            for index in order[(step - 1) * size : step * size]:
                row, column = divmod(index, image.shape[2])
                deletion[:, row, column] = 0
                insertion[:, row, column] = image[:, row, column]
        with torch.no_grad():
            curves["deletion"].append(float(model(deletion[None])[0].double().softmax(0)[target]))
            curves["insertion"].append(float(model(insertion[None])[0].double().softmax(0)[target]))
    return curves


def reference_area(curve: list[float]) -> float:
    """Trapezoid rule on [0, 1], interval by interval."""
    return sum((left + right) / 2 for left, right in pairwise(curve)) / (len(curve) - 1)


def rise_blurred(image: Tensor) -> Tensor:
    """RISE's: a single 1 in 11 × 11 pixels through scipy's Gaussian filter, and zeros beyond the
    border of the image.
    """
    delta = np.zeros((11, 11))
    delta[5, 5] = 1
    kernel = gaussian_filter(delta, 5)
    padded = nn.functional.pad(image, (5, 5, 5, 5))
    total = torch.zeros_like(image)
    for i in range(11):
        for j in range(11):
            total += kernel[i, j] * padded[:, i : i + image.shape[1], j : j + image.shape[2]]
    return total


def blurred(image: Tensor, size: int = 11, sigma: float = 5.0) -> Tensor:
    """``size`` × ``size`` Gaussian, edges mirrored without repeating the border."""
    half = size // 2
    kernel = [exp(-((place - half) ** 2) / (2 * sigma**2)) for place in range(size)]
    padded = nn.functional.pad(image[None], (half, half, half, half), mode="reflect")[0]
    total = torch.zeros_like(image)
    for i in range(size):
        for j in range(size):
            weight = kernel[i] * kernel[j] / sum(kernel) ** 2
            total += weight * padded[:, i : i + image.shape[1], j : j + image.shape[2]]
    return total
