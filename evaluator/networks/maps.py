"""Maps: how a layer's output is one, and whether it is one of the image.

Methods see nothing but maps.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from math import isqrt
from typing import Literal, NamedTuple

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


VIEWS = 3
STEP = (-1, 1)
"""By how many rows and columns of the map a view is further than the one before."""

_LEAST, _TIMES = 0.1, 1.4
"""Correlation that a map has at the step at least, and how many times that of every displacement in
another direction it must be. With random weights most target layers have 0.3 to 1.0, axes of
an attention or of channels −0.05 to 0.05.
"""

_NONE, _BEHIND = 0.06, 0.25
"""A correlation at the step below the first, or so far below another's, is that of no map. What
lies between is in doubt, such as the last map of a MaxViT with random weights: 0.14.
"""

_SMALL = 4
"""Maps with a shorter side have too few cells to compare."""

_AT_ONCE = 12
"""Layers of one size that are looked at in one forward."""


class Place(NamedTuple):
    """A layer's output at one call.

    Attributes:
        name: as it is typed behind ``layer=``; ``NAME#k`` for the k-th of several calls.
        layout: how the output is a map.
    """

    name: str
    layout: MapLayout

    @property
    def is_square(self) -> bool:
        """Whether it is shaped as the images are; others are seldom maps, tried only if named."""
        return self.layout.height == self.layout.width

    @property
    def shown(self) -> str:
        """Name and shape, for people."""
        layout = self.layout
        return f"{self.name} ({layout.channels} × {layout.height} × {layout.width})"


class Seen(NamedTuple):
    """What a network gives at a place, and the gradient of its most confident logit there.

    Attributes:
        output: as the layer gives it, with one entry for each view.
        gradient: shaped like it; ``None`` where no logit depends on it.
    """

    output: Tensor
    gradient: Tensor | None


Look = Callable[[Sequence[Place]], list[Seen]]
"""Shows the network the views for the first place's map, and says what is seen at each place."""

Moves = Literal["with the image", "in doubt", "otherwise"]

Chooser = Literal["us", "user", "run"]
"""Who vouches for a layer: us, for networks whose layers the tests have tried, and nothing is tried
again; the user, or nobody; or the run, which goes on at the layer that it was begun with.
"""


class Judged(NamedTuple):
    """A place, and whether it can be a target layer.

    Attributes:
        moves: how its cells move when the image does.
        reached: whether the gradient of a logit reaches the map's cells; prefix tokens beside them
            do not count. ``None``: there is no gradient, and no saturated logits are to blame.
    """

    place: Place
    moves: Moves
    reached: bool | None

    @property
    def fault(self) -> str:
        """Why it cannot be a target layer, as the end of a sentence; empty where it can."""
        if self.moves == "otherwise":
            return "is no map of the image: its positions do not move as the image does"
        if not self.reached:
            beside = " (only the tokens beside them are used)" if self.place.layout.tokens else ""
            return f"cannot be explained: no gradient of a logit reaches its positions{beside}"
        return ""

    @property
    def remarks(self) -> tuple[str, ...]:
        """What readers must know of it."""
        name = self.place.name
        doubt = (
            f"layer {name}: its positions move only partly as the image does, so that a map may "
            "lie at the wrong place",
        )
        detached = (f"{no_gradient(name)}: methods that need one have no map",)
        return (doubt if self.moves == "in doubt" else ()) + (
            detached if self.reached is None else ()
        )


def no_gradient(layer: str) -> str:
    """What is said of a network that detaches what is behind a layer."""
    return f"no gradient reaches layer {layer}"


def first_map(places: Iterable[Place], look: Look, *, by: Chooser) -> Judged | None:
    """The first place that can be a target layer; else the first that is in doubt.

    A network is run once for the first place, once for every twelve others of one size. Where no
    gradient reaches any place (logits that are saturated) movement alone counts.
    """
    if by == "us":
        place = next(iter(places), None)
        return None if place is None else Judged(place, "with the image", reached=True)
    doubtful: Judged | None = None
    unreached: Judged | None = None
    reached: bool | None = False
    for some in _of_one_size(places):
        for judged in judge(some, look):
            reached = reached or judged.reached
            if judged.moves == "with the image" and judged.reached:
                return judged
            if judged.moves == "in doubt" and judged.reached:
                doubtful = doubtful or judged
            if judged.moves == "with the image":
                unreached = unreached or judged
    return doubtful if reached else unreached


