"""Kitty and sixel graphics by ``textual-image`` (extra ``images``), where asked for by name.

Left to itself the library asks the terminal what it can do, at import, and waits 100 ms: an answer
that comes later, as over a slow SSH, lands in the input as typed keys, and Textual's own reader
takes the bytes it waits for. Here the user has said which protocol it is, so nothing is asked: the
size of a cell is the kernel's word (``TIOCGWINSZ``), or 10 × 20 pixels.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Literal, NoReturn

if TYPE_CHECKING:
    from textual.widget import Widget

    from camtui.pictures import Pixels

Graphics = Literal["kitty", "sixel"]

SIDE = 896
"""Pixels: four times what the network sees, as large as most terminals can show."""


def why_no_graphics(images: str) -> str:
    """Say what the terminal or the installation lacks for graphics; empty where nothing is."""
    if images not in ("kitty", "sixel"):
        return (
            "full resolution needs a terminal with graphics: camtui watch --images kitty, or sixel"
        )
    if find_spec("textual_image") is None:
        return 'full resolution needs the extra images: pip install "camtui[images]"'
    return ""


def picture_widget(picture: Pixels, images: str) -> Widget:
    """Make a widget that shows a picture as large as there is room.

    The first call imports the library: for a thread.
    """
    from PIL import Image

    library = _library()
    kind = library.TGPImage if images == "kitty" else library.SixelImage
    widget: Widget = kind(Image.fromarray(picture).resize((SIDE, SIDE), Image.Resampling.BICUBIC))
    return widget


@cache
def _library() -> Any:
    # this one asks nothing at import; the widgets do
    terminal: Any = import_module("textual_image._terminal")
    terminal.capture_terminal_response = _ask_nothing
    return import_module("textual_image.widget")


def _ask_nothing(*_: object, **__: object) -> NoReturn:
    """Raise what the library takes for a terminal that did not answer; nothing is written."""
    raise TimeoutError("the terminal is not asked")
