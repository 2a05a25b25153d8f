"""One image in one cell: what the network saw, what the method marked, what was measured; or all methods beside each other."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from textual.app import ComposeResult
from textual.binding import Binding

from camtui import pictures
from camtui.feed import Snapshot
from camtui.format import ABSENT, count, metric_header, percent
from camtui.pictures import COLOUR_MAPS, Map, Pixels
from camtui.tui import plots
from camtui.tui.describe import cell_name, flowed
from camtui.tui.screens.base import RunScreen
from camtui.tui.screens.cell import class_name
from camtui.tui.shot import Shot, Source, all_methods_on, first_of, map_of, neighbour, open_source, read_shot
from camtui.tui.widgets.fields import Field
from camtui.tui.widgets.gallery import Gallery, Item
from camtui.tui.widgets.lines import TextLines
from evaluator.metrics import all_metrics
from evaluator.records import Cell, Row
from evaluator.text import printable

if TYPE_CHECKING:
    from evaluator.store.reader import RunReader

VIEWS = ("pair", "maps", "four", "overlay")
"""What ``o`` goes through: input and overlay; map and explanation map; all four; the overlay alone."""

ALPHAS = (0.5, 0.7, 0.3)
KEPT = 12
"""Images whose pixels are kept, so that going back and forth costs nothing."""


@dataclass(frozen=True, eq=False)
class Scene:
    """One image on the screen.

    Attributes:
        others: every method of the backbone with its row on this image, once all methods are shown.
    """

    shot: Shot
    source: Source
    map: Map | None
    others: tuple[tuple[Cell, Row | None], ...] = ()


class ImageScreen(RunScreen):
    """One image, ranked among the others of its cell."""

    BINDINGS = [
        Binding("left_square_bracket,left,h,k,up", "step(-1)", "prev/next", key_display="["),
        Binding("right_square_bracket,right,l,j,down", "step(1)", "prev/next", key_display="]"),
        Binding("o", "view", "view", tooltip="input and overlay, maps, all four, overlay alone"),
        Binding("A,M", "all", "all methods", key_display="A", tooltip="every method on this image, one colour scale"),
        Binding("d", "curves", "curves", tooltip="deletion and insertion"),
        Binding("c", "colours", "colours", tooltip="colour map"),
        Binding("a", "alpha", "alpha", tooltip="how strong the overlay is"),
        Binding("w", "metric(1)", "worst by", tooltip="the metric that orders the images"),
        Binding("W", "metric(-1)", "worst by", show=False),
        Binding("b", "ends", "best/worst", show=False, tooltip="from the other end"),
        Binding("i", "full", "full-res", show=False, tooltip="kitty or sixel graphics, with --images"),
        Binding("y", "copy_path", "copy path", show=False),
        Binding("escape", "up", "up"),
    ]

    def __init__(self, cell: int, image: int | None, metric: str, *, worst: bool = True) -> None:
        """Show an image.

        Args:
            image: its number; ``None`` for the first of the list.
        """
        super().__init__()
        self.cell_id, self.metric, self.worst = cell, metric, worst
        self.image_id = image
        self.scene: Scene | None = None
        self.view = ""
        self.all_methods = self.curves = False
        self.colours, self.alpha = COLOUR_MAPS[0], ALPHAS[0]
        self._sources: dict[int, Source] = {}
        self._folder: tuple[str, int] | None = None
        self._problem = ""

    def body(self) -> ComposeResult:
        """Where we are, the pictures, what was measured."""
        yield TextLines(id="where")
        yield Gallery(id="gallery")
        yield TextLines(id="curves")
        yield TextLines(id="facts")

    def on_mount(self) -> None:
        """Fetch the image."""
        super().on_mount()
        self.view = "four" if self.app.size.width >= 120 else "pair"
        self._open(self.image_id)

    # -- fetching ----------------------------------------------------------------------------------------------------------------

    def _open(self, image: int | None) -> None:
        self.fetch(partial(self._load, image), "image")

    async def _load(self, image: int | None) -> None:
        cell = self._cell()
        if cell is None:
            return
        metric, worst = self.metric, self.worst
        if image is None:
            image = await self.ask(lambda reader: first_of(reader, cell.id, metric, worst=worst))
        if image is None:
            self._say_nothing("no image of this cell has a value yet")
            return
        number = image
        shot = await self.ask(lambda reader: read_shot(reader, cell, number, metric, worst=worst))
        if shot is None:
            return
        source = await self._source(shot)
        others: list[tuple[Cell, Row | None]] | None = []
        if self.all_methods and self.snapshot is not None:
            cells = [one for one in self.snapshot.cells if one.backbone == cell.backbone and one.applicable]
            others = await self.ask(lambda reader: all_methods_on(reader, cells, number))
        self.image_id = number
        self.scene = Scene(shot, source, map_of(cell.method, shot.row, shot.loaded), tuple(others or ()))
        self._draw()

    async def _source(self, shot: Shot) -> Source:
        """The pixels; opening a file is left to a thread."""
        if self._folder is None:
            self._folder = await self._find_folder()
        if self._folder is None:
            return Source(None, self._problem)
        if shot.image.id not in self._sources:
            root, resize = self._folder
            self._sources[shot.image.id] = await asyncio.to_thread(open_source, root, resize, shot.image)
            while len(self._sources) > KEPT:
                del self._sources[next(iter(self._sources))]
        return self._sources[shot.image.id]

    async def _find_folder(self) -> tuple[str, int] | None:
        def folder(reader: RunReader) -> tuple[str, int]:
            plan = reader.plan()
            return plan.data, plan.resize

        found = await self.ask(folder)
        if found is None:
            self._problem = "the plan of this run cannot be read, so the images cannot be found"
        return found

    def _cell(self) -> Cell | None:
        view = self.snapshot.views.get(self.cell_id) if self.snapshot else None
        return view.cell if view else None

    # -- what is shown -----------------------------------------------------------------------------------------------------------

    def snapshot_shown(self, snapshot: Snapshot) -> None:
        """A finished row does not change; an image that was still to come may have one now."""
        if self.scene is not None and self.scene.shot.row is None:
            self._open(self.image_id)

    def _say_nothing(self, why: str) -> None:
        self.query_one("#where", TextLines).show([[Field(f" {why}", "warn")]])

    def _draw(self) -> None:
        scene = self.scene
        if scene is None or not self.is_mounted:
            return
        width = self.app.size.width
        self.query_one("#where", TextLines).show([where_line(scene.shot, self.metric, self.worst)])
        self.query_one("#gallery", Gallery).show(self._items(scene))
        self.query_one("#facts", TextLines).show(fact_lines(scene.shot, self.metric, width))
        panel = self.query_one("#curves", TextLines)
        show_curves = bool(scene.shot.curves) and (self.curves or self.app.size.height >= 34)
        panel.display = show_curves
        panel.show(curve_lines(scene.shot, width) if show_curves else [])
        self.refresh_bindings()

    def _items(self, scene: Scene) -> list[Item]:
        if self.app_settings_images_off:
            return [Item("pictures are off", None, "start with --images half to see them")]
        if self.all_methods:
            return self._method_items(scene)
        makers: dict[str, Callable[[Scene], Item]] = {
            "input": self._input, "map": self._map, "overlay": self._overlay, "explanation": self._explanation,
        }  # fmt: skip
        names = {
            "pair": ("input", "overlay"), "maps": ("map", "explanation"), "four": ("input", "map", "overlay", "explanation"),
            "overlay": ("overlay",),
        }[self.view or "pair"]  # fmt: skip
        return [makers[name](scene) for name in names]

    @property
    def app_settings_images_off(self) -> bool:
        """Whether the user wants no pictures."""
        return self.dashboard.settings.images == "off"

    def _input(self, scene: Scene) -> Item:
        return Item("input", scene.source.pixels, scene.source.problem)

    def _map(self, scene: Scene) -> Item:
        picture = None if scene.map is None else pictures.coloured(scene.map, self.colours)
        return Item(f"saliency map ({self.colours})", picture, self._no_map(scene))

    def _overlay(self, scene: Scene) -> Item:
        title = f"overlay ({self.colours}, α {self.alpha})"
        if scene.map is None or scene.source.pixels is None:
            return Item(title, self._map(scene).picture, self._no_map(scene))
        return Item(title, pictures.overlay(scene.source.pixels, scene.map, self.colours, self.alpha))

    def _explanation(self, scene: Scene) -> Item:
        if scene.map is None or scene.source.pixels is None:
            return Item("explanation map", None, scene.source.problem or self._no_map(scene))
        return Item("explanation map", pictures.explanation(scene.source.pixels, scene.map, scene.shot.loaded))

    def _no_map(self, scene: Scene) -> str:
        return scene.shot.failure or "no map is stored for this image"

    def _method_items(self, scene: Scene) -> list[Item]:
        """The input, and every method's overlay in one colour scale: 0 and 1 have the same colours everywhere."""
        items = [Item("input", scene.source.pixels, scene.source.problem, " ")]
        for cell, row in scene.others:
            values = map_of(cell.method, row, scene.shot.loaded)
            value = scene.shot.value(self.metric) if cell.id == scene.shot.cell.id else getattr(row, self.metric, None)
            caption = f"{metric_header(all_metrics()[self.metric])} {percent(value)}"
            picture = self._blended(scene.source.pixels, values)
            items.append(Item(printable(cell.method), picture, "not evaluated", caption, strong=cell.id == scene.shot.cell.id))
        return items

    def _blended(self, pixels: Pixels | None, values: Map | None) -> Pixels | None:
        if values is None:
            return None
        if pixels is None:
            return pictures.coloured(values, self.colours)
        return pictures.overlay(pixels, values, self.colours, self.alpha)

    # -- keys --------------------------------------------------------------------------------------------------------------------

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Curves only where the run has them."""
        if action == "curves":
            return bool(self.scene and self.scene.shot.curves)
        return True

    def action_step(self, step: int) -> None:
        """The next image of the list, or the one before."""
        if self.scene is not None:
            self.fetch(partial(self._step, self.scene.shot, step), "image")

    async def _step(self, shot: Shot, step: int) -> None:
        metric, worst = self.metric, self.worst
        image = await self.ask(lambda reader: neighbour(reader, shot, metric, worst=worst, step=step))
        if image is not None:
            await self._load(image)

    def action_view(self) -> None:
        """Other pictures of the same image."""
        self.all_methods = False
        self.view = VIEWS[(VIEWS.index(self.view) + 1) % len(VIEWS)]
        self._draw()

    def action_all(self) -> None:
        """All methods beside each other, or this one again."""
        self.all_methods = not self.all_methods
        self._open(self.image_id)

    def action_curves(self) -> None:
        """Show or hide the curves."""
        self.curves = not self.curves
        self._draw()

    def action_colours(self) -> None:
        """The next colour map."""
        self.colours = COLOUR_MAPS[(COLOUR_MAPS.index(self.colours) + 1) % len(COLOUR_MAPS)]
        self._draw()

    def action_alpha(self) -> None:
        """Another strength of the overlay."""
        self.alpha = ALPHAS[(ALPHAS.index(self.alpha) + 1) % len(ALPHAS)]
        self._draw()

    def action_metric(self, step: int) -> None:
        """Rank by the next metric; the image stays."""
        if self.snapshot is not None:
            metrics = self.snapshot.metrics
            self.metric = metrics[(metrics.index(self.metric) + step) % len(metrics)]
            self._open(self.image_id)

    def action_ends(self) -> None:
        """To the first image from the other end."""
        self.worst = not self.worst
        self._open(None)

    def action_full(self) -> None:
        """The overlay in the terminal's own graphics."""
        if self.scene is not None:
            self.dashboard.show_full(self._overlay(self.scene).picture)

    def action_copy_path(self) -> None:
        """The image's path, to the clipboard of the terminal."""
        if self.scene is not None and self._folder is not None:
            path = self.scene.shot.image.path.decode("utf-8", "backslashreplace")
            self.dashboard.copy(f"{self._folder[0]}/{path}", "path")

    def action_up(self) -> None:
        """Back to where this was opened."""
        self.dashboard.pop_screen()


