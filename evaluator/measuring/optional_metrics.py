"""The optional metrics of a unit that are no curves, from finished rows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from evaluator.catalog import metric as metric_of
from evaluator.errors import TruthUnusable
from evaluator.measuring.method_calls import Fault, is_formula_error, metric_fault
from evaluator.measuring.metric_values import measured
from evaluator.measuring.pipeline import Pipeline
from evaluator.measuring.probing import ProbedImages
from evaluator.measuring.stored_maps import MapOfImage
from evaluator.measuring.unit_results import noise_keys, stored_of
from evaluator.networks.network import Network
from evaluator.networks.transfer import to_device
from evaluator.plan import RunPlan
from evaluator.records import Failure, ImageRef, Measurement, Unit
from evaluator.truth.folder import Truths

Answer = Measurement | Failure

_SQUARES_KEPT = 64


class _Asked(NamedTuple):
    """One stored map that a value is asked of."""

    cell: int
    ref: ImageRef
    map: MapOfImage


class OptionalMetrics:
    """Computes optional metrics of rows on one network.

    Args:
        plan: the protocol.
        truths: where the objects are, ``None`` where nobody has said.
    """

    def __init__(
        self, network: Network, pipeline: Pipeline, plan: RunPlan, truths: Truths | None
    ) -> None:
        self._network = network
        self._pipeline = pipeline
        self._plan = plan
        self._truths = truths
        self._squares: dict[tuple[int, int], Tensor] = {}

    def from_images(self, unit: Unit, refs: Sequence[ImageRef], images: Tensor) -> Iterator[Answer]:
        """Compute the metrics that ask the network again.

        Args:
            refs: the unit's images that could be read; ``images``: their pixels, ``[B, 3, H, W]``,
                normalised.
        """
        metrics = [
            key for key in unit.metrics if metric_of(key).pixels and not metric_of(key).curve
        ]
        if metrics:
            probed = ProbedImages(
                self._network,
                self._pipeline,
                images,
                noise_keys(self._plan, refs),
                road_noise=self._plan.road_noise,
            )
            for metric in metrics:
                yield from self._answers(metric, _asked(unit, refs), probed=probed)

    def from_rows(self, unit: Unit, known: Iterable[Answer]) -> Iterator[Answer]:
        """Compute the metrics that need no pixels, also of images that can no longer be read.

        Args:
            known: what else the unit's images were found to have: others may be computed from it.
        """
        asked = _with_values(_asked(unit, unit.images), known)
        for metric in unit.metrics:
            if metric_of(metric).truth:
                yield from self._by_truth(metric, asked)
            elif metric_of(metric).of:
                yield from self._of_values(metric, asked)
            elif not metric_of(metric).pixels:
                yield from self._answers(metric, asked)

    def _answers(
        self,
        metric: str,
        asked: Sequence[_Asked],
        *,
        truths: Sequence[Tensor] = (),
        probed: ProbedImages | None = None,
    ) -> Iterator[Answer]:
        maps, settings = [one.map for one in asked], self._plan.metric_settings
        try:
            values = measured(
                metric, maps, self._network, settings=settings, truths=truths, probed=probed
            )
        except Exception as error:
            if not is_formula_error(error):
                raise
            fault = metric_fault(metric, error)
            yield from self._without_fault(metric, asked, truths, probed, fault)
            return
        for one, value in zip(asked, values, strict=True):
            yield Measurement(one.cell, one.ref.id, metric, value)

    def _without_fault(
        self,
        metric: str,
        asked: Sequence[_Asked],
        truths: Sequence[Tensor],
        probed: ProbedImages | None,
        fault: Fault,
    ) -> Iterator[Answer]:
        """Try each image alone after a formula has raised; those on which it raises fail."""
        if len(asked) == 1 or not fault.by_image:
            for one in asked:
                yield Failure(one.cell, one.ref.id, metric, fault.reason, fault.detail)
            return
        for place, one in enumerate(asked):
            yield from self._answers(metric, [one], truths=truths[place : place + 1], probed=probed)

    def _of_values(self, metric: str, asked: Sequence[_Asked]) -> Iterator[Answer]:
        """Compute a metric from others, of the images that have these."""
        having = []
        for one in asked:
            missing = set(metric_of(metric).of) - dict(one.map.stored.measured).keys()
            if missing:
                yield Failure(
                    one.cell,
                    one.ref.id,
                    metric,
                    "no-source",
                    f"it has no {', '.join(sorted(missing))}",
                )
            else:
                having.append(one)
        yield from self._answers(metric, having)

    def _by_truth(self, metric: str, asked: Sequence[_Asked]) -> Iterator[Answer]:
        """Compute a metric that needs the object's pixels, of the images that have them."""
        having, squares = [], []
        for one in asked:
            square = self._square(one.ref, one.map.stored.target)
            if isinstance(square, TruthUnusable):
                yield Failure(one.cell, one.ref.id, metric, square.reason, square.message)
            else:
                having.append(one)
                squares.append(square)
        yield from self._answers(metric, having, truths=squares)

    def _square(self, ref: ImageRef, target: int) -> Tensor | TruthUnusable:
        """Return ``S``, ``[H, W]`` bool on the device, or why there is none.

        Those of the last images are kept for other cells and metrics.
        """
        key = (ref.id, target)
        if key in self._squares:
            return self._squares[key]
        square = self._read_square(ref, target)
        if isinstance(square, Tensor):  # a file that cannot be read may be there the next time
            while len(self._squares) >= _SQUARES_KEPT:
                del self._squares[next(iter(self._squares))]
            self._squares[key] = square
        return square

    def _read_square(self, ref: ImageRef, target: int) -> Tensor | TruthUnusable:
        if self._truths is None:
            return TruthUnusable("no-truth", "the run has no truth")
        try:
            classes = self._network.backbone.facts.classes
            found = self._truths.square(
                ref, target, classes, self._network.backbone.facts.preprocessing
            )
        except TruthUnusable as error:
            return error
        return to_device(torch.from_numpy(found.copy()), self._network.device)


def _asked(unit: Unit, refs: Sequence[ImageRef]) -> list[_Asked]:
    return [_Asked(cell, refs[one.image], one) for cell, _, one in stored_of(unit, refs)]


def _with_values(asked: Sequence[_Asked], known: Iterable[Answer]) -> list[_Asked]:
    """Add the values that have just been measured to those that are stored."""
    found: dict[tuple[int, int], tuple[tuple[str, float], ...]] = {}
    for one in known:
        if isinstance(one, Measurement):
            found[one.cell, one.image] = (
                *found.get((one.cell, one.image), ()),
                (one.metric, one.value),
            )
    return [_with_value(one, found.get((one.cell, one.ref.id), ())) for one in asked]


def _with_value(one: _Asked, values: tuple[tuple[str, float], ...]) -> _Asked:
    stored = one.map.stored
    return one._replace(
        map=one.map._replace(stored=stored._replace(measured=(*stored.measured, *values)))
    )
