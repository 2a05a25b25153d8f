"""Masks: a PNG of the size of its image, 0 where there is no object."""

from __future__ import annotations

import warnings
from functools import partial
from io import BytesIO
from typing import TYPE_CHECKING

from evaluator.errors import TruthUnusable
from evaluator.text import printable
from evaluator.truth.region import MOST_PIXELS, Region, Truth

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_MOST_CLASSES = 1000


def read_mask(data: bytes) -> Truth:
    """The objects of a mask.

    One value besides 0 is the object, whatever the value. Several are classes: ``class index + 1``.
    Of colours, every pixel that is not black belongs to the object.

    Raises:
        TruthUnusable: no PNG, a damaged one, one of too many pixels, or one without an object.
    """
    import numpy as np

    values = _values(data)
    found = [int(value) for value in np.unique(values) if value]
    if len(found) > _MOST_CLASSES:
        raise TruthUnusable("truth-broken", f"{len(found)} different values in a mask")
    if not found:
        raise TruthUnusable("truth-empty", "a mask without an object")
    height, width = values.shape
    regions = tuple(Region(value - 1, partial(_equal, values, value)) for value in found)
    return Truth(width, height, regions)


def _equal(values: NDArray[np.int32], value: int) -> NDArray[np.bool_]:
    equal: NDArray[np.bool_] = values == value
    return equal


def _values(data: bytes) -> NDArray[np.int32]:
    """Values ``[height, width]``: grey values and palette indices; 1 for colours but black."""
    import numpy as np
    from PIL import Image, UnidentifiedImageError

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(BytesIO(data), formats=("PNG",)) as image:
                if image.width * image.height > MOST_PIXELS:
                    raise TruthUnusable(
                        "truth-broken", f"a mask of {image.width} x {image.height} pixels"
                    )
                if image.mode in ("1", "L", "P", "I", "I;16"):
                    return np.array(image, dtype=np.int32)
                colours = np.asarray(image.convert("RGB"))
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise TruthUnusable("truth-broken", "a mask of too many pixels") from error
    except UnidentifiedImageError as error:
        raise TruthUnusable("truth-broken", "a mask that is no PNG") from error
    except (
        OSError,
        ValueError,
        SyntaxError,
        EOFError,
    ) as error:  # what Pillow's decoder raises on damaged files
        raise TruthUnusable("truth-broken", printable(f"a damaged mask: {error}", 160)) from error
    return np.array(colours.any(axis=2), dtype=np.int32)
