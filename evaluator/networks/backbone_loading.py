"""A classifier as trunk and head at its target layer, with weights, preprocessing and classes."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor, fx, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from evaluator.backbones import BackboneSpec, family_of, known_backbone
from evaluator.errors import Mismatch, NoGradient, StateChanged, UsageError, is_out_of_memory
from evaluator.methods.base import Attention, BlockScore
from evaluator.networks.agreement import (
    Answer,
    Plain,
    departure,
    plain_answer,
    refuse_unstable,
    same_answer,
)
from evaluator.networks.attention import (
    attention_blocks,
    block_names,
    every_block,
    tokens_read,
    unfused,
)
from evaluator.networks.building import IN_FLOAT32, Built, in_float32, redraw, refuse_without_layers
from evaluator.networks.device import disable_tf32
from evaluator.networks.fast import absorb_zero_padding, fold_batch_norms
from evaluator.networks.global_state import ForeignCode
from evaluator.networks.graph_cut import OTHER_ANSWER, Split
from evaluator.networks.maps import Chooser, MapLayout, no_gradient, prefix_tokens
from evaluator.networks.target_layer import split_at
from evaluator.networks.tracing import ForwardRecord, logits_of, record_forward
from evaluator.records import LoadedBackbone, Preprocessing, Score


class TrunkOutput(NamedTuple):
    """Output of a trunk for some images.

    Attributes:
        activation: ``A`` as a map, ``[n, K, h, w]``.
        context: what the head needs besides: prefix tokens and the cut's sides, each with one entry
            for each image.
        logits: ``[n, C]`` where the trunk has them already, as a cut by hooks has.
    """

    activation: Tensor
    context: tuple[Tensor, ...] = ()
    logits: Tensor | None = None


@dataclass(frozen=True)
class Backbone:
    """A loaded classifier, cut in two at its target layer.

    Attributes:
        trunk: ``[n, channels, H, W]`` → output of the target layer, or a tuple of it and the cut's
            sides.
        head: all of these → logits ``[n, C]``.
        linear: the one linear layer behind global average pooling, where that is all the head is.
        facts: what the run records about it.
        layout: how the layer's output is a map.
        whole: the network as it was built, where its attention can be looked into.
        read: ``Attention.read`` of that network.
        blocks: the modules around each self-attention of it, as far as they are known.
        channels_last: its memory layout; some networks run in the usual one only.
        record: the plain model's answers to two images.
        as_built: makes the network as its maker built it once more, nothing cut, folded or laid out
            anew, with its target layer as a module of that name.
    """

    trunk: nn.Module
    head: nn.Module
    linear: nn.Linear | None
    facts: LoadedBackbone
    layout: MapLayout
    whole: nn.Module | None = None
    read: Tensor | None = None
    blocks: tuple[str, ...] = ()
    channels_last: bool = True
    record: ForwardRecord | None = None
    as_built: Callable[[], nn.Module] | None = None

    @property
    def gap_linear(self) -> bool:
        """Whether the head is global average pooling and one linear layer."""
        return self.linear is not None

    def trunk_output(self, output: Tensor | tuple[Tensor, ...]) -> TrunkOutput:
        """Map and context, float32, from the output of the trunk or of a copy of it."""
        raw, *sides = output if isinstance(output, tuple) else (output,)
        logits = sides.pop().float() if self.facts.cut == "hooks" else None
        activation, rest = self.layout.to_map(raw.float())
        context = tuple(
            side.float() if side.is_floating_point() else side for side in (*rest, *sides)
        )
        return TrunkOutput(
            activation, context, None if logits is None else self._answered(logits, len(raw))
        )

    def logits(self, activation: Tensor, context: tuple[Tensor, ...] = ()) -> Tensor:
        """``A`` ``[n, K, h, w]`` and its images' context → ``s`` ``[n, C]``, differentiable."""
        if self.linear is not None:
            return self.linear(activation.mean((2, 3)))  # type: ignore[no-any-return]  # nn.Module.__call__ is Any
        kept = 1 if self.layout.tokens is not None else 0
        raw = self.layout.to_raw(activation, context[:kept])
        if not self.channels_last:
            raw = raw.contiguous()
        return self._answered(self.head(raw, *context[kept:]), len(activation))

    def _answered(self, logits: Tensor, images: int) -> Tensor:
        """``[n, C]``, also where a network squeezes away a batch of one.

        One logit ``s`` becomes two classes, ``(−s, s)``: the score of either is ``σ`` of its own.
        One probability ``p`` becomes ``(1 − p, p)``.
        """
        logits = logits.reshape(images, -1)
        if logits.shape[1] != 1:
            return logits
        return torch.cat([_other_class(logits, self.facts.score), logits], 1)

    def gradient(
        self, activation: Tensor, targets: Tensor, context: tuple[Tensor, ...] = ()
    ) -> Tensor:
        """``∂s_c/∂A``, ``[n, K, h, w]``, by autograd through the head.

        On GAP + linear heads ``W[c]/(hw)``, ``[n, K, 1, 1]``, without autograd.
        """
        if self.linear is not None:
            weights = self.linear.weight[targets] / (activation.shape[2] * activation.shape[3])
            return weights[:, :, None, None]
        with torch.enable_grad():
            leaf = activation.detach().requires_grad_()
            chosen = self.logits(leaf, context).gather(1, targets[:, None]).sum()
            return self._reached(chosen, leaf)

    def gradient_of(
        self, activation: Tensor, class_weights: Tensor, context: tuple[Tensor, ...] = ()
    ) -> Tensor:
        """``∂(Σ_d w_d s_d)/∂A`` for ``w`` ``[n, C]``, shaped as ``gradient``."""
        if self.linear is not None:
            return (class_weights @ self.linear.weight)[:, :, None, None] / activation.shape[
                2:
            ].numel()
        with torch.enable_grad():
            leaf = activation.detach().requires_grad_()
            return self._reached((class_weights * self.logits(leaf, context)).sum(), leaf)

    def _reached(self, chosen: Tensor, leaf: Tensor, *, create_graph: bool = False) -> Tensor:
        """The gradient of a number with respect to the layer's map.

        Raises:
            NoGradient: the network detaches what is behind the layer.
        """
        gradient = None
        if chosen.requires_grad:
            (gradient,) = torch.autograd.grad(
                chosen, leaf, create_graph=create_graph, allow_unused=True
            )
        if gradient is None:
            raise NoGradient(
                f"{no_gradient(self.facts.layer)}: the network detaches what is behind it",
                "take detach(), no_grad() and rounding out of its forward",
            )
        return gradient

    def hessian_product(
        self, activation: Tensor, targets: Tensor, vector: Tensor, context: tuple[Tensor, ...] = ()
    ) -> Tensor:
        """``∂²s_c/∂A² · v`` for ``v`` ``[n, K, h, w]``, by two backward passes.

        Zeros where a head has no curvature. Attention is computed by torch's plain kernel: the
        fused ones have no second derivative.
        """
        if self.linear is not None:
            return torch.zeros_like(activation[:, :, :1, :1])
        with torch.enable_grad(), sdpa_kernel(SDPBackend.MATH):
            leaf = activation.detach().requires_grad_()
            chosen = self.logits(leaf, context).gather(1, targets[:, None]).sum()
            gradient = self._reached(chosen, leaf, create_graph=True)
            if not gradient.requires_grad:
                return torch.zeros_like(activation)
            (product,) = torch.autograd.grad(gradient, leaf, vector, materialize_grads=True)
        return product

    def laid_out(self, images: Tensor) -> Tensor:
        """Images in the memory layout in which it runs."""
        return images.contiguous(
            memory_format=torch.channels_last if self.channels_last else torch.contiguous_format
        )

    def answer(self, images: Tensor) -> Answer:
        """Logits and gradients of some images as a run has them in float32."""
        with torch.no_grad():
            seen = self.trunk_output(self.trunk(self.laid_out(images)))
            logits = self.logits(seen.activation, seen.context)
        return Answer(
            logits if seen.logits is None else seen.logits,
            lambda targets: self.gradient(seen.activation, targets, seen.context),
        )

    def attention(
        self, images: Tensor, targets: Tensor, *, gradients: bool, score: BlockScore = ""
    ) -> Attention:
        """The self-attention of every block on some images, by a pass through the whole network.

        Args:
            images: ``[n, channels, H, W]``, normalised; ``targets``: ``[n]``.
            gradients: those of the targets' logits too.
            score: whose gradients; see ``methods.base.View.attention``.

        Raises:
            NoGradient: the blocks are not known whose scores are asked for.
        """
        assert self.whole is not None, "the pipeline asks applicability first"
        assert self.read is not None, "it comes with the whole"
        with torch.set_grad_enabled(gradients), unfused(self.whole, gradients=gradients) as kept:
            if score:
                found = self._of_each_block(images, targets, kept, mean=score == "mean")
            else:
                logits = self._answered(logits_of(self.whole(images)), len(images))
                found = (
                    torch.autograd.grad(logits.gather(1, targets[:, None]).sum(), kept)
                    if gradients
                    else ()
                )
        weights = tuple(one.detach() for one in kept)
        read = self.read.to(images.device)
        return Attention(
            weights,
            tuple(found),
            self.layout.tokens or 0,
            self.layout.height,
            self.layout.width,
            read,
        )

    def _of_each_block(
        self, images: Tensor, targets: Tensor, kept: list[Tensor], *, mean: bool
    ) -> tuple[Tensor, ...]:
        """Gradients of each block's own score with respect to its own attention."""
        assert self.whole is not None, "the pipeline asks applicability first"
        if not self.blocks:
            raise NoGradient(
                "no block of the network has a score of its own: its attention stands in no block "
                "that gives tokens",
                "camtui methods lists others for transformers: rollout, gradattention",
            )
        count = len(self.blocks)
        with every_block([self.whole.get_submodule(name) for name in self.blocks], mean=mean):
            logits = self._answered(logits_of(self.whole(images)), count * len(images))
        scores = logits.gather(1, targets.repeat(count)[:, None]).view(count, -1).sum(1)
        return tuple(
            torch.autograd.grad(one, weights, retain_graph=True)[0]
            for one, weights in zip(scores, kept, strict=True)
        )

    def on(self, device: torch.device) -> Callable[[Tensor], Answer]:
        """``answer`` on a device, to which it is moved when it is asked."""
        return lambda images: self.to(device).answer(images)

    def to(self, device: torch.device) -> Backbone:
        """The same on another device, in its memory layout."""
        layout = torch.channels_last if self.channels_last else torch.contiguous_format
        for part in (self.trunk, self.head, self.linear, self.whole):
            if part is not None:
                part.to(device, memory_format=layout)  # type: ignore[call-overload]  # missing from torch's stubs
        return self


