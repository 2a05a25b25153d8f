"""The image screen: one image in one cell, or all methods on it beside each other."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Center, Horizontal
from textual.screen import ModalScreen
from textual.timer import Timer
from textual.widget import Widget

from camtui.feed import Snapshot
from camtui.format import Field
from camtui.pictures import (
    NO_OBJECT,
    Panels,
    Pixels,
    TruthObject,
    object_in,
    seen_by,
)
from camtui.tui.curves import Play, curve_lines, playable, why_not_played
from camtui.tui.image_data import (
    ALPHAS,
    OFFERED,
    VIEWS,
    DisplayOptions,
    ImageData,
    ImageRecord,
    InputImage,
    MethodTile,
    classes_in_short,
    fact_lines,
    gallery_item,
    method_tiles,
    neighbour,
    open_input,
    read_image_record,
    remembered_look,
    saliency_map,
    where_line,
)
from camtui.tui.run_connection import RunConnection
from camtui.tui.screens.base import RunScreen, after
from camtui.tui.terminal import picture_widget, why_no_graphics
from camtui.tui.text import header
from camtui.tui.theme import Settings, remember, without_colours
from camtui.tui.widgets.fields import TextLines
from camtui.tui.widgets.gallery import (
    Gallery,
    GalleryItem,
    TileChosen,
    TileOpened,
    Tiles,
    arrange,
)
from camtui.tui.widgets.keybar import KeyBar
from evaluator.records import Cell, Preprocessing
from evaluator.store.reader import RankedImage

if TYPE_CHECKING:
    from evaluator.plan import RunPlan


IMAGES_CACHED = 12
"""Images whose pixels are kept, so that going back and forth costs nothing."""


FRAME = 0.15
"""Seconds between two pictures of a curve that is played."""

_AROUND = 4
"""Rows above and below pictures, curves and facts: title, where we are, keys."""

CURVE_ROWS = 7
"""Rows of the curves where the pictures would need the rest."""


class ImageScreen(RunScreen):
    """One image, ranked among the others of its cell."""

    TEXT = "path"

    BINDINGS = [
        Binding("left_square_bracket", "step(-1)", "prev/next"),
        Binding("right_square_bracket", "step(1)", "prev/next"),
        Binding("left,h,k,up", "arrow(-1)", "prev/next", key_display="["),
        Binding("right,l,j,down", "arrow(1)", "prev/next", key_display="]"),
        Binding("o", "view", "view", tooltip="input and overlay, maps, all four, overlay alone"),
        Binding(
            "A,M",
            "all",
            "all methods",
            key_display="A",
            tooltip="every method on this image, one colour scale",
        ),
        Binding(
            "space",
            "play",
            "play",
            tooltip="deletion or insertion step by step; arrows step, d the other curve",
        ),
        Binding("vertical_line", "two", "two at once", key_display="|", tooltip="beside it"),
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
        Binding("y", "app.copy_view", "copy path", show=False),
        Binding("escape", "up", "up"),
    ]

    def __init__(
        self,
        connection: RunConnection,
        settings: Settings,
        cell: int,
        image: int | None,
        metric: str,
        *,
        worst: bool,
    ) -> None:
        """Show an image of a cell, ``None`` for the first of its order by a metric.

        Args:
            worst: whether that order begins at the worst image.
        """
        super().__init__(connection)
        self._settings = settings
        self.cell_id, self.metric, self.worst = cell, metric, worst
        self.image_id = image
        self.image_data: ImageData | None = None
        self.options = DisplayOptions()
        self.curves = False
        self.play: Play | None = None
        self._timer: Timer | None = None
        self._tiles: list[MethodTile] = []
        self._on_tile: str | None = None
        self._inputs: dict[tuple[int, Preprocessing], InputImage] = {}
        self._plan: RunPlan | None = None
        self._once_read: Callable[[], None] | None = None

    def body(self) -> ComposeResult:
        """Compose the place in the order, the pictures, the curves, the values."""
        yield TextLines(id="where")
        with Horizontal(id="beside"):
            yield Gallery(self._settings, id="gallery")
            yield TextLines(id="play")
        yield Tiles(self._settings, id="tiles")
        yield TextLines(id="curves")
        yield TextLines(id="facts")

    def on_mount(self) -> None:
        """Fetch the image."""
        super().on_mount()
        view = "four" if self.app.size.width >= 120 else "pair"
        self.options = DisplayOptions(view, look=remembered_look(self.app))
        self._open(self.image_id)

    # -- fetching
    # ----------------------------------------------------------------------------------------------

    def _open(self, image: int | None) -> None:
        self._end_play()
        self.fetch(partial(self._load, image), "image")

    async def _load(self, image: int | None) -> None:
        cell = self._cell()
        if cell is None:
            return
        metric, worst = self.metric, self.worst
        if image is None:
            found = await self.ask(
                lambda reader: (neighbour(reader, cell.id, metric, worst=worst),)
            )
            if found is None:  # the file was refused, and a toast says why
                return
            (image,) = found
        if image is None:
            self._say_nothing("no image of this method has a value yet")
            return
        number = image
        record = await self.ask(
            lambda reader: read_image_record(reader, cell, number, metric, worst=worst)
        )
        if record is None:
            return
        input_image = await self._input(record)
        others: list[ImageRecord] | None = []
        views = [
            view
            for view in self.snapshot.views.values()
            if view.cell.backbone == cell.backbone and view.cell.applicable
        ]
        if self.options.all_methods:
            others = await self.ask(
                lambda reader: [
                    read_image_record(reader, view.cell, number, metric, worst=worst)
                    for view in views
                ]
            )
        self.image_id = number
        truth = await self._object(record)
        panels = Panels(
            image=input_image.pixels,
            saliency=saliency_map(cell.method, record.row, record.loaded),
            loaded=record.loaded,
            inside=truth.pixels,
        )
        self.image_data = ImageData(
            record,
            panels,
            input_image.problem,
            tuple(others or ()),
            {view.cell.method: view.twin or view.cell.method for view in views},
            truth.problem,
        )
        self._draw()
        pressed, self._once_read = self._once_read, None
        if pressed is not None:  # while the image was read
            pressed()

    async def _input(self, record: ImageRecord) -> InputImage:
        """Read the pixels; opening a file is left to a thread."""
        if self._plan is None:
            self._plan = await self.ask(lambda reader: reader.plan())
        if self._plan is None:
            return InputImage(
                None, "the plan of this run cannot be read, so the images cannot be found"
            )
        key = record.image.id, seen_by(record.loaded, self._plan.resize)
        if key not in self._inputs:
            self._inputs[key] = await asyncio.to_thread(
                open_input, self._plan.folder, record.image, key[1]
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

    def _cell(self) -> Cell | None:
        view = self.snapshot.views.get(self.cell_id)
        return view.cell if view else None

    # -- what is shown
    # ----------------------------------------------------------------------------------------------

    def on_resize(self, event: events.Resize) -> None:
        """Set words and curves anew for another size."""
        super().on_resize(event)
        self.call_after_refresh(self._draw)

    def snapshot_shown(self, snapshot: Snapshot) -> None:
        """Read an image that was still to come again; a finished row does not change."""
        if self.image_data is not None and self.image_data.record.row is None:
            self._open(self.image_id)

    def _say_nothing(self, why: str) -> None:
        self._once_read = None
        self.put("where", [[Field(f" {why}", "warn")]])

    def _draw(self) -> None:
        image_data = self.image_data
        if image_data is None or not self.is_mounted:
            return
        tiles = self.options.all_methods and self._settings.images != "off"
        self.query_one("#beside").display = not tiles
        self.query_one("#play").display = self.play is not None
        self.set_class(self.play is not None, "playing")
        self.query_one("#tiles", Tiles).display = tiles
        if self.play is not None:
            self._draw_play(self.play)
        elif tiles:
            self._draw_tiles(image_data)
        else:
            self._draw_one(image_data)
        self.refresh_bindings()

    def _draw_one(self, image_data: ImageData) -> None:
        width = self.app.size.width
        self.put("where", [where_line(image_data.record, self.metric, self.worst, width)])
        facts = fact_lines(image_data.record, self.metric, width)
        self.put("facts", facts)
        pictures, largest = self._pictures(image_data)
        self.query_one("#gallery", Gallery).show(pictures, largest)
        # the curves take what pictures leave; asked for, also of theirs
        room = self.app.size.height - len(facts) - _AROUND
        captions = any(item.caption for item in pictures)
        boxes = arrange(len(pictures), width, room, captions, largest)
        spare = room - max((box.y + box.height + 1 + captions for box in boxes), default=0)
        panel = self.query_one("#curves", TextLines)
        wanted = self.curves or spare >= CURVE_ROWS
        panel.display = bool(image_data.record.curves) and wanted
        rows = max(CURVE_ROWS, min(16, spare))
        panel.show(curve_lines(image_data.record, width, rows) if panel.display else [])

    def _draw_play(self, play: Play) -> None:
        """Draw the image at a point of the curve, and beside it the curve up to there."""
        gallery, beside = self.query_one("#gallery", Gallery), self.query_one("#beside")
        width, height = beside.size
        side = max(2, min(2 * (height - 1), width // 2 // 2 * 2))
        gallery.styles.width = side + 2
        gallery.show([play.picture()])
        self.put("play", play.lines(width - side - 4, min(height, 1 + side // 2)))
        self.query_one("#curves", TextLines).display = False
        self.put("facts", [play.fact_line()])

    def _pictures(self, image_data: ImageData) -> tuple[list[GalleryItem], int]:
        """Draw the pictures; the map, over the image where that is shown, is the largest."""
        if self._settings.images == "off":
            note = "start without --images off to see them"
            return [GalleryItem("pictures are off", None, note)], 0
        shown = VIEWS[self.options.view]
        largest = shown.index("overlay" if "overlay" in shown else "cam")
        return [gallery_item(image_data, kind, self.options) for kind in shown], largest

    def _draw_tiles(self, image_data: ImageData) -> None:
        """Draw every method, the cursor where it was, at first on the best."""
        self._tiles = method_tiles(image_data, self.options, self.metric)
        wanted = image_data.equal.get(self._on_tile or "", self._on_tile)
        names = [tile.record.cell.method if tile.record else "" for tile in self._tiles]
        tiles = self.query_one("#tiles", Tiles)
        place = names.index(wanted) if wanted in names else min(1, len(names) - 1)
        tiles.show([tile.item for tile in self._tiles], place)
        if self.focused is not tiles:
            self.call_after_refresh(tiles.focus)
        self.query_one("#curves", TextLines).display = False
        self._show_tile(place)

    def _show_tile(self, place: int) -> None:
        """Describe the tile under the cursor."""
        if self.image_data is None:
            return
        record = self._tiles[place].record
        self._on_tile = record.cell.method if record else ""
        width, tiles = self.app.size.width, self.query_one("#tiles", Tiles)
        of_image = record or self.image_data.record
        self.put("where", [where_line(of_image, self.metric, self.worst, width)])
        pages = f", page {tiles.page + 1} of {tiles.pages} (PgDn)" if tiles.pages > 1 else ""
        order = f" {place + 1} of {len(self._tiles)} by {header(self.metric)}{pages}"
        equal = self._tiles[place].item.details
        if equal and not tiles.details_shown:
            order += f" = {', '.join(equal)}"
        self.put("facts", [[Field(f"{order}   ", "accent"), *classes_in_short(of_image)]])

    def on_tile_chosen(self, message: TileChosen) -> None:
        """Describe the tile under the cursor."""
        if message.place < len(self._tiles):
            self._show_tile(message.place)

    def on_tile_opened(self, message: TileOpened) -> None:
        """Show the image under the method of the tile."""
        record = self._tiles[message.place].record
        self.cell_id = record.cell.id if record else self.cell_id
        self.action_all()

    # -- keys
    # ----------------------------------------------------------------------------------------------

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Offer curves and the object's edge only where the run has them."""
        if action == "curves":
            return bool(self.image_data and self.image_data.record.curves)
        if action == "colours":
            return not without_colours(self.app)
        if action == "play":
            return not self.options.all_methods
        if action == "truth":
            return self._plan is not None and self._plan.truth is not None
        return True

    def action_arrow(self, step: int) -> None:
        """Go a step along the curve that is played, else to another image."""
        if self.play is None:
            self.action_step(step)
        else:
            self.play.running = False
            self.play.move(step)
            self._draw()

    def action_play(self) -> None:
        """Play the curve of this image, hold it, or let it go on."""
        if self.image_data is None:
            self._once_read = self.action_play
        if self.image_data is None or self._plan is None:
            return
        if self.play is None:
            problem = why_not_played(self.image_data, self.snapshot.info.name)
            if self._settings.images == "off":
                problem = "start without --images off to see pictures"
            if problem:
                self.notify(problem, severity="warning")
                return
            metric = playable(self.image_data.record)[0]
            self.play = Play(self.image_data, self._plan, metric)
            pause = self._settings.interval if self._settings.low_bandwidth else FRAME
            self._timer = self.set_interval(pause, self._next_frame)
            self.call_after_refresh(self._draw)  # in the room that the facts leave
        elif self.play.place == self.play.steps:
            self.play.place, self.play.running = 0, True
        else:
            self.play.running = not self.play.running
        self._draw()

    def _next_frame(self) -> None:
        if self.play is not None and self.play.running:
            self.play.go_on()
            self._draw()

    def _end_play(self) -> None:
        if self.play is None:
            return
        self.play = None
        self.query_one("#gallery", Gallery).styles.width = "1fr"
        if self._timer is not None:
            self._timer.stop()

    def action_step(self, step: int) -> None:
        """Show the next image of the list, or the one before."""
        self._end_play()
        if self.image_data is not None:
            self.fetch(partial(self._step, self.image_data.record, step), "image")

    async def _step(self, record: ImageRecord, step: int) -> None:
        metric, worst, value = self.metric, self.worst, record.value(self.metric)
        if value is None:
            return
        here = RankedImage(record.image.id, value)
        image = await self.ask(
            lambda reader: neighbour(
                reader, record.cell.id, metric, worst=worst, after=here, step=step
            )
        )
        if image is not None:
            await self._load(image)

    def _redraw(self, **changes: object) -> None:
        self.options = replace(self.options, **changes)  # type: ignore[arg-type] # fields of DisplayOptions, checked by the callers
        self._draw()

    def action_view(self) -> None:
        """Show other pictures of the same image."""
        self._end_play()
        self._redraw(all_methods=False, view=after(self.options.view, tuple(VIEWS)))

    def action_all(self) -> None:
        """Show all methods beside each other, or this one again."""
        self._end_play()
        self.options = replace(self.options, all_methods=not self.options.all_methods)
        self._open(self.image_id)

    def action_up(self) -> None:
        """Leave what is played, all methods for the one that was opened, then this screen."""
        if self.play is not None:
            self._end_play()
            self._draw()
        elif self.options.all_methods:
            self.action_all()
        else:
            super().action_up()

    def action_two(self) -> None:
        """Show this image under this method and the one of the tile, or the next one."""
        if self.image_data is None:
            self._once_read = self.action_two
            return
        from camtui.tui.screens.two import open_two

        record = self.image_data.record
        tile = (self._on_tile or "") if self.options.all_methods else ""
        path = record.image.path
        work = partial(open_two, self, record.cell, path, self.metric, self.worst, method=tile)
        self.fetch(work, "two")

    def action_curves(self) -> None:
        """Show or hide the curves; play the other one while one is played."""
        if self.play is None:
            self.curves = not self.curves
        else:
            others = playable(self.play.image_data.record)
            metric = after(self.play.metric, others)
            self.play = Play(self.play.image_data, self.play.plan, metric)
        self._draw()

    def action_colours(self) -> None:
        """Draw with the next colour map."""
        self._look(colours=after(self.options.look.colours, OFFERED))

    def action_alpha(self) -> None:
        """Draw with another strength of the overlay."""
        self._look(alpha=after(self.options.look.alpha, ALPHAS))

    def _look(self, **changes: Any) -> None:
        """Draw otherwise, here and in the grid, now and the next time."""
        self._redraw(look=self.options.look._replace(**changes))
        if not self._settings.readonly:
            remember(**changes)

    def action_truth(self) -> None:
        """Show or hide the object's edge; where it is not known, say why."""
        if self.image_data is not None and self.image_data.truth_problem:
            self.notify(self.image_data.truth_problem, severity="warning")
        self._redraw(truth=not self.options.truth)

    def action_metric(self, step: int) -> None:
        """Rank by the next metric, and show the first image of that order."""
        self.metric = after(self.metric, self.snapshot.metrics, step)
        self._open(None)

    def action_ends(self) -> None:
        """Show the first image from the other end."""
        self.worst = not self.worst
        self._open(None)

    def action_full(self) -> None:
        """Show the overlay in the terminal's own graphics, where the user asked for them."""
        if self.image_data is None:
            return
        problem = why_no_graphics(self._settings.images)
        picture = gallery_item(self.image_data, "overlay", self.options).picture
        if problem:
            self.notify(problem, severity="warning")
        elif picture is not None:
            self.fetch(partial(self._show_full, picture), "full")

    async def _show_full(self, picture: Pixels) -> None:
        widget = await asyncio.to_thread(picture_widget, picture, self._settings.images)
        await self.app.push_screen(FullScreen(widget))

    def as_text(self) -> str:
        """Return the image's path, for the clipboard."""
        if self.image_data is None or self._plan is None:
            return ""
        path = self.image_data.record.image.path.decode("utf-8", "backslashreplace")
        return f"{self._plan.data}/{path}"


class FullScreen(ModalScreen[None]):
    """A picture, and the key back."""

    BINDINGS = [Binding("escape,i,q", "close", "close")]

    def __init__(self, picture: Widget) -> None:
        super().__init__()
        self._picture = picture

    def compose(self) -> ComposeResult:
        """Compose the picture and its keys."""
        self._picture.id = "full"
        yield Center(self._picture, id="frame")
        yield KeyBar()

    def action_close(self) -> None:
        """Close the picture."""
        self.dismiss()
