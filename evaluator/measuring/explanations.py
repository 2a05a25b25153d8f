"""Explanation images of a stored run as files: a child of ``camtui masked``.

Made from the image and the stored map; the network is not loaded, and no code of the run's.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from evaluator.catalog import method
from evaluator.child import serve
from evaluator.errors import NotFound, UsageError
from evaluator.measuring.inputs import Loader, Normaliser
from evaluator.measuring.saliency import MapOfImage, black_of, masked, stored_saliency
from evaluator.store.reader import RunReader
from evaluator.text import printable
from evaluator.user_code_facts import DescribedFixedMap

_AT_ONCE = 16


def _answers(request: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield ``{"written", "unreadable"}`` after every few images.

    Args:
        request: ``db``; ``cell``: id; ``target``: folder that is there, for
            ``PATH/OF/IMAGE.jpg.npy``, ``[channels, side, side]`` float32 each.
    """
    with RunReader(Path(request["db"])) as reader:
        cell = next(one for one in reader.cells() if one.id == request["cell"])
        loaded, plan = reader.backbones()[cell.backbone], reader.plan()
        last = reader.rows.last_image([cell.id])
        if loaded is None or last is None:
            raise NotFound(f"{cell.backbone}/{cell.method} has no rows yet", "camtui status RUN")
        if isinstance(method(cell.method), DescribedFixedMap):
            raise UsageError(
                f"the map of {cell.method} is made by code, which is not run here",
                "choose a method with a map for each image",
            )
        device, wanted = torch.device("cpu"), loaded.preprocessing
        black = black_of(wanted, device) if plan.masking == "pixels" else None
        loader, normalise = Loader(plan.folder, threads=2), Normaliser(wanted, device)
        written = unreadable = 0
        for first in range(0, last + 1, _AT_ONCE):
            until = min(first + _AT_ONCE - 1, last)
            maps = reader.rows.stored_maps([cell.id], first, until).maps
            images = [
                one for one in reader.images.between(first, until) if (cell.id, one.id) in maps
            ]
            decoded = loader.collect(images, wanted)
            unreadable += len(decoded.unreadable)
            if decoded.images:
                found = [
                    MapOfImage(place, cell.method, maps[cell.id, image.id])
                    for place, image in enumerate(decoded.images)
                ]
                saliency = stored_saliency(found, loaded, device)
                explained = masked(normalise(decoded.pixels), saliency, black)
                for image, one in zip(decoded.images, explained, strict=True):
                    _write(request["target"], image.path, one.contiguous().numpy())
                written += len(decoded.images)
            yield {"written": written, "unreadable": unreadable}
        loader.close()


def _write(folder: str, path: bytes, values: np.ndarray[tuple[int, ...], np.dtype[Any]]) -> None:
    """Write one tensor under an image's path, which a foreign run may have chosen."""
    place = os.path.normpath(path)
    if place == b".." or place.startswith((b"/", b"../")):
        raise UsageError(f"{printable(path)} is no path below a folder", "camtui doctor RUN")
    target = os.path.join(os.fsencode(folder), place + b".npy")
    os.makedirs(os.path.dirname(target), exist_ok=True)
    with open(target, "xb") as file:
        np.save(file, values)


if __name__ == "__main__":
    serve(_answers)
