"""``interfaces.Session`` on one device: one backbone at a time, units in, rows out."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import NamedTuple

import torch
import torchvision
from torch import Tensor

from evaluator.backbones import known_backbone
from evaluator.crop import pillow
from evaluator.errors import RunFailed, UnstableAnswer
from evaluator.interfaces import DeviceFigures, SessionSettings
from evaluator.measuring.curve_tracing import CurveTracer
from evaluator.measuring.inputs import Decoded, Loader, NoiseAhead, Normaliser, fields_of
from evaluator.measuring.method_calls import call_method, made_method
from evaluator.measuring.optional_metrics import OptionalMetrics
from evaluator.measuring.pipeline import Pipeline
from evaluator.measuring.unit_results import (
    curves_of,
    needs_pixels,
    noise_keys,
    rows_of,
    unreadable,
)
from evaluator.methods.base import Method
from evaluator.networks.agreement import REPEAT, apart, depends_on_others, differs_each_time
from evaluator.networks.backbone_loading import load_backbone
from evaluator.networks.batch_size_search import RememberedSizes
from evaluator.networks.device import device_figures, device_name, keep_freed_blocks
from evaluator.networks.global_state import ForeignCode
from evaluator.networks.network import Arithmetic, Network
from evaluator.plan import RunPlan
from evaluator.records import (
    Failure,
    ImageRef,
    LoadedBackbone,
    Measurement,
    Preprocessing,
    Row,
    Unit,
    UnitResult,
)
from evaluator.sources.folder import data_folder
from evaluator.text import counted
from evaluator.truth.folder import planned_truth
from evaluator.user_code import allow
from evaluator.user_code_checks import import_code

FORWARDS = 2
"""Images of one check: the sentinel and another."""

EVERY = 400
"""Forwards between two checks, which are 0.5 % of them; the first one comes with the first unit."""

REPEATED: dict[Arithmetic, float] = {"fp32": REPEAT, "bf16": 2e-2}
"""Largest difference of the sentinel's logits, in parts of the largest: the same images in a batch
of the same size differ by nothing on a CPU, and by rounding where a batch had to be halved.
"""

CONFIDENCE: dict[Arithmetic, float] = {"fp32": 5e-3, "bf16": 0.25}
"""Largest difference of a confidence between batches of other sizes. ``ROUNDING`` of a logit
of 10 moves it by 1.5e-3; bfloat16 has moved single images by 0.14.
"""


class Sentinel:
    """The check of one loaded network.

    Attributes:
        forwards: images that its checks took so far.
    """

    def __init__(self, network: Network) -> None:
        self._network = network
        self._image: Tensor | None = None
        self._logits: Tensor | None = None
        self._due = network.forwards
        self.forwards = 0

    def check(self, refs: Sequence[ImageRef], images: Tensor, rows: Sequence[Row]) -> None:
        """Ask the sentinel again, where that is due.

        Args:
            refs: the images of a unit, ``images``: ``[n, channels, H, W]``, normalised.
            rows: that were computed of them; none where something else was.

        Raises:
            UnstableAnswer: an answer has changed.
        """
        if self._network.forwards < self._due or not len(refs):
            return
        first = self._image is None
        if self._image is None:
            self._image = images[:1].clone()
        pair = torch.cat([self._image, images[-1:]])
        before = self._network.forwards
        logits = self._network.observe(len(pair), lambda start, stop: pair[start:stop]).logits
        self._network.forwards = before  # the unit's are its own
        self.forwards += FORWARDS
        self._due = before + (2 * EVERY if first else EVERY)
        if self._logits is None:
            self._logits = logits[:1].clone()
        arithmetic = self._network.arithmetic(channel_scoring=False)
        changed = apart(logits[:1], self._logits)
        if changed > REPEATED[arithmetic]:
            raise _while_it_ran(differs_each_time(changed))
        places = ((0, refs[0].id), (1, refs[-1].id)) if first else ((1, refs[-1].id),)
        for place, image in places:
            row = next((row for row in rows if row.image == image), None)
            if row is None:
                continue
            target = torch.tensor([row.target], device=logits.device)
            y = float(self._network.confidence(logits[place : place + 1], target)[0])
            if abs(y - row.y) > CONFIDENCE[arithmetic]:
                raise _while_it_ran(
                    depends_on_others(
                        f"image {image} has a confidence of {row.y:.4f} in its row and of {y:.4f} "
                        "in another batch, a moment later"
                    )
                )


def _while_it_ran(error: UnstableAnswer) -> UnstableAnswer:
    return UnstableAnswer(f"while it ran, {error.message}", error.hint)


def open_session(settings: SessionSettings) -> EvaluationSession:
    """The real thing; ``interfaces.DEFAULT_SESSION`` names it."""
    return EvaluationSession(settings)


class _NoisyPasses(NamedTuple):
    """What a method says of its noise on one backbone: identity of its maps, and its passes."""

    identity: str
    passes: Sequence[tuple[str, int]]


class _Loaded(NamedTuple):
    """One backbone on the device, with what computes its rows and optional metrics.

    Attributes:
        noisy_passes: of each method, by its spec; empty where nothing is drawn ahead.
    """

    position: int
    network: Network
    pipeline: Pipeline
    tracer: CurveTracer
    optional_metrics: OptionalMetrics
    normalise: Normaliser
    noisy_passes: dict[str, _NoisyPasses]
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


def _passes_of(method: Method, gap_linear: bool) -> _NoisyPasses:
    return _NoisyPasses(method.map_identity(gap_linear), method.noisy_passes(gap_linear))


class EvaluationSession:
    """Evaluates units on one device. See ``interfaces.Session`` for what each method promises."""

    def __init__(self, settings: SessionSettings) -> None:
        self._plan = settings.plan
        self._settings = settings
        self._device = torch.device(settings.device)
        cuda = self._device.type == "cuda"
        self._loader = Loader(
            data_folder(settings.root, follow_links=settings.plan.follow_links),
            threads=settings.loaders,
            pinned=cuda,
        )
        self._noise = (
            NoiseAhead(self._loader.threads) if cuda else None
        )  # on a CPU whoever draws ahead computes less
        self._loaded: _Loaded | None = None
        self._truths = planned_truth(settings.plan)
        self._wanted = _as_far_as_known(settings.plan)
        self._batch_sizes: dict[int, dict[Arithmetic, int]] = {}
        self._notes: tuple[str, ...] = ()
        self._unstable: dict[int, UnstableAnswer] = {}
        pillow()  # its warnings are filtered for the process, not within a call that is put back
        allow(settings.allowed)
        for code in settings.plan.code:
            with ForeignCode(alone=False) as imported:
                import_code(code)
            if imported.changed:
                self._notes += (f"{code.key}: its import changes {imported.changed}: put back",)
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
                self._settings.layers.get(position),
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
                network,
                steps=self._plan.curve_steps,
                insertion_start=self._plan.insertion_start,
                removed=self._plan.removed,
            )
            normalise = Normaliser(backbone.facts.preprocessing, self._device)
            pipeline = Pipeline(
                network,
                method_timeout=self._settings.hang_seconds / 2,
                noise=self._noise,
                masking=self._plan.masking,
                map_side=self._plan.map_side,
            )
            optional_metrics = OptionalMetrics(
                network, pipeline, self._plan, self._truths, partial(self._redrawn, position)
            )
            passes = self._noisy_passes(backbone.gap_linear) if self._noise is not None else {}
            self._loaded = _Loaded(
                position,
                network,
                pipeline,
                tracer,
                optional_metrics,
                normalise,
                passes,
                Sentinel(network),
            )
        return self._loaded.network.backbone.facts

    def _redrawn(self, position: int) -> Pipeline:
        """The loaded network with random weights, in batches of the same sizes."""
        assert self._loaded is not None, "it is that of the loaded one"
        network = self._loaded.network
        backbone = load_backbone(
            self._plan.backbones[position],
            self._plan.resize,
            network.backbone.facts.layer,
            device=self._device,
            picture=self._picture,
            redrawn=True,
        )
        found = Network(backbone, device=self._device, precision=self._plan.precision)
        found.batch_sizes = dict(network.batch_sizes)
        return Pipeline(
            found,
            method_timeout=self._settings.hang_seconds / 2,
            map_side=self._plan.map_side,
        )

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
        known = [loaded.noisy_passes[one] for one in unit.methods if one in loaded.noisy_passes]
        distinct = {one.identity: one.passes for one in known}
        passes = [one for each in distinct.values() for one in each]
        shape = (wanted.channels, wanted.side, wanted.side)
        self._noise.expect(fields_of(passes, tuple(noise_keys(self._plan, unit.images)), shape))

    def _noisy_passes(self, gap_linear: bool) -> dict[str, _NoisyPasses]:
        """Ask every method; of one that goes wrong, noise is drawn when it is asked for."""
        found = {}
        for spec in self._plan.methods:
            with suppress(Exception):
                method = made_method(spec)
                found[spec] = call_method(method, partial(_passes_of, method, gap_linear))
        return found

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
                f"network {unit.backbone} is not loaded",
                "load it before its images are measured",
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
        notes = (*self._shrunk(unit.backbone, network), *self._odd_files())
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
            known += curves_of(unit, decoded.images, images, loaded.tracer)
            known += loaded.optional_metrics.from_images(unit, decoded.images, images, known)
            loaded.sentinel.check(decoded.images, images, ())
        yield from known
        yield from loaded.optional_metrics.from_rows(unit, known)

    def _shrunk(self, position: int, network: Network) -> tuple[str, ...]:
        """Return notes, once: also on batches that were halved, whose sizes are remembered."""
        shrunk, network.shrunk = tuple(network.shrunk), []
        if shrunk:
            self._batch_sizes[position] = dict(network.batch_sizes)
        notes, self._notes = (*self._notes, *shrunk), ()
        return notes

    def _odd_files(self) -> tuple[str, ...]:
        """Return what is odd about the files since the last unit: three of them, then a count."""
        notes = sorted(self._loader.notes)
        del self._loader.notes[: len(notes)]
        more = len(notes) - 3
        return (*notes[:3], *([f"{counted(more, 'more file')} of that kind"] if more > 0 else []))

    def confidences(self, images: Sequence[ImageRef]) -> dict[int, Sequence[float]]:
        """Confidence of the loaded backbone in every class, by id of each image that can be read.

        One forward for each image, in measuring precision.
        """
        if self._loaded is None:
            raise RunFailed("no network is loaded", "load one before it is asked")
        network, normalise = self._loaded.network, self._loaded.normalise
        decoded = self._loader.collect(images, network.backbone.facts.preprocessing)
        if not decoded.images:
            return {}
        pixels = normalise(decoded.pixels)
        seen = network.observe(len(pixels), lambda start, stop: pixels[start:stop])
        scores = network.scores(seen.logits).tolist()
        return {image.id: row for image, row in zip(decoded.images, scores, strict=True)}

    def figures(self) -> DeviceFigures:
        """Utilisation and memory now."""
        return device_figures(self._device)

    def close(self) -> None:
        """End the loader's threads."""
        self._loader.close()
