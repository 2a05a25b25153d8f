"""From files to a batch on the device: decoding ahead in threads (Pillow lets go of the interpreter while it decodes)."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from evaluator.crop import open_square
from evaluator.errors import ImageUnreadable
from evaluator.records import ImageRef, LoadedBackbone

Pixels = np.ndarray[tuple[int, int, int], np.dtype[np.uint8]]


class Decoded(NamedTuple):
    """The images of a unit that could be read, in order, and what was wrong with the others."""

    images: tuple[ImageRef, ...]
    pixels: tuple[Pixels, ...]
    unreadable: dict[int, ImageUnreadable]


class Loader:
    """Decodes images under one root in ``threads`` threads; a unit is begun early and collected when its turn comes."""

    def __init__(self, root: Path, *, resize: int, threads: int) -> None:
        self._root = root
        self._resize = resize
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="loader")
        self._begun: dict[tuple[int, ...], list[Future[Pixels]]] = {}

    def begin(self, images: Sequence[ImageRef]) -> None:
        """Start decoding; returns at once."""
        key = tuple(image.id for image in images)
        if key not in self._begun:
            self._begun[key] = [self._pool.submit(self._decode, image) for image in images]

    def collect(self, images: Sequence[ImageRef]) -> Decoded:
        """The decoded images; waits for them."""
        self.begin(images)
        readable: list[ImageRef] = []
        pixels: list[Pixels] = []
        unreadable: dict[int, ImageUnreadable] = {}
        for image, future in zip(images, self._begun.pop(tuple(image.id for image in images)), strict=True):
            try:
                pixels.append(future.result())
                readable.append(image)
            except ImageUnreadable as error:
                unreadable[image.id] = error
        return Decoded(tuple(readable), tuple(pixels), unreadable)

    def _decode(self, image: ImageRef) -> Pixels:
        return np.asarray(open_square(self._root, image.path, self._resize, image.size))

    def close(self) -> None:
        """End the threads; what has not begun is dropped."""
        self._pool.shutdown(cancel_futures=True)


def normalised(pixels: Sequence[Pixels], facts: LoadedBackbone, device: torch.device) -> Tensor:
    """``[n, 3, H, W]`` float32, normalised, channels last; bytes cross to the device, floats are made there."""
    stacked = torch.from_numpy(np.stack(pixels))
    if device.type == "cuda":
        stacked = stacked.pin_memory().to(device, non_blocking=True)
    mean = torch.tensor(facts.mean, device=device).view(1, 3, 1, 1)
    std = torch.tensor(facts.std, device=device).view(1, 3, 1, 1)
    return torch.sub(stacked.permute(0, 3, 1, 2), mean * 255).div_(std * 255)  # two trips to memory instead of four
