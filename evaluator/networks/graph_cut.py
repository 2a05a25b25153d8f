"""Cut of a classifier's graph in two at its target layer, and detection of GAP + linear heads.

``trunk: x → A`` and ``head: A → logits``; where the classifier also uses what comes before the
layer, those tensors are the cut's sides: ``trunk: x → (A, sides)`` and ``head: (A, sides) →
logits``. Gradient and ablation are taken with the sides held fixed.
"""

from __future__ import annotations

import operator
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, fx, nn
from torch._ops import OpOverload
from torch.nn import functional

from evaluator.errors import UsageError
from evaluator.networks.agreement import same_answer
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
    CannotCut,
    ForwardRecord,
    Traced,
    ancestors,
    descendants,
    is_batched,
    values_of,
)
from evaluator.text import did_you_mean


class Split(NamedTuple):
    """A classifier cut in two.

    Attributes:
        trunk: images → output of the target layer, or a tuple of it and the sides; ``head``: all of
            these → logits.
        linear: the linear layer, where the head is global average pooling and nothing but it.
        layer: dotted name of the target layer.
        layout: how the layer's output is a map.
        kind: ``graph`` or ``hooks``.
        remarks: what readers of a result must know of the layer.
        reason: why the graph is not cut, where it was tried.
    """

    trunk: nn.Module
    head: nn.Module
    linear: nn.Linear | None
    layer: str
    layout: MapLayout
    kind: str = "graph"
    remarks: tuple[str, ...] = ()
    reason: str = ""


OTHER_ANSWER = "its graph does not answer as the network does"


def split_traced(
    found: Traced,
    model: nn.Module,
    layer: str | None,
    record: ForwardRecord,
    prefix: int | None = None,
    *,
    first: Sequence[str] = (),
    by: Chooser = "us",
) -> Split:
    """Cut a graph at the output of a layer.

    Without a layer: at the first map of the image among some layers, else at the last one that is
    not made by the pooling of the classifier. For VGG-like networks that is the output of the last
    max-pooling.

    Args:
        found: the graph of the model.
        model: in evaluation mode.
        layer: dotted name, as in ``named_modules``; a container means its last output; ``NAME#k``
            the k-th call.
        record: a forward of the model.
        prefix: tokens before the map's, where the layer gives tokens and their number is known.
        first: layers to be tried first where none is named.
        by: who vouches for the layer.

    Raises:
        UsageError: no such layer; or it is called several times; or its output is no map of the
            image; or the logits do not depend on it.
        CannotCut: the graph does not show where to cut, or the two halves do not answer as the
            model does.
    """
    places = _Places(found, model, record, prefix)
    if layer is None:
        judged = first_map([*places.named(first), *places.last_maps()], places.look, by=by)
        if judged is None:
            raise no_default(places.suggestions())
        place, remarks = judged.place, judged.remarks
    else:
        place, remarks = places.find(layer, by=by), ()
        if by != "us":
            (judged,) = judge([place], places.look)
            remarks = accepted(judged, places.reference(), places.look, places.suggestions)
    cut = places.nodes[place.name]
    halves = _cut(found, cut, place.name, places.values, record)
    _refuse_other_answer(halves.trunk, halves.head, record)
    whole = halves.sides or type(place.layout) is not MapLayout
    return Split(
        halves.trunk,
        halves.head,
        None if whole else _gap_linear(halves.head),
        place.name,
        place.layout,
        remarks=(*remarks, *places.remarks(cut, place.name)),
    )


