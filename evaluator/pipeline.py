"""One batch of images through one backbone and many methods: every pass that can be shared is made once.

Network forwards for a batch of B images, K live channels, S curve steps, M distinct maps (methods whose maps are equal by
construction are one, and their rows are copied)::

    clean pass                                      B        A, logits, y_c for all methods
    masked pass                                     M·B      gives o_c, and A′ for the second map, at once
    Grad-CAM family, Fake-CAM                       –        the gradient is the head's alone; closed form on GAP + linear heads
    Smooth Grad-CAM++ (last-pass, GAP)              2·B      one noisy pass over x, one over x ⊙ U
    Score-CAM                                       (K + K′)·B
    deletion and insertion                          2(S − 1) per distinct map; the ends are known
    the zero image                                  1        per backbone, ever
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import import_module
from math import isfinite
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torchvision.transforms.functional import gaussian_blur

from evaluator.catalog import method as method_of
from evaluator.maps import low_map, masked, upsample
from evaluator.methods.base import FixedMap, Method
from evaluator.metrics.adcc import adcc
from evaluator.metrics.average_drop import average_drop
from evaluator.metrics.average_increase import average_increase
from evaluator.metrics.coherency import coherency
from evaluator.metrics.complexity import complexity
from evaluator.metrics.curves import area_under_curve, inner_steps, pixel_ranks
from evaluator.network import Network, Observation
from evaluator.records import StoredMap
from evaluator.views import BatchView


class Batch(NamedTuple):
    """Images on the device with what is known of them.

    Attributes:
        images: ``[B, 3, H, W]``, normalised.
        noise_keys: one per image, see ``views.BatchView``.
        targets: ``[B]``, the classes to explain; ``None`` for the predicted ones.
    """

    images: Tensor
    noise_keys: Sequence[bytes]
    targets: Tensor | None = None


class Scores(NamedTuple):
    """What one method gives for a batch; every field has one entry per image, on the CPU.

    Attributes:
        target, predicted: class indices; ``y``, ``o``: confidence on the image and on the explanation map.
        maps: saliency at the layer's resolution, float32 bytes; ``None`` for a fixed map.
    """

    target: list[int]
    predicted: list[int]
    y: list[float]
    o: list[float]
    average_drop: list[float]
    average_increase: list[float]
    coherency: list[float]
    complexity: list[float]
    adcc: list[float]
    degenerate: list[bool]
    maps: list[bytes | None]

    def finite(self, place: int) -> bool:
        """Whether an image's numbers are numbers; an undefined drop (``y`` is 0) is allowed."""
        values = (self.y, self.o, self.average_increase, self.coherency, self.complexity)
        return all(isfinite(column[place]) for column in values) and (isfinite(self.adcc[place]) or self.y[place] == 0)


class _Maps(NamedTuple):
    """Saliency of one distinct map: ``low`` ``[B, h, w]`` (``None``: fixed), ``degenerate`` ``[B]``."""

    low: Tensor | None
    degenerate: Tensor