def load_backbone(
    spec: BackboneSpec,
    resize: int | None = None,
    layer: str | None = None,
    *,
    device: torch.device | None = None,
    picture: Callable[[Preprocessing], Tensor | None] | None = None,
    redrawn: bool = False,
) -> Backbone:
    """Build, fill and cut a classifier, and see that what was made of it answers as it does.

    Args:
        spec: which one, with which weights, at which layer.
        resize: the plan's short side before a crop of 224, see ``plan.BackboneSpec.preprocessing``.
        layer: the one that a run was begun with, at which it goes on.
        device: where it is to run; ``None`` for the CPU.
        picture: a real image as the network takes it, ``[1, channels, side, side]``; ``None``, or
            where it gives ``None``, for one that is drawn.
        redrawn: with random weights in place of its own (``building.redraw``).

    Raises:
        BackboneUnavailable: its weights are not at hand and cannot be fetched, or do not fit.
        UsageError: it has no such layer, the layer cannot be a target layer, or it is no classifier
            of such images, or none of its outputs is known to be the logits.
        UnstableAnswer: its answer is no function of the image alone.
        StateChanged: a forward of it leaves torch's state otherwise than it was.
    """
    device = device or torch.device("cpu")
    disable_tf32()  # what runs is compared in float32
    if device.type == "cuda":
        torch.cuda.init()  # type: ignore[no-untyped-call]  # torch's own; no change by the network
    code = ForeignCode()
    try:
        with code:
            backbone = _loaded(spec, resize, layer, device, picture, redrawn)
            backbone = replace(backbone, as_built=partial(_as_built, spec, backbone, redrawn))
    except Exception as error:  # the next forward may fail of what one has changed
        if code.changed:
            raise StateChanged(*state_changed(code.changed)) from error
        raise
    if code.changed:
        raise StateChanged(*state_changed(code.changed))
    return backbone


