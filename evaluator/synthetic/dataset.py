"""The files of a synthetic data set: images, masks of the same names, and the plan.

::

    DIR/plan.json                    seed, side, classes, and the scene of every image
    DIR/images/CLASS/000012.png      RGB
    DIR/masks/CLASS/000012.png       255 where the object is, 0 elsewhere
"""

from __future__ import annotations

import json
import os
from collections.abc import Generator
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

from PIL import Image

from evaluator.errors import Mismatch, UsageError
from evaluator.synthetic.drawing import draw
from evaluator.synthetic.scene import CLASSES, scene
from evaluator.text import printable

PLAN = "plan.json"

RULES = 1
"""Version of the drawing: counted up with every change of the images that a seed stands for."""


class DataSet(NamedTuple):
    """Folder of a data set, and the values that decide its bytes.

    Attributes:
        folder: holds ``images``, ``masks`` and ``plan.json``.
        seed: of everything drawn, from 0; ``side``: height and width in pixels.
    """

    folder: Path
    seed: int
    side: int

    @property
    def images(self) -> Path:
        """The folder for ``camtui run --data``."""
        return self.folder / "images"

    @property
    def masks(self) -> Path:
        """The folder for ``camtui run --truth``."""
        return self.folder / "masks"


def write_images(wanted: DataSet, count: int) -> Generator[int]:
    """Write the plan, then the first images of the data set; how many are written, after each.

    Image i is a function of the seed, i and the side. What is there of the same data set is kept:
    with a larger count it grows.

    Raises:
        UsageError: the folder holds something else, or cannot be written.
        Mismatch: it holds a data set of another seed or side.
    """
    try:
        have = _images_there(wanted)
        scenes = [scene(wanted.seed, index) for index in range(max(count, have))]
        for folder in (wanted.images, wanted.masks):
            for name in CLASSES:
                (folder / name).mkdir(parents=True, exist_ok=True)
        head: dict[str, Any] = {
            "rules": RULES,
            "seed": wanted.seed,
            "side": wanted.side,
            "classes": CLASSES,
        }
        plan = json.dumps({**head, "images": [one.to_dict() for one in scenes]}, indent=1)
        _write(wanted.folder / PLAN, plan.encode())
        for one in scenes[:count]:
            picture = draw(one, wanted.side)
            file = Path(CLASSES[one.label], f"{one.index:06}.png")
            _write(wanted.images / file, _png(Image.fromarray(picture.pixels)))
            _write(wanted.masks / file, _png(Image.fromarray(picture.mask.astype("uint8") * 255)))
            yield one.index + 1
    except OSError as error:
        raise UsageError(
            f"cannot write {printable(error.filename or wanted.folder)}: {error.strerror}",
            "camtui synth DIR takes another folder",
        ) from error


def _images_there(wanted: DataSet) -> int:
    """Number of images in the folder's plan; 0 for a folder that is not there or empty."""
    if not wanted.folder.exists() or not any(wanted.folder.iterdir()):
        return 0
    try:
        there = json.loads((wanted.folder / PLAN).read_bytes())
        found = {key: int(there[key]) for key in ("rules", "seed", "side")}
        count = len(there["images"])
    except (FileNotFoundError, ValueError, KeyError, TypeError) as error:
        raise UsageError(
            f"{printable(wanted.folder)} holds something else than synthetic images",
            "give a folder that is empty or new",
        ) from error
    asked = {"rules": RULES, "seed": wanted.seed, "side": wanted.side}
    different = [
        f"{key} {found[key]}, asked for {asked[key]}" for key in asked if found[key] != asked[key]
    ]
    if different:
        raise Mismatch(
            f"{printable(wanted.folder)} holds images of {'; '.join(different)}",
            "give another folder",
        )
    return count


def _png(image: Image.Image) -> bytes:
    stream = BytesIO()
    image.save(stream, "PNG", compress_level=6)
    return stream.getvalue()


def _write(file: Path, content: bytes) -> None:
    """A file that is there whole or not at all."""
    temporary = file.with_name(f".{file.name}.{os.getpid()}.tmp")
    try:
        temporary.write_bytes(content)
        os.replace(temporary, file)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
