"""Forward passes through one backbone on one device: micro-batches, precision, their count."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Any, Literal, NamedTuple, TypeVar

import torch
from torch import Tensor, nn

from evaluator.errors import (
    NoGradient,
    NoRelevance,
    StateChanged,
    UsageError,
    is_out_of_memory,
    loses_device,
)
from evaluator.methods.base import Attention, BiasGradient, BlockScore
from evaluator.networks.agreement import BFLOAT16, apart
from evaluator.networks.backbone_loading import Backbone, TrunkOutput, state_changed
from evaluator.networks.device import disable_tf32, make_deterministic
from evaluator.networks.fast import bfloat16_copy
from evaluator.networks.global_state import ForeignCode
from evaluator.networks.layers import bias_gradients, layer_gradients
from evaluator.networks.relevance import relevance
from evaluator.records import Precision
from evaluator.text import printable

DEFAULT_BATCH = {"cpu": 16, "cuda": 128}
"""Images in one forward where nothing better was searched for
(``evaluator.networks.batch_size_search``).
"""

T = TypeVar("T")

Arithmetic = Literal["fp32", "bf16"]
"""In which numbers a pass is computed."""

DIFFERENTIATED = 4
"""Factor by which fewer images fit in a whole pass that is differentiated: it holds activations."""

GRADIENT_COST = 3
"""Forwards that a forward and a backward through the whole network count as."""


_FAILS = "it fails"


class Pass(NamedTuple):
    """One micro-batch on its way back: images ``start`` to ``stop`` of those asked for.

    Attributes:
        activation: ``A``, ``[n, K, h, w]``; ``logits``: ``[n, C]``; both float32.
        context: as ``Observation.context``.
    """

    start: int
    stop: int
    activation: Tensor
    logits: Tensor
    context: tuple[Tensor, ...] = ()


class Observation(NamedTuple):
    """``A`` ``[n, K, h, w]`` and logits ``[n, C]`` of some images.

    Attributes:
        context: what the head needs besides ``A``, each with one entry for each image; empty for
            most networks.
    """

    activation: Tensor
    logits: Tensor
    context: tuple[Tensor, ...] = ()

    def part(self, start: int, stop: int) -> Observation:
        """The observation of images ``start`` to ``stop``."""
        context = tuple(one[start:stop] for one in self.context)
        return Observation(self.activation[start:stop], self.logits[start:stop], context)


MakeImages = Callable[[int, int], Tensor]
"""``(start, stop)`` → normalised images ``[stop − start, 3, H, W]`` on the device."""


class Network:
    """A backbone ready to run.

    Args:
        backbone: on any device; it is moved.
        precision: ``fp32``; ``mixed``: passes that only score channels in bfloat16, passes that
            measure in float32; ``bf16``.
        batch_size: images in one forward, ``None`` for a default.

    Attributes:
        side: height and width of the input in pixels; ``input_shape``: ``(channels, side, side)``.
        batch_sizes: images in one forward, by its arithmetic; halved for good when the device runs
            out of memory.
        as_built: what ``built`` gives, once a method has asked for it.
        forwards: images that went through the network so far; ``shrunk``: a line for each time a
            batch was halved.
    """

    def __init__(
        self,
        backbone: Backbone,
        *,
        device: torch.device,
        precision: Precision,
        batch_size: int | None = None,
    ) -> None:
        disable_tf32()
        self.backbone = backbone.to(device)
        if device.type == "cuda" and not backbone.gap_linear:
            make_deterministic(backbone.head)
        self._bfloat16_copy = (
            bfloat16_copy(backbone.trunk, device.type) if precision != "fp32" else None
        )
        self._precision = precision
        self.device = device
        self.side = backbone.facts.preprocessing.side
        self.input_shape = (backbone.facts.preprocessing.channels, self.side, self.side)
        size = batch_size or DEFAULT_BATCH.get(device.type, 32)
        self.batch_sizes: dict[Arithmetic, int] = {"fp32": size, "bf16": size}
        self._most_differentiated: int | None = None
        self.forwards = 0
        self.shrunk: list[str] = []
        self._baseline: Tensor | None = None
        self.as_built: nn.Module | None = None
        self._check_bfloat16()

    def _check_bfloat16(self) -> None:
        """Do without what answers otherwise in bfloat16 than the network in float32; say what is.

        Of the passes that measure nothing is switched off unless they fail: their arithmetic was
        asked for.
        """
        record = self.backbone.record
        if self._precision == "fp32" or record is None:
            return
        images, remarks = record.images.to(self.device), self.backbone.facts.remarks
        if self._bfloat16_copy is not None and self._trouble(images):
            self._bfloat16_copy = None
            remarks = (
                *remarks,
                "runs without a bfloat16 copy of its trunk, which answers otherwise",
            )
        trouble = self._trouble(images)
        if trouble.startswith(_FAILS):
            self._precision = "fp32"
            remarks = (*remarks, f"runs in float32 throughout: in bfloat16, {trouble}")
        elif trouble:
            remarks = (*remarks, f"{trouble}: --precision fp32")
        if remarks != self.backbone.facts.remarks:
            facts = replace(self.backbone.facts, remarks=remarks)
            self.backbone = replace(self.backbone, facts=facts)

    def _trouble(self, images: Tensor) -> str:
        """What is wrong with a pass in bfloat16, empty for nothing."""
        assert self.backbone.record is not None, "asked first"
        expected = self.backbone.record.logits
        try:
            found = self.forward(images, channel_scoring=True).logits
        except Exception as error:  # the network is somebody else's, and may raise anything
            if is_out_of_memory(error) or loses_device(error):
                raise
            return f"{_FAILS}: {printable(error, 120)}"
        agrees = apart(found[:, -expected.shape[1] :], expected) <= BFLOAT16
        return "" if agrees else "its logits in bfloat16 are far from those in float32"

    def passes(
        self, count: int, make: MakeImages, *, channel_scoring: bool = False
    ) -> Iterator[Pass]:
        """Forward ``count`` images, made chunk by chunk so that they never exist all at once.

        Args:
            channel_scoring: these passes only score channels (Score-CAM and kin): bfloat16 under
                ``mixed``.
        """
        arithmetic = self.arithmetic(channel_scoring=channel_scoring)

        def observed(start: int, stop: int) -> Observation:
            return self.forward(make(start, stop), channel_scoring=channel_scoring)

        for start, stop, found in self._in_batches(count, arithmetic, observed):
            self.forwards += stop - start
            yield Pass(start, stop, *found)

    def gradients(
        self, count: int, make: MakeImages, targets: Tensor
    ) -> Iterator[tuple[int, int, Tensor]]:
        """``∂s_c/∂x`` of images made chunk by chunk: ``start``, ``stop``, ``[n, channels, H, W]``.

        In smaller batches than ``passes``, which are halved for themselves. Every batch is full,
        the last one with copies of its last image: kernels round by the size of a batch, not by
        what else is in it, so that a gradient is the same to the bit whatever it is computed with.

        Args:
            targets: ``[count]``.

        Raises:
            NoGradient: the network detaches what is behind its input.
        """

        def computed(start: int, stop: int) -> Tensor:
            with torch.enable_grad():
                images, classes = self._filled(make(start, stop), targets[start:stop])
                leaf = images.detach().clone().requires_grad_()
                chosen = self.logits_of(leaf).gather(1, classes[:, None]).sum()
                (found,) = (
                    torch.autograd.grad(chosen, leaf, allow_unused=True)
                    if chosen.requires_grad
                    else (None,)
                )
            if found is None:
                raise NoGradient(
                    "no gradient reaches the image: the network detaches what is behind it",
                    "take detach(), no_grad() and rounding out of its forward",
                )
            return found[: stop - start]

        for start, stop, found in self._in_batches(count, "gradient", computed):
            self.forwards += GRADIENT_COST * (stop - start)
            yield start, stop, found

    def _filled(self, images: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """A full batch of gradients: the last image again, as often as it takes."""
        copies = self._size("gradient") - len(images)
        if copies <= 0:
            return images, targets
        more = images[-1:].expand(copies, *images.shape[1:])
        return torch.cat([images, more]), torch.cat([targets, targets[-1:].expand(copies)])

    def _in_batches(
        self, count: int, kind: Arithmetic | Literal["gradient"], compute: Callable[[int, int], T]
    ) -> Iterator[tuple[int, int, T]]:
        start = 0
        while start < count:
            stop = min(start + self._size(kind), count)
            found = self._unless_too_large(kind, partial(compute, start, stop))
            if found is None:  # the error is gone, and with its traceback the batch that it held
                self._shrink(kind)
                continue
            yield start, stop, found
            start = stop

    def _unless_too_large(
        self, kind: Arithmetic | Literal["gradient"], compute: Callable[[], T]
    ) -> T | None:
        """One batch; ``None`` where memory ran out and a smaller one can be tried."""
        try:
            return compute()
        except (RuntimeError, MemoryError) as error:
            if self._size(kind) == 1 or not is_out_of_memory(error):
                raise
            return None

    def _size(self, kind: Arithmetic | Literal["gradient"]) -> int:
        """Images in one batch of that kind."""
        if kind != "gradient":
            return self.batch_sizes[kind]
        usual = max(1, self.batch_sizes["fp32"] // DIFFERENTIATED)
        return min(self._most_differentiated or usual, usual)

    def observe(self, count: int, make: MakeImages) -> Observation:
        """``A`` and logits of all of them, in measuring precision."""
        parts = [Observation(p.activation, p.logits, p.context) for p in self.passes(count, make)]
        if len(parts) == 1:
            return parts[0]
        context = tuple(
            torch.cat(each) for each in zip(*(part.context for part in parts), strict=True)
        )
        return Observation(
            torch.cat([p.activation for p in parts]), torch.cat([p.logits for p in parts]), context
        )

    def scores(self, logits: Tensor) -> Tensor:
        """Confidence in every class, ``[n, C]``, float64.

        ``softmax(s)``, or ``σ(s)`` for networks whose classes do not exclude each other, or the
        outputs themselves where they are probabilities. Near 1 a float32 probability has lost the
        digits that a drop needs.
        """
        exact, score = logits.double(), self.backbone.facts.score
        if score == "probability":
            return exact.clamp(0, 1)  # rounding may have led over the edge
        return exact.sigmoid() if score == "sigmoid" else exact.softmax(1)

    def confidence(self, logits: Tensor, targets: Tensor) -> Tensor:
        """The scores of the targets, ``[n]``, float64."""
        return self.scores(logits).gather(1, targets[:, None])[:, 0]

    def gradient(self, seen: Observation, targets: Tensor) -> Tensor:
        """``∂s_c/∂A``, ``[n, K, h, w]``, or ``[n, K, 1, 1]`` on GAP + linear heads."""
        return self._in_parts(
            seen,
            lambda part, at: self.backbone.gradient(part.activation, targets[at], part.context),
        )

    def gradient_of(self, seen: Observation, class_weights: Tensor) -> Tensor:
        """``∂(Σ_d w_d s_d)/∂A`` for ``w`` ``[n, C]``, shaped as ``gradient``."""
        return self._in_parts(
            seen,
            lambda part, at: self.backbone.gradient_of(
                part.activation, class_weights[at], part.context
            ),
        )

    def hessian_product(self, seen: Observation, targets: Tensor, vector: Tensor) -> Tensor:
        """``∂²s_c/∂A² · v`` for ``v`` ``[n, K, h, w]``, shaped as ``gradient``."""
        return self._in_parts(
            seen,
            lambda part, at: self.backbone.hessian_product(
                part.activation, targets[at], vector[at], part.context
            ),
        )

    def attention(
        self, images: Tensor, targets: Tensor, *, gradients: bool, score: BlockScore = ""
    ) -> Attention:
        """The self-attention of every block: one forward for each image, counted."""
        self.forwards += len(images)
        images = self.backbone.laid_out(images)
        with self._state_kept():
            return self.backbone.attention(images, targets, gradients=gradients, score=score)

    def _in_parts(
        self, seen: Observation, compute: Callable[[Observation, slice], Tensor]
    ) -> Tensor:
        """Compute over a head, in micro-batches where it needs a context (it may be deep then)."""
        count, size = len(seen.activation), self.batch_sizes["fp32"]
        with self._state_kept():
            if count <= size or not seen.context:
                return compute(seen, slice(None))
            return torch.cat(
                [
                    compute(seen.part(at, at + size), slice(at, at + size))
                    for at in range(0, count, size)
                ]
            )

    def head(self, activation: Tensor, context: tuple[Tensor, ...]) -> Tensor:
        """``A`` ``[n, K, h, w]`` and its images' context → logits ``[n, C]``, without gradients."""
        with torch.no_grad(), self._state_kept():
            return self.backbone.logits(activation, context)

    @contextmanager
    def _state_kept(self) -> Iterator[None]:
        """Put torch's state back behind a call of a network that somebody else's code is.

        Raises:
            StateChanged: it has left something otherwise than it was.
        """
        if not self.backbone.facts.source:
            yield
            return
        with ForeignCode(alone=False) as code:
            yield
        if code.changed:
            raise StateChanged(*state_changed(code.changed))

    def baseline_confidence(self) -> Tensor:
        """Confidence in every class on the zero image, ``[C]``, float64; one forward ever."""
        if self._baseline is None:
            black = torch.zeros(1, *self.input_shape, device=self.device)
            self._baseline = self.scores(self.forward(black, channel_scoring=False).logits)[0]
            self.forwards += 1
        return self._baseline

    def forward(self, images: Tensor, *, channel_scoring: bool) -> Observation:
        """One batch as it stands, not counted."""
        images = self.backbone.laid_out(images)
        with torch.no_grad(), self._state_kept():
            seen = self._run_trunk(images, channel_scoring)
            logits = (
                self.backbone.logits(seen.activation, seen.context)
                if seen.logits is None
                else seen.logits
            )
            return Observation(seen.activation, logits, seen.context)

    def built(self) -> nn.Module:
        """The network as its maker built it, on the device, for what comes from other libraries."""
        if self.as_built is None:
            assert self.backbone.as_built is not None, "whoever loads a network says how"
            self.as_built = self.backbone.as_built().to(self.device)
        return self.as_built

    def count(self, _module: object, inputs: tuple[Any, ...], _output: object) -> None:
        """Count a forward of ``built()``, one that is differentiated by its images as three.

        A forward hook: what hooks of the library have put in the images' place counts.
        """
        if inputs and isinstance(inputs[0], Tensor):
            cost = GRADIENT_COST if inputs[0].requires_grad else 1
            self.forwards += cost * len(inputs[0])

    def layers(
        self, images: Tensor, targets: Tensor, names: Sequence[str] | None = None
    ) -> dict[str, tuple[Tensor, Tensor]]:
        """``A`` and ``∂s_c/∂A`` of several layers, each ``[n, K, h, w]``: ``layer_gradients``.

        Counted and batched as ``gradients``.
        """
        parts: list[dict[str, tuple[Tensor, Tensor]]] = []

        def computed(start: int, stop: int) -> dict[str, tuple[Tensor, Tensor]]:
            at = slice(start, stop)
            full, classes = self._filled(images[at], targets[at])
            found = layer_gradients(self.backbone, full, classes, self._watched_logits, names)
            count = stop - start
            return {name: (one[:count], two[:count]) for name, (one, two) in found.items()}

        for start, stop, part in self._in_batches(len(images), "gradient", computed):
            self.forwards += GRADIENT_COST * (stop - start)
            parts.append(part)
        return {
            name: (
                torch.cat([part[name][0] for part in parts]),
                torch.cat([part[name][1] for part in parts]),
            )
            for name in parts[0]
        }

    def biases(
        self,
        images: Tensor,
        targets: Tensor,
        combine: Callable[[Tensor, Sequence[BiasGradient]], Tensor],
    ) -> Tensor:
        """Apply ``combine`` to input gradient and biases (``layers.bias_gradients``) by batches.

        Counted and batched as ``gradients``: ``[n, …]``.
        """
        parts: list[Tensor] = []

        def computed(start: int, stop: int) -> Tensor:
            at, count = slice(start, stop), stop - start
            full, classes = self._filled(images[at], targets[at])
            found, layers = bias_gradients(self.backbone, full, classes, self._watched_logits)
            part = [BiasGradient(gradient[:count], bias) for gradient, bias in layers]
            return combine(images[at] * found[:count], part)

        for start, stop, part in self._in_batches(len(images), "gradient", computed):
            self.forwards += GRADIENT_COST * (stop - start)
            parts.append(part)
        return torch.cat(parts)

    def relevance(self, images: Tensor, targets: Tensor, composite: str) -> Tensor:
        """Relevance of the images by LRP (``relevance.relevance``), through the network as built.

        Counted and batched as ``gradients``: ``[n, channels, H, W]``.

        Raises:
            NoRelevance: there are no rules for it.
        """
        seen, parts = self.backbone.facts.preprocessing, []
        try:
            model = self.built()
        except UsageError as error:
            raise NoRelevance(error.message, error.hint) from error

        def computed(start: int, stop: int) -> Tensor:
            full, classes = self._filled(images[start:stop], targets[start:stop])
            return relevance(model, full, classes, composite, seen)[: stop - start]

        for start, stop, part in self._in_batches(len(images), "gradient", computed):
            self.forwards += GRADIENT_COST * (stop - start)
            parts.append(part)
        return torch.cat(parts)

    def _watched_logits(self, images: Tensor) -> Tensor:
        """As ``logits_of``, through the modules of the backbone: a copy has no hooks."""
        return self.logits_of(images, copy=False)

    def logits_of(self, images: Tensor, *, copy: bool = True) -> Tensor:
        """``s``, ``[n, C]``, of images in measuring precision, differentiable; not counted.

        Args:
            copy: whether the copy in bfloat16 may run in place of the backbone.
        """
        with self._state_kept():
            laid_out = self.backbone.laid_out(images).clone()
            seen = self._run_trunk(laid_out, channel_scoring=False, copy=copy)
            if seen.logits is not None:
                return seen.logits
            return self.backbone.logits(seen.activation, seen.context)

    def _run_trunk(
        self, images: Tensor, channel_scoring: bool, *, copy: bool = True
    ) -> TrunkOutput:
        """Output of the trunk, in the pass's arithmetic; the head behind it computes in float32."""
        if self.arithmetic(channel_scoring=channel_scoring) == "fp32":
            output = self.backbone.trunk(images)
        elif (
            copy
            and self._bfloat16_copy is not None
            and (channel_scoring or self.device.type == "cuda")
        ):
            output = self._bfloat16_copy(images.bfloat16())
        else:
            with torch.autocast(self.device.type, torch.bfloat16):
                output = self.backbone.trunk(images)
        return self.backbone.trunk_output(output)

    def arithmetic(self, *, channel_scoring: bool) -> Arithmetic:
        """The arithmetic of a pass of that kind."""
        return (
            "bf16"
            if self._precision == "bf16" or (channel_scoring and self._precision == "mixed")
            else "fp32"
        )

    def _shrink(self, kind: Arithmetic | Literal["gradient"]) -> None:
        if kind == "gradient":
            self._most_differentiated = self._size(kind) // 2
        else:
            self.batch_sizes[kind] //= 2
        what = "gradients at once" if kind == "gradient" else "batch size"
        self.shrunk.append(f"out of memory on {self.device}: {what} now {self._size(kind)}")
        if self.device.type == "cuda":
            torch.cuda.empty_cache()
