"""Two maps of one image side by side, of two methods, networks or runs, and their difference."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

from textual.app import ComposeResult
from textual.binding import Binding

from camtui.feed import Snapshot
from camtui.format import Field, percent, signed_percent
from camtui.pictures import Panels, Pixels, difference, seen_by
from camtui.tui.image_data import (
    ALPHAS,
    OFFERED,
    DisplayOptions,
    ImageData,
    ImageRecord,
    gallery_item,
    open_input,
    read_image_record,
    remembered_look,
    saliency_map,
)
from camtui.tui.run_connection import RunConnection
from camtui.tui.screens.base import RunScreen, after
from camtui.tui.text import class_name, header, shortened
from camtui.tui.theme import DEFAULTS, Settings, in_words, remember, without_colours
from camtui.tui.widgets.fields import TextLines, fitted
from camtui.tui.widgets.gallery import Gallery, GalleryItem
from evaluator.catalog import known_metrics
from evaluator.errors import CamtuiError, NotFound
from evaluator.records import Cell
from evaluator.store.reader import RunReader
from evaluator.text import printable


class Side(NamedTuple):
    """Whose map is shown on one side."""

    run: Path
    backbone: str
    method: str


def names_of(sides: Sequence[Side], width: int) -> list[str]:
    """Name two sides by what tells them apart: run, method, network."""
    first, second = sides
    parts = [
        [of.run.stem for of in sides] if first.run != second.run else None,
        [of.method for of in sides] if first.method != second.method else None,
        [of.backbone for of in sides] if first.backbone != second.backbone else None,
    ]
    unlike = [part for part in parts if part] or [[of.method for of in sides]]
    names = [" × ".join(printable(part[place]) for part in unlike) for place in range(2)]
    if max(map(len, names)) > width:  # each part by what its names have in common
        room = (width - 3 * (len(unlike) - 1)) // len(unlike)
        fitting = [shortened(part, room) for part in unlike]
        names = [
            " × ".join(fit[part[place]] for fit, part in zip(fitting, unlike, strict=True))
            for place in range(2)
        ]
    short = shortened(names, width)
    return [short[name] for name in names]


def read_side(side: Side, path: bytes, metric: str) -> ImageData:
    """Read the image of a path in one run, under one network and method. Blocking.

    Raises:
        CamtuiError: the run, the image or the method is not there.
    """
    with RunReader(side.run) as reader:
        cells = {(cell.backbone, cell.method): cell for cell in reader.cells()}
        cell = cells.get((side.backbone, side.method))
        if cell is None:
            raise NotFound(f"{side.run.stem} has no {side.backbone} × {side.method}", "")
        image = reader.images.find(path.decode("utf-8", "surrogateescape")).id
        record = read_image_record(reader, cell, image, metric, worst=True)
        plan = reader.plan()
    found = open_input(plan.folder, record.image, seen_by(record.loaded, plan.resize))
    map_ = saliency_map(cell.method, record.row, record.loaded)
    panels = Panels(image=found.pixels, saliency=map_, loaded=record.loaded)
    return ImageData(record, panels, found.problem)


STEPPED = 1000
"""Images that two at once can go through, in the order of the first."""


async def open_two(
    screen: RunScreen, cell: Cell, path: bytes, metric: str, worst: bool, *, method: str = ""
) -> None:
    """Show an image under the method of a cell and under another, the next where none is named.

    Args:
        worst: whether the images that follow it are listed from the worst, by the metric.
    """
    ascending = known_metrics()[metric].is_ascending(worst_first=worst)
    listed = await screen.ask(
        lambda reader: [
            reader.images.get(ranked.image).path
            for ranked in reader.ranking.page(cell.id, metric, ascending=ascending, limit=STEPPED)
        ]
    )
    images = listed if listed and path in listed else [path]
    views = [
        view
        for view in screen.snapshot.views.values()
        if view.cell.applicable and view.cell.backbone == cell.backbone
    ]
    here = [view.cell for view in views if not (view.twin or view.control)]
    others = [view.cell for view in views if view.cell.method == method]
    others += [other for other in here if other.id > cell.id]
    second = next((other for other in [*others, *here] if other.id != cell.id), cell)
    sides = [Side(screen.connection.path, one.backbone, one.method) for one in (cell, second)]
    await screen.app.push_screen(
        TwoScreen(screen.connection, sides[0], sides[1], images, images.index(path), metric)
    )


def number_lines(
    names: Sequence[str], records: Sequence[ImageRecord], metric: str, width: int, app: object
) -> list[list[Field]]:
    """Set the confidences and metrics of both below each other, and what the second has more."""
    name_width = max(len("difference"), *map(len, names))
    lines: list[list[Field]] = [
        [Field(f" {'':<{name_width}}  confidence   ", "head")],
        *([Field(f" {name:<{name_width}}  ", "strong")] for name in names),
        [Field(f" {'difference':<{name_width}}  {'':13}", "dim")],
    ]
    for line, record in zip(lines[1:], records, strict=False):
        row = record.row
        shown = f"{row.y:.3f}→{row.o:.3f}" if row else "no row"
        line.append(Field(f"{shown:<13}"))
    used = name_width + 16
    for key, known in sorted(known_metrics().items(), key=lambda item: item[0] != metric):
        values = [record.value(key) for record in records]
        title = in_words(header(key), app)
        wide = max(8, len(title) + 1)
        if values == [None, None] or used + wide > width:
            continue
        used += wide
        lines[0].append(Field(fitted(title, wide, right=True), "head"))
        for line, value in zip(lines[1:], values, strict=False):
            role = "strong" if key == metric else ""
            line.append(Field(fitted(percent(value), wide, right=True), role))
        change = None if None in values else (values[1] or 0.0) - (values[0] or 0.0)
        gain = known.sign * (change or 0.0)
        role = "best" if gain > 0 else "error" if gain < 0 else "dim"
        lines[-1].append(Field(fitted(signed_percent(change), wide, right=True), role))
    return lines


class TwoScreen(RunScreen):
    """One image under two methods, two networks or in two runs."""

    BINDINGS = [
        Binding("left_square_bracket,left,h,up,k", "step(-1)", "prev/next", key_display="["),
        Binding("right_square_bracket,right,l,down,j", "step(1)", "prev/next", key_display="]"),
        Binding("m", "method(1)", "method", tooltip="of the second picture"),
        Binding("M", "method(-1)", "method", show=False),
        Binding("n", "network(1)", "network", tooltip="of the second picture"),
        Binding("N", "network(-1)", "network", show=False),
        Binding("less_than_sign", "swap", "swap", key_display="<"),
        Binding("c", "colours", "colours", tooltip="colour map"),
        Binding("a", "alpha", "alpha", tooltip="how strong the overlay is"),
        Binding("escape,vertical_line", "up", "up", key_display="Esc"),
    ]

    def __init__(
        self,
        connection: RunConnection,
        first: Side,
        second: Side,
        images: Sequence[bytes],
        place: int,
        metric: str,
    ) -> None:
        """Show one of some images, named by their paths, under both sides."""
        super().__init__(connection)
        self.sides = first, second
        self._images, self._place, self._metric = images, place, metric
        self._found: tuple[ImageData, ImageData] | None = None
        self._options = DisplayOptions(truth=False)

    @property
    def _settings(self) -> Settings:
        return getattr(self.app, "settings", DEFAULTS)

    def body(self) -> ComposeResult:
        """Compose the image's name, the three pictures, their numbers."""
        yield TextLines(id="where")
        yield Gallery(self._settings, id="gallery")
        yield TextLines(id="facts")

    def on_mount(self) -> None:
        """Read the image."""
        super().on_mount()
        self._options = replace(self._options, look=remembered_look(self.app))
        self._read()

    def _read(self) -> None:
        self.fetch(self._load, "image")

    async def _load(self) -> None:
        path = self._images[self._place]
        try:
            read = partial(read_side, path=path, metric=self._metric)
            first, second = await asyncio.gather(
                *(asyncio.to_thread(read, side) for side in self.sides)
            )
        except (CamtuiError, sqlite3.Error) as error:
            self.notify(str(error), severity="warning")
            return
        self._found = first, second
        self._draw()

    def snapshot_shown(self, snapshot: Snapshot) -> None:
        """Draw for the width that there is now."""
        self._draw()

    def _draw(self) -> None:
        if self._found is None or not self.ready:
            return
        width = self.app.size.width
        names, metric = names_of(self.sides, 28), self._metric
        records = [data.record for data in self._found]
        of_place = f" {self._place + 1} of {len(self._images)}  "
        same = self.sides[0]
        common = [
            *([same.backbone] if same.backbone == self.sides[1].backbone else []),
            *([same.method] if same.method == self.sides[1].method else []),
        ]
        label = class_name(
            records[0].loaded.classes if records[0].loaded else (), records[0].image.label
        )
        where = [
            Field(f" {printable(' × '.join(common))}" if common else "", "strong"),
            Field(of_place, "accent"),
            Field(f"{label}  "),
            Field(printable(records[0].image.path, 200), "dim"),
        ]
        self.put("where", [where])
        self.put("facts", number_lines(names, records, metric, width, self.app))
        self.query_one("#gallery", Gallery).show(self._pictures(names))
        self.refresh_bindings()

    def _pictures(self, names: Sequence[str]) -> list[GalleryItem]:
        if self._found is None or self._settings.images == "off":
            note = "start without --images off to see them"
            return [GalleryItem("pictures are off", None, note)]
        drawn = [
            replace(
                gallery_item(data, "overlay", self._options),
                title=name,
                caption=f"{header(self._metric)} {percent(data.record.value(self._metric))}",
                details=(),
            )
            for name, data in zip(names, self._found, strict=True)
        ]
        maps = [data.panels.saliency for data in self._found]
        picture: Pixels | None = None
        caption = " "
        if maps[0] is not None and maps[1] is not None:
            greys = without_colours(self.app)
            picture, largest = difference(maps[0], maps[1], greys=greys)
            caption = f"{'light' if greys else 'blue first'}, up to {largest:.2f}"
            caption = caption if largest >= 0.005 else "none"
        item = GalleryItem("difference", picture, "a map is missing", caption)
        return [*drawn, item]

    # -- keys
    # ----------------------------------------------------------------------------------------------

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Offer other methods and networks of one run, and colours where there are any."""
        if action == "colours":
            return not without_colours(self.app)
        return action not in ("method", "network") or self.sides[0].run == self.sides[1].run

    def action_step(self, step: int) -> None:
        """Show the next image, or the one before."""
        place = max(0, min(self._place + step, len(self._images) - 1))
        if place != self._place:
            self._place = place
            self._read()

    def action_method(self, step: int) -> None:
        """Show the second picture by another method."""
        second = self.sides[1]
        methods = [
            cell.method
            for cell in self.snapshot.cells
            if cell.backbone == second.backbone and cell.applicable
        ]
        self._second(second._replace(method=after(second.method, methods, step)))

    def action_network(self, step: int) -> None:
        """Show the second picture of another network."""
        second = self.sides[1]
        networks = [
            cell.backbone
            for cell in self.snapshot.cells
            if cell.method == second.method and cell.applicable
        ]
        self._second(second._replace(backbone=after(second.backbone, networks, step)))

    def _second(self, side: Side) -> None:
        self.sides = self.sides[0], side
        self._read()

    def action_swap(self) -> None:
        """Put the second picture first."""
        self.sides = self.sides[1], self.sides[0]
        self._read()

    def action_colours(self) -> None:
        """Draw with the next colour map."""
        self._look(colours=after(self._options.look.colours, OFFERED))

    def action_alpha(self) -> None:
        """Draw with another strength of the overlay."""
        self._look(alpha=after(self._options.look.alpha, ALPHAS))

    def _look(self, **changes: str | float) -> None:
        look = self._options.look._replace(**changes)  # type: ignore[arg-type]  # fields of Look
        self._options = replace(self._options, look=look)
        if not self._settings.readonly:
            remember(**changes)
        self._draw()
