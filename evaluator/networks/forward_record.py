"""Record of a forward: a model's logits for two images, and the shape of every module's output."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

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
        images: ``[2, channels, side, side]``, seeded noise; ``logits``: ``[2, C]``, the answer.
        calls: every call of a module, in the order in which they ended.
    """

    images: Tensor
    logits: Tensor
    calls: tuple[Call, ...]


def record_forward(model: nn.Module, preprocessing: Preprocessing) -> ForwardRecord:
    """Run a model on two images.

    Raises:
        UsageError: it does not take them, or its answer is not one row of logits for each image.
    """
    side, channels = preprocessing.side, preprocessing.channels
    images = torch.randn(
        RECORDED_IMAGES, channels, side, side, generator=torch.Generator().manual_seed(0)
    )
    calls: list[Call] = []
    handles = [
        module.register_forward_hook(_recorder(name, calls))
        for name, module in model.named_modules()
        if name
    ]
    try:
        with torch.no_grad():
            output = model(images.clone())
    except Exception as error:  # a network of somebody else's may raise anything
        raise UsageError(
            f"the network does not take images of {channels} × {side} × {side}: "
            f"{printable(error, 200)}",
            "say what it takes: -b NAME:side=N,channels=1",
        ) from error
    finally:
        for handle in handles:
            handle.remove()
    return ForwardRecord(images, as_rows(logits_of(output)), tuple(calls))


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


def logits_of(output: Any) -> Any:
    """The logits in a network's output.

    The tensor, the first of a tuple, ``logits`` of a dict or of an object. Works on
    tensors, and on the nodes of a graph that stand for them.

    Raises:
        UsageError: a dict without ``logits`` and with more than one entry.
    """
    if isinstance(output, dict):
        if "logits" in output:
            return output["logits"]
        if len(output) == 1:
            return next(iter(output.values()))
        raise UsageError(
            f"the network answers with a dict of {', '.join(map(str, output)) or 'nothing'}, "
            "and none of them is 'logits'",
            "return the logits, or a dict with them under 'logits'",
        )
    if hasattr(output, "logits"):
        return output.logits
    return output[0] if isinstance(output, list | tuple) and output else output


def as_rows(logits: Any) -> Tensor:
    """Logits as rows ``[n, C]``, also from ``[n]`` (one class) and ``[n, C, 1, 1]``.

    Raises:
        UsageError: any other shape, or no tensor.
    """
    if not isinstance(logits, Tensor):
        raise UsageError(
            f"the network answers with a {type(logits).__name__}, a classifier with a tensor "
            "of logits",
            "return the logits, a tuple that begins with them, or a dict with them under 'logits'",
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
