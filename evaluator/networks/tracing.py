"""A recorded forward of a model, and its graph (``torch.fx``) with names and shapes."""

from __future__ import annotations

import contextlib
import inspect
import sys
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import fields, is_dataclass
from typing import Any, NamedTuple, TypeGuard

import torch
from torch import Tensor, fx, nn
from torch.nn.functional import interpolate
from torchvision.models.feature_extraction import NodePathTracer

from evaluator.errors import UsageError
from evaluator.records import Preprocessing
from evaluator.text import printable

RECORDED_IMAGES = 2
"""Images in a recorded forward: with one, any length of 1 could be the batch's."""


class Call(NamedTuple):
    """One call of a module.

    Attributes:
        shape: of the (first) tensor that it gave, ``None`` where it gave none.
    """

    name: str
    module: nn.Module
    shape: tuple[int, ...] | None


class ForwardRecord(NamedTuple):
    """A forward of a model on two images.

    Attributes:
        images: ``[2, channels, side, side]``, seeded noise and a picture; ``logits``: ``[2, C]``,
            the answer.
        calls: every call of a module, in the order in which they ended.
        output: which of the model's outputs the logits are, empty where it has one.
    """

    images: Tensor
    logits: Tensor
    calls: tuple[Call, ...]
    output: str = ""


def record_forward(
    model: nn.Module,
    preprocessing: Preprocessing,
    picture: Tensor | None = None,
    *,
    output: str | None = None,
    names: Sequence[str] = (),
) -> ForwardRecord:
    """Run a model on two images, noise and a picture.

    Args:
        picture: ``[1, channels, side, side]``, normalised; ``None`` for one that is drawn.
        output: which of its outputs the logits are, where that is said.
        names: of its classes, as far as they are known.

    Raises:
        UsageError: it does not take them, or its answer is not one row of logits for each image.
    """
    side, channels = preprocessing.side, preprocessing.channels
    noise = torch.randn(1, channels, side, side, generator=torch.Generator().manual_seed(0))
    images = torch.cat([noise, drawn_picture(preprocessing) if picture is None else picture])
    calls: list[Call] = []
    handles = [
        module.register_forward_hook(_recorder(name, calls))
        for name, module in model.named_modules()
        if name
    ]
    try:
        with torch.no_grad():
            answer = model(images.clone())
    except Exception as error:  # a network of somebody else's may raise anything
        if len(inputs := _inputs(model)) > 1:
            raise UsageError(
                f"the network takes {len(inputs)} inputs ({printable(', '.join(inputs), 80)}), and "
                "a classifier is given images alone",
                "give a network that takes images and fills in the others by itself",
            ) from error
        raise UsageError(
            f"the network does not take images of {channels} × {side} × {side}: "
            f"{printable(error, 200)}",
            "say what it takes: -b NAME:side=N,channels=1",
        ) from error
    finally:
        for handle in handles:
            handle.remove()
    chosen = choose_output(answer, output, names)
    return ForwardRecord(images, as_rows(logits_of(answer, chosen)), tuple(calls), chosen)


def _inputs(model: nn.Module) -> list[str]:
    """The arguments that a forward must be given."""
    try:
        parameters = inspect.signature(model.forward).parameters.values()
    except (TypeError, ValueError):
        return []
    return [
        one.name
        for one in parameters
        if one.default is one.empty and one.kind not in (one.VAR_POSITIONAL, one.VAR_KEYWORD)
    ]


def drawn_picture(preprocessing: Preprocessing) -> Tensor:
    """Blobs of every size, the larger the stronger as in photographs, ``[1, channels, H, W]``."""
    side, channels = preprocessing.side, preprocessing.channels
    generator = torch.Generator().manual_seed(1)
    pixels = torch.full((1, channels, side, side), 0.5)
    cells = 2
    while cells <= side:
        coarse = torch.randn(1, channels, cells, cells, generator=generator)
        pixels += interpolate(coarse, size=(side, side), mode="bilinear") * 0.4 / cells**0.5
        cells *= 2
    mean, std = (
        torch.tensor(each).view(1, -1, 1, 1) for each in (preprocessing.mean, preprocessing.std)
    )
    return (pixels.clamp(0, 1) - mean) / std


def _recorder(name: str, calls: list[Call]) -> Callable[[nn.Module, Any, Any], None]:
    def record(module: nn.Module, _inputs: Any, output: Any) -> None:
        tensor = first_tensor(output)
        calls.append(Call(name, module, None if tensor is None else tuple(tensor.shape)))

    return record


def first_tensor(output: Any) -> Tensor | None:
    """The tensor that a layer gives: its output, or the first of a tuple."""
    if isinstance(output, list | tuple) and output:
        output = output[0]
    return output if isinstance(output, Tensor) else None


def with_first(output: Any, tensor: Tensor) -> Any:
    """A layer's output with another (first) tensor."""
    if not isinstance(output, list | tuple):
        return tensor
    if fields := getattr(output, "_fields", ()):  # a named tuple is made of names
        return output._replace(**{fields[0]: tensor})  # type: ignore[union-attr]  # it has them
    return type(output)((tensor, *output[1:]))