class Pipeline:
    """Evaluates methods on batches through one network."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self._side = network.side
        self._fixed: dict[str, Tensor] = {}

    @property
    def class_count(self) -> int:
        """C, the classes of the network."""
        return len(self._network.blank_confidence())

    # -- rows ------------------------------------------------------------------------------------------------------------------

    def rows(self, batch: Batch, methods: Sequence[Method]) -> dict[str, Scores]:
        """Every metric of a row, for every method; one entry per method name.

        Args:
            methods: applicable to this backbone.
        """
        observed = self._network.observe(len(batch.images), lambda start, stop: batch.images[start:stop])
        predicted = observed.logits.argmax(1)
        view = BatchView(
            self._network, batch.images, observed, predicted if batch.targets is None else batch.targets, batch.noise_keys
        )
        distinct: dict[str, Method] = {}
        for method in methods:
            distinct.setdefault(method.map_identity(view.gap_linear), method)
        maps = {identity: self._maps(method, view) for identity, method in distinct.items()}
        again = self._masked_pass(batch.images, [(distinct[identity], found) for identity, found in maps.items()])
        scores = {
            identity: self._scores(distinct[identity], view, predicted, batch, maps[identity], seen)
            for identity, seen in zip(maps, again, strict=True)
        }
        return {method.name: scores[method.map_identity(view.gap_linear)] for method in methods}

    def _maps(self, method: Method, view: BatchView) -> _Maps:
        if isinstance(method, FixedMap):
            return _Maps(None, torch.zeros_like(view.targets, dtype=torch.bool))
        return _Maps(*low_map(method.combine(view).float()))

    def _saliency(self, method: Method, low: Tensor | None, count: int) -> Tensor:
        """``U``, ``[count, H, W]``."""
        if isinstance(method, FixedMap):
            return self._fixed_map(method).expand(count, -1, -1)
        assert low is not None, "only a fixed map has no low-resolution values"
        return upsample(low, self._side, self._side)

    def _fixed_map(self, method: FixedMap) -> Tensor:
        if method.name not in self._fixed:
            self._fixed[method.name] = torch.tensor(method.fixed_map(self._side, self._side), device=self._network.device)
        return self._fixed[method.name]

    def _masked_pass(self, images: Tensor, found: list[tuple[Method, _Maps]]) -> list[Observation]:
        """``A′`` and logits of ``x ⊙ U`` for all maps, in batches filled across images and methods."""
        count = len(images)

        def explanation(start: int, stop: int) -> Tensor:
            parts = []
            for place, (method, maps) in enumerate(found):
                first, last = max(start - place * count, 0), min(stop - place * count, count)
                if first < last:
                    low = None if maps.low is None else maps.low[first:last]
                    parts.append(masked(images[first:last], self._saliency(method, low, last - first)))
            return torch.cat(parts)

        activation, logits = self._network.observe(len(found) * count, explanation)
        return [
            Observation(activation[place * count : (place + 1) * count], logits[place * count : (place + 1) * count])
            for place in range(len(found))
        ]

    def _scores(self, method: Method, view: BatchView, predicted: Tensor, batch: Batch, maps: _Maps, seen: Observation) -> Scores:
        count = len(batch.images)
        saliency = self._saliency(method, maps.low, count)
        again = saliency
        keys = [key + b"\0masked" for key in batch.noise_keys]
        masked_view = BatchView(self._network, masked(batch.images, saliency), seen, view.targets, keys)
        if not isinstance(method, FixedMap):
            again = self._saliency(method, self._maps(method, masked_view).low, count)
        clean, held = view.confidence, masked_view.confidence
        drop, coherent, kept = average_drop(clean, held), coherency(saliency, again), complexity(saliency)
        columns = torch.stack([clean, held, drop, average_increase(clean, held), coherent, kept, adcc(coherent, kept, drop)])
        y, o, drops, increases, coherencies, complexities, adccs = columns.tolist()
        return Scores(
            view.targets.tolist(), predicted.tolist(), y, o, drops, increases, coherencies, complexities, adccs,
            maps.degenerate.tolist(), _bytes_of(maps.low, count),
        )  # fmt: skip

    # -- curves ----------------------------------------------------------------------------------------------------------------

    def curves(
        self, images: Tensor, rows: Sequence[int], methods: Sequence[str], maps: Sequence[StoredMap], metrics: Sequence[str],
        *, steps: int, insertion_start: str,
    ) -> dict[str, list[list[float]]]:  # fmt: skip
        """Deletion and insertion curves from stored maps: no pass over the clean image, no method, ``S − 1`` forwards each.

        Args:
            images: ``[B, 3, H, W]``, normalised.
            rows: for each map, the image it belongs to; ``methods``: the method spec it is of.
            metrics: curve metrics.
            steps: S, equal steps; ``insertion_start``: ``zero`` or ``blur``.

        Returns:
            metric → one curve of S + 1 confidences per map.
        """
        points = list(inner_steps(self._side**2, steps))
        distinct = list(dict.fromkeys((row, stored.target, stored.values) for row, stored in zip(rows, maps, strict=True)))
        place_of = {key: place for place, key in enumerate(distinct)}
        first = {key: i for i, key in reversed(list(enumerate((r, m.target, m.values) for r, m in zip(rows, maps, strict=True))))}
        ranks = torch.stack([self._ranks(method_of(methods[first[key]]), key[2]) for key in distinct])
        image_of = torch.tensor([key[0] for key in distinct], device=images.device)
        targets = torch.tensor([key[1] for key in distinct], device=images.device)
        blank = self._network.blank_confidence()[targets].double()
        whole = torch.tensor([maps[first[key]].confidence for key in distinct], dtype=torch.float64, device=images.device)
        pixels = torch.tensor([step.pixels for step in points], device=images.device)
        curves: dict[str, list[list[float]]] = {}
        for metric in metrics:
            module = import_module(f"evaluator.metrics.{metric}")
            blurred = metric == "insertion" and insertion_start == "blur"
            start = gaussian_blur(images, [11, 11], [5.0, 5.0]) if blurred else torch.zeros_like(images)
            empty = self._confidences(start, image_of, targets) if blurred else blank
            inner = self._inner(module.frame, images, start, ranks, image_of, targets, pixels)
            ends = module.ends(whole, empty)
            every = torch.cat([ends[0][:, None], inner, ends[1][:, None]], 1).tolist()
            curves[metric] = [every[place_of[row, m.target, m.values]] for row, m in zip(rows, maps, strict=True)]
        return curves

    def _ranks(self, method: Method, values: bytes | None) -> Tensor:
        """Pixel ranks ``[H, W]`` of one stored map, int32."""
        if isinstance(method, FixedMap):
            saliency = self._fixed_map(method)[None]
        else:
            facts = self._network.backbone.facts
            low = torch.frombuffer(bytearray(values or b""), dtype=torch.float32).view(1, facts.height, facts.width)
            saliency = upsample(low.to(self._network.device), self._side, self._side)
        return pixel_ranks(saliency)[0].int()

    def _inner(
        self, frame: Callable[[Tensor, Tensor, Tensor, Tensor], Tensor], images: Tensor, start: Tensor, ranks: Tensor,
        image_of: Tensor, targets: Tensor, pixels: Tensor,
    ) -> Tensor:  # fmt: skip
        """Confidence at every inner step of every map, ``[P, S − 1]``; forwards are filled across maps."""
        count = len(pixels)
        values = torch.empty(len(ranks) * count, dtype=torch.float64, device=images.device)
        flat = torch.arange(len(values), device=images.device)

        def frames(first: int, last: int) -> Tensor:
            of_map, step = flat[first:last] // count, flat[first:last] % count
            image = image_of[of_map]
            return frame(images[image], start[image], ranks[of_map], pixels[step])

        for part in self._network.passes(len(values), frames):
            of_map = flat[part.start : part.stop] // count
            values[part.start : part.stop] = _confidence(part.logits, targets[of_map])
        return values.view(len(ranks), count)

    def _confidences(self, images: Tensor, image_of: Tensor, targets: Tensor) -> Tensor:
        """Confidence of each map's target on its image's own version of ``images``, ``[P]``."""
        logits = self._network.observe(len(images), lambda first, last: images[first:last]).logits
        return _confidence(logits[image_of], targets)


def _confidence(logits: Tensor, targets: Tensor) -> Tensor:
    return logits.double().softmax(1).gather(1, targets[:, None])[:, 0]


def _bytes_of(low: Tensor | None, count: int) -> list[bytes | None]:
    if low is None:
        return [None] * count
    return [values.tobytes() for values in np.ascontiguousarray(low.cpu().numpy(), dtype="<f4")]


def curve_area(curve: Sequence[float]) -> float:
    """The area under one curve, trapezoid rule, a fraction in [0, 1]."""
    return float(area_under_curve(torch.tensor([curve], dtype=torch.float64))[0])


def curve_bytes(curve: Sequence[float]) -> bytes:
    """A curve as stored: S + 1 points, float16 little-endian."""
    return np.asarray(curve, dtype="<f2").tobytes()