def _as_built(spec: BackboneSpec, backbone: Backbone, redrawn: bool) -> nn.Module:
    """The network as its maker built it.

    Raises:
        UsageError: its target layer is no module, so that nobody can hook it.
    """
    built, layer = family_of(spec.key).build(spec), backbone.facts.layer
    model = built.model.eval()
    if redrawn:
        redraw(model)
    if not any(one.dtype == torch.float32 for one in model.parameters()):
        model = in_float32(built).model
    output = backbone.record.output if backbone.record else None
    if output:
        model.register_forward_hook(lambda _, __, answer: logits_of(answer, output))
    if layer not in dict(model.named_modules()) and built.parted:
        model = built.parted(model).eval()
    if layer not in dict(model.named_modules()):
        raise UsageError(
            f"the target layer {layer} of {spec.shown_key} is no module of its own",
            f"choose a module: -b {spec.shown_key}:layer=NAME",
        )
    return model


def state_changed(what: str) -> tuple[str, str]:
    """Message and hint about a network whose forward changes torch's state of the process."""
    return (
        f"a pass of the network changes {what}",
        "other networks and methods are computed in the same process: put it back in forward",
    )


def _loaded(
    spec: BackboneSpec,
    resize: int | None,
    layer: str | None,
    device: torch.device,
    picture: Callable[[Preprocessing], Tensor | None] | None,
    redrawn: bool,
) -> Backbone:
    built = family_of(spec.key).build(spec)
    refuse_without_layers(built.model)
    model = built.model.eval().requires_grad_(False)
    if redrawn:
        redraw(model)
    if not any(one.dtype == torch.float32 for one in model.parameters()):
        built = in_float32(built)
    training = tuple(module for module in model.modules() if module.training)
    sha256 = weights_sha256(model)
    preprocessing = spec.preprocessing(built.preprocessing, resize)

    def record() -> ForwardRecord:
        try:
            return record_forward(
                model,
                preprocessing,
                picture(preprocessing) if picture else None,
                output=spec.output or built.output,
                names=spec.class_names() or built.classes,
            )
        except UsageError as error:
            if not (told := "".join(built.remarks[-1:])).endswith(IN_FLOAT32):
                raise
            hint = "let its forward take images in float32"
            raise UsageError(f"{error.message} ({told})", hint) from error

    try:
        found = record()
    except UsageError:
        if (converted := in_float32(built)) is built:
            raise
        built, sha256 = converted, weights_sha256(model)
        found = record()
    if found.output:  # from here on the model answers with its logits alone
        model.register_forward_hook(lambda _, __, answer: logits_of(answer, found.output))
    score = spec.score or built.score or "softmax"
    _check_score(spec, score, found)
    facts = _Facts(spec, built, layer, sha256, preprocessing, score, training)
    return _agreeing(facts, model, found, device)


