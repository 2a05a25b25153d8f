"""The pictures of one image: the input, what the method marked, and the two blended.

As the reader has chosen to see them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from camtui import pictures
from camtui.format import SIGNS, metric_header, percent
from camtui.pictures import COLOUR_MAPS, ColourMap, Map, Pixels
from camtui.truth_object import NO_OBJECT, TruthObject
from camtui.tui.shot import Shot, Source, map_of
from camtui.tui.widgets.gallery import Item
from evaluator.catalog import is_control, known_metrics
from evaluator.records import Cell, Row
from evaluator.text import printable

T = TypeVar("T")

VIEWS = {
    "pair": ("input", "overlay"),
    "maps": ("map", "explanation"),
    "four": ("input", "map", "overlay", "explanation"),
    "overlay": ("overlay",),
}
"""Which pictures stand beside each other."""

ALPHAS = (0.5, 0.7, 0.3)


@dataclass(frozen=True, eq=False)
class Scene:
    """One image in one cell, and what its pictures are made of.

    Attributes:
        others: every method of the backbone with its row on this image, once all methods are shown.
        truth: where the object is.
    """

    shot: Shot
    source: Source
    map: Map | None
    others: tuple[tuple[Cell, Row | None], ...] = ()
    truth: TruthObject = NO_OBJECT

    @property
    def no_map(self) -> str:
        """Why there is no map."""
        return self.shot.failure or "no map is stored for this image"


@dataclass(frozen=True)
class Look:
    """How the reader wants to see an image.

    Attributes:
        view: one of ``VIEWS``; ``all_methods`` takes its place.
        alpha: strength of the overlay; ``truth``: whether the object's edge is drawn.
    """

    view: str = "pair"
    all_methods: bool = False
    colours: ColourMap = COLOUR_MAPS[0]
    alpha: float = ALPHAS[0]
    truth: bool = True

    def other_view(self) -> Look:
        """The next pictures of the same image."""
        return replace(self, all_methods=False, view=_after(self.view, tuple(VIEWS)))

    def other_colours(self) -> Look:
        """The next colour map."""
        return replace(self, colours=_after(self.colours, COLOUR_MAPS))

    def other_alpha(self) -> Look:
        """Another strength of the overlay."""
        return replace(self, alpha=_after(self.alpha, ALPHAS))


def _after(value: T, values: Sequence[T]) -> T:
    return values[(values.index(value) + 1) % len(values)]


def items(scene: Scene, look: Look, metric: str) -> list[Item]:
    """The pictures to be shown, from left to right.

    With all methods each has its value of the metric below it.
    """
    if look.all_methods:
        return _every_method(scene, look, metric)
    return [_MAKERS[name](scene, look) for name in VIEWS[look.view]]


def overlay(scene: Scene, look: Look) -> Item:
    """The map over the input; the map alone where the image cannot be read."""
    title = f"overlay ({look.colours}, α {look.alpha})"
    return Item(
        title, _with_edge(_blended(scene.source.pixels, scene.map, look), scene, look), scene.no_map
    )


def _input(scene: Scene, look: Look) -> Item:
    return Item("input", _with_edge(scene.source.pixels, scene, look), scene.source.problem)


def _map(scene: Scene, look: Look) -> Item:
    return Item(
        f"saliency map ({look.colours})",
        _with_edge(_blended(None, scene.map, look), scene, look),
        scene.no_map,
    )


def _explanation(scene: Scene, _look: Look) -> Item:
    if scene.map is None or scene.source.pixels is None:
        return Item("explanation map", None, scene.source.problem or scene.no_map)
    return Item(
        "explanation map", pictures.explanation(scene.source.pixels, scene.map, scene.shot.loaded)
    )


_MAKERS = {"input": _input, "map": _map, "overlay": overlay, "explanation": _explanation}


def _every_method(scene: Scene, look: Look, metric: str) -> list[Item]:
    """The input, and every method's overlay in one colour scale.

    0 and 1 have the same colours everywhere.
    """
    shown = [Item("input", scene.source.pixels, scene.source.problem, " ")]
    known = known_metrics()[metric]
    values = {
        cell.id: scene.shot.value(metric)
        if cell.id == scene.shot.cell.id
        else getattr(row, metric, None)
        for cell, row in scene.others
    }
    ranked = [
        value
        for cell, _ in scene.others
        if (value := values[cell.id]) is not None and not is_control(cell.method)
    ]
    leading = max(ranked, key=lambda value: known.sign * value, default=None)
    for cell, row in scene.others:
        value = values[cell.id]
        best = value is not None and value == leading and not is_control(cell.method)
        caption = f"{metric_header(known)} {percent(value)}{SIGNS['best'] if best else ''}"
        picture = _with_edge(
            _blended(scene.source.pixels, map_of(cell.method, row, scene.shot.loaded), look),
            scene,
            look,
        )
        chosen = cell.id == scene.shot.cell.id
        shown.append(
            Item(
                printable(cell.method), picture, "not evaluated", caption, chosen=chosen, best=best
            )
        )
    return shown


def _with_edge(picture: Pixels | None, scene: Scene, look: Look) -> Pixels | None:
    """The picture with the edge of the object, where that is known and wanted."""
    if picture is None or scene.truth.pixels is None or not look.truth:
        return picture
    return pictures.outlined(picture, scene.truth.pixels)


def _blended(pixels: Pixels | None, values: Map | None, look: Look) -> Pixels | None:
    if values is None:
        return None
    if pixels is None:
        return pictures.coloured(values, look.colours)
    return pictures.overlay(pixels, values, look.colours, look.alpha)
