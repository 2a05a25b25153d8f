"""Pictures in text, two pixels in a cell of the terminal.

The upper pixel is the colour of ``▀``, the lower one its background. This works in every terminal
that has colours, under tmux and over SSH, and asks the terminal nothing. Neighbours of one colour
share their escape sequence: 36×18 cells are about 25 kB in true colour. In 256 colours, the slow
line's choice, a picture has a budget: neighbours that are nearly of one colour become so until it
is kept (36×18 cells: 12 kB).
"""

from __future__ import annotations

from functools import lru_cache
from itertools import product

import numpy as np
from numpy.typing import NDArray
from rich.color import Color
from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip

from camtui.pictures import Pixels, resized

_RAMP = " .:-=+*#%@"
_LEVELS = np.array([0, 95, 135, 175, 215, 255])
_BYTES_A_CELL = 18
"""The budget of a cell in 256 colours; its own escape sequence is up to 29 bytes."""

_TOLERANCES = (0, 12, 20, 28, 36, 48, 64)
"""The distances, in each channel, that a pixel may have from the colour that it shares.

The first that keeps the budget is taken.
"""


def strips(
    picture: Pixels, width: int, height: int, *, colours: int = 1 << 24, ascii_only: bool = False
) -> list[Strip]:
    """Draw a picture as lines of text.

    Args:
        picture: ``[any, any, 3]`` bytes.
        width, height: in terminal cells; a cell is two pixels high.
        colours: what the terminal has: 256 or all of them.
        ascii_only: grey levels by characters, no colour at all.
    """
    small = resized(picture, width, height * 2)
    if ascii_only:
        return _as_ramp(small)
    if colours <= 256:
        return _as_halves(_within_budget(small)[:, :, None], numbered=True)
    # steps of 4 are below what the eye tells apart; runs get longer
    return _as_halves(small & 0xFC | 0x02, numbered=False)


def _as_halves(pixels: NDArray[np.integer], *, numbered: bool) -> list[Strip]:
    lines: list[Strip] = []
    for y in range(0, len(pixels), 2):
        pairs = np.concatenate([pixels[y], pixels[y + 1]], axis=1).tolist()
        segments: list[Segment] = []
        start = 0
        for x in range(1, len(pairs) + 1):
            if x == len(pairs) or pairs[x] != pairs[start]:
                pair = tuple(pairs[start])
                flat = pair[: len(pair) // 2] == pair[len(pair) // 2 :]
                segments.append(
                    Segment((" " if flat else "▀") * (x - start), _style(pair, numbered))
                )
                start = x
        lines.append(Strip(segments, len(pairs)))
    return lines


@lru_cache(20_000)
def _style(pair: tuple[int, ...], numbered: bool) -> Style:
    half = len(pair) // 2
    if pair[:half] == pair[half:]:  # a space needs no colour of its own
        return Style(bgcolor=Color.from_ansi(pair[0]) if numbered else Color.from_rgb(*pair[:3]))
    if numbered:
        return Style(color=Color.from_ansi(pair[0]), bgcolor=Color.from_ansi(pair[1]))
    return Style(color=Color.from_rgb(*pair[:3]), bgcolor=Color.from_rgb(*pair[3:]))


def _within_budget(small: Pixels) -> NDArray[np.int64]:
    """Number the colours of a picture, with runs as long as the budget demands."""
    numbers = _numbered(small)
    found = numbers
    for tolerance in _TOLERANCES:
        found = _with_runs(small, numbers, tolerance) if tolerance else numbers
        if _bytes(found) <= _BYTES_A_CELL * found.size // 2:
            break
    return found


def _with_runs(small: Pixels, numbers: NDArray[np.int64], tolerance: int) -> NDArray[np.int64]:
    """Give each cell the colours of the one before where both of its pixels are near them."""
    pairs = _pairs(numbers)
    wanted = small.reshape(len(small) // 2, 2, -1, 3).transpose(0, 2, 1, 3).astype(np.int64)
    # the nearest of 256 colours may be further off than the tolerance
    own = np.abs(_PALETTE[pairs] - wanted).max((2, 3))
    for x in range(1, pairs.shape[1]):
        distance = np.abs(_PALETTE[pairs[:, x - 1]] - wanted[:, x]).max((1, 2))
        shared = distance <= np.maximum(tolerance, own[:, x])
        pairs[shared, x] = pairs[shared, x - 1]
    return pairs.transpose(0, 2, 1).reshape(numbers.shape)


def _pairs(numbers: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return ``[lines, cells, 2]``: upper and lower colour of each cell."""
    return numbers.reshape(len(numbers) // 2, 2, -1).transpose(0, 2, 1).copy()


def _bytes(numbers: NDArray[np.int64]) -> int:
    """Estimate the bytes that a picture takes.

    A sequence for every run, a character for every cell.
    """
    pairs = _pairs(numbers)
    begins = np.ones(pairs.shape[:2], dtype=bool)
    begins[:, 1:] = (pairs[:, 1:] != pairs[:, :-1]).any(-1)
    flat = pairs[..., 0] == pairs[..., 1]
    return int((begins * np.where(flat, 15, 26)).sum() + np.where(flat, 1, 3).sum())


def _numbered(pixels: Pixels) -> NDArray[np.int64]:
    """Find the nearest of the 216 colours of the cube, or of the 24 greys."""
    values = pixels.astype(np.int64)
    cube = np.abs(values[..., None] - _LEVELS).argmin(-1)
    near_cube = ((values - _LEVELS[cube]) ** 2).sum(-1)
    grey = np.clip(np.round((values.mean(-1) - 8) / 10), 0, 23).astype(np.int64)
    near_grey = ((values - (8 + 10 * grey)[..., None]) ** 2).sum(-1)
    in_cube = 16 + 36 * cube[..., 0] + 6 * cube[..., 1] + cube[..., 2]
    chosen: NDArray[np.int64] = np.where(near_grey < near_cube, 232 + grey, in_cube)
    return chosen


def _palette() -> NDArray[np.int64]:
    """Return the colours behind the numbers 16 to 255.

    Those below them are the user's own and never taken.
    """
    cube = list(product(_LEVELS, repeat=3))
    greys = [(8 + 10 * grey,) * 3 for grey in range(24)]
    return np.array([(0, 0, 0)] * 16 + cube + greys, dtype=np.int64)


_PALETTE = _palette()


def _as_ramp(pixels: Pixels) -> list[Strip]:
    light = pixels.astype(float).mean(-1)
    rows = (light[0::2] + light[1::2]) / 2
    return [
        Strip([Segment("".join(_RAMP[int(v * (len(_RAMP) - 1) / 255)] for v in row))], len(row))
        for row in rows
    ]
