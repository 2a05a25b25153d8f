"""One batch of images through one backbone and many methods; passes are shared.

Network forwards for a batch of B images, K live channels, S curve steps, M distinct maps (methods
whose maps are equal by construction are one, and their rows are copied)::

    clean pass                          B          A, logits, y_c for all methods
    masked pass                         M·B        o_c, and A′ for the second map, at once
    Grad-CAM family, Fake-CAM           –          the gradient is the head's alone, in closed
                                                   form on GAP + linear heads
    Smooth Grad-CAM++ (last-pass, GAP)  2·B        a noisy pass over x, and one over x ⊙ U
    Score-CAM                           (K + K′)·B
    deletion and insertion              2(S − 1)   for each distinct map; the ends are known
    the zero image                      1          for each backbone, once
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from itertools import pairwise
from math import isfinite
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from evaluator.measuring.inputs import Noise, on_explanation
from evaluator.measuring.method_calls import (
    Fault,
    Guard,
    MethodFault,
    check_image_map,
    check_shape,
    check_untouched,
    is_own,
)
from evaluator.measuring.saliency import Saliency, black_of, image_map, low_map, masked
from evaluator.measuring.views import BatchView
from evaluator.methods.base import MOST_SIDE, FixedMap, ImageMethod, Method
from evaluator.metrics.adcc import adcc
from evaluator.metrics.average_drop import average_drop
from evaluator.metrics.average_increase import average_increase
from evaluator.metrics.coherency import coherency
from evaluator.metrics.complexity import complexity
from evaluator.networks.network import Network, Observation
from evaluator.plan import RunPlan
from evaluator.records import Row


class Batch(NamedTuple):
    """Images on the device with what is known of them.

    Attributes:
        images: ``[B, channels, H, W]``, normalised.
        noise_keys: one per image, see ``views.BatchView``.
        targets: ``[B]``, the classes to explain; ``None`` for the predicted ones.
    """

    images: Tensor
    noise_keys: Sequence[bytes]
    targets: Tensor | None = None

    def alone(self, place: int) -> Batch:
        """The batch of one of its images."""
        targets = None if self.targets is None else self.targets[place : place + 1]
        return Batch(self.images[place : place + 1], self.noise_keys[place : place + 1], targets)


class Scores(NamedTuple):
    """The rows of one method for a batch: columns of ``Row``, one entry per image, on the CPU.

    Attributes:
        target, predicted: class indices.
        coherency, adcc: ``None`` where the method has no maps of explanation images.
        y, o: confidence in the target on the image and on the explanation map.
        degenerate: whether the saliency map is zero everywhere.
        maps: saliency at the layer's resolution, float32 bytes; square and float16 bytes of an
            ``ImageMethod``; ``None`` for a fixed map.
    """

    target: list[int]
    predicted: list[int]
    y: list[float]
    o: list[float]
    average_drop: list[float]
    average_increase: list[float]
    coherency: list[float | None]
    complexity: list[float]
    adcc: list[float | None]
    degenerate: list[bool]
    maps: list[bytes | None]

    def problem(self, place: int) -> str:
        """Say which of an image's numbers is not finite; empty where all are.

        An undefined drop (``y`` is 0) is allowed.
        """
        if not isfinite(self.y[place]):
            return "the network's output is not a number"
        if not isfinite(self.complexity[place]):
            return "the method's map is not a number"
        values = (self.o[place], self.average_increase[place], self.coherency[place])
        adcc = self.adcc[place]
        fine = all(one is None or isfinite(one) for one in values) and (
            adcc is None or isfinite(adcc) or self.y[place] == 0
        )
        return "" if fine else "the network's output on the explanation map is not a number"

    def row(self, cell: int, image: int, place: int) -> Row:
        """The row of an image; drop and ADCC are undefined where ``y`` is 0."""
        row = Row._make([cell, image, *(column[place] for column in self)])
        return row if row.y > 0 else row._replace(average_drop=None, adcc=None)


class _MethodMaps(NamedTuple):
    """The saliency maps ``U`` of one method for a batch.

    Attributes:
        degenerate: ``[B]`` bool, whether a map is zero everywhere.
    """

    method: Method
    saliency: Saliency
    degenerate: Tensor

    @property
    def fixed(self) -> bool:
        """Whether the map is the same for every image, and is not stored."""
        return isinstance(self.method, FixedMap)


class Pipeline:
    """Evaluates methods on batches through one network.

    Args:
        method_timeout: seconds without a forward pass that a method which is not camtui's own may
            take; 0 for no limit.
        noise: where noise comes from; drawn when it is asked for, unless given.
        masking: ``normalised`` or ``pixels``, see ``plan.RunPlan``.
        map_side: most values a side of the maps of an ``ImageMethod``.
    """

    def __init__(
        self,
        network: Network,
        *,
        method_timeout: float = 0.0,
        noise: Noise | None = None,
        masking: str = "normalised",
        map_side: int = RunPlan.map_side,
    ) -> None:
        self.network = network
        seen = network.backbone.facts.preprocessing
        self._black = black_of(seen, network.device) if masking == "pixels" else None
        self._map_side = map_side
        self._noise = noise or Noise()
        self._guard = Guard(method_timeout, lambda: network.forwards)
        self._fixed: dict[str, Saliency] = {}

    @property
    def class_count(self) -> int:
        """C, the classes of the network."""
        return len(self.network.baseline_confidence())

    def rows(self, batch: Batch, methods: Sequence[Method]) -> dict[str, Scores]:
        """Compute every metric of a row, for every method; one entry per method name.

        Args:
            methods: applicable to this backbone.

        Raises:
            MethodFault: one of them does something wrong.
        """
        outcomes = self.outcomes(batch, methods)
        for outcome in outcomes.values():
            if isinstance(outcome, Fault):
                raise MethodFault(outcome)
        return {name: outcome for name, outcome in outcomes.items() if isinstance(outcome, Scores)}

    def outcomes(self, batch: Batch, methods: Sequence[Method]) -> dict[str, Scores | Fault]:
        """Compute ``rows``, with a fault in place of the scores of a method that goes wrong."""
        images = batch.images
        clean_pass = self.network.observe(len(images), lambda start, stop: images[start:stop])
        predicted = clean_pass.logits.argmax(1)
        targets = predicted if batch.targets is None else batch.targets
        view = BatchView(
            self.network,
            lambda: images,
            clean_pass,
            targets.clone(),
            batch.noise_keys,
            self._noise,
        )
        distinct: dict[str, Method] = {}
        identity_of: dict[str, str] = {}
        outcomes: dict[str, Scores | Fault] = {}
        for method in methods:
            try:
                identity = self._guard.call(method, partial(method.map_identity, view.gap_linear))
                distinct.setdefault(identity, method)
            except MethodFault as error:
                identity = f"fault of {method.name}"
                outcomes[identity] = error.fault
            identity_of[method.name] = identity
        maps: dict[str, _MethodMaps] = {}
        for identity, method in _own_last(distinct):
            try:
                maps[identity] = _MethodMaps(method, *self.saliency(method, view))
            except MethodFault as error:
                outcomes[identity] = error.fault
                view = view.renewed(targets)
        masked_passes = self._masked_passes(images, list(maps.values())) if maps else []
        columns: dict[str, Tensor] = {}
        for (identity, found), masked_pass in zip(maps.items(), masked_passes, strict=True):
            try:
                masked_view = self._masked_view(batch, found.saliency, view, masked_pass)
                columns[identity] = self._columns(found, view, masked_view, predicted)
            except MethodFault as error:
                outcomes[identity] = error.fault
        scores = _to_host(list(columns.values()), [maps[identity] for identity in columns])
        outcomes.update(zip(columns, scores, strict=True))
        return {method.name: outcomes[identity_of[method.name]] for method in methods}

    def saliency(self, method: Method, view: BatchView) -> tuple[Saliency, Tensor]:
        """Make the saliency maps ``U``, and tell which are degenerate, ``[B]`` bool."""
        if isinstance(method, FixedMap):
            fixed = self._guard.call(method, lambda: self._fixed_map(method))
            return fixed, torch.zeros_like(view.targets, dtype=torch.bool)
        combination = self._guard.call(method, lambda: method.combine(view))
        check_untouched(method, view.overwritten())
        count, _, height, width = view.activation.shape
        side = self.network.side
        if isinstance(method, ImageMethod):
            most = side if method.explains == "any" else MOST_SIDE
            found = check_image_map(method, combination, count, most)
            low = image_map(found.float(), self._map_side)
        else:
            low = low_map(check_shape(method, combination, (count, height, width)).float())
        return Saliency(low.values, side, side), low.degenerate

    def _fixed_map(self, method: FixedMap) -> Saliency:
        """Return the one map that stands for every image."""
        if method.name not in self._fixed:
            side = self.network.side
            values = torch.tensor([method.fixed_map(side, side)], device=self.network.device)
            check_shape(method, values, (1, side, side))
            self._fixed[method.name] = Saliency(values, side, side)
        return self._fixed[method.name]

    def _masked_passes(self, images: Tensor, maps: Sequence[_MethodMaps]) -> list[Observation]:
        """Run the network on the explanation maps ``x ⊙ U`` of all methods: ``A′`` and logits.

        Forwards are filled across images and methods.
        """
        count = len(images)

        def explanation_maps(start: int, stop: int) -> Tensor:
            parts = []
            for place, found in enumerate(maps):
                first, last = max(start - place * count, 0), min(stop - place * count, count)
                if first < last:
                    some = found.saliency.part(first, last)
                    parts.append(masked(images[first:last], some, self._black))
            return parts[0] if len(parts) == 1 else torch.cat(parts)

        observed = self.network.observe(len(maps) * count, explanation_maps)
        return [observed.part(place * count, (place + 1) * count) for place in range(len(maps))]

    def _masked_view(
        self, batch: Batch, saliency: Saliency, view: BatchView, masked_pass: Observation
    ) -> BatchView:
        """The masked pass of one method as a method sees it, with the targets of the clean one."""
        return BatchView(
            self.network,
            lambda: masked(batch.images, saliency, self._black),
            masked_pass,
            view.targets,
            [on_explanation(key) for key in batch.noise_keys],
            self._noise,
        )

    def _columns(
        self, maps: _MethodMaps, view: BatchView, masked_view: BatchView, predicted: Tensor
    ) -> Tensor:
        """Compute the numbers of one method's ``Scores``, ``[columns, B]`` in their order.

        The second map is made from the masked pass; coherency is NaN where there can be none.
        """
        saliency = maps.saliency
        y, o = view.confidence, masked_view.confidence
        if maps.method.explains == "images":
            coherencies = torch.full_like(y, torch.nan)
        else:
            second_map, _ = self.saliency(maps.method, masked_view)
            coherencies = coherency(saliency, second_map).expand_as(y)
        complexities = complexity(saliency).expand_as(y)
        drop = average_drop(y, o)
        return torch.stack(
            [
                view.targets,
                predicted,
                y,
                o,
                drop,
                average_increase(y, o),
                coherencies,
                complexities,
                adcc(coherencies, complexities, drop),
                maps.degenerate.to(y),
            ]
        )


def _own_last(distinct: Mapping[str, Method]) -> list[tuple[str, Method]]:
    """Sort camtui's own methods first: what another one overwrites they have read already."""
    return sorted(distinct.items(), key=lambda item: not is_own(item[1]))


