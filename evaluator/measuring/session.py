"""A worker's hold on one device: one backbone at a time, units in, rows out (``interfaces.Session``)."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import torch
import torchvision
from torch import Tensor

from evaluator.catalog import method as method_of
from evaluator.catalog import metric as metric_of
from evaluator.crop import SIDE
from evaluator.errors import RunFailed
from evaluator.interfaces import DeviceFigures, SessionSettings
from evaluator.measuring.curve_tracing import CurveTracer, curve_area, curve_bytes
from evaluator.measuring.loading import Decoded, Loader, Normaliser
from evaluator.measuring.pipeline import Batch, Pipeline, Scores
from evaluator.measuring.row_functions import measured
from evaluator.measuring.stored_maps import MapOfImage
from evaluator.networks.allocator import keep_freed_blocks
from evaluator.networks.backbone_loading import load_backbone
from evaluator.networks.batch_size_search import RememberedSizes
from evaluator.networks.device import device_figures, device_name
from evaluator.networks.network import Arithmetic, Network
from evaluator.records import Failure, ImageRef, LoadedBackbone, Measurement, Row, Unit, UnitResult


def open_session(settings: SessionSettings) -> EvaluationSession:
    """The real thing; ``interfaces.DEFAULT_SESSION`` names it."""
    return EvaluationSession(settings)


class _Loaded(NamedTuple):
    """One backbone on the device, with what computes its rows and what is requested from them."""

    position: int
    network: Network
    pipeline: Pipeline
    tracer: CurveTracer
    normalise: Normaliser


class EvaluationSession:
    """Evaluates units on one device. See ``interfaces.Session`` for what each method promises."""

    def __init__(self, settings: SessionSettings) -> None:
        self._plan = settings.plan
        self._settings = settings
        self._device = torch.device(settings.device)
        self._loader = Loader(Path(settings.root), resize=settings.plan.resize, threads=settings.loaders)
        self._loaded: _Loaded | None = None
        self._batch_sizes: dict[int, dict[Arithmetic, int]] = {}
        keep_freed_blocks()
        if settings.threads:
            torch.set_num_threads(settings.threads)
        torch.backends.cuda.matmul.allow_tf32 = False
        torch.backends.cudnn.allow_tf32 = False

    def versions(self) -> dict[str, str]:
        """What computes the rows."""
        return {
            "torch": torch.__version__, "torchvision": torchvision.__version__, "device": device_name(self._device),
            "precision": self._plan.precision, "threads": str(torch.get_num_threads()),
        }  # fmt: skip

    def load(self, position: int) -> LoadedBackbone:
        """Load the plan's backbone at that position, replacing the one before."""
        if self._loaded is None or self._loaded.position != position:
            self._loaded = None
            backbone = load_backbone(self._plan.backbones[position], SIDE)
            network = Network(
                backbone, device=self._device, precision=self._plan.precision, batch_size=self._settings.batch_size, side=SIDE
            )
            self._choose_batch_sizes(position, network)
            tracer = CurveTracer(network, steps=self._plan.curve_steps, insertion_start=self._plan.insertion_start)
            normalise = Normaliser(backbone.facts, self._device)
            self._loaded = _Loaded(position, network, Pipeline(network), tracer, normalise)
        return self._loaded.network.backbone.facts

    def _choose_batch_sizes(self, position: int, network: Network) -> None:
        if position in self._batch_sizes:
            network.batch_sizes = dict(self._batch_sizes[position])
        elif self._settings.batch_size is None and self._settings.tuning:
            remembered = RememberedSizes(Path(self._settings.tuning))
            for weighing in (False, True):
                network.batch_sizes[network.arithmetic(weighing=weighing)] = remembered.size_for(network, weighing=weighing)

    def prefetch(self, unit: Unit) -> None:
        """Begin decoding the unit's images, if it looks at them."""
        if _needs_pixels(unit):
            self._loader.begin(unit.images)

    def evaluate(self, unit: Unit) -> UnitResult:
        """Rows of a unit, or what is requested from them."""
        if self._loaded is None or self._loaded.position != unit.backbone:
            raise RunFailed(f"backbone {unit.backbone} is not loaded", "load it before a unit of it is evaluated")
        _, network, pipeline, tracer, normalise = self._loaded
        begun, forwards = time.perf_counter(), network.forwards
        failures: list[Failure] = []
        rows: list[Row] = []
        measurements: list[Measurement] = []
        if _needs_pixels(unit):
            decoded = self._loader.collect(unit.images)
            failures += _unreadable(unit, decoded)
            if decoded.images and unit.metrics:
                measurements += _curves(tracer, unit, decoded.images, normalise(decoded.pixels))
            elif decoded.images:
                self._rows(pipeline, unit, decoded.images, normalise(decoded.pixels), rows, failures)
        measurements += _row_functions(unit, network)
        notes = self._shrunk(unit.backbone, network)
        return UnitResult(
            tuple(rows), tuple(measurements), tuple(failures), time.perf_counter() - begun, network.forwards - forwards, notes
        )

    def _shrunk(self, position: int, network: Network) -> tuple[str, ...]:
        """What the unit taught about memory: told once, and remembered when the backbone is loaded again."""
        notes, network.shrunk = tuple(network.shrunk), []
        if notes:
            self._batch_sizes[position] = dict(network.batch_sizes)
        return notes

    def _rows(
        self, pipeline: Pipeline, unit: Unit, refs: Sequence[ImageRef], images: Tensor, rows: list[Row], failures: list[Failure]
    ) -> None:
        by_label = self._plan.target == "label"
        classes = pipeline.class_count if by_label else 0
        known = [place for place, ref in enumerate(refs) if not by_label or (ref.label is not None and ref.label < classes)]
        for place in sorted(set(range(len(refs))) - set(known)):
            failures.extend(
                Failure(cell, refs[place].id, "", "no-label", "its label is no class of this network") for cell in unit.cells
            )
        if not known:
            return
        chosen = [refs[place] for place in known]
        targets = torch.tensor([ref.label for ref in chosen], device=self._device) if by_label else None
        keys = [b"%d\0%s" % (self._plan.seed, ref.path) for ref in chosen]
        seen = images if len(known) == len(refs) else images[known]
        scores = pipeline.rows(Batch(seen, keys, targets), [method_of(spec) for spec in unit.methods])
        for cell, method in zip(unit.cells, unit.methods, strict=True):
            for place, ref in enumerate(chosen):
                if scores[method].finite(place):
                    rows.append(_row(cell, ref.id, scores[method], place))
                else:
                    failures.append(Failure(cell, ref.id, "", "not-finite", "the network's output is not a number"))

    def figures(self) -> DeviceFigures:
        """Utilisation and memory now."""
        return device_figures(self._device)

    def close(self) -> None:
        """End the loader's threads."""
        self._loader.close()


