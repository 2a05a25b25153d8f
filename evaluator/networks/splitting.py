"""Cutting a classifier in two at its target layer, and recognising heads that need no autograd."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import fx, nn
from torch.nn import functional
from torchvision.models.feature_extraction import NodePathTracer

from evaluator.errors import UsageError
from evaluator.text import did_you_mean


class Split(NamedTuple):
    """A classifier cut in two.

    Attributes:
        trunk: images → activation of the target layer; ``head``: activation → logits.
        linear: the linear layer, where the head is global average pooling and nothing but it.
        layer: dotted name of the target layer.
    """

    trunk: nn.Module
    head: nn.Module
    linear: nn.Linear | None
    layer: str


def split_at(model: nn.Module, layer: str | None, side: int) -> Split:
    """Cut a model at the output of a layer.

    Without a layer: at its last feature map, the last output with four dimensions and more than one position that is not made
    by the pooling of the classifier. For VGG-like networks that is the output of the last max-pooling.

    Args:
        model: in evaluation mode.
        layer: dotted name, as in ``named_modules``; a container means its last output.
        side: height and width of the input in pixels.

    Raises:
        UsageError: no such layer; or its output is no feature map; or the classifier also uses what comes before it.
    """
    tracer = NodePathTracer()
    try:
        graph = tracer.trace(model)
    except Exception as error:  # symbolic tracing runs foreign code and may raise anything
        raise UsageError(
            f"this network cannot be cut at a layer: {error}", "choose another backbone: camtui backbones"
        ) from error
    whole = fx.GraphModule(tracer.root, graph)
    names: dict[fx.Node, str] = tracer.node_to_qualname
    shapes = _shapes(whole, side)
    cut = _last_feature_map(graph, shapes) if layer is None else _last_node_of(layer, model, names)
    if len(shapes.get(cut, ())) != 4:
        raise UsageError(
            f"layer '{layer}' gives no feature map (its output is {shapes.get(cut)})", "choose a convolutional layer"
        )
    head = fx.GraphModule(tracer.root, _after(graph, cut, layer or names[cut]))
    _keep_input_intact(head)
    trunk = fx.GraphModule(tracer.root, _until(graph, cut))
    return Split(trunk, head, _gap_linear(head), layer or names[cut])


def _shapes(whole: fx.GraphModule, side: int) -> dict[fx.Node, tuple[int, ...]]:
    """The shape of every tensor on the way of one image."""
    shapes: dict[fx.Node, tuple[int, ...]] = {}

    class Recorder(fx.Interpreter):
        def run_node(self, node: fx.Node) -> Any:
            result = super().run_node(node)
            if isinstance(result, torch.Tensor):
                shapes[node] = tuple(result.shape)
            return result

    with torch.no_grad():
        Recorder(whole).run(torch.zeros(1, 3, side, side))
    return shapes


def _last_feature_map(graph: fx.Graph, shapes: dict[fx.Node, tuple[int, ...]]) -> fx.Node:
    """The last output ``[1, K, h, w]`` with more than one position before the classifier's pooling."""
    nodes = list(graph.nodes)
    poolings = [place for place, node in enumerate(nodes) if _is_adaptive_pooling(node) or node.target in (torch.mean, "mean")]
    maps = [
        node
        for node in nodes[: poolings[-1] if poolings else None]
        if len(shape := shapes.get(node, ())) == 4 and shape[2] * shape[3] > 1 and node.op != "placeholder"
        and not _is_dropout(node)
    ]  # fmt: skip
    if not maps:
        raise UsageError("this network has no feature map", "choose a convolutional backbone: camtui backbones")
    last: fx.Node = maps[-1]
    return last


def _last_node_of(layer: str, model: nn.Module, names: dict[fx.Node, str]) -> fx.Node:
    inside = [node for node, name in names.items() if name == layer or name.startswith(f"{layer}.")]
    if not inside:
        known = [name for name, _ in model.named_children()]
        near = did_you_mean(layer, [*known, *names.values()])
        raise UsageError(f"no layer '{layer}'", f"{near}its parts: {', '.join(known)}")
    return inside[-1]


def _until(graph: fx.Graph, cut: fx.Node) -> fx.Graph:
    trunk = fx.Graph()
    copies: dict[fx.Node, fx.Node] = {}
    needed = _ancestors(cut, stop=None)
    for node in graph.nodes:
        if node in needed or node.op == "placeholder":
            copies[node] = trunk.node_copy(node, lambda n: copies[n])
    trunk.output(copies[cut])
    return trunk


def _after(graph: fx.Graph, cut: fx.Node, layer: str) -> fx.Graph:
    head = fx.Graph()
    copies: dict[fx.Node, fx.Node] = {cut: head.placeholder("activation")}
    needed = _ancestors(next(node for node in graph.nodes if node.op == "output"), stop=cut)
    for node in graph.nodes:
        if node not in needed or node is cut:
            continue
        if node.op == "placeholder":
            raise UsageError(
                f"layer '{layer}' is not a whole cut: the classifier also uses what comes before it", "choose a later layer"
            )
        copies[node] = head.node_copy(node, lambda n: copies[n])
    return head


def _ancestors(node: fx.Node, stop: fx.Node | None) -> set[fx.Node]:
    found: set[fx.Node] = set()
    pending = [node]
    while pending:
        current = pending.pop()
        if current not in found:
            found.add(current)
            pending.extend(() if current is stop else current.all_input_nodes)
    return found


def _keep_input_intact(head: fx.GraphModule) -> None:
    """In-place layers must not overwrite the activation that the methods are about to read."""
    for node in head.graph.nodes:
        if node.op == "call_module" and hasattr(module := head.get_submodule(str(node.target)), "inplace"):
            module.inplace = False  # type: ignore[assignment]  # every torch layer with this flag takes a bool
        elif "inplace" in node.kwargs:
            node.kwargs = {**node.kwargs, "inplace": False}
    head.recompile()


def _gap_linear(head: fx.GraphModule) -> nn.Linear | None:
    """The linear layer of a head that is pooling to 1×1, reshaping, dropout and that one layer; else ``None``."""
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
    return graph_owner.get_submodule(str(node.target)) if node.op == "call_module" and graph_owner else None


def _is_dropout(node: fx.Node) -> bool:
    return isinstance(_module(node), nn.Dropout | nn.Identity) or node.target is functional.dropout


def _is_reshaping(node: fx.Node) -> bool:
    return isinstance(_module(node), nn.Flatten) or node.target in (torch.flatten, "flatten")


def _is_adaptive_pooling(node: fx.Node) -> bool:
    return isinstance(_module(node), nn.AdaptiveAvgPool2d) or node.target is functional.adaptive_avg_pool2d


def _is_global_average(node: fx.Node, head: fx.GraphModule) -> bool:
    module = _module(node, head)
    if isinstance(module, nn.AdaptiveAvgPool2d):
        return module.output_size in (1, (1, 1))
    if node.target is functional.adaptive_avg_pool2d:
        return node.args[1] in (1, (1, 1), [1, 1])
    if node.target in (torch.mean, "mean"):
        return list(node.args[1]) in ([2, 3], [-2, -1])  # type: ignore[arg-type]  # fx arguments are untyped
    return False
