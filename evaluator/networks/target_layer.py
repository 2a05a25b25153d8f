"""Cut of a network at its target layer, by its graph or by hooks; the default target layer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import Any

import torch
from torch import Tensor, nn

from evaluator.errors import UsageError, is_out_of_memory, loses_device
from evaluator.networks.graph_cut import Split, layers_with_maps, no_layer, split_traced
from evaluator.networks.maps import (
    Chooser,
    MapLayout,
    Place,
    Seen,
    accepted,
    call_of,
    called_several_times,
    first_map,
    followed,
    judge,
    map_layout,
    maps_among,
    moving_views,
    no_default,
    no_map,
    seen_at,
)
from evaluator.networks.tracing import (
    RECORDED_IMAGES,
    Call,
    CannotCut,
    ForwardRecord,
    first_tensor,
    logits_of,
    traced,
    with_first,
)


def split_by_hooks(
    model: nn.Module,
    layer: str | None,
    record: ForwardRecord,
    prefix: int | None = None,
    *,
    first: Sequence[str] = (),
    by: Chooser = "us",
) -> Split:
    """Cut a model at the output of one of its modules.

    Without a layer: at the first map of the image among some layers, else at the last module that
    gives one. Arguments as those of ``graph_cut.split_traced``.

    Raises:
        UsageError: no such layer; or it is called several times; or its output is no map of the
            image.
    """
    modules = Modules(model, record, prefix)
    if layer is None:
        judged = first_map([*modules.named(first), *modules.maps(by)], modules.look, by=by)
        if judged is None:
            raise no_default(modules.suggestions())
        place, remarks = judged.place, judged.remarks
    else:
        place, remarks = modules.find(layer, by=by), ()
        if by != "us":
            (judged,) = judge([place], modules.look)
            earliest = next(reversed(modules.maps()), None)
            remarks = accepted(judged, earliest, modules.look, modules.suggestions)
    name, turn = modules.call_of(place.name)
    if (times := modules.times(name)) > 1 and any(
        True for _ in model.get_submodule(name).parameters()
    ):
        remarks = (*remarks, called_several_times(place.name, name, times))
    return Split(
        HookedTrunk(model, name, turn),
        HookedHead(model, name, turn),
        None,
        place.name,
        place.layout,
        "hooks",
        remarks,
    )


class Modules:
    """The modules of a model that give maps, call by call."""

    def __init__(self, model: nn.Module, record: ForwardRecord, prefix: int | None) -> None:
        self._model, self._record, self._prefix = model, record, prefix
        self._times = Counter(call.name for call in record.calls)

    def times(self, module: str) -> int:
        """How often a module is called in a forward."""
        return self._times[module]

    def call_of(self, place: str) -> tuple[str, int]:
        """Module and call, from 1, of a place's name; without a number the last."""
        name, _, turn = place.partition("#")
        return name, int(turn or self._times[name])

    def find(self, layer: str, *, by: Chooser) -> Place:
        """The place of a layer by its name; see ``split_by_hooks`` for the errors."""
        name = layer.partition("#")[0]
        calls = [call for call in self._record.calls if call.name == name]
        if name not in dict(self._model.named_modules()):
            raise no_layer(name, self._model, [call.name for call in self._record.calls])
        if not calls:
            maps = layers_with_maps(self._record, self._prefix)
            raise UsageError(
                f"layer '{name}' is not called by itself",
                f"for example layer={maps[-1]}" if maps else "",
            )
        turn = call_of(layer, len(calls), self.suggestions, by=by)
        call = calls[-1 if turn is None else turn - 1]
        if (place := self._place(call, name if len(calls) == 1 else layer)) is None:
            raise no_map(layer, call.shape, self._prefix, self.suggestions())
        return place

    def named(self, layers: Sequence[str]) -> list[Place]:
        """Those among these layers that are called once and give a map."""
        found = {place.name: place for place in self.maps()}
        return [found[layer] for layer in layers if layer in found]

    def maps(self, by: Chooser = "user") -> list[Place]:
        """Every square map, from the last; for ``us`` a name without a call means the last one."""
        turns: Counter[str] = Counter()
        found: list[Place] = []
        for call in self._record.calls:
            turns[call.name] += 1
            plain = self._times[call.name] == (1 if by != "us" else turns[call.name])
            place = self._place(call, call.name if plain else f"{call.name}#{turns[call.name]}")
            if place is not None and place.is_square:
                found.append(place)
        return found[::-1]

    def suggestions(self) -> list[str]:
        """Layers that can be target layers, with their shapes, from the last."""
        return [place.shown for place in maps_among(self.maps(), self.look)]

    def look(self, places: Sequence[Place]) -> list[Seen]:
        """Run the model; see ``map_checks.Look``."""
        kept: dict[tuple[str, int], Tensor] = {}
        wanted = [self.call_of(place.name) for place in places]
        images = moving_views(self._record.images, places[0].layout)

        def logits(*, gradients: bool) -> Tensor:
            with torch.set_grad_enabled(gradients), ExitStack() as hooks:
                for name in dict.fromkeys(name for name, _ in wanted):
                    hook = _keeper(name, {turn for one, turn in wanted if one == name}, kept)
                    handle = self._model.get_submodule(name).register_forward_hook(hook)
                    hooks.callback(handle.remove)
                found: Tensor = logits_of(self._model(images.clone()))
            return found

        try:
            answer = logits(gradients=True)
        except Exception as error:  # such as numpy() of what autograd follows
            if is_out_of_memory(error) or loses_device(error):
                raise
            answer = logits(gradients=False)
        return seen_at([kept[one] for one in wanted], answer)

    def _place(self, call: Call, name: str) -> Place | None:
        shape = call.shape
        layout = map_layout(shape, self._prefix) if shape and shape[0] == RECORDED_IMAGES else None
        return None if layout is None else Place(name, layout)


