"""The optional metrics of a unit that are no curves, from finished rows or altered images."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import NamedTuple

import torch
from torch import Tensor

from evaluator.catalog import formula as formula_of
from evaluator.catalog import lacks_maps
from evaluator.catalog import metric as metric_of
from evaluator.errors import CamtuiError, TruthUnusable
from evaluator.measuring.imputation import NOISE, impute
from evaluator.measuring.inputs import generator, noise_field
from evaluator.measuring.method_calls import (
    NO_RANDOM_WEIGHTS,
    Fault,
    MethodFault,
    call_method,
    call_metric,
    is_formula_error,
    made_method,
    metric_fault,
)
from evaluator.measuring.pipeline import Pipeline
from evaluator.measuring.saliency import MapOfImage, Saliency, saliency_of
from evaluator.measuring.unit_results import noise_keys, stored_of
from evaluator.measuring.views import BatchView
from evaluator.metrics.base import Alteration, Explained, Versions
from evaluator.networks.device import to_device
from evaluator.networks.global_state import in_own_settings
from evaluator.networks.network import MakeImages, Network
from evaluator.plan import RunPlan
from evaluator.records import Failure, ImageRef, Measurement, Unit
from evaluator.truth.folder import Truths

_NOISE_NAME = "imputation"
_NOISE_KEPT = 16
"""Images whose noise is kept for the next method: 5 MB each."""


class ProbedImages:
    """The images of a unit, with noise, passes and maps that all methods and metrics share.

    Args:
        images: ``[N, channels, H, W]``, normalised; ``noise_keys``: one for each, see
            ``views.BatchView``.
        road_noise: ``pixels`` or ``normalised``, see ``plan.RunPlan``.
        redrawn: gives the same network with random weights (``networks.building.redraw``).
    """

    def __init__(
        self,
        network: Network,
        pipeline: Pipeline,
        images: Tensor,
        noise_keys: Sequence[bytes],
        *,
        road_noise: str = "pixels",
        redrawn: Callable[[], Pipeline] | None = None,
    ) -> None:
        self.network = network
        self._in_pixels = road_noise == "pixels"
        self.images = images
        self._pipeline = pipeline
        self._redrawn = redrawn
        self._noise_keys = noise_keys
        self._noise: dict[tuple[int, int], Tensor] = {}
        self._passes: dict[str, BatchView] = {}
        self._views: dict[tuple[str, tuple[int, ...]], BatchView] = {}
        self._maps: dict[tuple[str, tuple[int, ...], str], Saliency] = {}

    def noise(self, place: int, count: int) -> Tensor:
        """Draw noise for ``count`` versions of one image, the same for every method.

        Standard normal, ``[count, channels, H, W]``.
        """
        if (place, count) not in self._noise:
            key, channels, side = self._noise_keys[place], self.images.shape[1], self.network.side
            fields = [
                noise_field(key, _NOISE_NAME, step, (channels, side, side)) for step in range(count)
            ]
            while len(self._noise) >= _NOISE_KEPT:
                del self._noise[next(iter(self._noise))]
            self._noise[place, count] = to_device(torch.stack(fields), self.network.device)
        return self._noise[place, count]

    @cached_property
    def _std(self) -> Tensor:
        """Standard deviation of the network's normalisation, ``[channels, 1, 1]``."""
        return torch.tensor(self.network.backbone.facts.preprocessing.std)[:, None, None]

    @cached_property
    def noise_scale(self) -> Tensor:
        """Standard deviation of the noise in each normalised channel, ``[channels, 1, 1]``.

        Noise of 0.01 added to pixels in [0, 1] is ``0.01 / std`` once they are normalised.
        """
        scale = NOISE / self._std if self._in_pixels else torch.full_like(self._std, NOISE)
        return to_device(scale, self.network.device)

    def uniform(self, name: str, step: int) -> Tensor:
        """Draw the noise of an alteration, see ``metrics.base.Alteration``."""
        drawn = [
            torch.rand(self.images.shape[1:], generator=generator(key, name, step))
            for key in self._noise_keys
        ]
        return to_device((2 * torch.stack(drawn) - 1) / self._std, self.network.device)

    def least_likely(self, method: str) -> Saliency:
        """The maps of one method for the least likely class, of all images."""
        seen = self._pass("least likely", self._pipeline, lambda: self.images)
        return self._maps_of(method, "least likely", self._pipeline, seen.logits.argmin(1))

    def explained(
        self, method: str, targets: Mapping[int, int], alter: Alteration, name: str, step: int
    ) -> Saliency:
        """The maps of one method on altered images, of all images.

        Args:
            targets: the class to explain, by place; the predicted one of other images.
        """
        kind = f"{name} {step}"
        seen = self._pass(
            kind, self._pipeline, lambda: alter(self.images, self.uniform(name, step))
        )
        return self._maps_of(method, kind, self._pipeline, _with_targets(seen, targets))

    def random_weights(self, method: str, targets: Mapping[int, int]) -> Saliency:
        """The maps of one method with random weights, of all images; ``targets`` as above."""
        assert self._redrawn is not None, "whoever asks metrics for it gives it"
        pipeline = self._redrawn()
        before = pipeline.network.forwards
        seen = self._pass("random weights", pipeline, lambda: self.images)
        maps = self._maps_of(method, "random weights", pipeline, _with_targets(seen, targets))
        self.network.forwards += pipeline.network.forwards - before
        return maps

    def _pass(self, kind: str, pipeline: Pipeline, images: Callable[[], Tensor]) -> BatchView:
        """One pass over all images; shared by all methods."""
        if kind not in self._passes:
            network, made = pipeline.network, images()
            observed = network.observe(len(made), lambda first, last: made[first:last])
            self._passes[kind] = BatchView(
                network, images, observed, observed.logits.argmax(1), self._noise_keys
            )
        return self._passes[kind]

    def _maps_of(self, method: str, kind: str, pipeline: Pipeline, targets: Tensor) -> Saliency:
        """The maps of one method from a pass; methods equal by construction share them."""
        classes = tuple(targets.tolist())
        if (kind, classes) not in self._views:
            self._views[kind, classes] = self._passes[kind].towards(targets)
        view, made_by = self._views[kind, classes], made_method(method)
        identity = call_method(made_by, lambda: made_by.map_identity(view.gap_linear))
        if (kind, classes, identity) not in self._maps:
            self._maps[kind, classes, identity] = pipeline.saliency(made_by, view)[0]
        return self._maps[kind, classes, identity]


