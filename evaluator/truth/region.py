"""The annotated objects of one image, and their pixels in the square that the network sees."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from evaluator.crop import crop_mask
from evaluator.errors import TruthUnusable
from evaluator.labels import classes_called, imagenet_wnids
from evaluator.records import Preprocessing

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Mask: TypeAlias = NDArray[np.bool_]

_IMAGENET_CLASSES = 1000

MOST_PIXELS = 89_478_485
"""Of an annotated image: what ``evaluator.crop`` reads of images."""


@dataclass(frozen=True)
class Region:
    """One object.

    Attributes:
        name: its class: an index (of class masks), an ImageNet id or a name; empty where nothing is
            said of it.
        draw: its pixels, ``[height, width]`` of the annotated image.

    >>> from functools import partial
    >>> dog = Region("dog", partial(box, 4, 4, 0, 0, 2, 2))
    >>> int(dog.draw().sum()), dog.is_of(1, ("cat", "dog"))
    (4, True)
    """

    name: int | str
    draw: Callable[[], Mask]

    def is_of(self, target: int, classes: Sequence[str]) -> bool:
        """Whether it is an object of a class: by index, ImageNet id or one of the class's names.

        A name of several classes, exact spelling first, is none of them.
        """
        if isinstance(self.name, int):
            return self.name == target
        if self.name in imagenet_wnids() and len(classes) in (0, _IMAGENET_CLASSES):
            return imagenet_wnids()[self.name] == target
        return classes_called(self.name, classes) == (target,)


@dataclass(frozen=True)
class Truth:
    """The annotation of one image of ``width × height`` pixels.

    >>> from functools import partial
    >>> whole = Truth(8, 8, (Region("dog", partial(box, 8, 8, 0, 0, 4, 8)),))
    >>> int(whole.square(0, (), Preprocessing(side=4, resize=4)).sum())
    8
    """

    width: int
    height: int
    regions: tuple[Region, ...]

    def square(self, target: int, classes: Sequence[str], wanted: Preprocessing) -> Mask:
        """``S``, ``[side, side]``: the objects' pixels, resized (nearest) and cropped.

        Where all objects are of one class these are all of them, whatever that class is called;
        where they are of several, those of the target class.

        Args:
            target: the class that was explained; ``classes``: names of the network's classes.
            wanted: short side in pixels before the crop, and side of the square.

        Raises:
            TruthUnusable: no object of the class, or none of it in the square.
        """
        import numpy as np

        meant = self.regions
        if len({region.name for region in meant}) > 1:
            meant = tuple(region for region in meant if region.is_of(target, classes))
        if not meant:
            raise TruthUnusable("no-truth", "no object of the class that was explained")
        whole = np.zeros((self.height, self.width), dtype=bool)
        for region in meant:
            whole |= region.draw()
        square = crop_mask(whole, wanted)
        if not square.any():
            raise TruthUnusable("truth-empty", "no pixel of an object in what the network saw")
        return square


def checked_size(width: object, height: object) -> tuple[int, int]:
    """Width and height of an annotated image.

    Raises:
        TruthUnusable: they are no size.
    """
    if (
        isinstance(width, int)
        and isinstance(height, int)
        and width > 0
        and height > 0
        and width * height <= MOST_PIXELS
    ):
        return width, height
    raise TruthUnusable(
        "truth-broken", f"an annotation of {str(width)[:20]} x {str(height)[:20]} pixels"
    )


def box(width: int, height: int, left: float, top: float, right: float, bottom: float) -> Mask:
    """The pixels whose centres lie in a box, clipped to the image: ``left ≤ x + 1/2 ≤ right``.

    Raises:
        TruthUnusable: the box has no size, or lies outside the image.
    """
    import numpy as np

    if not (left < right and top < bottom):
        raise TruthUnusable("truth-broken", "a box without a size")
    if right <= 0 or bottom <= 0 or left >= width or top >= height:
        raise TruthUnusable("truth-broken", "a box outside the image")
    columns, rows = np.arange(width) + 0.5, np.arange(height) + 0.5
    inside: Mask = ((rows >= top) & (rows <= bottom))[:, None] & (
        (columns >= left) & (columns <= right)
    )[None, :]
    return inside