class _Facts(NamedTuple):
    """What is known of a backbone before it is cut.

    Attributes:
        layer: the one that a run was begun with, ``None`` in a new run.
        training: modules that ``eval()`` left in training mode.
    """

    spec: BackboneSpec
    built: Built
    layer: str | None
    sha256: str
    preprocessing: Preprocessing
    score: Score
    training: tuple[nn.Module, ...]

    def loaded(
        self, split: Split, linear: nn.Linear | None, found: ForwardRecord, remarks: tuple[str, ...]
    ) -> LoadedBackbone:
        """All that the run records about it."""
        return LoadedBackbone(
            key=self.spec.key,
            weights=self.built.weights,
            sha256=self.sha256,
            layer=split.layer,
            channels=split.layout.channels,
            height=split.layout.height,
            width=split.layout.width,
            gap_linear=linear is not None,
            classes=_classes(self.spec, self.built, found),
            preprocessing=self.preprocessing,
            class_count=max(found.logits.shape[1], 2),
            score=self.score,
            cut=split.kind,
            tokens=split.layout.tokens,
            source=self.built.source,
            transform_input=self.built.transform_input,
            remarks=(*self.built.remarks, *split.remarks, *remarks),
        )


class _Way(NamedTuple):
    """One way to run a network.

    Attributes:
        off: what other ways have that this one does without.
    """

    split: Split
    channels_last: bool
    off: tuple[str, ...]


