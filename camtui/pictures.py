"""An image, its saliency map, overlay and explanation map, and where the object is in it.

Imported when the first image is opened. Pictures are ``[height, width, 3]`` arrays of bytes.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, lru_cache
from math import isqrt
from pathlib import Path
from typing import Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray

from camtui.runs import refuse_unnamed
from evaluator import catalog
from evaluator.crop import open_square
from evaluator.errors import NotFound, TruthUnusable, UsageError
from evaluator.methods.base import FixedMap, ImageMethod, Method
from evaluator.plan import RunPlan
from evaluator.records import ImageRef, LoadedBackbone, Preprocessing, Row
from evaluator.truth.folder import Truths


class TruthObject(NamedTuple):
    """The object's pixels in the input of a network, or why they are unknown."""

    pixels: Mask | None = None
    problem: str = ""


NO_OBJECT = TruthObject()


@lru_cache(maxsize=2)
def _truths(truth: str, data: Path) -> Truths:
    return Truths(Path(truth), data)


def object_in(
    plan: RunPlan, image: ImageRef, target: int, loaded: LoadedBackbone | None
) -> TruthObject:
    """Return the object of an image; ``target``: the class that was explained."""
    if plan.truth is None:
        return NO_OBJECT
    try:
        refuse_unnamed(plan.truth)
        found = _truths(plan.truth, plan.folder).square(
            image, target, loaded.classes if loaded else (), seen_by(loaded, plan.resize)
        )
    except (NotFound, UsageError, TruthUnusable) as error:
        return TruthObject(None, error.message)
    return TruthObject(found)


Pixels = NDArray[np.uint8]
Map = NDArray[np.float32]
Mask = NDArray[np.bool_]
ColourMap = Literal["turbo", "inferno", "viridis", "cividis", "grey", "magma"]

PictureKind = Literal["input", "cam", "overlay", "masked"]

PICTURE_KINDS: tuple[PictureKind, ...] = get_args(PictureKind)
COLOUR_MAPS: tuple[ColourMap, ...] = get_args(ColourMap)
_ANCHORS: dict[ColourMap, str] = {
    "turbo": "30123b 4040a1 466be3 4293ff 29bbec 18dcc3 31f299 6bfd64 a3fd3c "
    "cced34 edd03a fdae35 fb8022 ec520f d23105 ac1701 7a0403",
    "inferno": "000004 0b0724 210c4a 3c0965 57106d 70196e 89226a a32b61 bb3755 "
    "d14644 e35932 f1711e f98d0a fcab0f f9ca32 f2e865 fcffa4",
    "viridis": "440154 48186a 472d7b 424086 3b528b 33638d 2c728e 26818e 21908c "
    "1f9f88 28ae80 3ebc74 5dc963 82d34c abdc32 d5e21a fde725",
    "cividis": "00224e 002e6a 1a386f 32436d 434e6c 52596d 61656f 6f7073 7c7b78 "
    "8b8778 9b9376 aba072 bbad6c ccba64 ddc958 efd748 fee838",
    "grey": "000000 ffffff",
    "magma": "000004 0a0822 1d1146 36106a 50127c 691c81 822681 9c2e7f b63779 "
    "cf4170 e65163 f5695c fb8761 fea571 fec387 fde0a2 fcfdbf",
}
"""Every sixteenth of matplotlib's tables; the steps between are straight."""


class Look(NamedTuple):
    """How maps are drawn: their colours, and how opaque an overlay is where the map is 1."""

    colours: ColourMap = "turbo"
    alpha: float = 0.75


DEFAULT_LOOK = Look()


def saliency(stored: bytes, loaded: LoadedBackbone | None, kind: type[Method] = Method) -> Map:
    """Return the stored map as ``[h, w]`` in [0, 1].

    Args:
        kind: the class of its method: maps of an ``ImageMethod`` are square.

    Raises:
        ValueError: the bytes are no map of that backbone.
    """
    values = np.frombuffer(stored, dtype=kind.map_type).astype(np.float32)
    of_layer = loaded is not None and not issubclass(kind, ImageMethod)
    side = isqrt(len(values))
    height, width = (loaded.height, loaded.width) if loaded and of_layer else (side, side)
    if len(values) != height * width or not len(values):
        raise ValueError(f"a map of {len(values)} values does not fit {height} × {width}")
    clipped: Map = np.clip(np.nan_to_num(values.reshape(height, width)), 0, 1)
    return clipped


