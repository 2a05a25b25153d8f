"""The worst image of one cell, for the pane beside the table: name, classes, overlay.

Imports numpy and Pillow.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath

from camtui.format import percent
from camtui.pictures import seen_by
from camtui.tui.cellfacts import class_name
from camtui.tui.scene import Look, Scene, overlay
from camtui.tui.shot import Shot, first_of, map_of, open_source, read_shot
from camtui.tui.widgets.fields import Field
from camtui.tui.widgets.gallery import Item
from evaluator.records import Cell
from evaluator.store.reader import RunReader
from evaluator.text import printable


@dataclass(frozen=True)
class Worst:
    """The image of lowest ADCC.

    Attributes:
        root: the data folder; ``resize``: short side in pixels before the crop.
    """

    shot: Shot
    root: str
    resize: int

    def lines(self, classes: tuple[str, ...], width: int) -> list[list[Field]]:
        """File name, ADCC and classes."""
        name = PurePosixPath(self.shot.image.path.decode("utf-8", "surrogateescape")).name
        row = self.shot.row
        words = f"{class_name(classes, self.shot.image.label)} → {class_name(classes, row.predicted if row else None)}"
        return [
            [
                Field(f"  {printable(name, width - 14)}"),
                Field(f"  ADCC {percent(self.shot.value('adcc'))}", "warn"),
            ],
            [Field(f"  {printable(words, width - 3)}", "dim")],
        ]

    def picture(self) -> Item:
        """The overlay. Blocking: it opens the image's file."""
        source = open_source(self.root, self.shot.image, seen_by(self.shot.loaded, self.resize))
        scene = Scene(
            self.shot, source, map_of(self.shot.cell.method, self.shot.row, self.shot.loaded)
        )
        return overlay(scene, Look())


def worst_of(reader: RunReader, *, cell: Cell) -> Worst | None:
    """The image of lowest ADCC of a cell; ``None`` while there is none."""
    image = first_of(reader, cell.id, "adcc", worst=True)
    if image is None:
        return None
    plan = reader.plan()
    return Worst(read_shot(reader, cell, image, "adcc", worst=True), plan.data, plan.resize)