_FOLDING, _LAYOUT, _GRAPH = "folded batch normalisations", "channels-last layout", "a cut graph"


def _agreeing(
    facts: _Facts,
    model: nn.Module,
    found: ForwardRecord,
    device: torch.device,
    *,
    stable: bool = False,
) -> Backbone:
    """The fastest way to run a network in which it answers as it was given.

    Args:
        stable: its answers are known to be a function of the image alone.

    Raises:
        UnstableAnswer: they are not.
        UsageError: it answers otherwise in every way.
    """
    split = _split(facts, model, found)
    said = _probabilities(facts, model, found)
    if found.logits[1].isnan().any():
        said = (*said, "its logits of a picture are no numbers (NaN)")
    if split.reason == OTHER_ANSWER:
        said = (*said, f"cut by hooks: {OTHER_ANSWER}")
    plain, trouble = Plain(found.logits[1:]), ""
    if split.linear is None:  # elsewhere the gradient is the weights of that layer
        plain = plain_answer(model, found, split.layer)
    if not stable and not same_answer(plain.logits, found.logits[1:]):
        return _agreeing(
            facts, model, refuse_unstable(model, found, facts.training), device, stable=True
        )
    for way in _ways(facts, model, found, split):
        linear = _of_both_classes(way.split.linear, facts.score)
        off = f"runs without {' and '.join(way.off)}: with {_those(way.off)}, {trouble}"
        loaded = facts.loaded(way.split, linear, found, (*said, *((off,) if way.off else ())))
        backbone = Backbone(
            way.split.trunk,
            way.split.head,
            linear,
            loaded,
            way.split.layout,
            channels_last=way.channels_last,
            record=found,
        )
        gradient = _as_map(plain.gradient, way.split) if way.split.kind == "graph" else None
        backbone = with_attention(backbone, model, found)
        here = found._replace(images=found.images.to(device))
        differs = departure(backbone.on(device), here, plain._replace(gradient=gradient))
        if not differs:
            return backbone
        trouble = trouble or differs
        model.to("cpu", memory_format=torch.contiguous_format)  # type: ignore[call-overload]  # missing from torch's stubs
        if not stable:
            settled, stable = refuse_unstable(model, found, facts.training), True
            if not same_answer(settled.logits, found.logits):
                return _agreeing(facts, model, settled, device, stable=True)
    raise UsageError(
        f"{facts.spec.shown_key} cannot be run so that it answers as it was given: {trouble}",
        f"try another layer: camtui backbones --check {facts.spec.shown_key}:layer=NAME",
    )


