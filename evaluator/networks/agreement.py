"""The network that runs, held against the one that was given, at every load.

Folding, channels-last layout, a traced graph and a closed form each compute the same function in
real arithmetic, and each has networks of which it makes another. So whatever runs must answer as
the plain model did: on noise and on a picture, alone and beside another image, now and a moment
later. What is compared is a handful of forwards of one or two images.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import redirect_stderr
from io import StringIO
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from evaluator.errors import UnstableAnswer, is_out_of_memory, loses_device
from evaluator.networks.tracing import ForwardRecord, first_tensor, logits_of, with_first
from evaluator.text import printable

ROUNDING = 3e-4
"""Largest difference of a logit, in parts of the largest, between two ways to compute it.

Measured by ``benchmarks/agreement.py`` (benchmarks/layers.md): at most 2.2e-6 between the plain
model and the network that runs, in batches of one and two, with trained and with random weights. A
network that is folded twice over differs by 0.1 to 2.
"""

REPEAT = 1e-4
"""The same for the same images in a batch of the same size a moment later: 0 in every network
measured on CPUs; sums by atomic additions, on CUDA, differ by some units of 1e-7.
"""

BFLOAT16 = 0.25
"""The same for bfloat16, which keeps 8 bits of each intermediate value: at most 0.06 measured."""

GRADIENT = 2e-2
"""Largest difference of a gradient by its Euclidean norm, in parts of it; rounding that moves a
value over the edge of a ReLU changes single entries.
"""


def apart(found: Tensor, expected: Tensor) -> float:
    """Largest difference of two tensors' entries, in parts of the largest expected one.

    What is no number agrees with what is none; infinite where only one of them is.
    """
    found, expected = found.detach().cpu().float(), expected.detach().cpu().float()
    finite = expected.isfinite()
    if found.shape != expected.shape or not torch.equal(finite, found.isfinite()):
        return float("inf")
    scale = max(float(expected[finite].abs().max()) if finite.any() else 0.0, 1e-6)
    return float((found - expected)[finite].abs().max()) / scale if finite.any() else 0.0


def same_answer(found: Tensor, expected: Tensor) -> bool:
    """Whether logits are equal but for rounding."""
    return apart(found, expected) <= ROUNDING


class Answer(NamedTuple):
    """What a network that is cut answers to some images.

    Attributes:
        logits: ``[n, C]``.
        gradient: ``targets`` ``[n]`` → ``∂s_c/∂A`` at its layer, ``[n, K, h, w]`` or what
            broadcasts to that.
    """

    logits: Tensor
    gradient: Callable[[Tensor], Tensor]


class Plain(NamedTuple):
    """What the plain model answers to the recorded picture alone.

    Attributes:
        logits: ``[1, C]``.
        gradient: of its largest logit with respect to the layer's output, as the layer gives it;
            ``None`` where autograd does not reach the layer, or it is called more than once.
    """

    logits: Tensor
    gradient: Tensor | None = None


def plain_answer(model: nn.Module, record: ForwardRecord, layer: str) -> Plain:
    """Ask the plain model for the recorded picture alone, with the gradient at a layer."""
    module = dict(model.named_modules()).get(layer)
    taken: list[Tensor] = []

    def take(_module: nn.Module, _inputs: Any, output: Any) -> Any:
        tensor = first_tensor(output)
        if tensor is None or not tensor.is_floating_point():
            return output
        taken.append(tensor.detach().requires_grad_())
        copy = taken[-1].clone()  # what follows may overwrite it
        return with_first(output, copy)

    once = sum(call.name == layer for call in record.calls) == 1
    handle = module.register_forward_hook(take) if module is not None and once else None
    try:
        with torch.set_grad_enabled(handle is not None):
            logits = logits_of(model(record.images[1:].clone()), record.output).reshape(1, -1)
    except Exception as error:  # such as numpy() of what autograd follows
        if handle is None or is_out_of_memory(error) or loses_device(error):
            raise
        taken.clear()
        logits = _rows(model, record, record.images[1:])
    finally:
        if handle is not None:
            handle.remove()
    gradient = None
    if len(taken) == 1 and logits.requires_grad:
        try:
            chosen = logits[0, logits[0].argmax()]
            (gradient,) = torch.autograd.grad(chosen, taken[0], allow_unused=True)
        except RuntimeError as error:  # an operation of somebody else's without a derivative
            if is_out_of_memory(error) or loses_device(error):
                raise
    return Plain(logits.detach(), gradient)


def refuse_unstable(
    model: nn.Module, record: ForwardRecord, training: Sequence[nn.Module] = ()
) -> ForwardRecord:
    """Refuse a plain model whose answer is no function of the image alone.

    Args:
        training: its modules that ``eval()`` left in training mode; a cut may have changed that.

    Returns:
        The record, with the answers that the model gives from now on: what it builds at its first
        forward may have changed them once.

    Raises:
        UnstableAnswer: its answers differ each time, or depend on the images beside an image.
    """
    for module in training:
        module.training = True
    again = [_rows(model, record, record.images) for _ in range(3)]
    if any(apart(one, again[-1]) > REPEAT for one in again):
        raise differs_each_time(max(apart(one, again[-1]) for one in again), _ignoring_eval(model))
    for place in range(len(record.images)):
        try:
            alone = _rows(model, record, record.images[place : place + 1])
        except (RuntimeError, ValueError, IndexError, TypeError) as error:
            if is_out_of_memory(error) or loses_device(error):
                raise
            raise depends_on_others(
                f"alone, it fails: {printable(error, 120)}", _ignoring_eval(model)
            ) from error
        if (difference := apart(alone, again[-1][place : place + 1])) > ROUNDING:
            raise depends_on_others(
                f"alone and in a batch, logits {_share(difference)} apart", _ignoring_eval(model)
            )
    return record._replace(logits=again[-1])


def departure(answer: Callable[[Tensor], Answer], record: ForwardRecord, plain: Plain) -> str:
    """How a network that is cut differs from the plain model, in words; empty where it agrees.

    Args:
        answer: asks it, on its device.
        record: the plain model's answers; ``plain``: with the gradient, where that is to agree.
    """
    try:
        with redirect_stderr(StringIO()):  # a graph that fails prints itself
            beside = answer(record.images.flip(0)).logits
            alone = answer(record.images[1:])
        expected = record.logits.flip(0)
        for found, wanted in ((beside, expected), (alone.logits, expected[:1])):
            made = found[:, -wanted.shape[1] :]  # of one logit two classes are made
            if (difference := apart(made, wanted)) > ROUNDING:
                return f"its logits differ by {_share(difference)}"
        if plain.gradient is None:
            return ""
        target = plain.logits.argmax(1) + alone.logits.shape[1] - plain.logits.shape[1]
        gradient = alone.gradient(target.to(alone.logits.device)).cpu().expand_as(plain.gradient)
    except Exception as error:  # the network is somebody else's, and may raise anything
        if is_out_of_memory(error) or loses_device(error):
            raise
        return f"it fails: {printable(error, 120)}"
    length = float(plain.gradient.norm())
    difference = float((gradient - plain.gradient).norm()) / max(length, 1e-12)
    return (
        f"its gradient differs by {_share(difference)}"
        if length > 1e-12 and difference > GRADIENT
        else ""
    )


def differs_each_time(difference: float, why: str = "") -> UnstableAnswer:
    """The error of a network whose answer to the same images changes."""
    return UnstableAnswer(
        f"the network answers differently each time: the same image, logits {_share(difference)} "
        f"apart{why}",
        "take what is random, counts or learns out of its forward: dropout, noise, batch "
        "statistics, running averages",
    )


def depends_on_others(how: str, why: str = "") -> UnstableAnswer:
    """The error of a network that mixes the images of a batch.

    Args:
        how: what was seen; ``why``: what may be the cause.
    """
    return UnstableAnswer(
        f"an image's answer depends on the images beside it: {how}{why}",
        "let the network compute each image by itself: no statistics over the batch, and eval() "
        "that reaches every batch normalisation",
    )


def _rows(model: nn.Module, record: ForwardRecord, images: Tensor) -> Tensor:
    """The plain model's logits ``[n, C]``."""
    with torch.no_grad():
        logits: Tensor = logits_of(model(images.clone()), record.output)
    return logits.reshape(len(images), -1)


def _ignoring_eval(model: nn.Module) -> str:
    """Which layers are in training mode all the same."""
    kinds = {
        type(module).__name__
        for module in model.modules()
        if module.training and any(word in type(module).__name__ for word in ("Norm", "Drop"))
    }
    return f" (eval() leaves {', '.join(sorted(kinds)[:3])} in training mode)" if kinds else ""


def _share(difference: float) -> str:
    """``0.4 % of the largest``."""
    return f"{100 * difference:.2g} % of the largest" if difference != float("inf") else "no number"