def choose_output(answer: Any, wanted: str | None = None, names: Sequence[str] = ()) -> str:
    """Which of a network's outputs are its logits: a place or a name, empty where it has one.

    ``logits`` of a dict or of an object; the only tensor; among several the only one with as many
    columns as there are class names. Works on anything that has the outputs' shapes.

    Args:
        wanted: the one that the user names.
        names: of the classes, as far as they are known.

    Raises:
        UsageError: there is no such output, or one of several must be named.
    """
    found = {
        name: tuple(shape)
        for name, part in _parts(answer)
        if (shape := getattr(part, "shape", None)) is not None
    }
    if wanted is not None:
        fields_ = getattr(answer, "_fields", ())
        wanted = dict(zip(map(str, range(len(fields_))), fields_, strict=True)).get(wanted, wanted)
        if wanted in found:
            return wanted
        raise UsageError(
            f"the network has no output '{printable(wanted, 40)}'",
            f"it has {_listed(found)}" if found else "it answers with one tensor: no output=",
        )
    if "logits" in found:
        return "logits"
    if len(found) < 2:
        return next(iter(found), "")
    fitting = [name for name, shape in found.items() if _fits(shape, len(names))]
    if len(fitting) == 1:
        return fitting[0]
    raise UsageError(
        f"the network answers with {len(found)} tensors, and which are the logits is not said: "
        f"{_listed(found)}",
        f"name the logits: -b NAME:output={(fitting or list(found))[-1]}",
    )


def _parts(answer: Any, inside: str = "") -> Iterator[tuple[str, Any]]:
    """What stands in an answer of several, by place or name: ``1``, ``logits``, ``features.0``."""
    if isinstance(answer, dict):
        parts = [(str(name), part) for name, part in answer.items()]
    elif isinstance(answer, list | tuple):
        names = getattr(answer, "_fields", None) or map(str, range(len(answer)))
        parts = list(zip(names, answer, strict=True))
    elif is_dataclass(answer) and not isinstance(answer, type):
        parts = [(field.name, getattr(answer, field.name)) for field in fields(answer)]
    elif not inside and isinstance(getattr(answer, "logits", None), Tensor):
        parts = [("logits", answer.logits)]
    elif inside:
        yield inside, answer
        return
    else:
        return
    for name, part in parts:
        yield from _parts(part, f"{inside}.{name}" if inside else name)


def _fits(shape: tuple[int, ...], classes: int) -> bool:
    """Whether an output is one number for each class; two classes may have one."""
    return len(shape) == 2 and (shape[1] == classes or (shape[1], classes) == (1, 2))


def _listed(found: dict[str, tuple[int, ...]]) -> str:
    """``0 (2 × 32), 1 (2 × 5)``."""
    return ", ".join(
        f"{printable(name, 40)} ({' × '.join(map(str, shape)) or 'a number'})"
        for name, shape in list(found.items())[:12]
    )


def logits_of(answer: Any, output: str | None = None) -> Any:
    """The logits in a network's answer.

    Works on tensors, and on the nodes of a graph that stand for them.

    Args:
        output: which of its outputs they are, as ``choose_output`` says; ``None`` to choose here.

    Raises:
        UsageError: one of several must be named.
    """
    if output is None:
        output = choose_output(answer)
    if not output or isinstance(answer, Tensor):
        return answer
    return dict(_parts(answer)).get(output)


def as_rows(logits: Any) -> Tensor:
    """Logits as rows ``[n, C]``, also from ``[n]`` (one class) and ``[n, C, 1, 1]``.

    Raises:
        UsageError: any other shape, or no tensor.
    """
    if not isinstance(logits, Tensor):
        raise UsageError(
            f"the network answers with a {type(logits).__name__}, a classifier with a tensor "
            "of logits",
            "return the logits, a tuple with them, or a dict with them under 'logits'",
        )
    if logits.ndim == 1 and len(logits) == RECORDED_IMAGES:
        return logits[:, None]
    if logits.ndim > 2 and logits.shape[2:].numel() == 1:
        return logits.flatten(1)
    if logits.ndim != 2 or len(logits) != RECORDED_IMAGES:
        shape = " × ".join(map(str, logits.shape)) or "a single number"
        raise UsageError(
            f"the network answers {RECORDED_IMAGES} images with {shape}, a classifier with "
            f"{RECORDED_IMAGES} × classes",
            "give a network that ends in one logit for each class",
        )
    return logits


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
        with contextlib.redirect_stdout(sys.stderr), _attributes_kept(model):  # it may print
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


@contextlib.contextmanager
def _attributes_kept(model: nn.Module) -> Iterator[None]:
    """Undo what a traced forward writes to its modules: the tracer's stand-ins for tensors.

    New tensors stay: they are constants of the graph.
    """
    before = [(vars(module), dict(vars(module))) for module in model.modules()]
    inside = [
        (value, value.copy())
        for _, attributes in before
        for value in attributes.values()
        if type(value) in (dict, OrderedDict, set, list)
    ]
    try:
        yield
    finally:
        for attributes, kept in before:
            for name in attributes.keys() - kept.keys():
                if not isinstance(attributes[name], Tensor):
                    del attributes[name]
            attributes.update(kept)
        for value, content in inside:
            value.clear()
            (value.extend if isinstance(value, list) else value.update)(content)


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


def is_batched(value: Any) -> TypeGuard[torch.Size]:
    """Whether a recorded value is the shape of a tensor with one entry for each image."""
    return isinstance(value, torch.Size) and len(value) > 0 and value[0] == RECORDED_IMAGES