def _keeper(
    name: str, turns: set[int], kept: dict[tuple[str, int], Tensor]
) -> Callable[[nn.Module, Any, Any], Any]:
    turn = 0

    def keep(_module: nn.Module, _inputs: Any, output: Any) -> Any:
        nonlocal turn
        turn += 1
        tensor = first_tensor(output)
        if turn not in turns or tensor is None:
            return None
        kept[name, turn] = followed(tensor)
        return with_first(output, kept[name, turn].clone())  # what follows may overwrite it

    return keep


class HookedTrunk(nn.Module):
    """``images → (output of the layer, images, logits)``."""

    def __init__(self, model: nn.Module, layer: str, call: int) -> None:
        super().__init__()
        self.model = model
        self._layer, self._call = layer, call

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The call that was chosen counts."""
        taken: list[Tensor] = []
        turn = 0

        def take(_module: nn.Module, _inputs: Any, output: Any) -> None:
            nonlocal turn
            turn += 1
            if turn == self._call:
                tensor = first_tensor(output)
                assert tensor is not None, "the recorded pass has one"
                taken.append(tensor.clone())  # what follows may overwrite it

        logits = _run(self.model, self._layer, take, images)
        return taken[0], images, logits


class HookedHead(nn.Module):
    """``(output of the layer, images) → logits``."""

    def __init__(self, model: nn.Module, layer: str, call: int) -> None:
        super().__init__()
        self.model = model
        self._layer, self._call = layer, call

    def forward(self, activation: Tensor, images: Tensor) -> Tensor:
        """Logits; layers before the target layer take no part in the gradient."""
        turn = 0

        def put(_module: nn.Module, _inputs: Any, output: Any) -> Any:
            nonlocal turn
            turn += 1
            if turn != self._call:
                return output
            return with_first(output, activation.clone())  # what follows may overwrite it

        return _run(self.model, self._layer, put, images)


def _run(
    model: nn.Module, layer: str, hook: Callable[[nn.Module, Any, Any], Any], images: Tensor
) -> Tensor:
    handle = model.get_submodule(layer).register_forward_hook(hook)
    try:
        logits: Tensor = logits_of(model(images.clone()))
    finally:
        handle.remove()
    return logits


def split_at(
    model: nn.Module,
    layer: str | None,
    record: ForwardRecord,
    *,
    prefix: int | None = None,
    kind: str | None = None,
    by: Chooser = "us",
) -> Split:
    """Cut a model in two.

    Without a layer, at the first of these that is a map of the image and that the logits depend on
    (see ``map_checks``): the first norm of a transformer's last block, of the block before it, and
    so on; the last feature map before the classifier's pooling, the one before it, and so on.

    Args:
        model: in evaluation mode.
        layer: dotted name of the target layer; ``NAME#k`` the k-th call of one that is called
            several times.
        record: a forward of the model.
        prefix: tokens before the map's, where they are known.
        kind: ``graph`` or ``hooks``; ``None`` for the graph where it can be cut.
        by: who vouches for the layer.

    Raises:
        UsageError: no such layer; or it is called several times; or its output is no map of the
            image; or the graph must be cut and cannot.
    """
    first = first_norms(record, prefix) if layer is None else ()
    reason = ""
    if kind != "hooks":
        try:
            whole = traced(model, record.output)
            return split_traced(whole, model, layer, record, prefix, first=first, by=by)
        except CannotCut as error:
            reason = str(error)
            if kind == "graph":
                raise UsageError(
                    f"this network's graph cannot be cut: {error}", "leave cut=graph out"
                ) from error
    split = split_by_hooks(model, layer, record, prefix, first=first, by=by)
    return split._replace(reason=reason)


def first_norms(record: ForwardRecord, prefix: int | None = None) -> list[str]:
    """The first norm of every block of a transformer, which the peers take, from the last block.

    A network with a convolution behind its last attention is taken for a convolutional one.
    """
    attentions = [place for place, call in enumerate(record.calls) if _attends(call)]
    if not attentions or any(
        isinstance(call.module, nn.Conv2d) for call in record.calls[attentions[-1] :]
    ):
        return []
    found: dict[str, str] = {}
    for call in record.calls:
        if _is_norm_of_tokens(call, prefix):
            found.setdefault(call.name.rpartition(".")[0], call.name)
    blocks = [record.calls[place].name.rpartition(".")[0] for place in reversed(attentions)]
    blocks.sort(key=lambda block: not block)  # attention that pools stands in no block
    return [found[block] for block in dict.fromkeys(blocks) if block in found]


def _attends(call: Call) -> bool:
    """Whether a module is self-attention, by its class or its name."""
    named = (type(call.module).__name__, call.name.rpartition(".")[2])
    return is_attention(call.module) or any("attn" in name.lower() for name in named)


def is_attention(module: nn.Module) -> bool:
    """Whether a module is self-attention, by its class."""
    return isinstance(module, nn.MultiheadAttention) or "attention" in type(module).__name__.lower()


def _is_norm_of_tokens(call: Call, prefix: int | None) -> bool:
    if "norm" not in type(call.module).__name__.lower() or not call.shape:
        return False
    layout = map_layout(call.shape, prefix)
    return layout is not None and type(layout) is not MapLayout