class _Places:
    """The maps in a graph, by name.

    Attributes:
        values: of every node; ``nodes``: those of the places found so far, by name.
    """

    def __init__(
        self, found: Traced, model: nn.Module, record: ForwardRecord, prefix: int | None
    ) -> None:
        self._found, self._model, self._record, self._prefix = found, model, record, prefix
        self.values = values_of(found.whole, record.images)
        self.nodes: dict[str, fx.Node] = {}

    def find(self, layer: str, *, by: Chooser) -> Place:
        """The place of a layer by its name; see ``split_traced`` for the errors."""
        node = self._node_of(layer, by=by)
        single = len(self._found.calls.get(layer.partition("#")[0], ())) == 1
        name = layer.partition("#")[0] if single else layer
        if (place := self._place(node, name)) is None:
            shape = self.values.get(node)
            raise no_map(
                layer, tuple(shape) if is_batched(shape) else None, self._prefix, self.suggestions()
            )
        return place

    def named(self, layers: Sequence[str]) -> Iterator[Place]:
        """The layers among these that are in the graph, called once, and give a map."""
        for layer in layers:
            calls = self._found.calls.get(layer, ())
            node = calls[0] if len(calls) == 1 else None
            if node is not None and (place := self._place(node, layer)) is not None:
                yield place

    def last_maps(self) -> Iterator[Place]:
        """The maps before the classifier's pooling, from the last."""
        nodes = list(self._found.whole.graph.nodes)
        poolings = [
            place
            for place, node in enumerate(nodes)
            if _is_adaptive_pooling(node) or _is_mean(node)
        ]
        learnt = _behind_parameters(self._found.whole)
        for node in reversed(nodes[: poolings[-1] if poolings else None]):
            if node in learnt and node.op != "output" and not _is_dropout(node):
                place = self._place(node, self._name_of(node))
                if place is not None and place.is_square:
                    yield place

    def reference(self) -> Place | None:
        """The first map that the network computes: every logit depends on it."""
        return next(reversed(list(self.last_maps())), None)

    def look(self, places: Sequence[Place]) -> list[Seen]:
        """Run the graph; see ``map_checks.Look``."""
        kept: dict[fx.Node, Tensor] = {}
        wanted = {self.nodes[place.name] for place in places}

        class Watcher(fx.Interpreter):
            def run_node(self, node: fx.Node) -> Any:
                result = super().run_node(node)
                if node in wanted and isinstance(result, Tensor):
                    result = kept[node] = followed(result)
                    return result.clone()  # what follows may overwrite it
                return result

        images = moving_views(self._record.images, places[0].layout)
        try:
            with torch.enable_grad():
                logits = Watcher(self._found.whole).run(images)
        except Exception as error:  # the graph holds foreign code
            raise CannotCut(str(error)) from error
        return seen_at([kept[self.nodes[place.name]] for place in places], logits)

    def suggestions(self) -> list[str]:
        """Layers that can be target layers, with their shapes, from the last."""
        modules: dict[str, fx.Node] = {}
        for name, calls in self._found.calls.items():
            for turn, node in enumerate(calls, 1):
                if node is not None:
                    modules[name if len(calls) == 1 else f"{name}#{turn}"] = node
        order = {node: place for place, node in enumerate(self._found.whole.graph.nodes)}
        later = sorted(modules, key=lambda name: order[modules[name]], reverse=True)
        places = [place for name in later if (place := self._place(modules[name], name))]
        return [place.shown for place in maps_among(places, self.look)]

    def remarks(self, cut: fx.Node, name: str) -> tuple[str, ...]:
        """What readers must know of a place inside a module that is called several times."""
        path = str(cut.target) if cut.op == "call_module" else self._found.names[cut]
        parts = path.split(".")
        inside = [".".join(parts[:end]) for end in range(len(parts), 0, -1)]
        for module in (name.partition("#")[0], *inside):
            if self._is_shared(module):
                return (called_several_times(name, module, len(self._found.calls[module])),)
        return ()

    def _is_shared(self, module: str) -> bool:
        """Whether a module with parameters is called several times in a forward."""
        return len(self._found.calls.get(module, ())) > 1 and _has_parameters(self._model, module)

    def _place(self, node: fx.Node, name: str) -> Place | None:
        shape = self.values.get(node)
        layout = map_layout(tuple(shape), self._prefix) if is_batched(shape) else None
        if layout is None or node.op in ("placeholder", "output"):
            return None
        self.nodes[name] = node
        return Place(name, layout)

    def _name_of(self, node: fx.Node) -> str:
        """A name that leads back to this very node."""
        name = self._found.names[node]
        module = str(node.target) if node.op == "call_module" else name
        calls = self._found.calls.get(module, [])
        if len(calls) > 1 and node in calls and (name == module or self._is_shared(module)):
            return f"{module}#{calls.index(node) + 1}"
        # the tracer calls ln_1 and ln_2 "ln" and "ln_1"
        return module if name != module and name in self._found.calls else name

    def _node_of(self, layer: str, *, by: Chooser) -> fx.Node:
        """The node of a layer, by the path of a module, else by the tracer's name.

        ``layer4.1.relu_1`` is the second call of ``layer4.1.relu``, as ``layer4.1.relu#2`` is.
        """
        name = layer.partition("#")[0]
        names = self._found.names
        paths = {
            node: str(node.target) if node.op == "call_module" else path
            for node, path in names.items()
        }
        inside = [
            node for node, path in paths.items() if path == name or path.startswith(f"{name}.")
        ]
        inside = inside or [node for node, path in names.items() if path == name]
        if not inside:
            raise no_layer(layer, self._model, list(names.values()))
        calls = self._found.calls.get(name, [])
        which = call_of(layer, max(len(calls), 1), self.suggestions, by=by)
        if which is None or len(calls) <= 1:
            return inside[-1]
        if (chosen := calls[which - 1]) is None:
            raise UsageError(
                f"the logits do not depend on call {which} of layer '{name}'",
                "choose a layer that the classifier uses",
            )
        return chosen