def _ways(facts: _Facts, model: nn.Module, found: ForwardRecord, split: Split) -> Iterator[_Way]:
    """Every way to run a network that is cut, the fastest first."""
    if split.kind == "graph":
        folded = _folded(split)
        for channels_last in (True, False):
            layout = () if channels_last else (_LAYOUT,)
            if folded is not None:
                yield _Way(folded, channels_last, layout)
            yield _Way(split, channels_last, (*layout, *((_FOLDING,) if folded else ())))
        if facts.spec.cut == "graph":
            return
        try:
            split = _cut_by_hooks(facts, model, found, split.layer)
        except UsageError:  # a layer that is known to the graph only
            return
        yield _Way(split, True, (_GRAPH,))
        yield _Way(split, False, (_GRAPH, _LAYOUT))
        return
    yield _Way(split, True, ())
    yield _Way(split, False, (_LAYOUT,))


def _folded(split: Split) -> Split | None:
    """The same with its batch normalisations folded; ``None`` where there are none to fold."""
    if not isinstance(split.trunk, fx.GraphModule):
        return None
    try:
        trunk = fold_batch_norms(split.trunk)
    except Exception as error:  # weights that are computed, as those of weight normalisation
        if is_out_of_memory(error):
            raise
        return None
    return split._replace(trunk=trunk)


def _those(off: tuple[str, ...]) -> str:
    return "them" if len(off) > 1 or off == (_FOLDING,) else "it"


def _as_map(gradient: Tensor | None, split: Split) -> Tensor | None:
    """A gradient of the layer's output as one of its map."""
    return None if gradient is None else split.layout.to_map(gradient)[0]


def _probabilities(facts: _Facts, model: nn.Module, found: ForwardRecord) -> tuple[str, ...]:
    """A remark on outputs that are probabilities already, where a score is made of them again.

    Where they seem to be, stronger images are tried: logits leave the range then.

    Raises:
        UsageError: ``score=probability`` where they are none.
    """
    if facts.score == "probability" and not _within_one(found.logits):
        low, high = float(found.logits.min()), float(found.logits.max())
        raise UsageError(
            f"score=probability, and the network's outputs are no probabilities: from {low:.3g} to "
            f"{high:.3g}",
            f"-b {facts.spec.shown_key}:score=softmax, or score=sigmoid for several labels at once",
        )
    if facts.score == "probability" or not _within_one(found.logits) or found.logits.max() < _SOME:
        return ()
    with torch.no_grad():
        strong = model(torch.cat([found.images[:1] * 8, found.images[1:] * -8]))
    strong = logits_of(strong, found.output).reshape(len(found.images), -1)
    if strong.isfinite().all() and not _within_one(strong):
        return ()
    sums = found.logits.sum(1)
    are = (
        "are at least 0 and add up to 1"
        if found.logits.shape[1] > 1 and bool((sums - 1).abs().max() < 1e-3)
        else "lie within 0 and 1"
    )
    return (
        f"its outputs {are}, as probabilities do, and {facts.score} is taken of them once more: "
        "score=probability takes them as they are",
    )


_SOME = 1e-3
"""A network whose largest output is below this is one whose weights are hardly more than zero."""


def _within_one(outputs: Tensor) -> bool:
    return bool(((outputs >= 0) & (outputs <= 1 + 1e-6)).all())


def with_attention(backbone: Backbone, model: nn.Module, record: ForwardRecord) -> Backbone:
    """Keep the network as it was built where methods can look into its self-attention.

    Args:
        backbone: cut from the model.
        record: a forward of the model.
    """
    blocks = attention_blocks(model, record, backbone.layout)
    read = tokens_read(model, record.images[1:]) if blocks else None
    if read is None:
        return backbone
    facts, names = replace(backbone.facts, attention=blocks), block_names(record, blocks)
    return replace(backbone, facts=facts, whole=model, read=read, blocks=names)