def where_line(shot: Shot, metric: str, worst: bool) -> list[Field]:
    """Cell, place in the order, file."""
    place = f"{count(shot.rank[0])}/{count(shot.rank[1])}" if shot.rank else "no value"
    end = "worst" if worst else "best"
    name = printable(shot.image.path, 48)
    return [
        Field(f" {cell_name(shot.cell)}", "strong"),
        Field(f"  {end} by {all_metrics()[metric].short} ", "dim"),
        Field(place, "accent"),
        Field(f"  {name}", "dim"),
    ]


def fact_lines(shot: Shot, metric: str, width: int) -> list[list[Field]]:
    """Classes, confidences and every metric of this image."""
    classes = shot.loaded.classes if shot.loaded else ()
    row = shot.row
    if row is None:
        return [[Field(f" {shot.failure}", "warn")]]
    same = shot.image.label == row.predicted
    facts = [Field(" true ", "dim"), Field(class_name(classes, shot.image.label)), Field("   predicted ", "dim")]
    facts.append(Field(class_name(classes, row.predicted), "" if same else "warn"))
    if row.target != row.predicted:
        facts += [Field("   explained ", "dim"), Field(class_name(classes, row.target))]
    facts += [Field("   confidence ", "dim"), Field(f"{row.y:.3f} → {row.o:.3f}")]
    facts.append(Field(" on the explanation map" if width >= 100 else " masked", "dim"))
    groups = []
    for key in all_metrics():
        value = shot.value(key)
        if value is not None or key in ("average_drop", "adcc"):
            shown = percent(value) if value is not None else ABSENT
            name = Field(f"{metric_header(all_metrics()[key])} ", "dim")
            groups.append([name, Field(shown, "strong" if key == metric else "")])
    lines = [facts, *flowed(groups, width)]
    if row.degenerate:
        lines.append([Field(" the map is all zero: nothing spoke for the class", "warn")])
    return lines


def curve_lines(shot: Shot, width: int, height: int = 5) -> list[list[Field]]:
    """Deletion, insertion and their like over the share of pixels, side by side."""
    count = max(2, len(shot.curves))
    side = max(10, (width - 6 * count) // count)
    blocks = []
    for place, (name, measured) in enumerate(sorted(shot.curves.items())):
        points = np.frombuffer(measured.curve, dtype="<f2").astype(float).tolist()
        plot = plots.BraillePlot(side, height, 0.0, max([0.05, *points]))
        plot.line(points)
        title = f"{metric_header(all_metrics()[name])} {percent(measured.value)}   p from 0 to {max([0.05, *points]):.2f}"
        blocks.append([Field(f"{title:<{side}.{side}}", "dim"), *(Field(line, f"series{place}") for line in plot.lines())])
    return [[part for block in blocks for part in (Field("  "), block[row])] for row in range(height + 1)]
