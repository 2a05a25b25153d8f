"""Images with known truth: what is drawn, how, and a data set of them.

The class is drawn from a generator of its own, after everything else: where the object is, its
size, pattern and colours, the distractors and the background are the same whichever class it turns
out to be. The only evidence is an outline: in the world ``shapes`` that of the object, in the world
``marks`` that of a small mark on it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Generator
from dataclasses import asdict, dataclass, replace
from io import BytesIO
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from evaluator.errors import Mismatch, UsageError
from evaluator.text import printable

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


def _plate(u: Points, v: Points) -> NDArray[np.bool_]:
    return np.hypot(u, v) <= 0.97


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

PLATE = {"plate": _plate}
"""The outline of every object in the world ``marks``."""

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


World = Literal["shapes", "marks"]
"""Where the evidence is: the whole object, or a mark on it, 7 % of its area."""

WORLDS: tuple[World, ...] = get_args(World)


@dataclass(frozen=True)
class Scene:
    """Everything that decides the pixels of an image but its side.

    Attributes:
        label: class index; the outline that tells it is ``CLASSES[label]``.
        mark: what lies on the object, in the world ``marks``; in the other the object's own outline
            is the evidence.
    """

    index: int
    label: int
    object: Shape
    distractors: tuple[Shape, ...]
    background: Background
    mark: Shape | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        values = {**asdict(self), "class": CLASSES[self.label]}
        return values if self.mark else {k: v for k, v in values.items() if k != "mark"}


def scene(seed: int, index: int, world: World = "shapes") -> Scene:
    """The scene of one image; a function of the world, the seed and the index alone.

    Args:
        seed: of the data set, from 0.
        index: of the image, from 0.
    """
    label = int(np.random.default_rng((seed, index, 1)).integers(len(CLASSES)))
    if world == "marks":
        return _marked(np.random.default_rng((seed, index, 2)), index, label)
    rng = np.random.default_rng((seed, index, 0))
    background = _background(rng)
    radius = rng.uniform(0.17, 0.25)
    x, y = rng.uniform(radius, 1 - radius, 2)
    filled = _shape(rng, "", (x, y, radius), rng.uniform(-30, 30))
    distractors = _distractors(rng, filled)
    return Scene(index, label, replace(filled, outline=CLASSES[label]), distractors, background)


def _marked(rng: np.random.Generator, index: int, label: int) -> Scene:
    """A large object whose outline stands for no class, with a small bright mark somewhere on it.

    The object is darker than the mark; both are drawn before the class is known.
    """
    background = _background(rng)
    radius = rng.uniform(0.28, 0.36)
    x, y = rng.uniform(radius, 1 - radius, 2)
    under = _shape(rng, "plate", (x, y, radius), rng.uniform(0, 360))
    dark = _colour(rng.uniform(0, 1), rng.uniform(0.4, 1.0), rng.uniform(0.35, 0.5))
    small = rng.uniform(0.1, 0.125)
    away, towards = rng.uniform(0, 0.92 * radius - small), rng.uniform(0, 2 * np.pi)
    centre = x + away * np.cos(towards), y + away * np.sin(towards)
    mark = _shape(rng, CLASSES[label], (*centre, small), rng.uniform(-30, 30))
    return Scene(
        index,
        label,
        replace(under, light=dark),
        _distractors(rng, under),
        background,
        replace(mark, pattern="plain"),
    )


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
        mask: ``[side, side]``, whether at least half of a pixel is the object's; ``evidence``: that
            of the outline that tells the class: the object's, or its mark's.
    """

    pixels: Pixels
    mask: NDArray[np.bool_]
    evidence: NDArray[np.bool_]


def draw(scene: Scene, side: int, *, with_object: bool = True) -> Picture:
    """The image of a scene and the masks of its object and of the evidence.

    Args:
        side: height and width in pixels.
        with_object: ``False`` leaves the evidence out: what is left tells nothing about the class.
    """
    canvas = _drawn_background(scene.background, side)
    for shape in scene.distractors:
        _paint(canvas, shape, side)
    mask, evidence = np.zeros((2, side, side), dtype=bool)
    layers = (scene.object, scene.mark) if scene.mark else (scene.object,)
    for shape in layers if with_object else layers[:-1]:
        rows, columns, cover = _paint(canvas, shape, side)
        evidence[:] = False
        evidence[rows, columns] = cover >= 0.5
        mask |= evidence
    grain = np.random.default_rng((scene.background.noise, 1)).standard_normal((side, side, 1))
    pixels = np.rint(255 * np.clip(canvas + GRAIN * grain, 0, 1)).astype(np.uint8)
    return Picture(pixels, mask, evidence)


