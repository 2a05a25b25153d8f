"""A classifier as trunk and head at its target layer, with weights, preprocessing and classes."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from torch import Tensor, fx, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from evaluator.backbone_spec import BackboneSpec
from evaluator.backbones import family_of, known_backbone
from evaluator.errors import Mismatch, StateChanged, UsageError
from evaluator.methods.base import Attention
from evaluator.networks.attention import attention_blocks, tokens_read, unfused
from evaluator.networks.batch_norm_folding import absorb_zero_padding, fold_batch_norms
from evaluator.networks.building import Built
from evaluator.networks.forward_record import ForwardRecord, logits_of, record_forward
from evaluator.networks.global_state import ForeignCode
from evaluator.networks.graph_cut import Split
from evaluator.networks.map_checks import Chooser
from evaluator.networks.map_layout import MapLayout, prefix_tokens
from evaluator.networks.target_layer import split_at
from evaluator.records import LoadedBackbone


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
        remarks: lines for the run's history.
    """

    trunk: nn.Module
    head: nn.Module
    linear: nn.Linear | None
    facts: LoadedBackbone
    layout: MapLayout
    whole: nn.Module | None = None
    read: Tensor | None = None
    remarks: tuple[str, ...] = ()

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
        return self._answered(self.head(raw, *context[kept:]), len(activation))

    def _answered(self, logits: Tensor, images: int) -> Tensor:
        """``[n, C]``, also where a network squeezes away a batch of one.

        One logit ``s`` becomes two classes, ``(−s, s)``: the score of either is ``σ`` of its own.
        """
        logits = logits.reshape(images, -1)
        return torch.cat([-logits, logits], 1) if logits.shape[1] == 1 else logits

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
            (gradient,) = torch.autograd.grad(chosen, leaf)
        return gradient

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
            (gradient,) = torch.autograd.grad(
                (class_weights * self.logits(leaf, context)).sum(), leaf
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
            (gradient,) = torch.autograd.grad(chosen, leaf, create_graph=True)
            if not gradient.requires_grad:
                return torch.zeros_like(activation)
            (product,) = torch.autograd.grad(gradient, leaf, vector, materialize_grads=True)
        return product

    def attention(self, images: Tensor, targets: Tensor, *, gradients: bool) -> Attention:
        """The self-attention of every block on some images, by a pass through the whole network.

        Args:
            images: ``[n, channels, H, W]``, normalised; ``targets``: ``[n]``.
            gradients: those of the targets' logits too.
        """
        assert self.whole is not None, "the pipeline asks applicability first"
        assert self.read is not None, "it comes with the whole"
        with torch.set_grad_enabled(gradients), unfused(self.whole, gradients=gradients) as kept:
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

    def to(self, device: torch.device) -> Backbone:
        """The same on another device, in channels-last layout."""
        for part in (self.trunk, self.head, self.linear, self.whole):
            if part is not None:
                part.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]  # missing from torch's stubs
        return self


def load_backbone(
    spec: BackboneSpec, resize: int | None = None, layer: str | None = None
) -> Backbone:
    """Build, fill and cut a classifier.

    Args:
        spec: which one, with which weights, at which layer.
        layer: the one that a run was begun with, at which it goes on.
        resize: the plan's short side before a crop of 224, see ``plan.BackboneSpec.preprocessing``.

    Raises:
        BackboneUnavailable: its weights are not at hand and cannot be fetched, or do not fit.
        UsageError: it has no such layer, the layer cannot be a target layer, or it is no classifier
        of such images.
        StateChanged: a forward of it leaves torch's state otherwise than it was.
    """
    with ForeignCode() as code:
        backbone = _loaded(spec, resize, layer)
    if code.changed:
        raise StateChanged(*state_changed(code.changed))
    return backbone


def state_changed(what: str) -> tuple[str, str]:
    """Message and hint about a network whose forward changes torch's state of the process."""
    return (
        f"a forward of the network changes {what}",
        "other networks and methods are computed in the same process: put it back in forward",
    )


