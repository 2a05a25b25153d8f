"""From files to a batch on the device, and the noise of methods; both ahead, in threads."""

from __future__ import annotations

import hashlib
import threading
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from evaluator.crop import open_hashed
from evaluator.errors import ImageUnreadable
from evaluator.methods.base import Shown
from evaluator.networks.device import to_device
from evaluator.records import ImageRef, Preprocessing
from evaluator.text import printable


class Decoded(NamedTuple):
    """The images of a unit that could be read, in order, and what was wrong with the others.

    Attributes:
        pixels: ``[n, H, W, channels]``, bytes; of 2 or more than 3 channels floats up to 255.
        contents: image id → sha256 of its file.
    """

    images: tuple[ImageRef, ...]
    pixels: Tensor
    unreadable: dict[int, ImageUnreadable]
    contents: dict[int, bytes]


class _Batch(NamedTuple):
    """Images by id, as one network sees them."""

    images: tuple[int, ...]
    wanted: Preprocessing


class _Begun(NamedTuple):
    """Buffer that the images of a batch are decoded to, and the hashes of their files."""

    pixels: Tensor
    contents: list[Future[bytes]]


class Loader:
    """Decodes images under one root in ``threads`` threads.

    A unit is begun early and collected when its turn comes; Pillow lets go of the interpreter while
    it decodes.

    Every thread writes into its image's place of the batch, so that whoever collects it has nothing
    to copy.

    Args:
        pinned: decode into memory that a CUDA device reads by itself.

    Attributes:
        notes: what is odd about files and harmless, since somebody took them.
    """

    def __init__(self, root: Path, *, threads: int, pinned: bool = False) -> None:
        self._root = root
        self._pinned = pinned
        self.threads = ThreadPoolExecutor(threads, thread_name_prefix="loader")
        self.notes: list[str] = []
        self._begun: dict[_Batch, _Begun] = {}

    def begin(self, images: Sequence[ImageRef], wanted: Preprocessing) -> None:
        """Start decoding; returns at once."""
        key = _Batch(tuple(image.id for image in images), wanted)
        if key not in self._begun:
            size = (len(images), wanted.side, wanted.side, wanted.channels)
            kind = torch.uint8 if wanted.channels in (1, 3) else torch.float32  # of arrays
            pixels = torch.empty(size, dtype=kind, pin_memory=self._pinned)
            places = pixels.numpy()
            self._begun[key] = _Begun(
                pixels,
                [
                    self.threads.submit(self._decode, image, wanted, places[place])
                    for place, image in enumerate(images)
                ],
            )

    def collect(self, images: Sequence[ImageRef], wanted: Preprocessing) -> Decoded:
        """Wait for the decoded images and return them."""
        self.begin(images, wanted)
        begun = self._begun.pop(_Batch(tuple(image.id for image in images), wanted))
        readable: list[int] = []
        unreadable: dict[int, ImageUnreadable] = {}
        contents: dict[int, bytes] = {}
        for place, (image, future) in enumerate(zip(images, begun.contents, strict=True)):
            try:
                contents[image.id] = future.result()
                readable.append(place)
            except ImageUnreadable as error:
                unreadable[image.id] = error
        pixels = begun.pixels[readable] if unreadable else begun.pixels
        return Decoded(tuple(images[place] for place in readable), pixels, unreadable, contents)

    def _decode(
        self,
        image: ImageRef,
        wanted: Preprocessing,
        place: np.ndarray[tuple[int, ...], np.dtype[Any]],
    ) -> bytes:
        """Decode an image to its place; returns the hash of its file."""
        opened = open_hashed(self._root, image.path, wanted, image.size, image.content)
        if opened.note:
            self.notes.append(f"{printable(image.path)}: {opened.note}")
        pixels = np.asarray(opened.image)
        place[:] = pixels if pixels.ndim == 3 else pixels[:, :, None]
        return opened.content

    def close(self) -> None:
        """End the threads; what has not begun is dropped."""
        self.threads.shutdown(cancel_futures=True)


class Normaliser:
    """Bytes of pixels to what a backbone takes.

    The constants are laid out once, a number for each byte of an image: subtracting them as one
    long row is twice as fast as by channel, and on a CPU whose cores are busy with forwards and
    decoding that is 5 % of a run of gradient methods.
    """

    def __init__(self, wanted: Preprocessing, device: torch.device) -> None:
        self._device = device
        pixels = wanted.side * wanted.side
        self._mean, self._std = (
            torch.tensor(each, device=device).mul(255).repeat(pixels)
            for each in (wanted.mean, wanted.std)
        )

    def __call__(self, pixels: Tensor) -> Tensor:
        """Normalise: ``[n, channels, H, W]`` float32, channels last.

        Bytes cross to the device, floats are made there.
        """
        there = to_device(pixels, self._device)
        images = there.flatten(1).to(torch.float32, copy=True).sub_(self._mean).div_(self._std)
        return images.view(there.shape).permute(0, 3, 1, 2)


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


_MASKED = b"\0masked"


def on_explanation(key: bytes) -> bytes:
    """The key of the explanation map of an image with that key."""
    return key + _MASKED


def shown_of(key: bytes) -> Shown:
    """Which image of the data set has a key: seed and path, of its explanation image one more."""
    _, _, path = key.removesuffix(_MASKED).partition(b"\0")
    return Shown(path, key.endswith(_MASKED))


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
class _BegunFields:
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
        self._begun: dict[Field, _BegunFields] = {}

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

    def _found(self, wanted: Field) -> tuple[_BegunFields, list[int] | None]:
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

    def _begin(self, wanted: Field) -> _BegunFields:
        begun = _BegunFields(
            torch.empty(len(wanted.keys), *wanted.shape, dtype=torch.float32, pin_memory=True)
        )
        for place, key in enumerate(wanted.keys):
            begun.drawn.append(self._threads.submit(_draw, begun.values[place], key, wanted))
        return begun


def _draw(values: Tensor, key: bytes, wanted: Field) -> None:
    values.normal_(generator=generator(key, wanted.name, wanted.step))
