"""One image in one cell as the run's file has it, its pixels and its map.

Blocking: called from threads.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import TypeVar

import numpy as np

from camtui import pictures
from camtui.format import SIGNS, metric_header, percent
from camtui.pictures import (
    COLOUR_MAPS,
    NO_OBJECT,
    ColourMap,
    Map,
    Pixels,
    TruthObject,
    saliency,
    seen_by,
    shown,
    upsampled,
)
from camtui.runs import refuse_unnamed
from camtui.tui.text import class_name
from camtui.tui.widgets.fields import Field
from camtui.tui.widgets.gallery import GalleryItem
from evaluator import catalog
from evaluator.catalog import is_control, known_metrics
from evaluator.crop import open_square
from evaluator.errors import CamtuiError, ImageUnreadable, NotFound
from evaluator.methods.base import FixedMap
from evaluator.records import Cell, ImageRef, LoadedBackbone, Measurement, Preprocessing, Row
from evaluator.store.reader import RankedImage, RunReader
from evaluator.text import printable


@dataclass(frozen=True)
class ImageRecord:
    """One image in one cell, as the run's file has it.

    Attributes:
        measured: its optional metrics by key.
        rank: place from 1 and how many are ranked, ``None`` where the metric has no value.
        failure: why there is no row.
    """

    cell: Cell
    image: ImageRef
    row: Row | None
    loaded: LoadedBackbone | None
    measured: dict[str, Measurement]
    rank: tuple[int, int] | None
    failure: str

    @property
    def curves(self) -> dict[str, Measurement]:
        """The optional metrics that are areas under curves."""
        return {key: one for key, one in self.measured.items() if one.curve}

    def value(self, metric: str) -> float | None:
        """Return one metric of this image, ``None`` where it is undefined or not measured."""
        if metric in self.measured:
            return self.measured[metric].value
        return getattr(self.row, metric, None) if self.row else None


def read_image_record(
    reader: RunReader, cell: Cell, image: int, metric: str, *, worst: bool
) -> ImageRecord:
    """Read everything about one image in one cell.

    Raises:
        NotFound: no such image.
    """
    ref = reader.images.get(image)
    row = reader.rows.get(cell.id, image)
    ascending = known_metrics()[metric].is_ascending(worst_first=worst)
    try:
        rank = reader.ranking.rank_of(cell.id, metric, image, ascending=ascending)
    except CamtuiError:  # an optional metric of which no image has a value yet
        rank = None
    failure = ""
    if row is None:
        mine = [one for one in reader.failures(cell.id) if one.image == image and not one.metric]
        failure = f"failed: {mine[0].reason}: {mine[0].detail}" if mine else "not evaluated yet"
    loaded = reader.backbones().get(cell.backbone)
    return ImageRecord(
        cell, ref, row, loaded, reader.rows.measurements(cell.id, image), rank, printable(failure)
    )


def neighbour(
    reader: RunReader, record: ImageRecord, metric: str, *, worst: bool, step: int
) -> int | None:
    """Find the next image of the list (``step`` 1) or the one before; ``None`` at its ends."""
    value = record.value(metric)
    if value is None:
        return None
    ascending = known_metrics()[metric].is_ascending(worst_first=worst)
    after = RankedImage(record.image.id, value)
    found = reader.ranking.page(
        record.cell.id, metric, ascending=ascending == (step > 0), limit=1, after=after
    )
    return found[0].image if found else None


def first_image(reader: RunReader, cell: int, metric: str, *, worst: bool) -> int | None:
    """Find the worst (or best) image of a cell."""
    ascending = known_metrics()[metric].is_ascending(worst_first=worst)
    found = reader.ranking.page(cell, metric, ascending=ascending, limit=1)
    return found[0].image if found else None


@dataclass(frozen=True, eq=False)
class InputImage:
    """The pixels of an image as the network saw them, or why there are none."""

    pixels: Pixels | None
    problem: str = ""


def open_input(root: str, image: ImageRef, wanted: Preprocessing) -> InputImage:
    """Open the image's file, as a backbone sees it."""
    try:
        refuse_unnamed(root)
        picture = open_square(Path(root), image.path, wanted, image.size, image.content)
    except NotFound as error:
        return InputImage(
            None, printable(f"not shown: {error.message}; camtui watch RUN --data FOLDER", 200)
        )
    except ImageUnreadable as error:
        return InputImage(None, printable(f"image {error.reason}: {error.message}", 120))
    return InputImage(shown(picture))