def _needs_pixels(unit: Unit) -> bool:
    return not unit.metrics or any(metric_of(key).curve for key in unit.metrics)


def _unreadable(unit: Unit, decoded: Decoded) -> Iterator[Failure]:
    """One failure for each cell (and curve) of an image that cannot be read."""
    wanted = [key for key in unit.metrics if metric_of(key).curve] or [""]
    for image, error in decoded.unreadable.items():
        for cell in unit.cells:
            for metric in wanted:
                yield Failure(cell, image, metric, error.reason, error.message)


def _curves(tracer: CurveTracer, unit: Unit, refs: Sequence[ImageRef], images: Tensor) -> Iterator[Measurement]:
    """Every curve of a unit."""
    wanted = _stored(unit, refs)
    keys = [key for key in unit.metrics if metric_of(key).curve]
    for metric, curves in tracer.trace(images, [one for _, _, one in wanted], keys).items():
        for (cell, image, _), curve in zip(wanted, curves, strict=True):
            yield Measurement(cell, image, metric, curve_area(curve), curve_bytes(curve))


def _row_functions(unit: Unit, network: Network) -> Iterator[Measurement]:
    """What a unit asks for beside curves: also of images that can no longer be read."""
    wanted = _stored(unit, unit.images)
    for metric in unit.metrics:
        if not metric_of(metric).curve:
            for (cell, image, _), value in zip(wanted, measured(metric, [one for _, _, one in wanted], network), strict=True):
                yield Measurement(cell, image, metric, value)


def _stored(unit: Unit, refs: Sequence[ImageRef]) -> list[tuple[int, int, MapOfImage]]:
    """Cell, image and stored map of every pair of a unit that has one."""
    return [
        (cell, ref.id, MapOfImage(place, method, unit.maps[cell, ref.id]))
        for place, ref in enumerate(refs)
        for cell, method in zip(unit.cells, unit.methods, strict=True)
        if (cell, ref.id) in unit.maps
    ]


def _row(cell: int, image: int, scores: Scores, place: int) -> Row:
    defined = scores.y[place] > 0
    return Row(
        cell=cell, image=image, target=scores.target[place], predicted=scores.predicted[place], y=scores.y[place],
        o=scores.o[place], average_drop=scores.average_drop[place] if defined else None,
        average_increase=scores.average_increase[place], coherency=scores.coherency[place],
        complexity=scores.complexity[place], adcc=scores.adcc[place] if defined else None,
        degenerate=scores.degenerate[place], map=scores.maps[place],
    )  # fmt: skip
