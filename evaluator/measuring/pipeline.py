"""One batch of images through one backbone and many methods.

Every pass that can be shared is made once.

Network forwards for a batch of B images, K live channels, S curve steps, M distinct maps (methods
whose maps are equal by construction are one, and their rows are copied)::

    clean pass                                      B        A, logits, y_c for all methods masked
    pass                                     M·B      gives o_c, and A′ for the second map, at once
    Grad-CAM family, Fake-CAM                       –        the gradient is the head's alone;
    closed form on GAP + linear heads Smooth Grad-CAM++ (last-pass, GAP)              2·B      one
    noisy pass over x, one over x ⊙ U Score-CAM                                       (K + K′)·B
    deletion and insertion                          2(S − 1) per distinct map; the ends are known
    the zero image                                  1        per backbone, ever
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isfinite
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from evaluator.measuring.guarding import Fault, Guard, MethodFault, check_shape, check_untouched
from evaluator.measuring.maps import low_map
from evaluator.measuring.noise import Noise, on_explanation
from evaluator.measuring.saliency import Saliency, masked
from evaluator.measuring.views import BatchView
from evaluator.methods import all_methods
from evaluator.methods.base import FixedMap, Method
from evaluator.metrics.adcc import adcc
from evaluator.metrics.average_drop import average_drop
from evaluator.metrics.average_increase import average_increase
from evaluator.metrics.coherency import coherency
from evaluator.metrics.complexity import complexity
from evaluator.networks.network import Network, Observation


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
        """One image of it."""
        targets = None if self.targets is None else self.targets[place : place + 1]
        return Batch(self.images[place : place + 1], self.noise_keys[place : place + 1], targets)


class Scores(NamedTuple):
    """What one method gives for a batch; every field has one entry per image, on the CPU.

    Attributes:
        target, predicted: class indices; ``y``, ``o``: confidence on the image and on the
        explanation map. maps: saliency at the layer's resolution, float32 bytes; ``None`` for a
        fixed map.
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

    def problem(self, place: int) -> str:
        """What of an image's numbers is no number, empty where nothing is.

        An undefined drop (``y`` is 0) is allowed.
        """
        if not isfinite(self.y[place]):
            return "the network's output is not a number"
        if not isfinite(self.complexity[place]):
            return "the method's map is not a number"
        values = (self.o, self.average_increase, self.coherency)
        fine = all(isfinite(column[place]) for column in values) and (
            isfinite(self.adcc[place]) or self.y[place] == 0
        )
        return "" if fine else "the network's output on the explanation map is not a number"


class _Found(NamedTuple):
    """One distinct map of a batch: whose it is, ``U``, and ``degenerate`` ``[B]``."""

    method: Method
    saliency: Saliency
    degenerate: Tensor