def accepted(
    judged: Judged, first: Place | None, look: Look, suggestions: Callable[[], list[str]]
) -> tuple[str, ...]:
    """The remarks about a layer that was named.

    Args:
        first: the first map that the network computes; where no gradient reaches that either, the
            logits are saturated, and the layer is not to blame.

    Raises:
        UsageError: it cannot be a target layer.
    """
    saturated = not judged.reached and first is not None and not judge([first], look)[0].reached
    if judged.fault and not (saturated and judged.moves != "otherwise"):
        raise UsageError(f"layer '{judged.place.name}' {judged.fault}", would_do(suggestions()))
    return judged.remarks


def would_do(suggestions: Sequence[str]) -> str:
    """The hint that lists layers to type."""
    if not suggestions:
        return "no layer of this network would do"
    first = suggestions[0].partition(" ")[0]
    others = f"; also {', '.join(suggestions[1:])}" if suggestions[1:] else ""
    shape = suggestions[0].partition(" ")[2]
    return f"type layer={first} {shape}{others}"


def no_default(suggestions: Sequence[str]) -> UsageError:
    """The error that the rule finds no target layer."""
    return UsageError(
        "this network has no feature map that its logits depend on and whose positions move as the "
        "image does",
        would_do(suggestions)
        if suggestions
        else "name a layer that gives tokens or a map: -b NAME:layer=…",
    )


def call_of(
    layer: str, calls: int, suggestions: Callable[[], list[str]], *, by: Chooser
) -> int | None:
    """Which call of a layer is meant, from 1; ``None`` where it is the only one.

    Args:
        layer: ``NAME`` or ``NAME#k``.
        calls: how often it is called in a forward.

    Raises:
        UsageError: it is called several times, and none is chosen; or there is no such call.
    """
    name, sign, turn = layer.partition("#")
    each = " or ".join(f"layer={name}#{call}" for call in sorted({1, calls}))
    if sign:
        if not (turn.isdecimal() and 1 <= int(turn) <= calls):
            times = "once" if calls == 1 else f"{calls} times"
            raise UsageError(
                f"no call '{layer}': layer '{name}' is called {times} in a pass", f"type {each}"
            )
        return int(turn) if calls > 1 else None
    if calls <= 1:
        return None
    if by != "user":
        return calls
    raise UsageError(
        f"layer '{name}' is called {calls} times in a pass, each time with a map of its own",
        f"say which one: {each}; {would_do(suggestions())}",
    )


def called_several_times(place: str, module: str, calls: int) -> str:
    """The remark on a map that is one call's of several."""
    return (
        f"layer {place}: {module} is called {calls} times in a pass; the map is that of one "
        "call, and what the others give is held fixed"
    )


def followed(output: Tensor) -> Tensor:
    """A layer's output, followed by autograd from here on where it is not yet."""
    if output.requires_grad or not output.is_floating_point():
        return output
    return output.detach().requires_grad_()


def seen_at(outputs: Sequence[Tensor], logits: Tensor) -> list[Seen]:
    """Outputs that autograd has followed, and the gradient of the most confident logits there."""
    chosen = logits.reshape(len(logits), -1).amax(1).sum()
    places = [place for place, output in enumerate(outputs) if output.requires_grad]
    found: dict[int, Tensor | None] = {}
    if chosen.requires_grad and places:
        gradients = torch.autograd.grad(
            chosen, [outputs[place] for place in places], allow_unused=True
        )
        found = dict(zip(places, gradients, strict=True))
    return [Seen(output.detach(), found.get(place)) for place, output in enumerate(outputs)]


def maps_among(places: Iterable[Place], look: Look) -> list[Place]:
    """Places that can be target layers, at most three of a size and six in all, in their order."""
    found: list[Place] = []
    sizes: Counter[tuple[int, int]] = Counter()
    for some in _of_one_size(places):
        size = some[0].layout.height, some[0].layout.width
        room = min(3 - sizes[size], 6 - len(found))
        if room > 0:
            judged = judge(some, look)
            good = [one.place for one in judged if one.moves == "with the image" and one.reached][
                :room
            ]
            found += good
            sizes[size] += len(good)
    return found


