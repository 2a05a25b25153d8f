"""One picture in the terminal's own graphics, as large as the terminal."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Center
from textual.screen import ModalScreen
from textual.widget import Widget

from camtui.tui.widgets.keybar import KeyBar


class FullScreen(ModalScreen[None]):
    """A picture, and the key back."""

    BINDINGS = [Binding("escape,i,q", "close", "close")]

    def __init__(self, picture: Widget) -> None:
        super().__init__()
        self._picture = picture

    def compose(self) -> ComposeResult:
        """Compose the picture and its keys."""
        self._picture.id = "full"
        yield Center(self._picture, id="frame")
        yield KeyBar()

    def action_close(self) -> None:
        """Close the picture."""
        self.dismiss()
