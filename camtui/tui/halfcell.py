"""Pictures in text: two pixels a terminal cell, the upper one as the colour of ``▀`` and the lower one as its background.

Works in every terminal that has colours, under tmux and over SSH, and asks the terminal nothing. Neighbours of one colour share
their escape sequence: 36×18 cells are about 25 kB in true colour, 11 kB in 256 colours.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from rich.color import Color
from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip

from camtui.pictures import Pixels, resized

_RAMP = " .:-=+*#%@"
_LEVELS = np.array([0, 95, 135, 175, 215, 255])


def strips(picture: Pixels, width: int, height: int, *, colours: int = 1 << 24, ascii_only: bool = False) -> list[Strip]:
    """A picture as lines of text.

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
        return _as_halves(_numbered(small)[:, :, None], numbered=True)
    return _as_halves(small & 0xFC | 0x02, numbered=False)  # steps of 4 are below what the eye tells apart; runs get longer


def _as_halves(pixels: NDArray[np.integer], *, numbered: bool) -> list[Strip]:
    lines: list[Strip] = []
    for y in range(0, len(pixels), 2):
        pairs = np.concatenate([pixels[y], pixels[y + 1]], axis=1).tolist()
        segments: list[Segment] = []
        start = 0
        for x in range(1, len(pairs) + 1):
            if x == len(pairs) or pairs[x] != pairs[start]:
                segments.append(Segment("▀" * (x - start), _style(tuple(pairs[start]), numbered)))
                start = x
        lines.append(Strip(segments, len(pairs)))
    return lines


@lru_cache(20_000)
def _style(pair: tuple[int, ...], numbered: bool) -> Style:
    if numbered:
        upper, lower = pair
        return Style(color=Color.from_ansi(upper), bgcolor=Color.from_ansi(lower))
    return Style(color=Color.from_rgb(*pair[:3]), bgcolor=Color.from_rgb(*pair[3:]))


def _numbered(pixels: Pixels) -> NDArray[np.int64]:
    """The nearest of the 216 colours of the cube, or of the 24 greys."""
    values = pixels.astype(np.int64)
    cube = np.abs(values[..., None] - _LEVELS).argmin(-1)
    near_cube = ((values - _LEVELS[cube]) ** 2).sum(-1)
    grey = np.clip(np.round((values.mean(-1) - 8) / 10), 0, 23).astype(np.int64)
    near_grey = ((values - (8 + 10 * grey)[..., None]) ** 2).sum(-1)
    in_cube = 16 + 36 * cube[..., 0] + 6 * cube[..., 1] + cube[..., 2]
    chosen: NDArray[np.int64] = np.where(near_grey < near_cube, 232 + grey, in_cube)
    return chosen


def _as_ramp(pixels: Pixels) -> list[Strip]:
    light = pixels.astype(float).mean(-1)
    rows = (light[0::2] + light[1::2]) / 2
    return [Strip([Segment("".join(_RAMP[int(v * (len(_RAMP) - 1) / 255)] for v in row))], len(row)) for row in rows]
