"""From files to a batch on the device: decoding ahead in threads (Pillow lets go of the interpreter while it decodes)."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from evaluator.crop import open_hashed
from evaluator.errors import ImageUnreadable
from evaluator.records import ImageRef, Preprocessing

Pixels = np.ndarray[tuple[int, int, int], np.dtype[np.uint8]]


class Decoded(NamedTuple):
    """The images of a unit that could be read, in order, and what was wrong with the others.

    Attributes:
        contents: image id → sha256 of its file.
    """

    images: tuple[ImageRef, ...]
    pixels: tuple[Pixels, ...]
    unreadable: dict[int, ImageUnreadable]
    contents: dict[int, bytes]


class _Square(NamedTuple):
    pixels: Pixels
    content: bytes


class _Batch(NamedTuple):
    """Images by id, as one network sees them."""

    images: tuple[int, ...]
    wanted: Preprocessing


class Loader:
    """Decodes images under one root in ``threads`` threads; a unit is begun early and collected when its turn comes."""

    def __init__(self, root: Path, *, threads: int) -> None:
        self._root = root
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="loader")
        self._begun: dict[_Batch, list[Future[_Square]]] = {}

    def begin(self, images: Sequence[ImageRef], wanted: Preprocessing) -> None:
        """Start decoding; returns at once."""
        key = _Batch(tuple(image.id for image in images), wanted)
        if key not in self._begun:
            self._begun[key] = [self._pool.submit(self._decode, image, wanted) for image in images]

    def collect(self, images: Sequence[ImageRef], wanted: Preprocessing) -> Decoded:
        """The decoded images; waits for them."""
        self.begin(images, wanted)
        begun = self._begun.pop(_Batch(tuple(image.id for image in images), wanted))
        readable: list[ImageRef] = []
        pixels: list[Pixels] = []
        unreadable: dict[int, ImageUnreadable] = {}
        contents: dict[int, bytes] = {}
        for image, future in zip(images, begun, strict=True):
            try:
                square = future.result()
                pixels.append(square.pixels)
                readable.append(image)
                contents[image.id] = square.content
            except ImageUnreadable as error:
                unreadable[image.id] = error
        return Decoded(tuple(readable), tuple(pixels), unreadable, contents)

    def _decode(self, image: ImageRef, wanted: Preprocessing) -> _Square:
        opened = open_hashed(self._root, image.path, wanted, image.size, image.content)
        pixels = np.asarray(opened.image)
        return _Square(pixels if pixels.ndim == 3 else pixels[:, :, None], opened.content)

    def close(self) -> None:
        """End the threads; what has not begun is dropped."""
        self._pool.shutdown(cancel_futures=True)


class Normaliser:
    """Bytes of pixels to what a backbone takes.

    The constants are laid out once, a number for each byte of an image: subtracting them as one long row is twice as fast as by
    channel, and on a CPU whose cores are busy with forwards and decoding that is 5 % of a run of gradient methods.
    """

    def __init__(self, wanted: Preprocessing, device: torch.device) -> None:
        self._device = device
        pixels = wanted.side * wanted.side
        self._mean, self._std = (torch.tensor(each, device=device).mul(255).repeat(pixels) for each in (wanted.mean, wanted.std))

    def __call__(self, pixels: Sequence[Pixels]) -> Tensor:
        """``[n, channels, H, W]`` float32, normalised, channels last; bytes cross to the device, floats are made there."""
        stacked = torch.from_numpy(np.stack(pixels))
        if self._device.type == "cuda":
            stacked = stacked.pin_memory().to(self._device, non_blocking=True)
        images = stacked.flatten(1).float().sub_(self._mean).div_(self._std)
        return images.view(stacked.shape).permute(0, 3, 1, 2)
