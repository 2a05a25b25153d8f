"""Layouts of a layer's output: to a map ``[B, K, h, w]`` and back.

Methods see nothing but maps.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import isqrt

import torch
from torch import Tensor, nn

from evaluator.errors import UsageError

MOST_PREFIX = 16
"""Prefix tokens that are taken for such without being told: class, distillation and register tokens
are never so many.
"""


@dataclass(frozen=True)
class MapLayout:
    """A feature map ``[B, K, h, w]`` as it stands.

    Attributes:
        height, width: of the map; ``channels``: K.
        tokens: prefix tokens before the map's; ``None`` where the layer gives no tokens.
    """

    height: int
    width: int
    channels: int
    tokens: int | None = None

    def to_map(self, raw: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
        """The map ``[B, K, h, w]``, and what else is in the layer's output."""
        return raw, ()

    def to_raw(self, values: Tensor, rest: tuple[Tensor, ...]) -> Tensor:
        """The layer's output with another map in it."""
        return values


class ChannelsLast(MapLayout):
    """A feature map ``[B, h, w, K]``, as Swin has them."""

    def to_map(self, raw: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Channels first, without a copy."""
        return raw.permute(0, 3, 1, 2), ()

    def to_raw(self, values: Tensor, rest: tuple[Tensor, ...]) -> Tensor:
        """Channels last again."""
        return values.permute(0, 2, 3, 1)


class Tokens(MapLayout):
    """Tokens ``[B, P + h·w, K]``: P prefix tokens, then the map row by row."""

    def to_map(self, raw: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
        """The tokens of the map; the prefix tokens beside it."""
        prefix = self.tokens or 0
        values = (
            raw[:, prefix:]
            .transpose(1, 2)
            .reshape(len(raw), self.channels, self.height, self.width)
        )
        return values, (raw[:, :prefix],)

    def to_raw(self, values: Tensor, rest: tuple[Tensor, ...]) -> Tensor:
        """The prefix tokens as they were, the changed map behind them."""
        return torch.cat([rest[0], values.flatten(2).transpose(1, 2)], 1)


def map_layout(shape: tuple[int, ...], prefix: int | None) -> MapLayout | None:
    """Layout of a layer's output of that shape; ``None`` where it is no map.

    Of four dimensions the map is square, so ``[B, 7, 7, 768]`` has its channels last. Of three,
    what remains behind the prefix tokens must be a square; without a known prefix the largest
    square counts.

    Args:
        shape: with the batch.
        prefix: P where it is known.
    """
    if len(shape) == 4:
        _, first, second, third = shape
        if first == second != third and first > 1:
            return ChannelsLast(first, second, third)
        return MapLayout(second, third, first) if second * third > 1 else None
    if len(shape) != 3:
        return None
    _, count, channels = shape
    side = isqrt(count - (prefix or 0)) if count > (prefix or 0) else 0
    rest = count - side * side
    fits = rest == prefix if prefix is not None else rest <= min(MOST_PREFIX, side - 1)
    return Tokens(side, side, channels, rest) if side > 1 and fits else None


def prefix_tokens(model: nn.Module, told: int | None) -> int | None:
    """P: as told, else as the model says (``num_prefix_tokens``), else ``None``."""
    if told is not None:
        return told
    known = getattr(model, "num_prefix_tokens", None)
    return known if isinstance(known, int) else None


def no_map(
    layer: str, shape: tuple[int, ...] | None, prefix: int | None, others: list[str]
) -> UsageError:
    """The error that a layer cannot be a target layer, with others that could.

    Args:
        others: layers that give a map.
    """
    example = (
        f"for example layer={others[-1]}; others: {', '.join(others[-6:-1])}"
        if len(others) > 1
        else "choose another layer"
    )
    if shape is None:
        return UsageError(f"layer '{layer}' gives no feature map: its output is no tensor", example)
    text = " × ".join(map(str, shape[1:]))
    if len(shape) == 3:
        told = f"behind {prefix} prefix tokens " if prefix is not None else ""
        return UsageError(
            f"layer '{layer}' gives no feature map: its {shape[1]} tokens {told}make no square "
            "grid",
            f"tokens=P; {example}",
        )
    return UsageError(
        f"layer '{layer}' gives no feature map: its output is {text or 'one number'} for each "
        "image",
        example,
    )
