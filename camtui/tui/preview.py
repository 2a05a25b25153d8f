"""The image under the cursor of a list, with its map over it, beside the list."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from textual.app import ComposeResult
from textual.containers import Vertical

from camtui.format import Field
from camtui.tui.run_connection import RunConnection
from camtui.tui.theme import DEFAULTS, Settings
from camtui.tui.widgets.fields import Spans, TextLines
from camtui.tui.widgets.gallery import Gallery, GalleryItem
from evaluator.errors import CamtuiError
from evaluator.records import Cell

DELAY = 0.12
"""Seconds after which a cursor is taken to rest."""


class Preview(Vertical):
    """Name, value and classes of an image above its picture; from 110 columns up."""

    def __init__(self) -> None:
        super().__init__(id="preview")

    def compose(self) -> ComposeResult:
        """Compose the words and the picture."""
        yield TextLines(id="preview-words")
        yield Gallery(self._settings, id="preview-picture")

    @property
    def _settings(self) -> Settings:
        return getattr(self.app, "settings", DEFAULTS)

    @property
    def seen(self) -> bool:
        """Whether there is room for it, so that reading an image is worth it."""
        return self.display and self._settings.images != "off"

    def show(self, lines: Sequence[Spans], items: Sequence[GalleryItem]) -> None:
        """Show words and a picture."""
        self.query_one(TextLines).show(lines)
        self.query_one(Gallery).show(items)

    async def load(self, connection: RunConnection, cell: Cell, image: int, metric: str) -> None:
        """Read an image of a cell once the cursor rests; a newer call is to replace this one."""
        await asyncio.sleep(DELAY)
        if not self.seen:
            return
        from camtui.tui.image_data import (
            draw_overlay,
            name_lines,
            read_image_record,
            remembered_look,
        )

        try:
            record, plan = await connection.ask(
                lambda reader: (
                    read_image_record(reader, cell, image, metric, worst=True),
                    reader.plan(),
                )
            )
        except CamtuiError as error:
            self.show([[Field(f" {error.message}", "warn")]], [])
            return
        names = await connection.class_names(cell.backbone)
        look = remembered_look(self.app)
        item = await asyncio.to_thread(draw_overlay, record, plan, look)
        self.show(name_lines(record, metric, names, max(20, self.size.width - 1)), [item])