def _split(facts: _Facts, model: nn.Module, found: ForwardRecord) -> Split:
    """Cut at the layer of the run, of the user, of the family, or at the one that the rule finds.

    Raises:
        Mismatch: the run was begun at a layer that is no map of the image.
        UsageError: see ``split_at``.
    """
    spec, built, layer = facts.spec, facts.built, _layer_of(facts)
    tried = family_of(spec.key).tried and spec.layer is None
    by: Chooser = "us" if tried else "run" if facts.layer else "user"
    prefix = prefix_tokens(model, built.tokens if spec.tokens is None else spec.tokens)
    try:
        own = built.cut(model, layer, found, by) if built.cut and spec.cut is None else None
        if own is None:
            absorb_zero_padding(model)
        return own or split_at(model, layer, found, prefix=prefix, kind=spec.cut, by=by)
    except UsageError as error:
        if facts.layer is None:
            raise
        raise Mismatch(
            f"{spec.shown_key}: the run was begun at a layer that is refused now: {error.message}",
            f"begin another run, with another --name; for this network: {error.hint}",
        ) from error


def _layer_of(facts: _Facts) -> str | None:
    spec = facts.spec
    return facts.layer or spec.layer or facts.built.layer or known_backbone(spec.key).layer


def _cut_by_hooks(facts: _Facts, model: nn.Module, found: ForwardRecord, layer: str) -> Split:
    """Cut at the same layer, or by the general rule where the graph alone knows that one."""
    tokens = facts.built.tokens if facts.spec.tokens is None else facts.spec.tokens
    known = layer if layer.partition("#")[0] in dict(model.named_modules()) else _layer_of(facts)
    prefix = prefix_tokens(model, tokens)
    return split_at(model, known, found, prefix=prefix, kind="hooks", by="us")


def _check_score(spec: BackboneSpec, score: Score, found: ForwardRecord) -> None:
    if found.logits.shape[1] == 1 and score == "softmax":
        raise UsageError(
            "the network gives one logit, and softmax over one class is always 1",
            f"-b {spec.shown_key}:score=sigmoid explains the class that it favours",
        )


def _classes(spec: BackboneSpec, built: Built, found: ForwardRecord) -> tuple[str, ...]:
    """The class names: the user's, else the builder's.

    Raises:
        UsageError: there are not as many as classes.
    """
    names, count = spec.class_names() or built.classes, found.logits.shape[1]
    if count == 1 and len(names) == 1:
        return (f"not {names[0]}", names[0])
    if names and len(names) != max(count, 2):
        raise UsageError(
            f"{len(names)} class names, and the network has {max(count, 2)} classes",
            "one name a line: --classes FILE",
        )
    return names


def _of_both_classes(linear: nn.Linear | None, score: Score) -> nn.Linear | None:
    """The layer behind one logit as that of two classes, ``(−s, s)``; any other as it is."""
    if linear is None or linear.out_features != 1:
        return linear
    if score == "probability":  # the other class is no multiple of it
        return None
    both = nn.Linear(linear.in_features, 2, bias=linear.bias is not None, dtype=linear.weight.dtype)
    both.weight = nn.Parameter(torch.cat([-linear.weight, linear.weight]), requires_grad=False)
    if linear.bias is not None:
        both.bias = nn.Parameter(torch.cat([-linear.bias, linear.bias]), requires_grad=False)
    return both


def _other_class(outputs: Tensor, score: Score) -> Tensor:
    """The output of the class that a single one speaks against."""
    return 1 - outputs if score == "probability" else -outputs


def weights_sha256(model: nn.Module) -> str:
    """Identity of a network's tensors: names, shapes and bytes, whatever file they came from."""
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        if isinstance(tensor, Tensor) and not name.endswith("num_batches_tracked"):
            digest.update(f"{name}{tuple(tensor.shape)}{tensor.dtype}".encode())
            values = tensor.detach().cpu().reshape(-1).contiguous()
            digest.update(values.view(torch.uint8).numpy().data)
    return digest.hexdigest()
