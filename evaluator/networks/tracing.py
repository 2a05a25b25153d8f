"""A model as a graph (``torch.fx``): names of its modules on the nodes, shapes of its tensors."""

from __future__ import annotations

import contextlib
import inspect
import sys
from collections.abc import Callable
from typing import Any, NamedTuple, TypeGuard

import torch
from torch import Tensor, fx, nn
from torchvision.models.feature_extraction import NodePathTracer

from evaluator.networks.forward_record import RECORDED_IMAGES, logits_of


class CannotCut(Exception):
    """The graph does not show where to cut: the model must be cut by hooks."""


class Traced(NamedTuple):
    """A graph that runs.

    Attributes:
        whole: images → logits, nothing on it that the logits do not need.
        names: the tracer's dotted name of every node: that of its module, numbered by its calls.
        calls: what each module gives, call by call, ``None`` where the logits do not need it; empty
            where the graph does not know modules.
    """

    whole: fx.GraphModule
    names: dict[fx.Node, str]
    calls: dict[str, list[fx.Node | None]]


class _Tracer(NodePathTracer):  # type: ignore[misc]  # torchvision ships no types
    """Notes what every call of a module gives, also of those that are traced through."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: dict[str, list[fx.Node | None]] = {}

    def call_module(
        self,
        m: nn.Module,
        forward: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> Any:
        """Calls count in the order in which they end, as in a recorded forward."""
        output = super().call_module(m, forward, args, kwargs)
        first = output[0] if isinstance(output, list | tuple) and output else output
        node = first.node if isinstance(first, fx.Proxy) else None
        self.calls.setdefault(self.path_of_module(m), []).append(node)
        return output


def traced(model: nn.Module, output: str = "") -> Traced:
    """Trace a model; arguments of ``forward`` that have a default keep it.

    Args:
        model: in evaluation mode.
        output: which of its outputs the logits are, see ``forward_record.choose_output``.

    Raises:
        CannotCut: control flow that depends on the images, or anything else that symbolic tracing
            does not follow.
    """
    tracer = _Tracer()
    try:
        with contextlib.redirect_stdout(sys.stderr):  # a network that prints
            defaults = {
                name: parameter.default
                for name, parameter in inspect.signature(model.forward).parameters.items()
                if parameter.default is not inspect.Parameter.empty
            }
            graph = tracer.trace(model, concrete_args=defaults or None)
        return _as_logits(tracer.root, graph, dict(tracer.node_to_qualname), tracer.calls, output)
    except CannotCut:
        raise
    except Exception as error:  # tracing runs foreign code and may raise anything
        raise CannotCut(str(error)) from error


def of_program(program: nn.Module, output: str = "") -> Traced:
    """The graph of an exported program, its operations named by the modules that they came from.

    Args:
        program: as a module.
        output: which of its outputs the logits are.

    Raises:
        CannotCut: it is not the graph of one.
    """
    if not isinstance(program, fx.GraphModule):
        raise CannotCut("it has no graph")
    graph = fx.Graph()
    graph.output(graph.graph_copy(program.graph, {}))
    names: dict[fx.Node, str] = {}
    ends: dict[str, dict[str, fx.Node | None]] = {}
    for node in graph.nodes:
        stack = node.meta.get("nn_module_stack", {})
        for call, (module, _) in stack.items():  # trunk, then trunk@1 when it is called again
            ends.setdefault(str(module), {})[call] = node
        path = str(list(stack.values())[-1][0]) if stack else ""
        names[node] = f"{path}.{node.name}" if path else node.name
    calls = {module: list(found.values()) for module, found in ends.items() if module}
    return _as_logits(program, graph, names, calls, output)


def _as_logits(
    root: nn.Module,
    graph: fx.Graph,
    names: dict[fx.Node, str],
    calls: dict[str, list[fx.Node | None]],
    output: str,
) -> Traced:
    """The part of a graph that leads from the images to the logits."""
    logits = logits_of(next(node for node in graph.nodes if node.op == "output").args[0], output)
    if not isinstance(logits, fx.Node):
        raise CannotCut("its output is no tensor")
    needed = ancestors(logits)
    inputs = [node for node in graph.nodes if node.op == "placeholder"]
    if inputs[0] not in needed or any(node in needed for node in inputs[1:]):
        raise CannotCut("it takes more than the images")
    pruned = fx.Graph()
    copies: dict[fx.Node, fx.Node] = {}
    for node in graph.nodes:
        if node in needed:
            copies[node] = pruned.node_copy(node, lambda n: copies[n])
    pruned.output(copies[logits])
    kept = {copy: names.get(node, node.name) for node, copy in copies.items()}
    given = {
        name: [copies.get(node) if node is not None else None for node in nodes]
        for name, nodes in calls.items()
    }
    return Traced(fx.GraphModule(root, pruned), kept, given)


def values_of(whole: fx.GraphModule, images: Tensor) -> dict[fx.Node, Any]:
    """The value of every node: of tensors the shape, anything else as it is."""
    values: dict[fx.Node, Any] = {}

    class Recorder(fx.Interpreter):
        def run_node(self, node: fx.Node) -> Any:
            result = super().run_node(node)
            known = tuple(result) if isinstance(result, torch.Size) else result  # x.shape itself
            values[node] = result.shape if isinstance(result, Tensor) else known
            return result

    try:
        with torch.no_grad():
            Recorder(whole).run(images.clone())
    except Exception as error:  # the graph holds foreign code
        raise CannotCut(str(error)) from error
    return values


def ancestors(node: fx.Node) -> set[fx.Node]:
    """The node, and every node that it needs."""
    found: set[fx.Node] = set()
    pending = [node]
    while pending:
        current = pending.pop()
        if current not in found:
            found.add(current)
            pending.extend(current.all_input_nodes)
    return found


def descendants(node: fx.Node) -> set[fx.Node]:
    """Every node that needs this one."""
    found: set[fx.Node] = set()
    pending = list(node.users)
    while pending:
        current = pending.pop()
        if current not in found:
            found.add(current)
            pending.extend(current.users)
    return found


def is_batched(value: Any, images: int = RECORDED_IMAGES) -> TypeGuard[torch.Size]:
    """Whether a recorded value is the shape of a tensor with one entry for each image."""
    return isinstance(value, torch.Size) and len(value) > 0 and value[0] == images