def saliency_map(method: str, row: Row | None, loaded: LoadedBackbone | None) -> Map | None:
    """Return the saliency map at the input's resolution.

    ``None`` where none is stored, or where what is stored is no map.
    """
    if row is None:
        return None
    side = seen_by(loaded, 0).side
    try:
        if row.map is not None:
            return upsampled(saliency(row.map, loaded), side)
        known = catalog.method(method)
    except (CamtuiError, ValueError):
        return None
    return (
        np.array(known.fixed_map(side, side), dtype=np.float32)
        if isinstance(known, FixedMap)
        else None
    )


def rows_of_image(
    reader: RunReader, cells: list[Cell], image: int
) -> list[tuple[Cell, Row | None]]:
    """Read the rows of one image in several cells."""
    return [(cell, reader.rows.get(cell.id, image)) for cell in cells]


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
class ImageData:
    """One image in one cell, and what its pictures are made of.

    Attributes:
        record: of the image, as the run's file has it.
        input_image: the pixels that the network saw.
        map: the saliency map at the input's resolution.
        others: every method of the backbone with its row on this image, once all methods are shown.
        truth: the object's place.
    """

    record: ImageRecord
    input_image: InputImage
    map: Map | None
    others: tuple[tuple[Cell, Row | None], ...] = ()
    truth: TruthObject = NO_OBJECT

    @property
    def no_map(self) -> str:
        """The reason why there is no map."""
        return self.record.failure or "no map is stored for this image"


@dataclass(frozen=True)
class DisplayOptions:
    """The choice of pictures and colours.

    Attributes:
        view: one of ``VIEWS``.
        all_methods: whether every method's overlay takes the place of the view.
        colours: the colour map.
        alpha: strength of the overlay.
        truth: whether the object's edge is drawn.
    """

    view: str = "pair"
    all_methods: bool = False
    colours: ColourMap = COLOUR_MAPS[0]
    alpha: float = ALPHAS[0]
    truth: bool = True

    def next_view(self) -> DisplayOptions:
        """Choose the next pictures of the same image."""
        return replace(self, all_methods=False, view=_after(self.view, tuple(VIEWS)))

    def next_colours(self) -> DisplayOptions:
        """Choose the next colour map."""
        return replace(self, colours=_after(self.colours, COLOUR_MAPS))

    def next_alpha(self) -> DisplayOptions:
        """Choose another strength of the overlay."""
        return replace(self, alpha=_after(self.alpha, ALPHAS))


def _after(value: T, values: Sequence[T]) -> T:
    return values[(values.index(value) + 1) % len(values)]


def gallery_items(image_data: ImageData, options: DisplayOptions, metric: str) -> list[GalleryItem]:
    """Make the pictures of a view, or of all methods, from left to right.

    With all methods each has its value of the metric below it.
    """
    if options.all_methods:
        return _every_method(image_data, options, metric)
    return [_MAKERS[name](image_data, options) for name in VIEWS[options.view]]


def overlay(image_data: ImageData, options: DisplayOptions) -> GalleryItem:
    """Draw the map over the input; the map alone where the image cannot be read."""
    return GalleryItem(
        "overlay",
        _with_edge(
            _blended(image_data.input_image.pixels, image_data.map, options), image_data, options
        ),
        image_data.no_map,
        details=(options.colours, f"α {options.alpha}"),
    )


def _input(image_data: ImageData, options: DisplayOptions) -> GalleryItem:
    return GalleryItem(
        "input",
        _with_edge(image_data.input_image.pixels, image_data, options),
        image_data.input_image.problem,
    )


def _map(image_data: ImageData, options: DisplayOptions) -> GalleryItem:
    return GalleryItem(
        "saliency map",
        _with_edge(_blended(None, image_data.map, options), image_data, options),
        image_data.no_map,
        details=(options.colours,),
    )


