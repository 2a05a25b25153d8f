"""``interfaces.Session`` on one device: one backbone at a time, units in, rows out."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import torch
import torchvision

from evaluator.backbones import known_backbone
from evaluator.catalog import method as method_of
from evaluator.errors import RunFailed, UnstableAnswer
from evaluator.interfaces import DeviceFigures, SessionSettings
from evaluator.measuring.curve_tracing import CurveTracer
from evaluator.measuring.image_loading import Decoded, Loader, Normaliser
from evaluator.measuring.noise import NoiseAhead, fields_of
from evaluator.measuring.optional_metrics import OptionalMetrics
from evaluator.measuring.pipeline import Pipeline
from evaluator.measuring.sentinel import Sentinel
from evaluator.measuring.unit_results import (
    curves_of,
    needs_pixels,
    noise_keys,
    rows_of,
    unreadable,
)
from evaluator.networks.allocator import keep_freed_blocks
from evaluator.networks.backbone_loading import load_backbone
from evaluator.networks.batch_size_search import RememberedSizes
from evaluator.networks.device import device_figures, device_name
from evaluator.networks.network import Arithmetic, Network
from evaluator.plan import RunPlan
from evaluator.records import (
    Failure,
    LoadedBackbone,
    Measurement,
    Preprocessing,
    Row,
    Unit,
    UnitResult,
)
from evaluator.truth.folder import planned_truth
from evaluator.user_code import allow
from evaluator.user_code_checks import import_code


def open_session(settings: SessionSettings) -> EvaluationSession:
    """The real thing; ``interfaces.DEFAULT_SESSION`` names it."""
    return EvaluationSession(settings)


class _Loaded(NamedTuple):
    """One backbone on the device, with what computes its rows and optional metrics."""

    position: int
    network: Network
    pipeline: Pipeline
    tracer: CurveTracer
    optional_metrics: OptionalMetrics
    normalise: Normaliser
    sentinel: Sentinel


def _as_far_as_known(plan: RunPlan) -> dict[int, Preprocessing]:
    """Return the preprocessing of a plan's backbones by position, where known before loading."""
    known = {
        place: known_backbone(spec.key).preprocessing for place, spec in enumerate(plan.backbones)
    }
    return {
        place: plan.backbones[place].preprocessing(usual, plan.resize)
        for place, usual in known.items()
        if usual is not None
    }


