"""Deletion and insertion curves from stored maps: ``S − 1`` forwards for each curve."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache, partial
from itertools import groupby
from math import exp
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import conv2d
from torchvision.transforms.functional import gaussian_blur

from evaluator.catalog import formula as formula_of
from evaluator.measuring.method_calls import call_metric
from evaluator.measuring.saliency import MapOfImage, black_of, saliency_of
from evaluator.metrics.curves import Frame, area_under_curve, inner_steps
from evaluator.networks.device import to_device
from evaluator.networks.network import Network


class _Distinct(NamedTuple):
    """The P distinct maps among those asked for.

    Methods whose maps are equal by construction share their curves.

    Attributes:
        images: the place of each map's image; ``ranks``: ``[P, H, W]``, int32.
        targets: ``[P]``; ``whole``: ``[P]``, float64, confidence in the target on the image.
    """

    images: list[int]
    ranks: Tensor
    targets: Tensor
    whole: Tensor


class CurveTracer:
    """Traces curves through one network.

    Args:
        steps: S, the number of equal steps.
        insertion_start: ``zero``, ``blur`` or ``blur-torchvision``, see ``blurred``.
        removed: what pixels become that the other curves take away: ``zero``, ``black`` or
            ``blur``.
    """

    def __init__(
        self, network: Network, *, steps: int, insertion_start: str, removed: str = "zero"
    ) -> None:
        self._network = network
        self._insertion_start = insertion_start
        self._removed = removed
        self._pixels = torch.tensor(
            [step.pixels for step in inner_steps(network.side**2, steps)], device=network.device
        )

    def trace(
        self, images: Tensor, maps: Sequence[MapOfImage], metrics: Sequence[str]
    ) -> dict[str, list[list[float]]]:
        """Trace curves of S + 1 confidences, in the order of ``maps``, for each metric.

        Args:
            images: ``[B, channels, H, W]``, normalised.
            metrics: keys of curve metrics.
        """
        if not metrics:
            return {}
        first = {one.identity: one for one in reversed(maps)}
        place = {identity: place for place, identity in enumerate(first)}
        distinct = self._distinct(list(first.values()))
        traced = (
            torch.stack([self._curves(metric, images, distinct) for metric in metrics])
            .cpu()
            .tolist()
        )
        return {
            metric: [curves[place[one.identity]] for one in maps]
            for metric, curves in zip(metrics, traced, strict=True)
        }

    def _distinct(self, maps: Sequence[MapOfImage]) -> _Distinct:
        device = self._network.device
        return _Distinct(
            [one.image for one in maps],
            torch.cat([self._ranks(list(alike)) for _, alike in groupby(maps, key=_kind)]),
            to_device(torch.tensor([one.stored.target for one in maps]), device),
            to_device(torch.tensor([one.stored.y for one in maps], dtype=torch.float64), device),
        )

    def _ranks(self, maps: Sequence[MapOfImage]) -> Tensor:
        """Rank the pixels of maps of one kind, ``[n, H, W]``, int32.

        They are sorted one by one, since int64 ranks of many take memory.
        """
        saliency = saliency_of(maps, self._network)
        each = [
            saliency.part(place, place + 1).ranks().int() for place in range(len(saliency.values))
        ]
        return torch.cat(each).expand(len(maps), -1, -1)

    def _curves(self, metric: str, images: Tensor, maps: _Distinct) -> Tensor:
        """``[P, S + 1]``, float64."""
        formula = formula_of(metric)
        state = self._insertion_start if metric == "insertion" else self._removed
        if state != "zero":
            start = self._empty(images, state)
            logits = self._network.observe(len(start), lambda first, last: start[first:last]).logits
            empty = self._network.confidence(
                logits[to_device(torch.tensor(maps.images), logits.device)], maps.targets
            )
        else:
            start = images.new_zeros(1, 1, 1, 1).expand(len(images), -1, -1, -1)
            empty = self._network.baseline_confidence()[maps.targets]
        inner = self._inner(partial(call_metric, metric, formula.frame), images, start, maps)
        first, last = call_metric(metric, formula.ends, maps.whole, empty)
        return torch.cat([first[:, None], inner, last[:, None]], 1)

    def _empty(self, images: Tensor, state: str) -> Tensor:
        """What images become where nothing is shown of them, ``[B, channels, H, W]``."""
        if state == "black":
            seen = self._network.backbone.facts.preprocessing
            return black_of(seen, self._network.device).expand_as(images)
        return blurred(images, state)

    def _inner(self, frame: Frame, images: Tensor, start: Tensor, maps: _Distinct) -> Tensor:
        """Measure the confidence at every inner step of every map, ``[P, S − 1]``.

        Forwards are filled across maps.
        """
        count = len(self._pixels)

        def frames(first: int, last: int) -> Tensor:
            parts = []
            for place in range(first // count, -(-last // count)):
                steps = self._pixels[max(first - place * count, 0) : last - place * count]
                image = maps.images[place]
                parts.append(
                    frame(
                        images[image : image + 1],
                        start[image : image + 1],
                        maps.ranks[place : place + 1],
                        steps,
                    )
                )
            return parts[0] if len(parts) == 1 else torch.cat(parts)

        values = torch.empty(len(maps.images) * count, dtype=torch.float64, device=images.device)
        targets = maps.targets.repeat_interleave(count)
        for part in self._network.passes(len(values), frames):
            values[part.start : part.stop] = self._network.confidence(
                part.logits, targets[part.start : part.stop]
            )
        return values.view(len(maps.images), count)


_SIDE, _SIGMA, _RADIUS = 11, 5.0, 20
"""Of the blur in pixels: side of the kernel, and the Gaussian's standard deviation; RISE's Gaussian
is cut at four of these.
"""


def blurred(images: Tensor, start: str) -> Tensor:
    """Blur images, ``[n, channels, H, W]``, normalised: with nothing shown, or all removed.

    Args:
        start: ``blur``: as RISE does (Petsiuk et al., BMVC 2018; ``rise_kernel``), with zeros
            beyond the border. ``blur-torchvision``: ``gaussian_blur`` with 11 × 11 pixels and
            sigma 5, the image mirrored at the border, as earlier versions of camtui did.
    """
    if start == "blur-torchvision":
        return gaussian_blur(images, [_SIDE, _SIDE], [_SIGMA, _SIGMA])  # type: ignore[no-any-return]  # torchvision's tensors are Any
    row = torch.tensor(rise_kernel(), dtype=images.dtype, device=images.device)
    channels = images.shape[1]
    kernel = torch.outer(row, row).expand(channels, 1, _SIDE, _SIDE)
    return conv2d(images, kernel, padding=_SIDE // 2, groups=channels)


@cache
def rise_kernel() -> tuple[float, ...]:
    """One row of RISE's kernel, which is its outer product with itself; sums to 1.

    RISE filters a single 1 in an 11 × 11 image with sigma 5. What the Gaussian has beyond the
    image's border is mirrored into it, so that the kernel is nearly flat: 0.0077 in a corner,
    0.0088 in the middle.
    """
    weights = [exp(-(place**2) / (2 * _SIGMA**2)) for place in range(-_RADIUS, _RADIUS + 1)]
    row = [0.0] * _SIDE
    for distance, weight in zip(range(-_RADIUS, _RADIUS + 1), weights, strict=True):
        place = (_SIDE // 2 + distance) % (2 * _SIDE)
        row[min(place, 2 * _SIDE - 1 - place)] += weight / sum(weights)
    return tuple(row)


def _kind(one: MapOfImage) -> str:
    """Key of the maps that one tensor can hold: of the layer's size, or copies of one fixed map."""
    return one.method if one.stored.values is None else ""


def curve_area(curve: Sequence[float]) -> float:
    """Integrate one curve by the trapezoid rule; a fraction in [0, 1]."""
    return float(area_under_curve(torch.tensor([curve], dtype=torch.float64))[0])


def curve_bytes(curve: Sequence[float]) -> bytes:
    """Encode a curve as it is stored: S + 1 points, float16 little-endian."""
    return np.asarray(curve, dtype="<f2").tobytes()