def _explanation(image_data: ImageData, _look: DisplayOptions) -> GalleryItem:
    if image_data.map is None or image_data.input_image.pixels is None:
        return GalleryItem(
            "explanation map", None, image_data.input_image.problem or image_data.no_map
        )
    return GalleryItem(
        "explanation map",
        pictures.explanation(
            image_data.input_image.pixels, image_data.map, image_data.record.loaded
        ),
    )


_MAKERS = {"input": _input, "map": _map, "overlay": overlay, "explanation": _explanation}


def _every_method(image_data: ImageData, options: DisplayOptions, metric: str) -> list[GalleryItem]:
    """Draw the input and every method's overlay.

    All have one colour scale: 0 and 1 have the same colours everywhere.
    """
    shown = [
        GalleryItem("input", image_data.input_image.pixels, image_data.input_image.problem, " ")
    ]
    known = known_metrics()[metric]
    values = {
        cell.id: image_data.record.value(metric)
        if cell.id == image_data.record.cell.id
        else getattr(row, metric, None)
        for cell, row in image_data.others
    }
    ranked = [
        value
        for cell, _ in image_data.others
        if (value := values[cell.id]) is not None and not is_control(cell.method)
    ]
    leading = max(ranked, key=lambda value: known.sign * value, default=None)
    for cell, row in image_data.others:
        value = values[cell.id]
        best = value is not None and value == leading and not is_control(cell.method)
        caption = f"{metric_header(known)} {percent(value)}{SIGNS['best'] if best else ''}"
        picture = _with_edge(
            _blended(
                image_data.input_image.pixels,
                saliency_map(cell.method, row, image_data.record.loaded),
                options,
            ),
            image_data,
            options,
        )
        chosen = cell.id == image_data.record.cell.id
        shown.append(
            GalleryItem(
                printable(cell.method), picture, "not evaluated", caption, chosen=chosen, best=best
            )
        )
    return shown


def _with_edge(
    picture: Pixels | None, image_data: ImageData, options: DisplayOptions
) -> Pixels | None:
    """Draw the edge of the object, where that is known and wanted."""
    if picture is None or image_data.truth.pixels is None or not options.truth:
        return picture
    return pictures.outlined(picture, image_data.truth.pixels)


def _blended(pixels: Pixels | None, values: Map | None, options: DisplayOptions) -> Pixels | None:
    if values is None:
        return None
    if pixels is None:
        return pictures.coloured(values, options.colours)
    return pictures.overlay(pixels, values, options.colours, options.alpha)


@dataclass(frozen=True)
class WorstImage:
    """The image of lowest ADCC.

    Attributes:
        record: of the image, as the run's file has it.
        root: the data folder.
        resize: short side in pixels before the crop.
    """

    record: ImageRecord
    root: str
    resize: int

    def lines(self, classes: tuple[str, ...], width: int) -> list[list[Field]]:
        """Describe file name, ADCC and classes."""
        name = PurePosixPath(self.record.image.path.decode("utf-8", "surrogateescape")).name
        row = self.record.row
        label = class_name(classes, self.record.image.label)
        words = f"{label} → {class_name(classes, row.predicted if row else None)}"
        return [
            [
                Field(f"  {printable(name, width - 14)}"),
                Field(f"  ADCC {percent(self.record.value('adcc'))}", "warn"),
            ],
            [Field(f"  {printable(words, width - 3)}", "dim")],
        ]

    def picture(self) -> GalleryItem:
        """Draw the overlay. Blocking: it opens the image's file."""
        input_image = open_input(
            self.root, self.record.image, seen_by(self.record.loaded, self.resize)
        )
        image_data = ImageData(
            self.record,
            input_image,
            saliency_map(self.record.cell.method, self.record.row, self.record.loaded),
        )
        return overlay(image_data, DisplayOptions())


def read_worst_image(reader: RunReader, *, cell: Cell) -> WorstImage | None:
    """Find the image of lowest ADCC of a cell; ``None`` while there is none."""
    image = first_image(reader, cell.id, "adcc", worst=True)
    if image is None:
        return None
    plan = reader.plan()
    return WorstImage(
        read_image_record(reader, cell, image, "adcc", worst=True), plan.data, plan.resize
    )