def _with_targets(seen: BatchView, targets: Mapping[int, int]) -> Tensor:
    """The predicted class of every image, but for those that have another, ``[N]``."""
    classes = seen.targets.clone()
    for place, target in targets.items():
        classes[place] = target
    return classes


class _Versions(NamedTuple):
    """The images imputed last, ``[1, M, channels, H, W]``: a batch may end inside a map."""

    map: int
    versions: Tensor


class MapProbe:
    """``metrics.base.Probe`` for the images of some maps of one method."""

    def __init__(self, probed: ProbedImages, maps: Sequence[MapOfImage]) -> None:
        self._probed = probed
        self._places = [one.image for one in maps]
        self._classes = {one.image: one.stored.target for one in maps}
        self._targets = to_device(
            torch.tensor([one.stored.target for one in maps]), probed.network.device
        )
        self._method = maps[0].method
        self._last: _Versions | None = None

    @property
    def images(self) -> Tensor:
        """``x``, ``[B, channels, H, W]``, normalised."""
        return self._probed.images[self._places]

    @in_own_settings
    def without(self, missing: Tensor) -> Tensor:
        """Measure the confidence without some pixels, ``[B, M, H, W]`` bool → ``[B, M]``."""
        masks = missing.shape[1]

        def made(first: int, last: int) -> Tensor:
            begin, end = first // masks, -(-last // masks)
            return self._versions(missing, begin, end).flatten(0, 1)[
                first - begin * masks : last - begin * masks
            ]

        return self._confidences(made, masks)

    @in_own_settings
    def confidence(self, versions: Versions, count: int) -> Tensor:
        """Measure the confidence in ``count`` versions of each image, ``[B, count]``."""

        def made(first: int, last: int) -> Tensor:
            parts = [
                versions(place, max(first - place * count, 0), min(last - place * count, count))
                for place in range(first // count, -(-last // count))
            ]
            return parts[0] if len(parts) == 1 else torch.cat(parts)

        return self._confidences(made, count)

    def _confidences(self, made: MakeImages, count: int) -> Tensor:
        """Measure the confidence in ``count`` images of each map; forwards are filled across maps.

        ``[B, count]``, float64.
        """
        network, targets = self._probed.network, self._targets.repeat_interleave(count)
        values = torch.empty(len(targets), dtype=torch.float64, device=targets.device)
        for part in network.passes(len(values), made):
            values[part.start : part.stop] = network.confidence(
                part.logits, targets[part.start : part.stop]
            )
        return values.view(-1, count)

    def _versions(self, missing: Tensor, begin: int, end: int) -> Tensor:
        """Impute the images of some maps for each mask, ``[n, M, channels, H, W]``."""
        kept = self._last if self._last is not None and self._last.map == begin else None
        fresh = list(range(begin if kept is None else begin + 1, end))
        parts = [] if kept is None else [kept.versions]
        if fresh:
            places = [self._places[one] for one in fresh]
            holes = missing[fresh]
            noise = torch.stack([self._probed.noise(place, missing.shape[1]) for place in places])
            filled = impute(self._probed.images[places], holes)
            parts.append(filled + self._probed.noise_scale * noise * holes[:, :, None])
        versions = torch.cat(parts)
        self._last = _Versions(end - 1, versions[-1:])
        return versions

    @in_own_settings
    def baseline_confidence(self) -> Tensor:
        """Return the confidence in the empty image, ``[B]``."""
        return self._probed.network.baseline_confidence()[self._targets]

    @in_own_settings
    def explained(self, alter: Alteration, name: str, step: int) -> Saliency:
        """Make the maps of the same method for the same classes on altered images."""
        return self._chosen(self._probed.explained(self._method, self._classes, alter, name, step))

    @in_own_settings
    def least_likely(self) -> Saliency:
        """Make the maps of the same method for the class with the smallest logit."""
        return self._chosen(self._probed.least_likely(self._method))

    @in_own_settings
    def random_weights(self) -> Saliency:
        """Make the maps of the same method for the same classes with random weights."""
        return self._chosen(self._probed.random_weights(self._method, self._classes))

    def _chosen(self, whole: Saliency) -> Saliency:
        return whole if len(whole.values) == 1 else whole.chosen(self._places)


def measured(
    metric: str,
    maps: Sequence[MapOfImage],
    network: Network,
    *,
    settings: RunPlan | type[RunPlan] = RunPlan,
    truths: Sequence[Tensor] = (),
    probed: ProbedImages | None = None,
) -> list[float]:
    """Compute one number for each map, in their order.

    Args:
        metric: the key of a metric whose file has ``measure``.
        maps: of any methods, made on one network; they carry the values of ``Metric.of``.
        settings: the plan; ``RunPlan`` itself has the defaults.
        truths: for metrics that need it, the object's pixels for each map, ``[H, W]`` bool.
        probed: for metrics that need it, the images that the maps are of.
    """
    if metric_of(metric).asks_of_maps and len({one.identity for one in maps}) < len(maps):
        first = {one.identity: one for one in reversed(maps)}
        distinct = measured(metric, list(first.values()), network, settings=settings, probed=probed)
        value_of = dict(zip(first, distinct, strict=True))
        return [value_of[one.identity] for one in maps]
    formula = formula_of(metric)
    found: list[Tensor] = []
    order: list[int] = []
    for places in _by_method(maps):
        mine = [maps[place] for place in places]
        explained = Explained(
            *_confidences(mine, network),
            saliency_of(mine, network),
            values={key: _values(mine, key, network) for key in metric_of(metric).of},
            truth=torch.stack([truths[place] for place in places]) if truths else None,
            probe=MapProbe(probed, mine) if probed else None,
            settings=settings,
        )
        values = call_metric(metric, formula.measure, explained)
        found.append(values.to(explained.clean).expand_as(explained.clean))
        order += places
    numbers = torch.cat(found).cpu().tolist() if found else []
    value_at: dict[int, float] = dict(zip(order, numbers, strict=True))
    return [value_at[place] for place in range(len(maps))]


def _by_method(maps: Sequence[MapOfImage]) -> list[list[int]]:
    """The places of each method's maps."""
    places: dict[str, list[int]] = defaultdict(list)
    for place, one in enumerate(maps):
        places[one.method].append(place)
    return list(places.values())


def _confidences(maps: Sequence[MapOfImage], network: Network) -> tuple[Tensor, Tensor]:
    """``y_c`` and ``o_c``."""
    return _column([one.stored.y for one in maps], network), _column(
        [one.stored.o for one in maps], network
    )


def _values(maps: Sequence[MapOfImage], key: str, network: Network) -> Tensor:
    """A metric that each map's image has a value of."""
    return _column([dict(one.stored.measured)[key] for one in maps], network)


def _column(values: list[float], network: Network) -> Tensor:
    return to_device(torch.tensor(values, dtype=torch.float64), network.device)


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
        redrawn: gives the same network with random weights.
    """

    def __init__(
        self,
        network: Network,
        pipeline: Pipeline,
        plan: RunPlan,
        truths: Truths | None,
        redrawn: Callable[[], Pipeline] | None = None,
    ) -> None:
        self._network = network
        self._redraw = redrawn
        self._redrawn: Pipeline | MethodFault | None = None
        self._pipeline = pipeline
        self._plan = plan
        self._truths = truths
        self._squares: dict[tuple[int, int], Tensor] = {}

    def from_images(
        self, unit: Unit, refs: Sequence[ImageRef], images: Tensor, known: Iterable[Answer]
    ) -> Iterator[Answer]:
        """Compute the metrics that ask the network again.

        Args:
            refs: the unit's images that could be read; ``images``: their pixels, ``[B, 3, H, W]``,
                normalised.
            known: what else these were found to have: others may be computed from it.
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
                redrawn=self._random_weights,
            )
            asked = _with_values(_asked(unit, refs), known)
            for metric in metrics:
                yield from self._of_values(metric, asked, probed=probed)

    def _random_weights(self) -> Pipeline:
        """The network with random weights: loaded once, for all units.

        Raises:
            MethodFault: it cannot be made; tried once.
        """
        assert self._redraw is not None, "a session has it"
        if self._redrawn is None:
            try:
                self._redrawn = self._redraw()
            except CamtuiError as error:
                told = f"the network cannot run with random weights: {error.message}"
                self._redrawn = MethodFault(Fault(NO_RANDOM_WEIGHTS, told))
        if isinstance(self._redrawn, MethodFault):
            raise self._redrawn
        return self._redrawn

    def from_rows(self, unit: Unit, known: Iterable[Answer]) -> Iterator[Answer]:
        """Compute the metrics that need no pixels, also of images that can no longer be read.

        Args:
            known: what else the unit's images were found to have: others may be computed from it.
        """
        asked = _with_values(_asked(unit, unit.images), known)
        for metric in unit.metrics:
            if metric_of(metric).truth:
                yield from self._by_truth(metric, asked)
            elif not metric_of(metric).pixels:
                yield from self._of_values(metric, asked)

    def _answers(
        self,
        metric: str,
        asked: Sequence[_Asked],
        *,
        truths: Sequence[Tensor] = (),
        probed: ProbedImages | None = None,
    ) -> Iterator[Answer]:
        maps, settings = [one.map for one in asked], self._plan
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

    def _of_values(
        self, metric: str, asked: Sequence[_Asked], *, probed: ProbedImages | None = None
    ) -> Iterator[Answer]:
        """Compute a metric of the images that have the others that it is computed from."""
        having = []
        for one in asked:
            if lacks_maps(one.map.method, metric):
                told = "no maps of explanation or altered images"
                yield Failure(one.cell, one.ref.id, metric, "no-maps", told)
                continue
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
        yield from self._answers(metric, having, probed=probed)

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