def layers_with_maps(record: ForwardRecord, prefix: int | None = None) -> list[str]:
    """The modules that give a map, in the order of their last calls."""
    calls = [
        call.name
        for call in record.calls
        if call.shape and call.shape[0] == RECORDED_IMAGES and map_layout(call.shape, prefix)
    ]
    return list(dict.fromkeys(reversed(calls)))[::-1]


def _behind_parameters(whole: fx.GraphModule) -> set[fx.Node]:
    """The nodes that a parameter or a module has made: not the images, turned or scaled."""
    found: set[fx.Node] = set()
    for node in whole.graph.nodes:
        if node.op in ("call_module", "get_attr") or any(n in found for n in node.all_input_nodes):
            found.add(node)
    return found


def _has_parameters(model: nn.Module, path: str) -> bool:
    """Whether a module has parameters; of a program, whose modules are gone, it is assumed."""
    module = dict(model.named_modules()).get(path)
    return module is None or any(True for _ in module.parameters())


def no_layer(layer: str, model: nn.Module, others: list[str]) -> UsageError:
    """The error that a model has no such layer, with the nearest that it has."""
    known = [name for name, _ in model.named_children()]
    near = did_you_mean(layer, [*known, *others])
    return UsageError(f"no layer '{layer}'", f"{near}its parts: {', '.join(known)}")


class _Halves(NamedTuple):
    trunk: fx.GraphModule
    head: fx.GraphModule
    sides: int


