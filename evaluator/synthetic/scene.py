"""Content of an image: an object, distractors and a background, drawn from ``(seed, index)``.

The class is drawn from a generator of its own, after everything else: where the object is, its
size, pattern and colours, the distractors and the background are the same whichever class it turns
out to be. The object's outline is the only evidence.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from evaluator.synthetic.shapes import DISTRACTORS, OBJECTS

CLASSES = tuple(OBJECTS)
"""Class names in the order of their indices."""

PATTERNS = ("plain", "stripes", "checks", "dots")
"""Fillings of a shape with its two colours."""

TEXTURES = ("clouds", "waves", "weave", "speckle")
"""Textures of a background."""

Colour = tuple[float, float, float]
"""Red, green and blue in [0, 1]."""


@dataclass(frozen=True)
class Shape:
    """One filled outline, in fractions of the image's side from its top left corner, and degrees.

    Attributes:
        x, y: the centre; ``radius``: of the circle around it.
        pattern: a word of ``PATTERNS``; ``light``, ``dark``: its colours; ``period``: its repeat;
            ``phase``: in [0, 1).
    """

    outline: str
    x: float
    y: float
    radius: float
    angle: float
    pattern: str
    light: Colour
    dark: Colour
    period: float
    phase: float


@dataclass(frozen=True)
class Background:
    """A texture between two muted colours; ``noise``: the seed of what in it is random."""

    texture: str
    first: Colour
    second: Colour
    angle: float
    period: float
    noise: int


@dataclass(frozen=True)
class Scene:
    """Everything that decides the pixels of an image but its side.

    Attributes:
        label: class index; the object's outline is ``CLASSES[label]``.
    """

    index: int
    label: int
    object: Shape
    distractors: tuple[Shape, ...]
    background: Background

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return {**asdict(self), "class": CLASSES[self.label]}


def scene(seed: int, index: int) -> Scene:
    """The scene of one image; a function of the seed and the index alone.

    Args:
        seed: of the data set, from 0.
        index: of the image, from 0.
    """
    rng = np.random.default_rng((seed, index, 0))
    background = _background(rng)
    radius = rng.uniform(0.17, 0.25)
    x, y = rng.uniform(radius, 1 - radius, 2)
    filled = _shape(rng, "", (x, y, radius), rng.uniform(-30, 30))
    distractors = _distractors(rng, filled)
    label = int(np.random.default_rng((seed, index, 1)).integers(len(CLASSES)))
    shape = Shape(**{**asdict(filled), "outline": CLASSES[label]})
    return Scene(index, label, shape, distractors, background)


def _distractors(rng: np.random.Generator, other: Shape) -> tuple[Shape, ...]:
    """One to three shapes outside the circle around the object, fewer where none fits."""
    found: list[Shape] = []
    for _ in range(int(rng.integers(1, 4))):
        outline = str(rng.choice(list(DISTRACTORS)))
        for _ in range(12):
            radius = rng.uniform(0.09, 0.16)
            x, y = rng.uniform(radius, 1 - radius, 2)
            if all(np.hypot(x - s.x, y - s.y) > radius + s.radius for s in (other, *found)):
                found.append(_shape(rng, outline, (x, y, radius), rng.uniform(0, 360)))
                break
    return tuple(found)


def _shape(
    rng: np.random.Generator, outline: str, circle: tuple[float, float, float], angle: float
) -> Shape:
    x, y, radius = (float(value) for value in circle)
    hue, other = rng.uniform(0, 1, 2)
    return Shape(
        outline=outline,
        x=x,
        y=y,
        radius=radius,
        angle=angle,
        pattern=str(rng.choice(PATTERNS)),
        light=_colour(hue, rng.uniform(0.3, 0.8), rng.uniform(0.85, 1.0)),
        dark=_colour(other, rng.uniform(0.4, 1.0), rng.uniform(0.1, 0.35)),
        period=float(rng.uniform(0.06, 0.11)),
        phase=float(rng.uniform(0, 1)),
    )


def _background(rng: np.random.Generator) -> Background:
    first, second = (
        _colour(rng.uniform(0, 1), rng.uniform(0.1, 0.5), rng.uniform(0.35, 0.7)) for _ in range(2)
    )
    return Background(
        str(rng.choice(TEXTURES)),
        first,
        second,
        float(rng.uniform(0, 180)),
        float(rng.uniform(0.08, 0.3)),
        int(rng.integers(2**31)),
    )


def _colour(hue: float, saturation: float, value: float) -> Colour:
    """From hue, saturation and value, each in [0, 1]."""
    sector = (hue * 6 + np.array([5.0, 3.0, 1.0])) % 6
    red, green, blue = value - value * saturation * np.clip(np.minimum(sector, 4 - sector), 0, 1)
    return float(red), float(green), float(blue)
