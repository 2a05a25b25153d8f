"""Pictures in text: in each cell of the terminal two colours and a glyph that says where they are.

``quadrants`` have 2 × 2 pixels in a cell, of which the two colours and the pattern (▘ ▚ ▙ …) lose
least; ``halves`` have one pixel above another, ``▀``, for fonts and terminals that lack the others.
This works in every terminal that has colours, under tmux and over SSH, and asks the terminal
nothing. Neighbours of the same two colours share their escape sequence. In 256 colours, the slow
line's choice, a picture has a budget: neighbours that are nearly of one colour become so until it
is kept.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import product
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from rich.color import Color
from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip

from camtui.pictures import Pixels, resized

Glyphs = Literal["quadrants", "halves", "ramp"]

QUADRANTS = " ▘▝▀▖▌▞▛▗▚▐▜▄▙▟█"
"""By which sub-pixels have the first colour: bit 0 upper left, 1 upper right, 2 and 3 below."""

_UPPER = QUADRANTS.index("▀")
_RAMP = " .:-=+*#%@"
_LEVELS = np.array([0, 95, 135, 175, 215, 255])
_BYTES_A_CELL = 18
"""The budget of a cell in 256 colours; its own escape sequence is up to 29 bytes."""

_TOLERANCES = (0, 12, 20, 28, 36, 48, 64)
"""The distances, in each channel, that a colour may have from the one that it shares.

The first that keeps the budget is taken.
"""

_PARTS = np.array([[pattern >> bit & 1 for bit in range(4)] for pattern in range(1, 8)])
"""Every way to part four sub-pixels in two, but for which part is which: ``[7, 4]``."""


def strips(
    picture: Pixels,
    width: int,
    height: int,
    *,
    glyphs: Glyphs = "quadrants",
    colours: int = 1 << 24,
) -> list[Strip]:
    """Draw a picture as lines of text.

    Args:
        picture: ``[any, any, 3]`` bytes.
        width, height: in terminal cells.
        glyphs: pixels of a cell; ``ramp`` is grey levels by characters, no colour at all.
        colours: what the terminal has: 256 or all of them.
    """
    if glyphs == "ramp":
        return _as_ramp(resized(picture, width, height * 2))
    patterns, pairs = (_quadrants if glyphs == "quadrants" else _halves)(picture, width, height)
    if colours <= 256:
        return _as_strips(patterns, _within_budget(pairs)[..., None], numbered=True)
    # steps of 4 are below what the eye tells apart; runs get longer
    return _as_strips(patterns, pairs & 0xFC | 0x02, numbered=False)


Patterns = NDArray[np.int64]
"""``[lines, cells]``: the place of each cell's glyph in ``QUADRANTS``."""

Pairs = NDArray[np.int64]
"""``[lines, cells, 2, 3]``: the first and the second colour of each cell."""


def _halves(picture: Pixels, width: int, height: int) -> tuple[Patterns, Pairs]:
    small = resized(picture, width, height * 2).astype(np.int64)
    pairs = small.reshape(height, 2, width, 3).transpose(0, 2, 1, 3)
    return np.full((height, width), _UPPER), pairs


def _quadrants(picture: Pixels, width: int, height: int) -> tuple[Patterns, Pairs]:
    """Part the four colours of every cell in two as k-means does, by trying all seven ways.

    The squared error is least where the squared sums of both parts, over their sizes, are most. The
    lighter part comes first, so that neighbours have their colours in the same order.
    """
    small = resized(picture, width * 2, height * 2).astype(np.float32)
    cells = small.reshape(height, 2, width, 2, 3).transpose(0, 2, 1, 3, 4).reshape(-1, 4, 3)
    parts = _PARTS.astype(np.float32)
    sizes = parts.sum(1)[:, None]
    first = np.einsum("pq,nqc->npc", parts, cells)
    second = cells.sum(1)[:, None] - first
    gain = (first**2).sum(-1) / sizes[:, 0] + (second**2).sum(-1) / (4 - sizes[:, 0])
    best = gain.argmax(1)
    rows = np.arange(len(cells))
    means = np.stack([(first / sizes)[rows, best], (second / (4 - sizes))[rows, best]], axis=1)
    turned = means[:, 0].sum(-1) < means[:, 1].sum(-1)
    means[turned] = means[turned][:, ::-1]
    patterns = np.where(turned, 15 - (best + 1), best + 1)
    pairs = np.round(means).astype(np.int64)
    return patterns.reshape(height, width), pairs.reshape(height, width, 2, 3)


def _as_strips(patterns: Patterns, pairs: NDArray[np.int64], *, numbered: bool) -> list[Strip]:
    lines: list[Strip] = []
    flat = (pairs[:, :, 0] == pairs[:, :, 1]).all(-1)
    for glyphs, line in zip(np.where(flat, 0, patterns).tolist(), pairs, strict=True):
        colours = line.reshape(len(line), -1)
        ends = [*(np.flatnonzero((colours[1:] != colours[:-1]).any(-1)) + 1).tolist(), len(line)]
        found, segments, start = colours.tolist(), [], 0
        for end in ends:
            text = "".join([QUADRANTS[glyph] for glyph in glyphs[start:end]])
            segments.append(Segment(text, _style(tuple(found[start]), numbered)))
            start = end
        lines.append(Strip(segments, len(line)))
    return lines


@lru_cache(20_000)
def _style(pair: tuple[int, ...], numbered: bool) -> Style:
    half = len(pair) // 2
    if pair[:half] == pair[half:]:  # a space needs no colour of its own
        return Style(bgcolor=Color.from_ansi(pair[0]) if numbered else Color.from_rgb(*pair[:3]))
    if numbered:
        return Style(color=Color.from_ansi(pair[0]), bgcolor=Color.from_ansi(pair[1]))
    return Style(color=Color.from_rgb(*pair[:3]), bgcolor=Color.from_rgb(*pair[3:]))


def _within_budget(wanted: Pairs) -> NDArray[np.int64]:
    """Number the colours, ``[lines, cells, 2]``, with runs as long as the budget demands."""
    numbers = _numbered(wanted)
    found = numbers
    for tolerance in _TOLERANCES:
        found = _with_runs(wanted, numbers, tolerance) if tolerance else numbers
        if _bytes(found) <= _BYTES_A_CELL * found.size // 2:
            break
    return found


def _with_runs(wanted: Pairs, numbers: NDArray[np.int64], tolerance: int) -> NDArray[np.int64]:
    """Give each cell the colours of the one before where both of its own are near them."""
    pairs = numbers.copy()
    # the nearest of 256 colours may be further off than the tolerance
    own = np.abs(_PALETTE[pairs] - wanted).max((2, 3))
    for x in range(1, pairs.shape[1]):
        distance = np.abs(_PALETTE[pairs[:, x - 1]] - wanted[:, x]).max((1, 2))
        shared = distance <= np.maximum(tolerance, own[:, x])
        pairs[shared, x] = pairs[shared, x - 1]
    return pairs


def _bytes(pairs: NDArray[np.int64]) -> int:
    """Estimate the bytes that a picture takes.

    A sequence for every run, a character for every cell.
    """
    begins = np.ones(pairs.shape[:2], dtype=bool)
    begins[:, 1:] = (pairs[:, 1:] != pairs[:, :-1]).any(-1)
    flat = pairs[..., 0] == pairs[..., 1]
    return int((begins * np.where(flat, 15, 26)).sum() + np.where(flat, 1, 3).sum())


def _numbered(values: NDArray[np.int64]) -> NDArray[np.int64]:
    """Find the nearest of the 216 colours of the cube, or of the 24 greys."""
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
