"""Record of a forward: a model's logits for two images, and the shape of every module's output."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import fields, is_dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

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
