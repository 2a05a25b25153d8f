"""Several layers of a network, its biases, and the target's gradients by them, in one pass."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from typing import Any

import torch
from torch import Tensor, nn

from evaluator.errors import NoGradient, UsageError
from evaluator.methods.base import BiasGradient
from evaluator.networks.backbone_loading import Backbone
from evaluator.networks.maps import no_gradient
from evaluator.networks.target_layer import HookedTrunk
from evaluator.networks.tracing import first_tensor, with_first

Layer = tuple[Tensor, Tensor]
"""``A`` and ``∂s_c/∂A``, ``[n, K, h, w]``."""


def layer_gradients(
    backbone: Backbone,
    images: Tensor,
    targets: Tensor,
    logits: Callable[[Tensor], Tensor],
    names: Sequence[str] | None,
) -> dict[str, Layer]:
    """Observe several layers, by name in the order asked for.

    Args:
        images: ``[n, channels, H, W]``, normalised; ``targets``: ``[n]``.
        logits: images → ``[n, C]``, through the backbone, differentiable.
        names: modules by dotted name; ``None`` for the last of every resolution up to the target
            layer, finest first. What overwrites that layer's output in place is part of it.

    Raises:
        UsageError: there is no such module, or its output is no map.
        NoGradient: the network detaches what is behind one of them.
    """
    kept: dict[str, Tensor] = {}
    with torch.enable_grad(), ExitStack() as hooks:
        for name, module in _watched(backbone, names):
            keep = _keeper(name, kept, copied=names is not None, last=backbone.facts.layer)
            hooks.callback(module.register_forward_hook(keep).remove)
        chosen = logits(images.detach().clone().requires_grad_()).gather(1, targets[:, None]).sum()
    wanted = _last_of_resolutions(kept, backbone) if names is None else list(names)
    gradients = (
        torch.autograd.grad(chosen, [kept[name] for name in wanted], allow_unused=True)
        if chosen.requires_grad
        else [None] * len(wanted)
    )
    found: dict[str, Layer] = {}
    for name, gradient in zip(wanted, gradients, strict=True):
        if gradient is None:
            raise NoGradient(
                f"{no_gradient(name)}: the network detaches what is behind it",
                "take detach(), no_grad() and rounding out of its forward",
            )
        found[name] = (
            _as_map(kept[name].detach(), name, backbone),
            _as_map(gradient, name, backbone),
        )
    return found


def bias_gradients(
    backbone: Backbone, images: Tensor, targets: Tensor, logits: Callable[[Tensor], Tensor]
) -> tuple[Tensor, list[BiasGradient]]:
    """``∂s_c/∂x`` ``[n, channels, H, W]``, and a pair for every layer with a bias, as they run.

    Convolutions, linear layers and batch normalisations: of the last the bias is what they add to
    a scaled input. One that is folded into its convolution is in the bias of that.

    Args:
        images: ``[n, channels, H, W]``, normalised; ``targets``: ``[n]``.
        logits: images → ``[n, C]``, through the backbone, differentiable.

    Raises:
        NoGradient: no gradient reaches the images.
    """
    outputs: list[Tensor] = []
    biases: list[Tensor] = []

    def keep(module: nn.Module, _inputs: Any, output: Tensor) -> Tensor:
        outputs.append(output)
        biases.append(_bias_of(module))
        return output.clone()  # it may be overwritten

    parts = filter(None, (backbone.trunk, backbone.head, backbone.linear))
    modules = {id(module): module for part in parts for module in part.modules()}
    with torch.enable_grad(), ExitStack() as hooks:
        for module in modules.values():
            if _has_bias(module):
                hooks.callback(module.register_forward_hook(keep).remove)
        leaf = images.detach().clone().requires_grad_()
        chosen = logits(leaf).gather(1, targets[:, None]).sum()
    wanted = [leaf, *outputs]
    gradients = (
        torch.autograd.grad(chosen, wanted, allow_unused=True) if chosen.requires_grad else [None]
    )
    if gradients[0] is None:
        raise NoGradient(
            "no gradient reaches the image: the network detaches what is behind it",
            "take detach(), no_grad() and rounding out of its forward",
        )
    return gradients[0], [
        BiasGradient(gradient.float(), bias)
        for gradient, bias in zip(gradients[1:], biases, strict=True)
        if gradient is not None  # behind a layer that is called again by the head
    ]


def _has_bias(module: nn.Module) -> bool:
    if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
        return module.running_mean is not None
    return isinstance(module, nn.Conv2d | nn.Linear) and module.bias is not None


def _bias_of(module: nn.Module) -> Tensor:
    """What a layer adds to each of its channels whatever its input is, ``[K]``."""
    if not isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
        assert isinstance(module, nn.Conv2d | nn.Linear), "nothing else is watched"
        assert module.bias is not None, "nothing else is watched"
        return module.bias.detach().float()
    assert module.running_mean is not None, "nothing else is watched"
    assert module.running_var is not None, "it comes with the mean"
    scale = (module.running_var + module.eps).rsqrt()
    scale = scale if module.weight is None else scale * module.weight.detach()
    bias = -module.running_mean * scale
    return (bias if module.bias is None else bias + module.bias.detach()).float()


def _watched(backbone: Backbone, names: Sequence[str] | None) -> Iterator[tuple[str, nn.Module]]:
    """Yield the modules to look at: those named, or every one without parts before the target."""
    cut_by_hooks = isinstance(backbone.trunk, HookedTrunk)
    before = backbone.trunk.model if isinstance(backbone.trunk, HookedTrunk) else backbone.trunk
    modules = {**dict(backbone.head.named_modules()), **dict(before.named_modules())}
    target = backbone.facts.layer
    modules[target] = before.get_submodule(target.partition("#")[0]) if cut_by_hooks else before
    if names is None:
        leaves = [one for one in before.named_modules() if not list(one[1].children())]
        yield from [one for one in leaves if one[0] != target]
        yield target, modules[target]
        return
    for name in names:
        if name not in modules:
            raise UsageError(f"the network has no layer {name}", "camtui backbones --check NAME")
        yield name, modules[name]


def _keeper(
    name: str, kept: dict[str, Tensor], *, copied: bool, last: str
) -> Callable[[nn.Module, Any, Any], Any]:
    """Keep the output of a module's last call; behind the target layer nothing more by default."""

    def keep(_module: nn.Module, _inputs: Any, output: Any) -> Any:
        tensor = first_tensor(output)
        if tensor is None or (not copied and last in kept):
            return None
        kept.pop(name, None)  # in the order of the last calls
        kept[name] = tensor
        return with_first(output, tensor.clone()) if copied else None  # it may be overwritten

    return keep


def _last_of_resolutions(kept: dict[str, Tensor], backbone: Backbone) -> list[str]:
    """The names of the last square map of every size, finer than the target layer's, and that."""
    last = {
        one.shape[2]: name
        for name, one in kept.items()
        if one.ndim == 4
        and one.shape[2] == one.shape[3] > max(backbone.layout.height, backbone.layout.width)
    }
    return [*(last[size] for size in sorted(last, reverse=True)), backbone.facts.layer]


def _as_map(values: Tensor, name: str, backbone: Backbone) -> Tensor:
    """A layer's output, or its gradient, as ``[n, K, h, w]``, float32."""
    tokens = values.ndim == 3 and backbone.layout.tokens is not None
    if name == backbone.facts.layer or tokens:
        return backbone.layout.to_map(values.float())[0]
    if values.ndim != 4:
        raise UsageError(f"the output of layer {name} is no map", "name another layer")
    return values.float()