def upsampled(low: Map, side: int) -> Map:
    """Return the map ``[side, side]``, bilinear as torch's ``align_corners=False``."""
    return _along(_along(low, side, 0), side, 1)


def _along(values: Map, size: int, axis: int) -> Map:
    old = values.shape[axis]
    place = np.clip((np.arange(size) + 0.5) * old / size - 0.5, 0, None)
    first = np.minimum(place.astype(int), old - 1)
    second = np.minimum(first + 1, old - 1)
    share = (place - first).astype(np.float32)
    share = share[:, None] if axis == 0 else share[None, :]
    result: Map = np.take(values, first, axis) * (1 - share) + np.take(values, second, axis) * share
    return result


@cache
def _table(name: ColourMap) -> Pixels:
    anchors = np.array(
        [[int(text[i : i + 2], 16) for i in (0, 2, 4)] for text in _ANCHORS[name].split()],
        dtype=float,
    )
    places = np.linspace(0, len(anchors) - 1, 256)
    table = np.stack(
        [np.interp(places, np.arange(len(anchors)), anchors[:, channel]) for channel in range(3)],
        axis=1,
    )
    return np.round(table).astype(np.uint8)


def coloured(values: Map, name: ColourMap) -> Pixels:
    """Return a map in colours, with 0 and 1 at the ends of the scale in every map."""
    picture: Pixels = _table(name)[np.round(values * 255).astype(np.uint8)]
    return picture


def overlay(image: Pixels, values: Map, name: ColourMap, alpha: float) -> Pixels:
    """Return the coloured map over the image, as opaque as the map is high: ``alpha * values``.

    Where the map is 0 the image stays as it is.
    """
    opacity = (alpha * values)[:, :, None]
    mixed = (1 - opacity) * image.astype(np.float32) + opacity * coloured(values, name)
    picture: Pixels = np.round(mixed).astype(np.uint8)
    return picture


def difference(first: Map, second: Map, *, greys: bool = False) -> tuple[Pixels, float]:
    """Draw ``second − first``: blue where the first is higher, orange where the second is.

    White is no difference, and full colour the largest, which is returned too. Maps of unlike sides
    are compared at the first one's side.

    Args:
        greys: without colours: black is no difference, white the largest, whichever is higher.
    """
    side = len(first)
    change = (second if second.shape == first.shape else upsampled(second, side)) - first
    largest = float(np.abs(change).max())
    ends = np.where((change < 0)[:, :, None], _FIRST_HIGHER, _SECOND_HIGHER)
    share = np.abs(change)[:, :, None] / (largest or 1.0)
    if greys:
        return np.repeat(np.round(share * 255).astype(np.uint8), 3, axis=2), largest
    picture: Pixels = np.round((1 - share) * 247 + share * ends).astype(np.uint8)
    return picture, largest


_FIRST_HIGHER, _SECOND_HIGHER = np.array([5, 80, 170]), np.array([205, 80, 0])
"""Blue and orange, which colour-blind people tell apart."""


def seen_by(loaded: LoadedBackbone | None, resize: int) -> Preprocessing:
    """Return a backbone's preprocessing; before it has been loaded, the protocol's."""
    return loaded.preprocessing if loaded else Preprocessing(resize=resize)


def evaluated_pixels(root: Path, image: ImageRef, wanted: Preprocessing) -> Pixels:
    """Open an image's file as a network sees it, ``[side, side, 3]``, whatever its channels.

    Raises:
        NotFound: this user has named no folder of images there.
        ImageUnreadable: the file is gone, or is another one now.
    """
    refuse_unnamed(str(root))
    picture = open_square(root, image.path, wanted, image.size, image.content)
    return np.asarray(picture.convert("RGB"), dtype=np.uint8)


def stored_map(method: str, row: Row, loaded: LoadedBackbone | None) -> Map | None:
    """Return a row's map at the input's resolution; ``None`` where the run keeps none.

    Raises:
        CamtuiError: no such method.
        ValueError: what is stored is no map.
    """
    side = seen_by(loaded, 0).side
    known = catalog.method(method)
    if row.map is not None:
        return upsampled(saliency(row.map, loaded, type(known)), side)
    if isinstance(known, FixedMap):
        return np.array(known.fixed_map(side, side), dtype=np.float32)
    return None


