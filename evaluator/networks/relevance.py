"""Layer-wise relevance propagation by the library zennit, on networks that its rules fit."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, fx, nn
from torchvision.models.resnet import BasicBlock, Bottleneck

from evaluator.errors import NoRelevance
from evaluator.networks.tracing import CannotCut, traced
from evaluator.records import Preprocessing

_EVERYWHERE = "smoothgrad, ig or layercam:layers=stages explain every network"


def relevance(
    model: nn.Module, images: Tensor, targets: Tensor, composite: str, seen: Preprocessing
) -> Tensor:
    """Relevance of every value of the images for the target's logit, ``[n, channels, H, W]``.

    Args:
        model: as its maker built it, answering with logits; it is as before afterwards.
        images: ``[n, channels, H, W]``, normalised; ``targets``: ``[n]``.
        composite: a key of ``methods.base.COMPOSITES``.
        seen: between which values a normalised pixel lies.

    Raises:
        NoRelevance: zennit is not installed, or its rules do not know the network.
    """
    try:
        from zennit.torchvision import ResNetCanonizer
    except ImportError as error:
        raise NoRelevance(
            "LRP needs the library zennit, which is not installed",
            "pip install 'camtui[lrp]'",
        ) from error
    if model not in _UNKNOWN:
        _UNKNOWN[model] = what_no_rule_knows(model)
    if trouble := _UNKNOWN[model]:
        raise NoRelevance(f"zennit has no rule for this network: {trouble}", _EVERYWHERE)
    rules = _rules(composite, seen, images)(canonizers=[ResNetCanonizer()])
    with rules.context(model) as changed, torch.enable_grad():
        leaf = images.detach().clone().requires_grad_()
        logits = changed(leaf)
        one = torch.zeros_like(logits).scatter(1, targets[:, None], 1)
        (found,) = torch.autograd.grad(logits, leaf, one)
    return found


def _rules(composite: str, seen: Preprocessing, images: Tensor) -> Callable[..., Any]:
    """The composite of that name; that of the box knows the values of a black and a white pixel."""
    from zennit import composites

    if composite == "plus-flat":
        return composites.EpsilonPlusFlat  # type: ignore[no-any-return]  # it ships no types
    if composite == "alpha2-beta1-flat":
        return composites.EpsilonAlpha2Beta1Flat  # type: ignore[no-any-return]
    mean, std = (images.new_tensor(each)[:, None, None] for each in (seen.mean, seen.std))
    low, high = ((pixel - mean) / std for pixel in (0.0, 1.0))

    def of_the_box(**options: Any) -> Any:
        return composites.EpsilonGammaBox(low.expand_as(images), high.expand_as(images), **options)

    return of_the_box


_MODULES = (
    nn.Conv2d,
    nn.Linear,
    nn.BatchNorm1d,
    nn.BatchNorm2d,
    nn.ReLU,
    nn.ReLU6,
    nn.LeakyReLU,
    nn.ELU,
    nn.SiLU,
    nn.GELU,
    nn.MaxPool2d,
    nn.AvgPool2d,
    nn.AdaptiveAvgPool2d,
    nn.Flatten,
    nn.Dropout,
    nn.Identity,
)
_SHAPES = (torch.flatten, "flatten", "view", "reshape", "size", getattr, operator.getitem)
_SUMS = (operator.add, operator.iadd, torch.add)


_UNKNOWN: WeakKeyDictionary[nn.Module, str] = WeakKeyDictionary()
"""Network → ``what_no_rule_knows`` of it: tracing takes as long as some passes."""


def what_no_rule_knows(model: nn.Module) -> str:
    """Which part of a network zennit would differentiate where relevance has to be propagated.

    Layers that are no module, sums but those of torchvision's residual blocks, batch normalisations
    that follow no convolution. Empty for none: VGG, AlexNet, ResNet and networks like them.
    """
    try:
        found = traced(model)
    except CannotCut as error:
        return f"its graph cannot be traced ({error})"
    modules = dict(model.named_modules())
    for node in sorted(found.whole.graph.nodes, key=lambda one: one.op != "call_module"):
        name = found.names.get(node, node.name)
        if node.op == "call_module":
            module = modules.get(str(node.target))
            if not isinstance(module, _MODULES):
                return f"{node.target} is a {type(module).__name__}"
            if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d) and not _is_linear(
                node.all_input_nodes[0], modules
            ):
                return f"{node.target} normalises what no convolution gives"
        elif node.op in ("call_function", "call_method"):
            block = modules.get(name.rpartition(".")[0])
            residual = node.target in _SUMS and isinstance(block, BasicBlock | Bottleneck)
            if not residual and node.target not in _SHAPES:
                return f"{name} is no module"
        elif node.op == "get_attr":
            return f"{name} is read by itself"
    return ""


def _is_linear(node: fx.Node, modules: dict[str, nn.Module]) -> bool:
    return node.op == "call_module" and isinstance(
        modules.get(str(node.target)), nn.Conv2d | nn.Linear
    )