def _paint(canvas: _Field, shape: Shape, side: int) -> tuple[slice, slice, _Field]:
    """Draw a shape over what is there.

    Returns:
        Rows and columns of the canvas, and the covered share of each of their pixels.
    """
    rows, columns = (_reach(centre, shape.radius, side) for centre in (shape.y, shape.x))
    inside = (OBJECTS | DISTRACTORS | PLATE)[shape.outline]
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


def _drawn_background(background: Background, side: int) -> _Field:
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


PLAN = "plan.json"

RULES = 1
"""Version of the drawing: counted up with every change of the images that a seed stands for."""


class DataSet(NamedTuple):
    """Folder of a data set, and the values that decide its bytes.

    Attributes:
        folder: holds ``images``, ``masks`` and ``plan.json``; ``evidence`` in the world ``marks``.
        seed: of everything drawn, from 0; ``side``: height and width in pixels.
    """

    folder: Path
    seed: int
    side: int
    world: World = "shapes"

    @property
    def images(self) -> Path:
        """The folder for ``camtui run --data``."""
        return self.folder / "images"

    @property
    def masks(self) -> Path:
        """The folder for ``camtui run --truth``: the objects."""
        return self.folder / "masks"

    @property
    def evidence(self) -> Path:
        """The folder for ``camtui run --truth``: what tells the class, where that is a mark."""
        return self.folder / ("evidence" if self.world == "marks" else "masks")


def write_images(wanted: DataSet, count: int) -> Generator[int]:
    """Write the plan, then the first images of the data set; how many are written, after each.

    Image i is a function of the seed, i and the side. What is there of the same data set is kept:
    with a larger count it grows.

    Raises:
        UsageError: the folder holds something else, or cannot be written.
        Mismatch: it holds a data set of another world, seed or side.
    """
    try:
        have = images_there(wanted)
        scenes = [scene(wanted.seed, index, wanted.world) for index in range(max(count, have))]
        for folder in (wanted.images, wanted.masks, wanted.evidence):
            for name in CLASSES:
                (folder / name).mkdir(parents=True, exist_ok=True)
        head: dict[str, Any] = {
            **({} if wanted.world == "shapes" else {"world": wanted.world}),
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
            _write(wanted.masks / file, _mask(picture.mask))
            if wanted.evidence != wanted.masks:
                _write(wanted.evidence / file, _mask(picture.evidence))
            yield one.index + 1
    except OSError as error:
        raise UsageError(
            f"cannot write {printable(error.filename or wanted.folder)}: {error.strerror}",
            "camtui synth DIR takes another folder",
        ) from error


def images_there(wanted: DataSet) -> int:
    """Number of images in the folder's plan; 0 for a folder that is not there or empty."""
    if not wanted.folder.exists() or not any(wanted.folder.iterdir()):
        return 0
    try:
        there = json.loads((wanted.folder / PLAN).read_bytes())
        found: dict[str, object] = {key: int(there[key]) for key in ("rules", "seed", "side")}
        found["world"] = str(there.get("world", "shapes"))
        count = len(there["images"])
    except (FileNotFoundError, ValueError, KeyError, TypeError) as error:
        raise UsageError(
            f"{printable(wanted.folder)} holds something else than synthetic images",
            "give a folder that is empty or new",
        ) from error
    asked = {
        "rules": RULES,
        "seed": wanted.seed,
        "side": wanted.side,
        "world": wanted.world,
    }
    different = [
        f"{key} {found[key]}, asked for {asked[key]}" for key in asked if found[key] != asked[key]
    ]
    if different:
        raise Mismatch(
            f"{printable(wanted.folder)} holds images of {'; '.join(different)}",
            "give another folder",
        )
    return count


def _mask(pixels: NDArray[np.bool_]) -> bytes:
    return _png(Image.fromarray(pixels.astype("uint8") * 255))


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
