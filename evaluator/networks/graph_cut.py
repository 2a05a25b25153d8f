"""Cut of a classifier's graph in two at its target layer, and detection of GAP + linear heads.

``trunk: x → A`` and ``head: A → logits``; where the classifier also uses what comes before the
layer, those tensors are the cut's sides: ``trunk: x → (A, sides)`` and ``head: (A, sides) →
logits``. Gradient and ablation are taken with the sides held fixed.
"""

from __future__ import annotations

import operator
from typing import Any, NamedTuple

import torch
from torch import Tensor, fx, nn
from torch._ops import OpOverload
from torch.nn import functional

from evaluator.errors import UsageError
from evaluator.networks.agreement import same_answer
from evaluator.networks.forward_record import RECORDED_IMAGES, ForwardRecord
from evaluator.networks.map_layout import MapLayout, map_layout, no_map
from evaluator.networks.tracing import (
    CannotCut,
    Traced,
    ancestors,
    descendants,
    is_batched,
    traced,
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
        reason: why the graph is not cut, where it was tried.
    """

    trunk: nn.Module
    head: nn.Module
    linear: nn.Linear | None
    layer: str
    layout: MapLayout
    kind: str = "graph"
    reason: str = ""


OTHER_ANSWER = "its graph does not answer as the network does"


def split_graph(
    model: nn.Module, layer: str | None, record: ForwardRecord, prefix: int | None = None
) -> Split:
    """Cut a model's graph at the output of a layer.

    Without a layer: at its last feature map, the last output ``[B, K, h, w]`` with more than one
    position that is not made by the pooling of the classifier. For VGG-like networks that is the
    output of the last max-pooling.

    Args:
        model: in evaluation mode.
        layer: dotted name, as in ``named_modules``; a container means its last output.
        record: a forward of the model.
        prefix: tokens before the map's, where the layer gives tokens and their number is known.

    Raises:
        UsageError: no such layer, or its output is no map, or the logits do not depend on it.
        CannotCut: the graph does not show where to cut, or the two halves do not answer as the
        model does.
    """
    return split_traced(traced(model, record.output), model, layer, record, prefix)


def split_traced(
    found: Traced,
    model: nn.Module,
    layer: str | None,
    record: ForwardRecord,
    prefix: int | None = None,
) -> Split:
    """Cut a graph; see ``split_graph``."""
    values = values_of(found.whole, record.images)
    graph = found.whole.graph
    cut = (
        _last_feature_map(graph, values)
        if layer is None
        else _last_node_of(layer, model, found.names)
    )
    name = layer or found.names[cut]
    shape = values.get(cut)
    layout = map_layout(tuple(shape), prefix) if is_batched(shape) else None
    if layout is None:
        raise no_map(
            name,
            tuple(shape) if is_batched(shape) else None,
            prefix,
            layers_with_maps(record, prefix),
        )
    halves = _cut(found, cut, name, values, record)
    _refuse_other_answer(halves.trunk, halves.head, record)
    linear = None if halves.sides or type(layout) is not MapLayout else _gap_linear(halves.head)
    return Split(halves.trunk, halves.head, linear, name, layout)


def layers_with_maps(record: ForwardRecord, prefix: int | None = None) -> list[str]:
    """The modules that give a map, in the order of their last calls."""
    calls = [
        call.name
        for call in record.calls
        if call.shape and call.shape[0] == RECORDED_IMAGES and map_layout(call.shape, prefix)
    ]
    return list(dict.fromkeys(reversed(calls)))[::-1]


def _last_feature_map(graph: fx.Graph, values: dict[fx.Node, Any]) -> fx.Node:
    """The last output ``[B, K, h, w]`` of several positions before the classifier's pooling."""
    nodes = list(graph.nodes)
    poolings = [
        place for place, node in enumerate(nodes) if _is_adaptive_pooling(node) or _is_mean(node)
    ]
    maps = [
        node
        for node in nodes[: poolings[-1] if poolings else None]
        if is_batched(shape := values.get(node))
        and len(shape) == 4
        and shape[2] * shape[3] > 1
        and node.op != "placeholder"
        and not _is_dropout(node)
    ]
    if not maps:
        raise UsageError(
            "this network has no feature map",
            "name a layer that gives tokens or a map: -b NAME:layer=…",
        )
    last: fx.Node = maps[-1]
    return last


def _last_node_of(layer: str, model: nn.Module, names: dict[fx.Node, str]) -> fx.Node:
    """The last node of a layer, by the path of a module, else by the tracer's name.

    ``layer4.1.relu_1`` is the second call of ``layer4.1.relu``.
    """
    paths = {
        node: str(node.target) if node.op == "call_module" else name for node, name in names.items()
    }
    inside = [node for node, path in paths.items() if path == layer or path.startswith(f"{layer}.")]
    inside = inside or [node for node, name in names.items() if name == layer]
    if not inside:
        raise no_layer(layer, model, list(names.values()))
    return inside[-1]


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