class Pipeline:
    """Evaluates methods on batches through one network."""

    def __init__(
        self, network: Network, *, method_timeout: float = 0.0, noise: Noise | None = None
    ) -> None:
        """Through one network.

        Args:
            method_timeout: seconds without a forward pass that a method which is not camtui's own may
            take; 0 for no limit. noise: where noise comes from; drawn when it is asked for, unless
            given.
        """
        self._network = network
        self._noise = noise or Noise()
        self._guard = Guard(method_timeout, lambda: network.forwards)
        self._fixed: dict[str, Saliency] = {}

    @property
    def class_count(self) -> int:
        """C, the classes of the network."""
        return len(self._network.baseline_confidence())

    def rows(self, batch: Batch, methods: Sequence[Method]) -> dict[str, Scores]:
        """Every metric of a row, for every method; one entry per method name.

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
        """``rows``, with what a method does wrong in place of its scores.

        The others have theirs.
        """
        observed = self._network.observe(
            len(batch.images), lambda start, stop: batch.images[start:stop]
        )
        predicted = observed.logits.argmax(1)
        targets = predicted if batch.targets is None else batch.targets
        view = BatchView(
            self._network,
            lambda: batch.images,
            observed,
            targets.clone(),
            batch.noise_keys,
            self._noise,
        )
        distinct: dict[str, Method] = {}
        for method in methods:
            distinct.setdefault(method.map_identity(view.gap_linear), method)
        outcomes: dict[str, Scores | Fault] = {}
        found: dict[str, _Found] = {}
        for identity, method in _own_last(distinct):
            try:
                found[identity] = _Found(method, *self.saliency(method, view))
            except MethodFault as error:
                outcomes[identity] = error.fault
                view = view.renewed(targets)
        again = self._masked_pass(batch.images, list(found.values())) if found else []
        columns: dict[str, Tensor] = {}
        for (identity, one), seen in zip(found.items(), again, strict=True):
            try:
                columns[identity] = self._columns(one, view, predicted, batch, seen)
            except MethodFault as error:
                outcomes[identity] = error.fault
        kept = [found[identity] for identity in columns]
        outcomes.update(zip(columns, _on_the_host(list(columns.values()), kept), strict=True))
        return {method.name: outcomes[method.map_identity(view.gap_linear)] for method in methods}

    def saliency(self, method: Method, view: BatchView) -> tuple[Saliency, Tensor]:
        """``U``, and whether it is degenerate, ``[B]``."""
        if isinstance(method, FixedMap):
            return self._guard.call(method, lambda: self._fixed_map(method)), torch.zeros_like(
                view.targets, dtype=torch.bool
            )
        combination = self._guard.call(method, lambda: method.combine(view))
        check_untouched(method, view.overwritten())
        count, _, height, width = view.activation.shape
        low = low_map(check_shape(method, combination, (count, height, width)).float())
        return Saliency(low.values, self._network.side, self._network.side), low.degenerate

    def _fixed_map(self, method: FixedMap) -> Saliency:
        """One map that stands for every image."""
        if method.name not in self._fixed:
            side = self._network.side
            values = torch.tensor([method.fixed_map(side, side)], device=self._network.device)
            check_shape(method, values, (1, side, side))
            self._fixed[method.name] = Saliency(values, side, side)
        return self._fixed[method.name]

    def _masked_pass(self, images: Tensor, found: Sequence[_Found]) -> list[Observation]:
        """``A′`` and logits of ``x ⊙ U`` for all maps.

        In batches filled across images and methods.
        """
        count = len(images)

        def explanation(start: int, stop: int) -> Tensor:
            parts = []
            for place, one in enumerate(found):
                first, last = max(start - place * count, 0), min(stop - place * count, count)
                if first < last:
                    parts.append(masked(images[first:last], one.saliency.part(first, last)))
            return parts[0] if len(parts) == 1 else torch.cat(parts)

        seen = self._network.observe(len(found) * count, explanation)
        return [seen.part(place * count, (place + 1) * count) for place in range(len(found))]

    def _columns(
        self, found: _Found, view: BatchView, predicted: Tensor, batch: Batch, seen: Observation
    ) -> Tensor:
        """The numbers of ``Scores`` in its order, ``[10, B]``, float64, still on the device."""
        keys = [on_explanation(key) for key in batch.noise_keys]
        saliency = found.saliency
        explained = BatchView(
            self._network,
            lambda: masked(batch.images, saliency),
            seen,
            view.targets,
            keys,
            self._noise,
        )
        again = self.saliency(found.method, explained)[0]
        clean, held = view.confidence, explained.confidence
        coherent, kept = (
            coherency(saliency, again).expand_as(clean),
            complexity(saliency).expand_as(clean),
        )
        drop = average_drop(clean, held)
        increase, score = average_increase(clean, held), adcc(coherent, kept, drop)
        return torch.stack(
            [
                view.targets,
                predicted,
                clean,
                held,
                drop,
                increase,
                coherent,
                kept,
                score,
                found.degenerate.to(clean),
            ]
        )


def _own_last(distinct: Mapping[str, Method]) -> list[tuple[str, Method]]:
    """Camtui's own methods first: what another one overwrites they have read already."""
    own = set(all_methods().values())
    return sorted(distinct.items(), key=lambda item: type(item[1]) not in own)


def _on_the_host(columns: Sequence[Tensor], found: Sequence[_Found]) -> list[Scores]:
    """Numbers and low-resolution maps in one transfer.

    The host waits for the device once per batch.
    """
    if not found:
        return []
    lows = [
        one.saliency.values.double().flatten()
        for one in found
        if not isinstance(one.method, FixedMap)
    ]
    moved = torch.cat([torch.stack(list(columns)).flatten(), *lows]).cpu().numpy()
    numbers, rest = np.split(moved, [len(found) * columns[0].numel()])
    maps = (
        iter(rest.astype("<f4").reshape(len(lows), columns[0].shape[1], -1)) if lows else iter(())
    )
    return [
        _scores(table, None if isinstance(one.method, FixedMap) else next(maps))
        for one, table in zip(found, numbers.reshape(len(found), *columns[0].shape), strict=True)
    ]


def _scores(
    table: np.ndarray[tuple[int, ...], np.dtype[np.float64]], maps: Sequence[np.ndarray] | None
) -> Scores:
    target, predicted, y, o, drop, increase, coherent, kept, score, degenerate = table.tolist()
    stored: list[bytes | None] = (
        [None] * len(y) if maps is None else [one.tobytes() for one in maps]
    )
    return Scores(
        [int(c) for c in target],
        [int(c) for c in predicted],
        y,
        o,
        drop,
        increase,
        coherent,
        kept,
        score,
        [bool(flag) for flag in degenerate],
        stored,
    )
