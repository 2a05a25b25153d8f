"""Outlines of shapes: one per class for objects, others for distractors."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.float64]
Inside = Callable[[Points, Points], NDArray[np.bool_]]
"""``(u, v)`` of any shape, in units of the circumscribed radius, v downwards → whether each point
is inside.
"""


def _square(u: Points, v: Points) -> NDArray[np.bool_]:
    return np.maximum(np.abs(u), np.abs(v)) <= 0.7


def _triangle(u: Points, v: Points) -> NDArray[np.bool_]:
    return np.asarray((v <= 0.5) & (np.sqrt(3) / 2 * np.abs(u) - v / 2 <= 0.5))


def _cross(u: Points, v: Points) -> NDArray[np.bool_]:
    return (np.minimum(np.abs(u), np.abs(v)) <= 0.29) & (np.maximum(np.abs(u), np.abs(v)) <= 0.95)


def _star(u: Points, v: Points) -> NDArray[np.bool_]:
    """Five points; the angle is reduced to a tenth of the circle, with a single edge."""
    radius = np.hypot(u, v)
    folded = np.abs((np.arctan2(u, -v) + np.pi / 5) % (2 * np.pi / 5) - np.pi / 5)
    tip, notch = np.array([1.0, 0.0]), 0.42 * np.array([np.cos(np.pi / 5), np.sin(np.pi / 5)])
    edge = notch - tip
    x, y = radius * np.cos(folded) - tip[0], radius * np.sin(folded) - tip[1]
    return np.asarray(edge[0] * y - edge[1] * x >= 0)


def _ring(u: Points, v: Points) -> NDArray[np.bool_]:
    radius = np.hypot(u, v)
    return (radius >= 0.52) & (radius <= 0.95)


def _crescent(u: Points, v: Points) -> NDArray[np.bool_]:
    return (np.hypot(u, v) <= 0.97) & (np.hypot(u - 0.48, v) >= 0.78)


def _hourglass(u: Points, v: Points) -> NDArray[np.bool_]:
    return (np.abs(u) <= 0.08 + 0.68 * np.abs(v)) & (np.abs(v) <= 0.78)


def _heart(u: Points, v: Points) -> NDArray[np.bool_]:
    x, y = 1.36 * u, -1.36 * v + 0.1
    return np.asarray((x**2 + y**2 - 1) ** 3 - x**2 * y**3 <= 0)


def _disc(u: Points, v: Points) -> NDArray[np.bool_]:
    return np.hypot(u, v / 0.8) <= 0.95


def _bar(u: Points, v: Points) -> NDArray[np.bool_]:
    return (np.abs(u) <= 0.97) & (np.abs(v) <= 0.22)


def _trefoil(u: Points, v: Points) -> NDArray[np.bool_]:
    return np.asarray(np.hypot(u, v) <= 0.68 + 0.27 * np.cos(3 * np.arctan2(u, -v)))


OBJECTS: dict[str, Inside] = {
    "cross": _cross,
    "crescent": _crescent,
    "heart": _heart,
    "hourglass": _hourglass,
    "ring": _ring,
    "square": _square,
    "star": _star,
    "triangle": _triangle,
}
"""The outline of each class, by its name, in the order of the class indices."""

DISTRACTORS: dict[str, Inside] = {"bar": _bar, "disc": _disc, "trefoil": _trefoil}
"""Outlines that stand for no class."""