def _loaded(spec: BackboneSpec, resize: int | None, layer: str | None) -> Backbone:
    built = family_of(spec.key).build(spec)
    model = built.model.eval().requires_grad_(False)
    sha256 = weights_sha256(model)
    preprocessing = spec.preprocessing(built.preprocessing, resize)
    found = record_forward(model, preprocessing)
    _check_score(spec, built, found)
    split = _split(spec, built, model, found, layer)
    split = (
        split._replace(trunk=fold_batch_norms(split.trunk))
        if isinstance(split.trunk, fx.GraphModule)
        else split
    )
    linear = _of_both_classes(split.linear) if split.linear is not None else None
    facts = LoadedBackbone(
        key=spec.key,
        weights=built.weights,
        sha256=sha256,
        layer=split.layer,
        channels=split.layout.channels,
        height=split.layout.height,
        width=split.layout.width,
        gap_linear=linear is not None,
        classes=_classes(spec, built, found),
        preprocessing=preprocessing,
        class_count=max(found.logits.shape[1], 2),
        score=spec.score or built.score or "softmax",
        cut=split.kind,
        tokens=split.layout.tokens,
        source=built.source,
        transform_input=built.transform_input,
        remarks=split.remarks,
    )
    backbone = Backbone(split.trunk, split.head, linear, facts, split.layout, remarks=built.remarks)
    return with_attention(backbone, model, found)


def with_attention(backbone: Backbone, model: nn.Module, record: ForwardRecord) -> Backbone:
    """Keep the network as it was built where methods can look into its self-attention.

    Args:
        backbone: cut from the model.
        record: a forward of the model.
    """
    blocks = attention_blocks(model, record, backbone.layout)
    if not blocks:
        return backbone
    facts = replace(backbone.facts, attention=blocks)
    return replace(backbone, facts=facts, whole=model, read=tokens_read(model, record.images))


def _split(
    spec: BackboneSpec, built: Built, model: nn.Module, found: ForwardRecord, stored: str | None
) -> Split:
    """Cut at the layer of the run, of the user, of the family, or at the one that the rule finds.

    Raises:
        Mismatch: the run was begun at a layer that is no map of the image.
        UsageError: see ``split_at``.
    """
    layer = stored or spec.layer or built.layer or known_backbone(spec.key).layer
    tried = family_of(spec.key).tried and spec.layer is None
    by: Chooser = "us" if tried else "run" if stored else "user"
    prefix = prefix_tokens(model, built.tokens if spec.tokens is None else spec.tokens)
    try:
        own = built.cut(model, layer, found, by) if built.cut and spec.cut is None else None
        if own is None:
            absorb_zero_padding(model)
        return own or split_at(model, layer, found, prefix=prefix, kind=spec.cut, by=by)
    except UsageError as error:
        if stored is None:
            raise
        raise Mismatch(
            f"{spec.shown_key}: the run was begun at a layer that is refused now: {error.message}",
            f"begin another run, with another --name; for this network: {error.hint}",
        ) from error


def _check_score(spec: BackboneSpec, built: Built, found: ForwardRecord) -> None:
    if found.logits.shape[1] == 1 and (spec.score or built.score) != "sigmoid":
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


def _of_both_classes(linear: nn.Linear) -> nn.Linear:
    """The layer behind one logit as that of two classes, ``(−s, s)``; any other as it is."""
    if linear.out_features != 1:
        return linear
    both = nn.Linear(linear.in_features, 2, bias=linear.bias is not None, dtype=linear.weight.dtype)
    both.weight = nn.Parameter(torch.cat([-linear.weight, linear.weight]), requires_grad=False)
    if linear.bias is not None:
        both.bias = nn.Parameter(torch.cat([-linear.bias, linear.bias]), requires_grad=False)
    return both


def weights_sha256(model: nn.Module) -> str:
    """Identity of a network's tensors: names, shapes and bytes, whatever file they came from."""
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        if not name.endswith("num_batches_tracked"):
            digest.update(f"{name}{tuple(tensor.shape)}{tensor.dtype}".encode())
            digest.update(tensor.detach().cpu().reshape(-1).contiguous().view(torch.uint8).numpy())
    return digest.hexdigest()