def _cut(
    found: Traced, cut: fx.Node, layer: str, values: dict[fx.Node, Any], record: ForwardRecord
) -> _Halves:
    whole = found.whole
    logits = next(node for node in whole.graph.nodes if node.op == "output").args[0]
    reached = descendants(cut)
    if logits not in reached and logits is not cut:
        raise UsageError(
            f"the logits do not depend on layer '{layer}'",
            "choose a layer that the classifier uses",
        )
    after = [node for node in whole.graph.nodes if node in reached and node.op != "output"]
    inputs = [node for late in after for node in late.all_input_nodes]
    outside = dict.fromkeys(node for node in inputs if node not in reached and node is not cut)
    lengths = _whole_numbers(whole, outside, values, record)
    images = next(node for node in whole.graph.nodes if node.op == "placeholder")
    constant = {node for node in outside if node not in lengths and images not in ancestors(node)}
    sides = [node for node in outside if node not in lengths and node not in constant]
    for node in sides:
        if not is_batched(values.get(node)):
            raise CannotCut(f"it uses what has no entry for each image before layer '{layer}'")
    head = _after(whole.graph, cut, after, sides=sides, constant=constant, lengths=lengths)
    trunk = _until(whole.graph, [cut, *sides])
    module = fx.GraphModule(whole, head)
    _keep_inputs_intact(module)
    return _Halves(fx.GraphModule(whole, trunk), module, len(sides))


_BATCH = "batch"


def _whole_numbers(
    whole: fx.GraphModule,
    outside: dict[fx.Node, None],
    values: dict[fx.Node, Any],
    record: ForwardRecord,
) -> dict[fx.Node, int | str]:
    """Lengths that the head needs and the trunk knows: as they are, or the batch's.

    A number that is neither the same for any batch nor the number of images cannot be told in the
    head.
    """
    numbers = [node for node in outside if isinstance(values.get(node), int)]
    if not numbers:
        return {}
    more = values_of(whole, torch.cat([record.images, record.images[:1]]))
    found: dict[fx.Node, int | str] = {}
    for node in numbers:
        if values[node] == more[node]:
            found[node] = values[node]
        elif (values[node], more[node]) == (RECORDED_IMAGES, RECORDED_IMAGES + 1):
            found[node] = _BATCH
        else:
            raise CannotCut("a length depends on the number of images")
    return found


def _until(graph: fx.Graph, ends: list[fx.Node]) -> fx.Graph:
    """The part that gives some nodes: the one, or a tuple of them."""
    trunk = fx.Graph()
    copies: dict[fx.Node, fx.Node] = {}
    needed = set().union(*(ancestors(end) for end in ends))
    for node in graph.nodes:
        if node in needed or node.op == "placeholder":
            copies[node] = trunk.node_copy(node, lambda n: copies[n])
    trunk.output(copies[ends[0]] if len(ends) == 1 else tuple(copies[end] for end in ends))
    return trunk


def _after(
    graph: fx.Graph,
    cut: fx.Node,
    after: list[fx.Node],
    *,
    sides: list[fx.Node],
    constant: set[fx.Node],
    lengths: dict[fx.Node, int | str],
) -> fx.Graph:
    """The part behind the cut; what depends on no image is computed again there."""
    head = fx.Graph()
    copies: dict[fx.Node, Any] = {cut: head.placeholder("activation")}
    copies |= {side: head.placeholder(f"side_{place}") for place, side in enumerate(sides)}
    again = set().union(*(ancestors(node) for node in constant)) if constant else set()
    batch = head.call_method("size", (copies[cut], 0)) if _BATCH in lengths.values() else None
    copies |= {node: batch if value == _BATCH else value for node, value in lengths.items()}
    late = set(after)
    for node in graph.nodes:
        if node in copies or not (node in late or node in again):
            continue
        copies[node] = head.node_copy(node, lambda n: copies[n])
    head.output(copies[next(node for node in graph.nodes if node.op == "output").args[0]])
    return head


_OUT_OF_PLACE = {
    operator.iadd: operator.add,
    operator.isub: operator.sub,
    operator.imul: operator.mul,
    operator.itruediv: operator.truediv,
}


