"""Noise of images, drawn on the CPU so that every device sees the same, ahead where it pays."""

from __future__ import annotations

import hashlib
import threading
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor

_AHEAD = 4
"""Fields of a unit that are held before they are used: 256 images of one take 154 MB of pinned
memory.
"""


class Field(NamedTuple):
    """Standard normal noise for B images.

    Attributes:
        keys: one string of bytes for each image; ``name`` and ``step`` tell fields of the same
            images apart.
        shape: of one image's noise.
    """

    keys: tuple[bytes, ...]
    name: str
    step: int
    shape: tuple[int, ...]


def on_explanation(key: bytes) -> bytes:
    """The key of the explanation map of an image with that key."""
    return key + b"\0masked"


def fields_of(
    passes: Sequence[tuple[str, int]], keys: tuple[bytes, ...], shape: tuple[int, ...]
) -> list[Field]:
    """List the noise of the noisy passes of some methods, over images, then explanation maps."""
    masked = tuple(map(on_explanation, keys))
    return [Field(those, name, step, shape) for those in (keys, masked) for name, step in passes]


def generator(key: bytes, name: str, step: int) -> torch.Generator:
    """The generator of one image's noise: a function of its key, the name and the step."""
    digest = hashlib.sha256(b"%s\0%s\0%d" % (key, name.encode(), step)).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "big", signed=True))


def noise_field(key: bytes, name: str, step: int, shape: tuple[int, ...]) -> Tensor:
    """Standard normal noise of one image, on the CPU."""
    return torch.randn(shape, generator=generator(key, name, step), dtype=torch.float32)


class Noise:
    """Noise when it is asked for, drawn by whoever asks."""

    def of(self, wanted: Field) -> Tensor:
        """``[B, *shape]`` on the host."""
        return torch.stack(
            [noise_field(key, wanted.name, wanted.step, wanted.shape) for key in wanted.keys]
        )


@dataclass
class _Begun:
    """A field that is being drawn."""

    values: Tensor
    drawn: list[Future[None]] = field(default_factory=list)


class NoiseAhead(Noise):
    """Noise drawn ahead, in threads, into pinned memory, in the order in which it will be used.

    Other noise is drawn when it is asked for.
    """

    def __init__(self, threads: Executor) -> None:
        self._threads = threads
        self._lock = threading.Lock()  # units come in one thread and are computed in another
        self._waiting: deque[Field] = deque()
        self._begun: dict[Field, _Begun] = {}

    def expect(self, fields: Sequence[Field]) -> None:
        """These will be asked for, in this order: begin with the first of them. Returns at once."""
        with self._lock:
            self._waiting.extend(fields)
            self._begin_next()

    def of(self, wanted: Field) -> Tensor:
        """``[B, *shape]``, in pinned memory."""
        with self._lock:
            begun, places = self._found(wanted)
            self._waiting = deque(one for one in self._waiting if one != wanted)
            self._begin_next()
        for one in begun.drawn:
            one.result()
        return begun.values if places is None else begun.values[places]

    def _found(self, wanted: Field) -> tuple[_Begun, list[int] | None]:
        """Take the field that was begun, perhaps for more images; or begin it now."""
        for field_, begun in self._begun.items():
            if field_[1:] == wanted[1:] and set(wanted.keys) <= set(field_.keys):
                del self._begun[field_]
                places = {key: place for place, key in enumerate(field_.keys)}
                return begun, None if field_.keys == wanted.keys else [
                    places[key] for key in wanted.keys
                ]
        return self._begin(wanted), None

    def forget(self, keys: Sequence[bytes]) -> None:
        """Fields of these images, and of their explanation maps, are no longer wanted."""
        gone = {*keys, *map(on_explanation, keys)}
        with self._lock:
            self._waiting = deque(one for one in self._waiting if gone.isdisjoint(one.keys))
            for one in [one for one in self._begun if not gone.isdisjoint(one.keys)]:
                for drawn in self._begun.pop(one).drawn:
                    drawn.cancel()
            self._begin_next()

    def _begin_next(self) -> None:
        while self._waiting and len(self._begun) < _AHEAD:
            wanted = self._waiting.popleft()
            if wanted not in self._begun:
                self._begun[wanted] = self._begin(wanted)

    def _begin(self, wanted: Field) -> _Begun:
        begun = _Begun(
            torch.empty(len(wanted.keys), *wanted.shape, dtype=torch.float32, pin_memory=True)
        )
        for place, key in enumerate(wanted.keys):
            begun.drawn.append(self._threads.submit(_draw, begun.values[place], key, wanted))
        return begun


def _draw(values: Tensor, key: bytes, wanted: Field) -> None:
    values.normal_(generator=generator(key, wanted.name, wanted.step))
