"""One image in one cell as the run's file has it, its pixels and its map.

Blocking: called from threads.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from camtui.data_folders import refuse_unnamed
from camtui.pictures import Map, Pixels, saliency, seen_by, shown, upsampled
from evaluator import catalog
from evaluator.catalog import known_metrics
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
