"""The worst image of one cell, for the pane beside the table: name, classes, overlay.

Importing it imports numpy and Pillow.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath

from camtui.format import percent
from camtui.pictures import seen_by
from camtui.tui.cell_text import class_name
from camtui.tui.image_pictures import DisplayOptions, ImageData, overlay
from camtui.tui.image_record import (
    ImageRecord,
    first_image,
    open_input,
    read_image_record,
    saliency_map,
)
from camtui.tui.widgets.fields import Field
from camtui.tui.widgets.gallery import GalleryItem
from evaluator.records import Cell
from evaluator.store.reader import RunReader
from evaluator.text import printable


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
