"""Weights of every self-attention block of a transformer, and a logit's gradients to them.

Fused kernels keep the weights to themselves. For the passes that ask for them
``scaled_dot_product_attention`` is replaced by the same three operations one by one, in the network
as it was built, and put back afterwards.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from evaluator.networks.maps import MapLayout
from evaluator.networks.target_layer import is_attention
from evaluator.networks.tracing import ForwardRecord, first_tensor, logits_of, with_first


@contextmanager
def unfused(model: nn.Module, *, gradients: bool = False) -> Iterator[list[Tensor]]:
    """Collect the weights ``[n, heads, N, N]`` of every scaled dot-product attention within.

    Args:
        gradients: the weights take part in autograd; without them nothing before the first needs
            to.
    """
    kept: list[Tensor] = []

    def openly(
        query: Tensor,
        key: Tensor,
        value: Tensor,
        attn_mask: Tensor | None = None,
        _dropout: float = 0.0,
        is_causal: bool = False,
        scale: float | None = None,
        **_: Any,
    ) -> Tensor:
        factor = 1 / math.sqrt(query.shape[-1]) if scale is None else scale
        products = query @ key.transpose(-2, -1) * factor
        if is_causal:
            attn_mask = torch.ones(
                products.shape[-2:], dtype=torch.bool, device=products.device
            ).tril()
        if attn_mask is not None:
            masked = attn_mask.dtype == torch.bool
            products = (
                products.masked_fill(~attn_mask, -math.inf) if masked else products + attn_mask
            )
        weights = products.softmax(-1)
        if gradients and not weights.requires_grad:
            weights.requires_grad_()
        kept.append(weights)
        return weights @ value

    choosing = [
        module
        for module in model.modules()
        if isinstance(getattr(module, "fused_attn", None), bool)
    ]
    before = [module.fused_attn for module in choosing]
    fused, fast = functional.scaled_dot_product_attention, torch.backends.mha.get_fastpath_enabled()
    functional.scaled_dot_product_attention = openly  # type: ignore[assignment]  # for this pass
    torch.backends.mha.set_fastpath_enabled(False)
    for module in choosing:
        module.fused_attn = True  # type: ignore[assignment]  # timm's switch: a plain bool
    try:
        yield kept
    finally:
        functional.scaled_dot_product_attention = fused
        torch.backends.mha.set_fastpath_enabled(fast)
        for module, value in zip(choosing, before, strict=True):
            module.fused_attn = value


@contextmanager
def every_block(blocks: Sequence[nn.Module], *, mean: bool) -> Iterator[None]:
    """What follows the last block sees the output of every block, as if that were the last one.

    A network on n images answers with ``len(blocks) · n`` logits, those of the first block first.

    Args:
        blocks: modules whose output is ``[n, N, K]``, in the order of a forward.
        mean: their tokens are all the mean of the block's.
    """
    kept: list[Tensor] = []

    def keep(_module: nn.Module, _inputs: Any, output: Any) -> Any:
        tokens = first_tensor(output)
        assert tokens is not None, "block_names has seen it"
        kept.append(tokens)
        if len(kept) < len(blocks):
            return None
        seen = torch.cat(kept)
        return with_first(output, seen.mean(1, keepdim=True).expand_as(seen) if mean else seen)

    with ExitStack() as hooks:
        for block in blocks:
            hooks.callback(block.register_forward_hook(keep).remove)
        yield


def block_names(record: ForwardRecord, count: int) -> tuple[str, ...]:
    """The modules around each self-attention, in the order of a forward.

    Empty where they are not as many as there are of it, or do not give tokens: what each block adds
    cannot be told then.
    """
    attentions = [call for call in record.calls if is_attention(call.module)]
    names = tuple(dict.fromkeys(call.name.rpartition(".")[0] for call in attentions))
    calls = [call for call in record.calls if call.name in names]
    tokens = all(call.shape is not None and len(call.shape) == 3 for call in calls)
    return names if tokens and len(names) == len(calls) == count and "" not in names else ()


def attention_blocks(model: nn.Module, record: ForwardRecord, layout: MapLayout) -> int:
    """Number of self-attention blocks whose weights can be read.

    0 where not all of them attend over the prefix tokens and the positions of the map.
    """
    if layout.tokens is None or not any(is_attention(call.module) for call in record.calls):
        return 0
    with torch.no_grad(), unfused(model) as kept:
        model(record.images.clone())
    return len(kept) if all(_is_of(weights, record.images, layout) for weights in kept) else 0


def tokens_read(model: nn.Module, images: Tensor) -> Tensor | None:
    """Share of each token in what the classifier reads, ``[N]``, adding up to 1.

    A token that is not read has no gradient with respect to what it asks for in the last block.
    Those that are count alike. ``None`` where no gradient reaches the attention.
    """
    with torch.enable_grad(), unfused(model, gradients=True) as kept:
        logits = logits_of(model(images.clone()))
        if not logits.requires_grad:
            return None
        (gradient,) = torch.autograd.grad(logits.pow(2).sum(), kept[-1], allow_unused=True)
    if gradient is None:
        return None
    read = (gradient.abs().amax((0, 1, 3)) > 0).float()
    return read / read.sum().clamp(min=1)


def _is_of(weights: Tensor, images: Tensor, layout: MapLayout) -> bool:
    count = (layout.tokens or 0) + layout.height * layout.width
    return weights.ndim == 4 and len(weights) == len(images) and weights.shape[2:] == (count, count)
