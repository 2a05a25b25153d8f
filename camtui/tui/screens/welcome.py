"""The screen without a run: the two commands to begin with."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.screen import Screen

from camtui.tui.widgets.fields import Field
from camtui.tui.widgets.keybar import KeyBar
from camtui.tui.widgets.lines import TextLines

_WORDS: list[list[Field]] = [
    [],
    [Field("   camtui", "strong")],
    [],
    [Field("   There is no run yet. Two commands to begin with:", "")],
    [],
    [Field("     camtui run --demo", "key")],
    [
        Field(
            "       a few photographs, one small network, the methods of the paper's Table 2; "
            "minutes",
            "dim",
        )
    ],
    [],
    [Field("     camtui run --data FOLDER -b resnet50 -m gradcam,gradcampp,scorecam", "key")],
    [Field("       your images: class folders, or a flat folder", "dim")],
    [],
    [Field("   This screen opens the run as soon as there is one.", "dim")],
]


class WelcomeScreen(Screen[None]):
    """The screen of a new user."""

    def compose(self) -> ComposeResult:
        """Compose the words and the keys."""
        yield TextLines(id="first")
        yield KeyBar()

    def on_mount(self) -> None:
        """Show the words."""
        self.query_one("#first", TextLines).show(_WORDS)