class EvaluationSession:
    """Evaluates units on one device. See ``interfaces.Session`` for what each method promises."""

    def __init__(self, settings: SessionSettings) -> None:
        self._plan = settings.plan
        self._settings = settings
        self._device = torch.device(settings.device)
        cuda = self._device.type == "cuda"
        self._loader = Loader(Path(settings.root), threads=settings.loaders, pinned=cuda)
        self._noise = (
            NoiseAhead(self._loader.threads) if cuda else None
        )  # on a CPU whoever draws ahead computes less
        self._loaded: _Loaded | None = None
        self._truths = planned_truth(settings.plan)
        self._wanted = _as_far_as_known(settings.plan)
        self._batch_sizes: dict[int, dict[Arithmetic, int]] = {}
        self._unstable: dict[int, UnstableAnswer] = {}
        allow(settings.allowed)
        for code in settings.plan.code:
            import_code(code)
        keep_freed_blocks()
        if settings.threads:
            torch.set_num_threads(settings.threads)

    def versions(self) -> dict[str, str]:
        """Versions and settings of what computes the rows."""
        return {
            "torch": torch.__version__,
            "torchvision": torchvision.__version__,
            "device": device_name(self._device),
            "precision": self._plan.precision,
            "threads": str(torch.get_num_threads()),
        }

    def load(self, position: int) -> LoadedBackbone:
        """Load the plan's backbone at that position, replacing the one before."""
        if self._loaded is None or self._loaded.position != position:
            self._loaded = None
            backbone = load_backbone(
                self._plan.backbones[position],
                self._plan.resize,
                device=self._device,
                picture=self._picture,
            )
            network = Network(
                backbone,
                device=self._device,
                precision=self._plan.precision,
                batch_size=self._settings.batch_size,
            )
            self._wanted[position] = backbone.facts.preprocessing
            self._choose_batch_sizes(position, network)
            tracer = CurveTracer(
                network, steps=self._plan.curve_steps, insertion_start=self._plan.insertion_start
            )
            normalise = Normaliser(backbone.facts.preprocessing, self._device)
            pipeline = Pipeline(
                network, method_timeout=self._settings.hang_seconds / 2, noise=self._noise
            )
            optional_metrics = OptionalMetrics(network, pipeline, self._plan, self._truths)
            self._loaded = _Loaded(
                position,
                network,
                pipeline,
                tracer,
                optional_metrics,
                normalise,
                Sentinel(network),
            )
        return self._loaded.network.backbone.facts

    def _picture(self, wanted: Preprocessing) -> torch.Tensor | None:
        """The first image of the data set that can be read, ``[1, channels, H, W]``, normalised."""
        for image in self._settings.pictures:
            decoded = self._loader.collect([image], wanted)
            if decoded.images:
                return Normaliser(wanted, torch.device("cpu"))(decoded.pixels).contiguous()
        return None

    def _choose_batch_sizes(self, position: int, network: Network) -> None:
        if position in self._batch_sizes:
            network.batch_sizes = dict(self._batch_sizes[position])
        elif self._settings.batch_size is None and self._settings.tuning:
            remembered = RememberedSizes(Path(self._settings.tuning))
            for channel_scoring in (False, True):
                network.batch_sizes[network.arithmetic(channel_scoring=channel_scoring)] = (
                    remembered.size_for(network, channel_scoring=channel_scoring)
                )

    def prefetch(self, unit: Unit) -> None:
        """Begin decoding the unit's images, if they are needed and their preprocessing is known."""
        wanted = self._wanted.get(unit.backbone)
        if wanted and needs_pixels(unit):
            self._loader.begin(unit.images, wanted)
            self._draw_ahead(unit, wanted)

    def _draw_ahead(self, unit: Unit, wanted: Preprocessing) -> None:
        """Begin drawing the noise of the methods, once the head is loaded: it says how much."""
        loaded = self._loaded
        if (
            self._noise is None
            or unit.metrics
            or loaded is None
            or loaded.position != unit.backbone
        ):
            return
        gap_linear = loaded.network.backbone.gap_linear
        distinct = {
            method.map_identity(gap_linear): method for method in map(method_of, unit.methods)
        }
        passes = [one for method in distinct.values() for one in method.noisy_passes(gap_linear)]
        shape = (wanted.channels, wanted.side, wanted.side)
        self._noise.expect(fields_of(passes, tuple(noise_keys(self._plan, unit.images)), shape))

    def evaluate(self, unit: Unit) -> UnitResult:
        """Compute the rows of a unit, or its optional metrics."""
        try:
            return self._evaluated(unit)
        except UnstableAnswer as error:
            self._unstable[unit.backbone] = error  # nothing more of it is computed here
            raise
        finally:
            if self._noise is not None:
                self._noise.forget(noise_keys(self._plan, unit.images))

    def _evaluated(self, unit: Unit) -> UnitResult:
        if self._loaded is None or self._loaded.position != unit.backbone:
            raise RunFailed(
                f"backbone {unit.backbone} is not loaded",
                "load it before a unit of it is evaluated",
            )
        if unit.backbone in self._unstable:
            raise self._unstable[unit.backbone]
        network, begun, forwards = (
            self._loaded.network,
            time.perf_counter(),
            self._loaded.network.forwards,
        )
        wanted = network.backbone.facts.preprocessing
        decoded = self._loader.collect(unit.images, wanted) if needs_pixels(unit) else None
        found = list(self._found(unit, decoded, self._loaded))
        notes = self._shrunk(unit.backbone, network)
        return UnitResult(
            rows=tuple(one for one in found if isinstance(one, Row)),
            measurements=tuple(one for one in found if isinstance(one, Measurement)),
            failures=tuple(one for one in found if isinstance(one, Failure)),
            seconds=time.perf_counter() - begun,
            forwards=network.forwards - forwards,
            notes=notes,
            contents=decoded.contents if decoded is not None else {},
        )

    def _found(
        self, unit: Unit, decoded: Decoded | None, loaded: _Loaded
    ) -> Iterator[Row | Measurement | Failure]:
        if decoded is not None:
            yield from unreadable(unit, decoded)
        images = (
            loaded.normalise(decoded.pixels) if decoded is not None and decoded.images else None
        )
        if not unit.metrics:
            if decoded is not None and images is not None:
                found = list(rows_of(unit, decoded.images, images, loaded.pipeline, self._plan))
                rows = [one for one in found if isinstance(one, Row)]
                loaded.sentinel.check(decoded.images, images, rows)
                yield from found
            return
        known: list[Measurement | Failure] = []
        if decoded is not None and images is not None:
            yield from curves_of(unit, decoded.images, images, loaded.tracer)
            known += loaded.optional_metrics.from_images(unit, decoded.images, images)
            loaded.sentinel.check(decoded.images, images, ())
        yield from known
        yield from loaded.optional_metrics.from_rows(unit, known)

    def _shrunk(self, position: int, network: Network) -> tuple[str, ...]:
        """Return notes on batches that were halved, once, and remember their sizes."""
        notes, network.shrunk = tuple(network.shrunk), []
        if notes:
            self._batch_sizes[position] = dict(network.batch_sizes)
        return notes

    def figures(self) -> DeviceFigures:
        """Utilisation and memory now."""
        return device_figures(self._device)

    def close(self) -> None:
        """End the loader's threads."""
        self._loader.close()
