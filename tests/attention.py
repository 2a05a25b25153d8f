"""The attention of a transformer, slowly: by hooks on its attention modules, one image, one head at
a time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torchvision.models import VisionTransformer

from evaluator.methods.base import Attention, BlockScore
from tests.agreement import IMAGES, Agreement, compare, evaluated
from tests.networks import CLASSES, SIDE, Bench, bench, random_images
from tests.reference import Explained


class Attended(NamedTuple):
    """One block: ``[heads, N, N]``, and the gradient of the target's logit with respect to it."""

    weights: Tensor
    gradient: Tensor


def attended(seen: Explained) -> list[Attended]:
    """Every block's attention for one image, and its gradient by autograd through the whole
    network.
    """
    with attention_of(seen.model) as kept:
        logits = seen.model(seen.x.detach().clone()[None].requires_grad_())[0]
    gradients = torch.autograd.grad(logits[seen.c], kept)
    return [
        Attended(weights[0].detach(), gradient[0])
        for weights, gradient in zip(kept, gradients, strict=True)
    ]


@contextmanager
def attention_of(model: nn.Module) -> Iterator[list[Tensor]]:
    """The attention weights ``[1, heads, N, N]`` of every block that is run within."""
    kept: list[Tensor] = []
    handles = []
    for module in model.modules():
        if isinstance(module, nn.MultiheadAttention):
            handles.append(module.register_forward_hook(_in_loops(kept)))
        elif hasattr(
            module, "fused_attn"
        ):  # timm's attention, whose dropout is what the weights pass
            module.fused_attn = False  # type: ignore[assignment]  # a flag, where torch's stubs expect a module
            handles.append(module.get_submodule("attn_drop").register_forward_hook(_passing(kept)))
    try:
        yield kept
    finally:
        for handle in handles:
            handle.remove()


def _in_loops(kept: list[Tensor]) -> Any:
    """The output of ``nn.MultiheadAttention`` computed anew, head by head; it keeps no weights that
    autograd knows.
    """

    def hook(module: nn.MultiheadAttention, inputs: Any, output: Any) -> Any:
        tokens, width = inputs[0][0], module.embed_dim // module.num_heads
        query, key, value = (tokens @ module.in_proj_weight.T + module.in_proj_bias).chunk(3, 1)
        heads = []
        for head in range(module.num_heads):
            part = slice(head * width, (head + 1) * width)
            products = query[:, part] @ key[:, part].T / width**0.5
            heads.append(products.exp() / products.exp().sum(1, keepdim=True))
        weights = torch.stack(heads)[None]
        kept.append(weights)
        gathered = [
            weights[0, head] @ value[:, head * width : (head + 1) * width]
            for head in range(module.num_heads)
        ]
        return module.out_proj(torch.cat(gathered, 1))[None], None

    return hook


def _passing(kept: list[Tensor]) -> Any:
    def hook(_module: nn.Module, _inputs: Any, output: Tensor) -> Tensor:
        kept.append(output.clone())
        return kept[-1]

    return hook


def map_of(rows: Tensor, model: nn.Module) -> Tensor:
    """The row of the class token, or the mean of the rows of all positions, as a square map."""
    prefix = getattr(model, "num_prefix_tokens", 1)
    averaged = getattr(model, "global_pool", "token") == "avg"
    row = rows[prefix:].mean(0) if averaged else rows[0]
    side = round((len(row) - prefix) ** 0.5)
    return row[prefix:].view(side, side)


def filled(build: Callable[[], nn.Module], seed: int) -> nn.Module:
    """A seeded network in evaluation mode, its last layer filled too: torchvision's transformers
    begin with zeros there.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model: nn.Module = build().eval()
        last = [module for module in model.modules() if isinstance(module, nn.Linear)][-1]
        nn.init.normal_(last.weight, std=0.5)
    return model


def _torchvision() -> nn.Module:
    made: nn.Module = VisionTransformer(SIDE, 8, 3, 2, 16, 32, num_classes=CLASSES)
    return made


def _timm(**options: Any) -> nn.Module:
    from timm.models.vision_transformer import VisionTransformer as TimmTransformer

    made: nn.Module = TimmTransformer(
        img_size=SIDE,
        patch_size=8,
        embed_dim=16,
        depth=3,
        num_heads=2,
        num_classes=CLASSES,
        **options,
    )
    for module in made.modules():
        if isinstance(module, nn.Linear):
            module.weight.data *= 10  # timm's initialisation attends to all tokens nearly alike
    return made


TRANSFORMERS: dict[str, Callable[[], nn.Module]] = {
    "torchvision": lambda: filled(_torchvision, 0),
    "timm": lambda: filled(_timm, 1),
    "averaged": lambda: filled(lambda: _timm(global_pool="avg"), 2),
    "without-class-token": lambda: filled(lambda: _timm(global_pool="avg", class_token=False), 3),
    "registers": lambda: filled(lambda: _timm(reg_tokens=4), 4),
}
"""Three blocks of two heads over 4 × 4 positions; what the classifier reads: the class token, or
the mean of all positions.
"""


@cache
def transformer_bench(name: str) -> Bench:
    """The transformer of that name, ready to run, cut where the general rule cuts it."""
    return bench(TRANSFORMERS[name](), layer=None)


def compared_on(network: str, spec: str) -> Agreement:
    """The maps of a method on a transformer beside those of its slow form."""
    made, images = transformer_bench(network), random_images(IMAGES, seed=1)
    return compare(made, TRANSFORMERS[network](), images, spec, evaluated(made, images, spec))


class AttentionView:
    """A view of given attention of one image: a class token and a map of one row."""

    def __init__(self, weights: Sequence[Tensor], gradients: Sequence[Tensor]) -> None:
        count = weights[0].shape[-1]
        read = torch.zeros(count)
        read[0] = 1
        self._attention = Attention(tuple(weights), tuple(gradients), 1, 1, count - 1, read)

    def attention(
        self,
        combine: Callable[[Attention], Tensor],
        *,
        gradients: bool = False,
        score: BlockScore = "",
    ) -> Tensor:
        return combine(self._attention)