def _keep_inputs_intact(head: fx.GraphModule) -> None:
    """In-place layers must not overwrite the activation that the methods are about to read."""
    for node in head.graph.nodes:
        if node.op == "call_module" and hasattr(
            module := head.get_submodule(str(node.target)), "inplace"
        ):
            module.inplace = False  # type: ignore[assignment]  # every torch layer with this flag takes a bool
        elif "inplace" in node.kwargs:
            node.kwargs = {**node.kwargs, "inplace": False}
        elif node.op == "call_function" and node.target in _OUT_OF_PLACE:
            node.target = _OUT_OF_PLACE[node.target]
        elif isinstance(node.target, OpOverload):
            node.target = _without_writing(node.target)
        elif node.op == "call_method" and _is_in_place(str(node.target)):
            node.target = str(node.target)[:-1]
    head.recompile()


def _without_writing(operation: OpOverload) -> OpOverload:
    """``aten.relu_`` → ``aten.relu``; any other operation as it is."""
    namespace, _, name = operation._schema.name.partition("::")
    if not name.endswith("_"):
        return operation
    packet = getattr(getattr(torch.ops, namespace), name[:-1], None)
    return getattr(packet, operation._overloadname, operation)


def _is_in_place(method: str) -> bool:
    return method.endswith("_") and not method.endswith("__") and hasattr(Tensor, method[:-1])


def _refuse_other_answer(trunk: nn.Module, head: nn.Module, record: ForwardRecord) -> None:
    """Refuse two halves that together are not the model.

    It computes what a graph does not show, or overwrites what it reads later.
    """
    try:
        with torch.no_grad():
            found = trunk(record.images[1:].clone())
            given = found if isinstance(found, tuple) else (found,)
            before = [one.clone() for one in given]
            answer = head(*given)
    except Exception as error:  # the graph holds foreign code
        raise CannotCut(str(error)) from error
    if (
        not isinstance(answer, Tensor)
        or answer.numel() != record.logits[1:].numel()
        or not same_answer(answer.reshape(1, -1), record.logits[1:])
    ):
        raise CannotCut(OTHER_ANSWER)
    if not all(
        torch.equal(one.nan_to_num(), kept.nan_to_num())
        for one, kept in zip(given, before, strict=True)
    ):
        raise CannotCut("what follows the layer overwrites it")


def _gap_linear(head: fx.GraphModule) -> nn.Linear | None:
    """The linear layer of a head of global average pooling and it, else ``None``."""
    pooled = False
    linear: nn.Linear | None = None
    for node in head.graph.nodes:
        if node.op in ("placeholder", "output") or _is_dropout(node) or _is_reshaping(node):
            continue
        if _is_global_average(node, head):
            pooled = True
        elif pooled and linear is None and isinstance(module := _module(node, head), nn.Linear):
            linear = module
        else:
            return None
    return linear


def _module(node: fx.Node, owner: fx.GraphModule | None = None) -> nn.Module | None:
    graph_owner = owner or node.graph.owning_module
    return (
        graph_owner.get_submodule(str(node.target))
        if node.op == "call_module" and graph_owner
        else None
    )


def _is_dropout(node: fx.Node) -> bool:
    return isinstance(_module(node), nn.Dropout | nn.Identity) or node.target is functional.dropout


def _is_reshaping(node: fx.Node) -> bool:
    return isinstance(_module(node), nn.Flatten) or node.target in (torch.flatten, "flatten")


def _is_adaptive_pooling(node: fx.Node) -> bool:
    return (
        isinstance(_module(node), nn.AdaptiveAvgPool2d)
        or node.target is functional.adaptive_avg_pool2d
    )


def _is_mean(node: fx.Node) -> bool:
    return node.target in (torch.mean, "mean")


def _is_global_average(node: fx.Node, head: fx.GraphModule) -> bool:
    module = _module(node, head)
    if isinstance(module, nn.AdaptiveAvgPool2d):
        return module.output_size in (1, (1, 1))
    if node.target is functional.adaptive_avg_pool2d:
        return node.args[1] in (1, (1, 1), [1, 1])
    if _is_mean(node):
        over = node.args[1] if len(node.args) > 1 else node.kwargs.get("dim")
        return isinstance(over, list | tuple) and list(over) in ([2, 3], [-2, -1])
    return False
