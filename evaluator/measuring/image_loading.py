"""From files to a batch on the device; decoding is ahead, in threads."""

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
from evaluator.networks.transfer import to_device
from evaluator.records import ImageRef, Preprocessing


class Decoded(NamedTuple):
    """The images of a unit that could be read, in order, and what was wrong with the others.

    Attributes:
        pixels: ``[n, H, W, channels]``, bytes.
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
    """

    def __init__(self, root: Path, *, threads: int, pinned: bool = False) -> None:
        self._root = root
        self._pinned = pinned
        self.threads = ThreadPoolExecutor(threads, thread_name_prefix="loader")
        self._begun: dict[_Batch, _Begun] = {}

    def begin(self, images: Sequence[ImageRef], wanted: Preprocessing) -> None:
        """Start decoding; returns at once."""
        key = _Batch(tuple(image.id for image in images), wanted)
        if key not in self._begun:
            size = (len(images), wanted.side, wanted.side, wanted.channels)
            pixels = torch.empty(size, dtype=torch.uint8, pin_memory=self._pinned)
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
        place: np.ndarray[tuple[int, ...], np.dtype[np.uint8]],
    ) -> bytes:
        """Decode an image to its place; returns the hash of its file."""
        opened = open_hashed(self._root, image.path, wanted, image.size, image.content)
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
        images = there.flatten(1).float().sub_(self._mean).div_(self._std)
        return images.view(there.shape).permute(0, 3, 1, 2)
