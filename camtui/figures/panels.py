"""One image in one cell: input, map, overlay, explanation map.

From its file and the stored map. No torch.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np

from camtui.data_folders import refuse_unnamed
from camtui.pictures import (
    ColourMap,
    Map,
    Mask,
    Pixels,
    coloured,
    explanation,
    outlined,
    overlay,
    saliency,
    seen_by,
    shown,
    upsampled,
)
from camtui.truth_object import object_in
from evaluator import catalog
from evaluator.crop import open_square
from evaluator.errors import ImageUnreadable, NotFound
from evaluator.methods.base import FixedMap
from evaluator.records import Cell, ImageRef, LoadedBackbone, Row
from evaluator.text import printable

if TYPE_CHECKING:
    from evaluator.store.reader import RunReader

PictureKind = Literal["input", "cam", "overlay", "masked"]
PICTURE_KINDS: tuple[PictureKind, ...] = get_args(PictureKind)


@dataclass(frozen=True)
class Panels:
    """The pictures of one image in one cell.

    Attributes:
        image: ``[side, side, 3]``, the pixels that were evaluated.
        saliency: ``U``, ``[side, side]`` in [0, 1].
        inside: the object's pixels, ``[side, side]``, to draw their edge.
    """

    cell: Cell
    ref: ImageRef
    row: Row
    image: Pixels
    saliency: Map
    loaded: LoadedBackbone | None
    inside: Mask | None = None

    def view(self, view: PictureKind, colours: ColourMap = "viridis", alpha: float = 0.5) -> Pixels:
        """One of the four pictures, with the object's edge where that is to be drawn."""
        picture = self._plain(view, colours, alpha)
        return picture if self.inside is None else outlined(picture, self.inside)

    def _plain(self, view: PictureKind, colours: ColourMap, alpha: float) -> Pixels:
        if view == "input":
            return self.image
        if view == "cam":
            return coloured(self.saliency, colours)
        if view == "overlay":
            return overlay(self.image, self.saliency, colours, alpha)
        return explanation(self.image, self.saliency, self.loaded)


def open_panels(reader: RunReader, cell: Cell, ref: ImageRef, *, truth: bool = False) -> Panels:
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
    return Panels(
        cell,
        ref,
        row,
        open_input(reader, ref, loaded),
        _saliency(cell, row, loaded),
        loaded,
        inside,
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
    refuse_unnamed(plan.data)
    try:
        return shown(
            open_square(
                Path(plan.data), ref.path, seen_by(loaded, plan.resize), ref.size, ref.content
            )
        )
    except ImageUnreadable as error:
        raise NotFound(
            f"cannot open {printable(ref.path)} in {printable(plan.data)}: {error.message}",
            "put the data back where the run found it",
        ) from error


def _saliency(cell: Cell, row: Row, loaded: LoadedBackbone | None) -> Map:
    side = seen_by(loaded, 0).side
    if row.map is not None:
        return upsampled(saliency(row.map, loaded), side)
    method = catalog.method(cell.method)
    if isinstance(method, FixedMap):
        return np.array(method.fixed_map(side, side), dtype=np.float32)
    raise NotFound(
        f"the run keeps no map of {cell.backbone}/{cell.method}",
        "camtui worst RUN lists images of other cells",
    )
