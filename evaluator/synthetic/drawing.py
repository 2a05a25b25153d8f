"""A scene as pixels (background, distractors, the object on top, noise), and the object's mask."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from evaluator.synthetic.scene import Background, Scene, Shape
from evaluator.synthetic.shapes import DISTRACTORS, OBJECTS

Pixels = NDArray[np.uint8]
_Field = NDArray[np.float64]

FINER = 3
"""Edges are drawn on a grid so many times as fine, and averaged."""

GRAIN = 0.03
"""Standard deviation of the noise over everything, of a range of 1."""


class Picture(NamedTuple):
    """A drawn scene.

    Attributes:
        pixels: ``[side, side, 3]``.
        mask: ``[side, side]``, whether at least half of a pixel is the object's.
    """

    pixels: Pixels
    mask: NDArray[np.bool_]


def draw(scene: Scene, side: int, *, with_object: bool = True) -> Picture:
    """The image of a scene and the mask of its object.

    Args:
        side: height and width in pixels.
        with_object: ``False`` leaves the object out: what is left tells nothing about the class.
    """
    canvas = _background(scene.background, side)
    for shape in scene.distractors:
        _paint(canvas, shape, side)
    mask = np.zeros((side, side), dtype=bool)
    if with_object:
        rows, columns, cover = _paint(canvas, scene.object, side)
        mask[rows, columns] = cover >= 0.5
    grain = np.random.default_rng((scene.background.noise, 1)).standard_normal((side, side, 1))
    pixels = np.rint(255 * np.clip(canvas + GRAIN * grain, 0, 1)).astype(np.uint8)
    return Picture(pixels, mask)


def _paint(canvas: _Field, shape: Shape, side: int) -> tuple[slice, slice, _Field]:
    """Draw a shape over what is there.

    Returns:
        Rows and columns of the canvas, and the covered share of each of their pixels.
    """
    rows, columns = (_reach(centre, shape.radius, side) for centre in (shape.y, shape.x))
    inside = (OBJECTS | DISTRACTORS)[shape.outline]
    u, v = _turned(
        _centres(rows, side, FINER) - shape.y, _centres(columns, side, FINER) - shape.x, shape.angle
    )
    fine = inside(u / shape.radius, v / shape.radius)
    height, width = rows.stop - rows.start, columns.stop - columns.start
    cover = fine.reshape(height, FINER, width, FINER).mean((1, 3))
    u, v = _turned(_centres(rows, side) - shape.y, _centres(columns, side) - shape.x, shape.angle)
    light = _pattern(shape, u, v)[..., None]
    colour = light * np.array(shape.light) + (1 - light) * np.array(shape.dark)
    canvas[rows, columns] += cover[..., None] * (colour - canvas[rows, columns])
    return rows, columns, cover


def _pattern(shape: Shape, u: _Field, v: _Field) -> _Field:
    """Share of the light colour at each point, in [0, 1]; u and v in fractions of the side."""
    a, b = (2 * np.pi * (axis / shape.period + shape.phase) for axis in (u, v))
    if shape.pattern == "stripes":
        wave = np.sin(a)
    elif shape.pattern == "checks":
        wave = np.sin(a) * np.sin(b)
    elif shape.pattern == "dots":
        wave = 0.4 - np.cos(a) * np.cos(b)
    else:
        return np.ones(np.broadcast_shapes(u.shape, v.shape))
    return np.clip(0.5 + 2 * wave, 0, 1)


def _background(background: Background, side: int) -> _Field:
    """``[side, side, 3]``."""
    rng = np.random.default_rng((background.noise, 0))
    every = slice(0, side)
    u, v = _turned(_centres(every, side), _centres(every, side), background.angle)
    a, b = (2 * np.pi * axis / background.period for axis in (u, v))
    if background.texture == "clouds":
        share = 0.5 + 0.25 * _smooth_noise(rng, 5, side) + 0.15 * _smooth_noise(rng, 12, side)
    elif background.texture == "waves":
        share = 0.5 + 0.5 * np.sin(a + _smooth_noise(rng, 4, side))
    elif background.texture == "weave":
        share = 0.5 + 0.25 * np.sin(a) + 0.25 * np.sin(b)
    else:
        share = 0.5 + 0.25 * _smooth_noise(rng, 30, side)
    share = np.clip(share, 0, 1)[..., None]
    return np.asarray(
        share * np.array(background.first) + (1 - share) * np.array(background.second)
    )


def _smooth_noise(rng: np.random.Generator, knots: int, side: int) -> _Field:
    """Normal noise at ``knots`` × ``knots`` points, interpolated linearly: ``[side, side]``."""
    coarse = rng.standard_normal((knots, knots))
    places = np.linspace(0, knots - 1, side)
    low = np.minimum(places.astype(int), knots - 2)
    part = places - low
    rows = coarse[low] * (1 - part)[:, None] + coarse[low + 1] * part[:, None]
    return np.asarray(rows[:, low] * (1 - part) + rows[:, low + 1] * part)


def _reach(centre: float, radius: float, side: int) -> slice:
    """The pixels along one axis that a circle may touch."""
    return slice(
        max(int((centre - radius) * side), 0), min(int((centre + radius) * side) + 1, side)
    )


def _centres(pixels: slice, side: int, finer: int = 1) -> _Field:
    """Centres of pixels as fractions of the side."""
    return (np.arange(pixels.start * finer, pixels.stop * finer) + 0.5) / (side * finer)


def _turned(down: _Field, right: _Field, degrees: float) -> tuple[_Field, _Field]:
    """``(u, v)`` of a grid in axes that are turned clockwise by an angle."""
    cosine, sine = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    y, x = down[:, None], right[None]
    return cosine * x + sine * y, cosine * y - sine * x
