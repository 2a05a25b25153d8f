"""One image in one cell as the run's file has it: its pixels, its map, and its values in words.

Blocking: called from threads.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, NamedTuple

from camtui.format import ABSENT, SIGNS, Field, count, percent
from camtui.format.notes import UNDEFINED
from camtui.pictures import (
    COLOUR_MAPS,
    DEFAULT_LOOK,
    Look,
    Map,
    Panels,
    PictureKind,
    Pixels,
    evaluated_pixels,
    seen_by,
    stored_map,
)
from camtui.tui.text import cell_name, class_name, flowed, header
from camtui.tui.theme import remembered, without_colours
from camtui.tui.widgets.gallery import GalleryItem
from evaluator.catalog import ROW_METRICS, is_control, known_metrics
from evaluator.errors import CamtuiError, ImageUnreadable, NotFound
from evaluator.plan import RunPlan
from evaluator.records import Cell, ImageRef, LoadedBackbone, Measurement, Preprocessing, Row
from evaluator.store.reader import RankedImage, RunReader
from evaluator.text import printable

if TYPE_CHECKING:
    from textual.app import App


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
    reader: RunReader,
    cell: int,
    metric: str,
    *,
    worst: bool,
    after: RankedImage | None = None,
    step: int = 1,
) -> int | None:
    """Find the first image of a cell's order, or the next one (``step`` 1) or the one before."""
    ascending = known_metrics()[metric].is_ascending(worst_first=worst) == (step > 0)
    found = reader.ranking.page(cell, metric, ascending=ascending, limit=1, after=after)
    return found[0].image if found else None


class InputImage(NamedTuple):
    """The pixels of an image as the network saw them, or why there are none."""

    pixels: Pixels | None
    problem: str = ""


def open_input(root: Path, image: ImageRef, wanted: Preprocessing) -> InputImage:
    """Open the image's file, as a backbone sees it."""
    try:
        return InputImage(evaluated_pixels(root, image, wanted))
    except NotFound as error:
        return InputImage(
            None, printable(f"not shown: {error.message}; camtui watch RUN --data FOLDER", 200)
        )
    except ImageUnreadable as error:
        return InputImage(None, printable(f"image {error.reason}: {error.message}", 120))


def saliency_map(method: str, row: Row | None, loaded: LoadedBackbone | None) -> Map | None:
    """Return the saliency map at the input's resolution.

    ``None`` where none is stored, or where what is stored is no map.
    """
    try:
        return stored_map(method, row, loaded) if row is not None else None
    except (CamtuiError, ValueError):
        return None


VIEWS: dict[str, tuple[PictureKind, ...]] = {
    "pair": ("input", "overlay"),
    "maps": ("cam", "masked"),
    "four": ("input", "cam", "overlay", "masked"),
    "overlay": ("overlay",),
}
"""Which pictures stand beside each other."""

TITLES: dict[PictureKind, str] = {
    "input": "input",
    "cam": "saliency map",
    "overlay": "overlay",
    "masked": "masked",
}

OFFERED = COLOUR_MAPS[:-1]
"""The colour maps that a key goes through; magma is near inferno, and for who names it."""

ALPHAS = (0.75, 1.0, 0.5, 0.25)


def remembered_look(app: App[Any]) -> Look:
    """Return the colours and the opacity that were chosen last, where they are known here.

    Greys where there are no colours: what is higher is lighter then.
    """
    found = remembered()
    colours = next((name for name in COLOUR_MAPS if name == found.get("colours")), None)
    alpha = found.get("alpha")
    return Look(
        "grey" if without_colours(app) else colours or DEFAULT_LOOK.colours,
        alpha if isinstance(alpha, float) and 0 <= alpha <= 1 else DEFAULT_LOOK.alpha,
    )