def judge(places: Sequence[Place], look: Look) -> list[Judged]:
    """Judge places whose maps have one size, by one forward of three views."""
    return [
        Judged(
            place,
            how_cells_move(place.layout.to_map(one.output)[0]),
            None
            if one.gradient is None
            else bool(place.layout.to_map(one.gradient)[0].count_nonzero()),
        )
        for place, one in zip(places, look(places), strict=True)
    ]


def moving_views(images: Tensor, layout: MapLayout) -> Tensor:
    """Three views of a picture with the spectrum of photographs, ``[3, channels, side, side]``.

    Each view is one cell of the map further up and to the right; nothing comes back at the other
    side. Seeded; standard deviation about 1, as normalised images have.
    """
    channels, side = images.shape[1:3]
    down, right = max(round(side / layout.height), 1), max(round(side / layout.width), 1)
    height, width = side + (VIEWS - 1) * down, side + (VIEWS - 1) * right
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(channels + 1, height, width, generator=generator)
    rows, columns = torch.fft.fftfreq(height)[:, None], torch.fft.rfftfreq(width)[None]
    frequency = (rows**2 + columns**2).sqrt().clamp(min=1 / max(height, width))
    picture = torch.fft.irfft2(torch.fft.rfft2(noise) / frequency, s=(height, width))
    picture = (picture - picture.mean((1, 2), keepdim=True)) / picture.std((1, 2), keepdim=True)
    coloured = 0.9 * picture[:1] + 0.45 * picture[1:]
    return torch.stack(
        [
            coloured[:, view * down : view * down + side, (VIEWS - 1 - view) * right :][:, :, :side]
            for view in range(VIEWS)
        ]
    )


def how_cells_move(maps: Tensor) -> Moves:
    """How the cells of a map move between three views of ``moving_views``.

    Args:
        maps: ``[3, K, h, w]``.
    """
    height, width = maps.shape[2:]
    if min(height, width) < _SMALL:  # images are square, maps of them nearly so
        return "with the image" if max(height, width) <= 2 * min(height, width) else "otherwise"
    found = _correlations(maps.double())
    own = found.pop(STEP)
    ahead = [value for (rows, columns), value in found.items() if rows < 0 < columns]
    elsewhere = max(value for (rows, columns), value in found.items() if not rows < 0 < columns)
    if own > max(_LEAST, _TIMES * elsewhere, max(ahead) / 2):
        return "with the image"
    doubtful = height == width and own > max(_NONE, elsewhere - _BEHIND, max(ahead) / 2)
    return "in doubt" if doubtful else "otherwise"


def _correlations(maps: Tensor) -> dict[tuple[int, int], float]:
    """Correlation of the two changes at every displacement up to two cells.

    Every channel counts alike: its mean is taken away and its energy made 1. The outermost cells,
    which padding alters most, do not count where others are left.
    """
    changes = maps[1:] - maps[:-1]
    edge = 1 if min(changes.shape[2:]) >= 6 else 0
    height, width = changes.shape[2] - 2 * edge, changes.shape[3] - 2 * edge
    changes = changes[:, :, edge : edge + height, edge : edge + width]
    changes = changes - changes.mean((2, 3), keepdim=True)
    energy = changes.square().sum((0, 2, 3), keepdim=True).sqrt()
    floor = 1e-6 * maps.abs().amax((0, 2, 3), keepdim=True)  # rounding, no change
    before, after = torch.where(energy > floor, changes / energy.clamp(min=1e-300), 0)
    found = {}
    for rows in range(-2, 3):
        for columns in range(-2, 3):
            was = before[
                :, max(0, -rows) : height - max(0, rows), max(0, -columns) : width - max(0, columns)
            ]
            now = after[
                :, max(0, rows) : height - max(0, -rows), max(0, columns) : width - max(0, -columns)
            ]
            scale = was.norm() * now.norm()
            found[rows, columns] = float((was * now).sum() / scale) if scale > 0 else 0.0
    return found


def _of_one_size(places: Iterable[Place]) -> Iterator[list[Place]]:
    """The first alone, which will mostly do; then runs of the same size."""
    some: list[Place] = []
    most = 1
    for place in places:
        if some and (
            len(some) == most
            or (place.layout.height, place.layout.width)
            != (some[0].layout.height, some[0].layout.width)
        ):
            yield some
            some, most = [], _AT_ONCE
        some.append(place)
    if some:
        yield some
