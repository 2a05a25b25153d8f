"""Panels beside and below each other with captions.

One image of one method, or the paper's Figure 2. Pillow only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from PIL import Image, ImageDraw, ImageFont

from camtui.format.groups import class_name
from camtui.format.notes import UNDEFINED
from camtui.format.numbers import percent
from camtui.format.terms import method_title
from camtui.pictures import (
    Look,
    Map,
    Mask,
    Panels,
    PictureKind,
    Pixels,
    evaluated_pixels,
    object_in,
    seen_by,
    stored_map,
)
from evaluator.errors import ImageUnreadable, NotFound
from evaluator.records import Cell, ImageRef, LoadedBackbone, Row
from evaluator.text import printable

if TYPE_CHECKING:
    from evaluator.store.reader import RunReader


@dataclass(frozen=True, eq=False, kw_only=True)
class CellPanels(Panels):
    """The pictures of one image in one cell, none of which is missing, and its row."""

    image: Pixels
    saliency: Map
    cell: Cell
    ref: ImageRef
    row: Row


def open_panels(reader: RunReader, cell: Cell, ref: ImageRef, *, truth: bool = False) -> CellPanels:
    """Open the image file and draw what the method saw in it.

    Args:
        truth: draw the object's edge too.

    Raises:
        NotFound: the cell has no row for the image, its file is gone or another one now, or nobody
            has said where the object is.
    """
    row = reader.rows.get(cell.id, ref.id)
    if row is None:
        raise NotFound(
            f"{cell.backbone}/{cell.method} has no row for {printable(ref.path)}",
            "camtui errors RUN says why; camtui worst RUN lists others",
        )
    loaded = reader.backbones().get(cell.backbone)
    inside = _object(reader, ref, row.target, loaded) if truth else None
    image, saliency = open_input(reader, ref, loaded), stored_map(cell.method, row, loaded)
    if saliency is None:
        raise NotFound(
            f"the run keeps no map of {cell.backbone}/{cell.method}",
            "camtui worst RUN NETWORK:METHOD lists images of others",
        )
    return CellPanels(
        image=image, saliency=saliency, loaded=loaded, inside=inside, cell=cell, ref=ref, row=row
    )


def _object(reader: RunReader, ref: ImageRef, target: int, loaded: LoadedBackbone | None) -> Mask:
    found = object_in(reader.plan(), ref, target, loaded)
    if found.pixels is None:
        why = found.problem or "the run has no truth"
        raise NotFound(
            f"where the object is in {printable(ref.path)} is not known: {why}", "leave --truth out"
        )
    return found.pixels


def open_input(reader: RunReader, ref: ImageRef, loaded: LoadedBackbone | None) -> Pixels:
    """The pixels that a backbone saw, ``[side, side, 3]``.

    Raises:
        NotFound: the file is gone, is another one now, or lies where this user has named no folder
            of images.
    """
    plan = reader.plan()
    try:
        return evaluated_pixels(plan.folder, ref, seen_by(loaded, plan.resize))
    except ImageUnreadable as error:
        raise NotFound(
            f"cannot open {printable(ref.path)} in {printable(plan.data)}: {error.message}",
            "put the data back where the run found it",
        ) from error


GAP = 8
_LINE = 15
_TITLES: dict[PictureKind, str] = {
    "input": "input",
    "cam": "map",
    "overlay": "overlay",
    "masked": "masked",
}


class Captioned(NamedTuple):
    """A square picture with a title above and lines below; ``None`` leaves its place empty."""

    picture: Pixels | None
    title: str
    lines: tuple[str, ...] = ()


def cell_sheet(panels: CellPanels, views: Sequence[PictureKind], look: Look) -> Image.Image:
    """One image of one method: its views in a row, the scores below the first."""
    lines = scores(panels)
    shown = [Captioned(panels.view(view, look), _TITLES[view]) for view in views]
    first = shown[0]._replace(lines=(printable(panels.ref.path, 38), *class_lines(panels)))
    second = (
        [shown[1]._replace(lines=(f"{panels.cell.backbone}/{panels.cell.method}", *lines))]
        if len(shown) > 1
        else []
    )
    return compose([[first, *second, *shown[2:]]])


def figure_2(
    reader: RunReader,
    cells: Sequence[Cell],
    refs: Sequence[ImageRef],
    view: PictureKind,
    look: Look,
    *,
    truth: bool = False,
) -> Image.Image:
    """Draw the paper's Figure 2: a row per image, a column per method, scores under each.

    Raises:
        NotFound: an image file is gone, or no method has a row for an image.
    """
    return compose([_figure_row(reader, cells, ref, view, look, truth=truth) for ref in refs])


def _figure_row(
    reader: RunReader,
    cells: Sequence[Cell],
    ref: ImageRef,
    view: PictureKind,
    look: Look,
    *,
    truth: bool,
) -> list[Captioned]:
    having = [cell for cell in cells if reader.rows.get(cell.id, ref.id) is not None]
    if not having:
        raise NotFound(
            f"no method has a row for {printable(ref.path)}", "camtui worst RUN lists images"
        )
    places = [
        Captioned(
            open_input(reader, ref, reader.backbones().get(having[0].backbone)),
            "input",
            (printable(ref.path.split(b"/")[-1], 36),),
        )
    ]
    for cell in cells:
        if cell not in having:
            places.append(Captioned(None, method_title(cell.method), ("no value",)))
            continue
        panels = open_panels(reader, cell, ref, truth=truth)
        title = method_title(cell.method)
        places.append(Captioned(panels.view(view, look), title, scores(panels)))
        if len(places[0].lines) == 1:
            places[0] = places[0]._replace(lines=(*places[0].lines, *class_lines(panels)))
    return places


def scores(panels: CellPanels) -> tuple[str, ...]:
    """Return the metrics of one row in two lines, percent."""
    row = panels.row
    first = (
        f"drop {percent(row.average_drop, 1)}  coh {percent(row.coherency, 1)} "
        f" compl {percent(row.complexity, 1)}"
    )
    remark = "  degenerate: no map" if row.degenerate else ""
    remark = f"  {UNDEFINED}" if row.average_drop is None else remark
    return first, f"ADCC {percent(row.adcc, 1)}{remark}"


def class_lines(panels: CellPanels) -> tuple[str, ...]:
    """Return the class by label, the predicted class, and its confidence before and after."""
    classes = panels.loaded.classes if panels.loaded else ()
    row, label = panels.row, panels.ref.label
    seen = f"{class_name(classes, row.target, 26, before='')} {row.y:.2f}"
    if label == row.target:
        return (seen,)
    true = "unknown" if label is None else class_name(classes, label, 26, before="")
    return f"label: {true}", f"explained: {seen}"


def compose(rows: Sequence[Sequence[Captioned]]) -> Image.Image:
    """Return a white sheet with every picture in its place."""
    pictures = [place.picture for row in rows for place in row]
    side = max((picture.shape[0] for picture in pictures if picture is not None), default=0)
    columns = max(len(row) for row in rows)
    below = [max(len(place.lines) for place in row) * _LINE for row in rows]
    height = sum(side + _LINE + GAP + extra for extra in below) + GAP
    sheet = Image.new("RGB", (columns * (side + GAP) + GAP, height), "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(12)
    top = GAP
    for row, extra in zip(rows, below, strict=True):
        for column, place in enumerate(row):
            left = GAP + column * (side + GAP)
            draw.text((left, top), place.title, "black", font=font)
            if place.picture is not None:
                sheet.paste(Image.fromarray(place.picture), (left, top + _LINE))
            for number, line in enumerate(place.lines):
                draw.text((left, top + _LINE + side + number * _LINE), line, "black", font=font)
        top += side + _LINE + GAP + extra
    return sheet


def compose_plain(pictures: Sequence[Pixels]) -> Image.Image:
    """Return square pictures of one size beside each other, without words."""
    side = pictures[0].shape[0]
    sheet = Image.new("RGB", (len(pictures) * (side + GAP) - GAP, side), "white")
    for place, picture in enumerate(pictures):
        sheet.paste(Image.fromarray(picture), (place * (side + GAP), 0))
    return sheet
