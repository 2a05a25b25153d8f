"""The image screen: one image in one cell, or all methods on it beside each other."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from textual.app import ComposeResult
from textual.binding import Binding

from camtui.feed import Snapshot
from camtui.pictures import seen_by
from camtui.truth_object import NO_OBJECT, TruthObject, object_in
from camtui.tui.image_pictures import DisplayOptions, ImageData, gallery_items, overlay
from camtui.tui.image_record import (
    ImageRecord,
    InputImage,
    first_image,
    neighbour,
    open_input,
    read_image_record,
    rows_of_image,
    saliency_map,
)
from camtui.tui.image_text import curve_lines, fact_lines, where_line
from camtui.tui.messages import CopyText, OpenImage, ShowPicture
from camtui.tui.run_connection import RunConnection
from camtui.tui.screens.base import RunScreen
from camtui.tui.settings import Settings
from camtui.tui.widgets.fields import Field
from camtui.tui.widgets.gallery import Gallery, GalleryItem, arrange
from camtui.tui.widgets.lines import TextLines
from evaluator.records import Cell, Preprocessing, Row

if TYPE_CHECKING:
    from evaluator.plan import RunPlan

IMAGES_CACHED = 12
"""Images whose pixels are kept, so that going back and forth costs nothing."""


_AROUND = 4
"""Rows above and below pictures, curves and facts: title, where we are, keys."""


def spare_rows(pictures: Sequence[GalleryItem], width: int, room: int) -> int:
    """Count the rows that curves may take without making pictures smaller, from 7 to 16."""
    layout = arrange(len(pictures), width, room, any(item.caption for item in pictures))
    rows = layout.lines * -(-len(pictures) // layout.columns)
    return max(7, min(16, room - rows))


class ImageScreen(RunScreen):
    """One image, ranked among the others of its cell."""

    BINDINGS = [
        Binding("left_square_bracket,left,h,k,up", "step(-1)", "prev/next", key_display="["),
        Binding("right_square_bracket,right,l,j,down", "step(1)", "prev/next", key_display="]"),
        Binding("o", "view", "view", tooltip="input and overlay, maps, all four, overlay alone"),
        Binding(
            "A,M",
            "all",
            "all methods",
            key_display="A",
            tooltip="every method on this image, one colour scale",
        ),
        Binding("d", "curves", "curves", tooltip="deletion and insertion"),
        Binding("c", "colours", "colours", tooltip="colour map"),
        Binding("a", "alpha", "alpha", tooltip="how strong the overlay is"),
        Binding("T", "truth", "object", tooltip="the edge of the object, by the run's truth"),
        Binding("w", "metric(1)", "worst by", tooltip="the metric that orders the images"),
        Binding("W", "metric(-1)", "worst by", show=False),
        Binding("b", "ends", "best/worst", show=False, tooltip="from the other end"),
        Binding(
            "i", "full", "full-res", show=False, tooltip="kitty or sixel graphics, with --images"
        ),
        Binding("y", "copy_path", "copy path", show=False),
        Binding("escape", "up", "up"),
    ]

    def __init__(self, connection: RunConnection, settings: Settings, wanted: OpenImage) -> None:
        super().__init__(connection)
        self._settings = settings
        self.cell_id, self.metric, self.worst = wanted.cell, wanted.metric, wanted.worst
        self.image_id = wanted.image
        self.image_data: ImageData | None = None
        self.options = DisplayOptions()
        self.curves = False
        self._inputs: dict[tuple[int, Preprocessing], InputImage] = {}
        self._plan: RunPlan | None = None
        self._problem = ""

    def body(self) -> ComposeResult:
        """Compose the place in the order, the pictures, the curves, the values."""
        yield TextLines(id="where")
        yield Gallery(id="gallery", ascii_only=self._settings.ascii)
        yield TextLines(id="curves")
        yield TextLines(id="facts")

    def on_mount(self) -> None:
        """Fetch the image."""
        super().on_mount()
        self.options = DisplayOptions("four" if self.app.size.width >= 120 else "pair")
        self._open(self.image_id)

    # -- fetching
    # ----------------------------------------------------------------------------------------------

    def _open(self, image: int | None) -> None:
        self.fetch(partial(self._load, image), "image")

    async def _load(self, image: int | None) -> None:
        cell = self._cell()
        if cell is None:
            return
        metric, worst = self.metric, self.worst
        if image is None:
            found = await self.ask(
                lambda reader: (first_image(reader, cell.id, metric, worst=worst),)
            )
            if found is None:  # the file was refused, and a toast says why
                return
            (image,) = found
        if image is None:
            self._say_nothing("no image of this cell has a value yet")
            return
        number = image
        record = await self.ask(
            lambda reader: read_image_record(reader, cell, number, metric, worst=worst)
        )
        if record is None:
            return
        input_image = await self._input(record)
        others: list[tuple[Cell, Row | None]] | None = []
        if self.options.all_methods:
            cells = [
                one
                for one in self.snapshot.cells
                if one.backbone == cell.backbone and one.applicable
            ]
            others = await self.ask(lambda reader: rows_of_image(reader, cells, number))
        self.image_id = number
        map_, truth = (
            saliency_map(cell.method, record.row, record.loaded),
            await self._object(record),
        )
        self.image_data = ImageData(record, input_image, map_, tuple(others or ()), truth)
        self._draw()

    async def _input(self, record: ImageRecord) -> InputImage:
        """Read the pixels; opening a file is left to a thread."""
        if self._plan is None:
            self._plan = await self._find_plan()
        if self._plan is None:
            return InputImage(None, self._problem)
        key = record.image.id, seen_by(record.loaded, self._plan.resize)
        if key not in self._inputs:
            self._inputs[key] = await asyncio.to_thread(
                open_input, self._plan.data, record.image, key[1]
            )
            while len(self._inputs) > IMAGES_CACHED:
                del self._inputs[next(iter(self._inputs))]
        return self._inputs[key]

    async def _object(self, record: ImageRecord) -> TruthObject:
        """Read the object's place; reading its file is left to a thread."""
        if self._plan is None or record.row is None:
            return NO_OBJECT
        return await asyncio.to_thread(
            object_in, self._plan, record.image, record.row.target, record.loaded
        )

    async def _find_plan(self) -> RunPlan | None:
        found = await self.ask(lambda reader: reader.plan())
        if found is None:
            self._problem = "the plan of this run cannot be read, so the images cannot be found"
        return found

    def _cell(self) -> Cell | None:
        view = self.snapshot.views.get(self.cell_id)
        return view.cell if view else None

    # -- what is shown
    # ----------------------------------------------------------------------------------------------

    def snapshot_shown(self, snapshot: Snapshot) -> None:
        """Read an image that was still to come again; a finished row does not change."""
        if self.image_data is not None and self.image_data.record.row is None:
            self._open(self.image_id)

    def _say_nothing(self, why: str) -> None:
        self.query_one("#where", TextLines).show([[Field(f" {why}", "warn")]])

    def _draw(self) -> None:
        image_data = self.image_data
        if image_data is None or not self.is_mounted:
            return
        width = self.app.size.width
        self.query_one("#where", TextLines).show(
            [where_line(image_data.record, self.metric, self.worst, width)]
        )
        pictures = self._pictures(image_data)
        self.query_one("#gallery", Gallery).show(pictures)
        facts = fact_lines(image_data.record, self.metric, width)
        self.query_one("#facts", TextLines).show(facts)
        panel = self.query_one("#curves", TextLines)
        show_curves = bool(image_data.record.curves) and (self.curves or self.app.size.height >= 34)
        panel.display = show_curves
        room = self.app.size.height - len(facts) - _AROUND
        panel.show(
            curve_lines(image_data.record, width, spare_rows(pictures, width, room))
            if show_curves
            else []
        )
        self.refresh_bindings()

    def _pictures(self, image_data: ImageData) -> list[GalleryItem]:
        if self._settings.images == "off":
            return [GalleryItem("pictures are off", None, "start with --images half to see them")]
        return gallery_items(image_data, self.options, self.metric)

    # -- keys
    # ----------------------------------------------------------------------------------------------

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Offer curves and the object's edge only where the run has them."""
        if action == "curves":
            return bool(self.image_data and self.image_data.record.curves)
        if action == "truth":
            return self._plan is not None and self._plan.truth is not None
        return True

    def action_step(self, step: int) -> None:
        """Show the next image of the list, or the one before."""
        if self.image_data is not None:
            self.fetch(partial(self._step, self.image_data.record, step), "image")

    async def _step(self, record: ImageRecord, step: int) -> None:
        metric, worst = self.metric, self.worst
        image = await self.ask(
            lambda reader: neighbour(reader, record, metric, worst=worst, step=step)
        )
        if image is not None:
            await self._load(image)

    def action_view(self) -> None:
        """Show other pictures of the same image."""
        self.options = self.options.next_view()
        self._draw()

    def action_all(self) -> None:
        """Show all methods beside each other, or this one again."""
        self.options = replace(self.options, all_methods=not self.options.all_methods)
        self._open(self.image_id)

    def action_curves(self) -> None:
        """Show or hide the curves."""
        self.curves = not self.curves
        self._draw()

    def action_colours(self) -> None:
        """Draw with the next colour map."""
        self.options = self.options.next_colours()
        self._draw()

    def action_alpha(self) -> None:
        """Draw with another strength of the overlay."""
        self.options = self.options.next_alpha()
        self._draw()

    def action_truth(self) -> None:
        """Show or hide the object's edge; where it is not known, say why."""
        self.options = replace(self.options, truth=not self.options.truth)
        if self.image_data is not None and self.image_data.truth.problem:
            self.toast(self.image_data.truth.problem, "warning")
        self._draw()

    def action_metric(self, step: int) -> None:
        """Rank by the next metric, and show the first image of that order."""
        metrics = self.snapshot.metrics
        self.metric = metrics[(metrics.index(self.metric) + step) % len(metrics)]
        self._open(None)

    def action_ends(self) -> None:
        """Show the first image from the other end."""
        self.worst = not self.worst
        self._open(None)

    def action_full(self) -> None:
        """Show the overlay in the terminal's own graphics."""
        if self.image_data is not None:
            self.post_message(ShowPicture(overlay(self.image_data, self.options).picture))

    def action_copy_path(self) -> None:
        """Copy the image's path."""
        if self.image_data is not None and self._plan is not None:
            path = self.image_data.record.image.path.decode("utf-8", "backslashreplace")
            self.post_message(CopyText(f"{self._plan.data}/{path}", "path"))
