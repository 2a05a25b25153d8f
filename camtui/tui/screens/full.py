"""One picture in the terminal's own graphics (kitty or sixel), through the extra ``images``; only where the user asked for it."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import Any

from textual.app import ComposeResult
from textual.binding import Binding
from textual.screen import ModalScreen
from textual.widget import Widget

from camtui.tui.widgets.keybar import KeyBar


def why_not(images: str) -> str:
    """Why there are no graphics, empty where there are."""
    if images not in ("kitty", "sixel"):
        return "full resolution needs a terminal with graphics: camtui watch --images kitty, or sixel"
    if find_spec("textual_image") is None:
        return 'full resolution needs the extra images: pip install "camtui[images]"'
    return ""


class FullScreen(ModalScreen[None]):
    """A picture as large as the terminal."""

    BINDINGS = [Binding("escape,i,q", "close", "close")]

    def __init__(self, picture: Any, images: str) -> None:
        super().__init__()
        self._picture, self._images = picture, images

    def compose(self) -> ComposeResult:
        """The picture. The library asks the terminal when it is imported, hence here and not before."""
        from PIL import Image

        library = import_module("textual_image.widget")
        kind = library.TGPImage if self._images == "kitty" else library.SixelImage
        widget: Widget = kind(Image.fromarray(self._picture).resize((896, 896)))
        yield widget
        yield KeyBar()

    def action_close(self) -> None:
        """Back."""
        self.dismiss()