def _to_host(columns: Sequence[Tensor], maps: Sequence[_MethodMaps]) -> list[Scores]:
    """Copy the numbers and the low-resolution maps to the CPU, in one transfer.

    The host waits for the device once per batch.
    """
    if not maps:
        return []
    stored = [found.saliency.values.double().flatten() for found in maps if not found.fixed]
    numbers = torch.stack(list(columns))  # [M, columns, B], float64
    moved = torch.cat([numbers.flatten(), *stored]).cpu().numpy()
    sizes = [numbers.numel(), *(one.numel() for one in stored)]
    ends = np.cumsum(sizes).tolist()
    numbers_moved, batch = moved[: ends[0]], numbers.shape[2]
    low = (moved[first:end].reshape(batch, -1) for first, end in pairwise(ends))
    scores = []
    for found, table in zip(maps, numbers_moved.reshape(numbers.shape).tolist(), strict=True):
        target, predicted, *values, degenerate = table
        numbered = [*(list(map(int, classes)) for classes in (target, predicted)), *values]
        of_images: list[bytes | None] = [None] * batch
        if not found.fixed:
            of_images = [each.tobytes() for each in next(low).astype(found.method.map_type)]
        made = Scores._make([*numbered, list(map(bool, degenerate)), of_images])
        if found.method.explains == "images":
            nothing: list[float | None] = [None] * batch
            made = made._replace(coherency=nothing, adcc=nothing)
        scores.append(made)
    return scores