@dataclass(frozen=True, eq=False)
class ImageData:
    """One image in one cell, and what its pictures are made of.

    Attributes:
        record: of the image, as the run's file has it.
        panels: its pixels, its map, the object's place.
        problem: why there are no pixels.
        others: this image under every method of the backbone, once all methods are shown.
        equal: method → the first one with the same map by construction, itself where it is that.
        truth_problem: why the object's place is not known.
    """

    record: ImageRecord
    panels: Panels
    problem: str
    others: tuple[ImageRecord, ...] = ()
    equal: Mapping[str, str] = field(default_factory=dict)
    truth_problem: str = ""


@dataclass(frozen=True)
class DisplayOptions:
    """The choice of pictures and colours.

    Attributes:
        view: one of ``VIEWS``.
        all_methods: whether every method's overlay takes the place of the view.
        truth: whether the object's edge is drawn.
    """

    view: str = "pair"
    all_methods: bool = False
    look: Look = DEFAULT_LOOK
    truth: bool = True


def gallery_item(image_data: ImageData, kind: PictureKind, options: DisplayOptions) -> GalleryItem:
    """Draw one picture; an overlay is the map alone where the image cannot be read."""
    panels, look = image_data.panels, options.look
    if not options.truth or kind == "masked":
        panels = replace(panels, inside=None)
    no_map = image_data.record.failure or "no map is stored for this image"
    notes = {"input": image_data.problem, "masked": image_data.problem or no_map}
    details = {"cam": (look.colours,), "overlay": (look.colours, f"α {look.alpha}")}
    return GalleryItem(
        TITLES[kind],
        panels.view(kind, look),
        notes.get(kind, no_map),
        details=details.get(kind, ()),
    )


class MethodTile(NamedTuple):
    """A tile of all methods: its record, ``None`` of the input, and its picture."""

    record: ImageRecord | None
    item: GalleryItem


def method_tiles(image_data: ImageData, options: DisplayOptions, metric: str) -> list[MethodTile]:
    """Draw the input and every method's overlay, the best first, controls last.

    Methods whose maps are one by construction are one tile. All have one colour scale: 0 and 1 have
    the same colours everywhere.
    """
    known = known_metrics()[metric]
    panels = image_data.panels if options.truth else replace(image_data.panels, inside=None)
    shown = [MethodTile(None, GalleryItem("input", panels.image, image_data.problem))]
    ranked = [
        value
        for record in image_data.others
        if (value := record.value(metric)) is not None and not is_control(record.cell.method)
    ]
    leading = max(ranked, key=lambda value: known.sign * value, default=None)

    def place(record: ImageRecord) -> tuple[bool, bool, float]:
        value = record.value(metric)
        return is_control(record.cell.method), value is None, -known.sign * (value or 0.0)

    equal = image_data.equal
    for record in sorted(image_data.others, key=place):
        method = record.cell.method
        if equal.get(method, method) != method:
            continue
        value, control = record.value(metric), is_control(method)
        best = value is not None and value == leading and not control
        theirs = replace(panels, saliency=saliency_map(method, record.row, record.loaded))
        same = [printable(other) for other, first in equal.items() if first == method != other]
        item = GalleryItem(
            printable(method),
            theirs.view("overlay", options.look),
            record.failure or "no map is stored for this image",
            f"{percent(value)}{SIGNS['best'] if best else ''}",
            best=best,
            details=tuple(same),
            dim=control,
        )
        shown.append(MethodTile(record, item))
    return shown


def read_panel_image(
    reader: RunReader, *, cell: Cell, metric: str, latest: bool
) -> tuple[ImageRecord, RunPlan] | None:
    """Read the latest image of a cell, or the worst by a metric; ``None`` while there is none."""
    if latest:
        image = reader.rows.latest(cell.id)
    else:
        image = neighbour(reader, cell.id, metric, worst=True)
    if image is None:
        return None
    return read_image_record(reader, cell, image, metric, worst=True), reader.plan()