def explanation(image: Pixels, values: Map, loaded: LoadedBackbone | None) -> Pixels:
    """Return ``e = x ⊙ U`` as the network sees it: where the map is 0, the mean colour."""
    mean = np.array(loaded.preprocessing.mean if loaded else (0.0,), dtype=np.float32) * 255
    mean = mean[:3] if len(mean) > 2 else mean[:1]  # as open_square draws arrays
    shown = (image - mean) * values[:, :, None] + mean
    picture: Pixels = np.round(np.clip(shown, 0, 255)).astype(np.uint8)
    return picture


def along_curve(
    image: Pixels,
    values: Map,
    share: float,
    *,
    removed: bool,
    empty: str,
    loaded: LoadedBackbone | None,
) -> Pixels:
    """Return the image where a share of its pixels, the most salient first, is removed or shown.

    Ties are broken by the pixel's place, row by row, as for the metrics.

    Args:
        values: ``U``, ``[side, side]``.
        removed: whether they are taken from the image, else they alone are shown.
        empty: what the other pixels are: ``zero`` is the network's mean colour, ``black``, or a
            blurred image.
    """
    order = np.argsort(-values, axis=None, kind="stable")
    chosen = np.zeros(values.shape, dtype=bool)
    chosen.flat[order[: int(share * values.size)]] = True
    away = chosen if removed else ~chosen
    picture: Pixels = np.where(away[:, :, None], _emptied(image, empty, loaded), image)
    return picture


def _emptied(image: Pixels, empty: str, loaded: LoadedBackbone | None) -> Pixels:
    if empty.startswith("blur"):
        from PIL import Image, ImageFilter

        return np.asarray(Image.fromarray(image).filter(ImageFilter.GaussianBlur(5)))
    if empty == "black":
        return np.zeros_like(image)
    nothing = np.zeros(image.shape[:2], dtype=np.float32)
    return explanation(image, nothing, loaded)


@dataclass(frozen=True, eq=False, kw_only=True)
class Panels:
    """One image as a network sees it, with the map of a method; what is missing is ``None``.

    Attributes:
        image: ``[side, side, 3]``, the pixels that were evaluated.
        saliency: ``U``, ``[side, side]`` in [0, 1].
        inside: the object's pixels, ``[side, side]``, to draw their edge.
    """

    image: Pixels | None
    saliency: Map | None
    loaded: LoadedBackbone | None
    inside: Mask | None = None

    def view(self, kind: PictureKind, look: Look = DEFAULT_LOOK) -> Pixels | None:
        """Draw one of the four pictures, with the object's edge where that is given.

        Without the pixels an overlay is the map alone.
        """
        picture = self._plain(kind, look)
        return picture if picture is None or self.inside is None else outlined(picture, self.inside)

    def _plain(self, kind: PictureKind, look: Look) -> Pixels | None:
        if kind == "input" or self.saliency is None:
            return self.image if kind == "input" else None
        if kind == "cam" or (kind == "overlay" and self.image is None):
            return coloured(self.saliency, look.colours)
        if self.image is None:
            return None
        if kind == "overlay":
            return overlay(self.image, self.saliency, look.colours, look.alpha)
        return explanation(self.image, self.saliency, self.loaded)


def resized(picture: Pixels, width: int, height: int) -> Pixels:
    """Return the picture in other proportions, every pixel an average of those it stands for."""
    from PIL import Image

    image = Image.fromarray(picture).resize((width, height), Image.Resampling.BOX)
    return np.asarray(image, dtype=np.uint8)


def outlined(picture: Pixels, inside: Mask) -> Pixels:
    """Return the picture with the edge of some pixels drawn, white within and black without."""
    drawn = picture.copy()
    drawn[_dilated(inside) & ~inside] = 0
    drawn[inside & _dilated(~inside)] = 255
    return drawn


def _dilated(inside: Mask) -> Mask:
    """Return these pixels and all neighbours of theirs."""
    dilated = inside.copy()
    dilated[1:] |= inside[:-1]
    dilated[:-1] |= inside[1:]
    dilated[:, 1:] |= inside[:, :-1]
    dilated[:, :-1] |= inside[:, 1:]
    return dilated
