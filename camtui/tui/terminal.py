"""What a terminal sends and is sent: keys, its background, its clipboard, ASCII, graphics."""

from __future__ import annotations

import asyncio
import base64
import codecs
import os
import re
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, NoReturn

from rich.segment import Segment
from textual.color import Color
from textual.drivers import linux_driver
from textual.filter import LineFilter
from textual.message import Message
from textual.widget import Widget

from evaluator.text import as_ascii

if TYPE_CHECKING:
    from camtui.pictures import Pixels

ENDED_BY = 128
"""Plus the signal's number: the exit code of a process that a signal ends."""


_ASK_BACKGROUND = "\x1b]11;?\x1b\\"
_BACKGROUND = re.compile(r"\x1b\]11;rgba?:([0-9a-fA-F/]+)(?:\x07|\x1b\\)")
"""The terminal's answer: red, green and blue, hexadecimal."""

_ANSWER_BEGUN = re.compile(r"\x1b\]1?1?;?[^\x07\x1b]{0,40}\x1b?$")


@dataclass
class BackgroundTold(Message):
    """A terminal's answer to what its background is.

    Attributes:
        colour: ``ffff/ffff/ffff``.
        seconds: that it has taken.
    """

    colour: str
    seconds: float


class KeyDecoder:
    """UTF-8 from a terminal as text, without bytes that are none, and without its answers."""

    def __init__(self, background: Callable[[str], None]) -> None:
        """Begin; ``background`` is called with the terminal's answer, ``ffff/ffff/ffff``."""
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="ignore")
        self._background = background
        self._rest = ""

    def decode(self, data: bytes, final: bool = False) -> str:
        """Decode what has come; the beginning of an answer waits for its end."""
        text, self._rest = self._rest + self._decoder.decode(data, final), ""
        for answer in _BACKGROUND.finditer(text):
            self._background(answer[1])
        text = _BACKGROUND.sub("", text)
        begun = None if final else _ANSWER_BEGUN.search(text)
        if begun:
            text, self._rest = text[: begun.start()], begun[0]
        return text


class TerminalDriver(linux_driver.LinuxDriver):
    """Textual's driver for terminals, kept alive by what these really send.

    A byte that is no UTF-8 is dropped; Textual alone ends. A termination puts the terminal back as
    it was. The terminal is asked for its background.
    """

    _asked = 0.0

    def run_input_thread(self) -> None:
        """Read keys until the dashboard ends; bytes that are no UTF-8 are dropped."""
        # the decoder is made inside, by this name, and fails at the first wrong byte
        linux_driver.getincrementaldecoder = lambda _: partial(KeyDecoder, self._told)  # type: ignore[assignment, attr-defined]
        super().run_input_thread()

    def start_application_mode(self) -> None:
        """Take the terminal; a termination gives it back before the process ends."""
        super().start_application_mode()  # type: ignore[no-untyped-call]
        self._loop_of_app = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGQUIT):
            self._loop_of_app.add_signal_handler(number, self._end, ENDED_BY + number)
        if os.environ.get("TERM") != "linux":  # which prints what it does not know
            self._asked = time.monotonic()
            self.write(_ASK_BACKGROUND)

    def _told(self, colour: str) -> None:
        told = BackgroundTold(colour, time.monotonic() - self._asked)
        self._loop_of_app.call_soon_threadsafe(self._app.post_message, told)

    def _end(self, code: int) -> None:
        self._app.exit(code)


class AsciiFilter(LineFilter):
    """A filter that replaces what is not ASCII, cell by cell."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        """Return the same line in ASCII."""
        return [Segment(as_ascii(text), style, control) for text, style, control in segments]


MAX_BYTES = 74_000
"""The most that common terminals take; beyond it they drop the sequence without a word."""


def sequence(text: str, *, inside_tmux: bool) -> str | None:
    """Return the escape sequence that carries a text; ``None`` where it is too long.

    Args:
        inside_tmux: whether tmux must be told to let it pass.
    """
    carried = base64.b64encode(text.encode("utf-8", "replace")).decode("ascii")
    if len(carried) > MAX_BYTES:
        return None
    plain = f"\x1b]52;c;{carried}\a"
    return f"\x1bPtmux;\x1b{plain}\x1b\\" if inside_tmux else plain


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