def name_lines(
    record: ImageRecord, metric: str, classes: tuple[str, ...], width: int
) -> list[list[Field]]:
    """Describe file name, value and classes of an image."""
    name = PurePosixPath(record.image.path.decode("utf-8", "surrogateescape")).name
    value = f"{known_metrics()[metric].short} {percent(record.value(metric))}"
    label = class_name(classes, record.image.label)
    predicted = class_name(classes, record.row.predicted if record.row else None)
    return [
        [
            Field(f"  {printable(name, width - len(value) - 3)}"),
            Field(f"  {value}", "warn"),
        ],
        [Field(f"  {printable(f'{label} → {predicted}', width - 3)}", "dim")],
    ]


def where_line(record: ImageRecord, metric: str, worst: bool, width: int) -> list[Field]:
    """Describe cell, place in the order, and as much of the file's path as there is room for."""
    undefined = record.row is not None and metric in ROW_METRICS
    none = "undefined" if undefined else "no value"
    place = f"{count(record.rank[0])}/{count(record.rank[1])}" if record.rank else none
    end = "worst" if worst else "best"
    head = [
        Field(f" {cell_name(record.cell)}", "strong"),
        Field(f"  {end} by {known_metrics()[metric].short} ", "dim"),
        Field(place, "accent"),
    ]
    room = width - sum(len(field.text) for field in head) - 3
    return [*head, Field(f"  {printable(record.image.path, max(12, room))}", "dim")]


def classes_in_short(record: ImageRecord) -> list[Field]:
    """Return ``label``, or ``label → predicted``; why there is no row where that failed."""
    if record.row is None:
        return [Field(record.failure, "warn")]
    names = record.loaded.classes if record.loaded else ()
    label, predicted = (
        class_name(names, index) for index in (record.image.label, record.row.predicted)
    )
    same = record.image.label == record.row.predicted
    return [Field(label if same else f"{label} → {predicted}", "" if same else "warn")]


def fact_lines(record: ImageRecord, metric: str, width: int) -> list[list[Field]]:
    """Describe classes, confidences and every metric of an image."""
    classes = record.loaded.classes if record.loaded else ()
    row = record.row
    if row is None:
        return [[Field(f" {record.failure}", "warn")]]
    same = record.image.label == row.predicted
    predicted = Field(class_name(classes, row.predicted), "" if same else "warn")
    facts = [
        [Field("true ", "dim"), Field(class_name(classes, record.image.label))],
        [Field("predicted ", "dim"), predicted],
    ]
    if row.target != row.predicted:
        facts.append([Field("explained ", "dim"), Field(class_name(classes, row.target))])
    confidence = [Field("confidence ", "dim"), Field(f"{row.y:.3f} → {row.o:.3f}")]
    facts.append([*confidence, Field(" masked", "dim")])
    groups = []
    for key in known_metrics():
        value = record.value(key)
        if value is not None or key in ("average_drop", "adcc"):
            shown = percent(value) if value is not None else ABSENT
            name = Field(f"{header(key)} ", "dim")
            groups.append([name, Field(shown, "strong" if key == metric else "")])
    lines = [*flowed(facts, width), *flowed(groups, width)]
    if row.average_drop is None:
        lines.append([Field(f" average drop and ADCC {UNDEFINED}", "warn")])
    if row.degenerate:
        lines.append([Field(" the map is all zero: nothing spoke for the class", "warn")])
    return lines


def draw_overlay(record: ImageRecord, plan: RunPlan, look: Look) -> GalleryItem:
    """Open the file of an image and draw its overlay; the image alone where there is no map."""
    found = open_input(plan.folder, record.image, seen_by(record.loaded, plan.resize))
    map_ = saliency_map(record.cell.method, record.row, record.loaded)
    panels = Panels(image=found.pixels, saliency=map_, loaded=record.loaded)
    kind: PictureKind = "input" if map_ is None and found.pixels is not None else "overlay"
    image_data = ImageData(record, panels, found.problem)
    return gallery_item(image_data, kind, DisplayOptions(look=look))
