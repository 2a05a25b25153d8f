"""The help screen: the marks of a screen, and the keys of all screens, made from their bindings."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from textwrap import wrap

from textual.app import ComposeResult
from textual.binding import Binding, BindingsMap
from textual.dom import DOMNode
from textual.screen import ModalScreen

from camtui.tui.legend import legend_of
from camtui.tui.widgets.fields import Field, Line, TableColumn
from camtui.tui.widgets.keybar import KeyBar, shown_key
from camtui.tui.widgets.table import LineTable

Section = tuple[str, type[DOMNode]]
"""A title, and the class whose keys work there."""

_FIRST = 22
"""Width of the column of keys and marks."""


class HelpScreen(ModalScreen[None]):
    """The marks of the screen that it was asked on, then the keys of every screen."""

    BINDINGS = [Binding("escape,question_mark,q", "close", "close")]

    def __init__(self, asked_on: str, sections: Sequence[Section]) -> None:
        """Explain a screen.

        Args:
            asked_on: name of the screen's class.
            sections: the places where keys work, in the order of the list.
        """
        super().__init__()
        self._asked_on, self._sections = asked_on, sections

    def compose(self) -> ComposeResult:
        """Compose the list and its own keys."""
        yield LineTable(id="help", can_open=False)
        yield KeyBar()

    def on_mount(self) -> None:
        """Collect marks and bindings."""
        columns = [
            TableColumn("keys", "", _FIRST, right=False),
            TableColumn("meaning", "", 0, right=False),
        ]
        room = max(20, self.app.size.width - _FIRST - 3)
        table = self.query_one("#help", LineTable)
        table.show(
            columns, [*legend_lines(self._asked_on, room), *help_lines(self._sections, room)]
        )
        table.focus()

    def action_close(self) -> None:
        """Close the help."""
        self.dismiss()


def own_bindings(kind: type[DOMNode]) -> list[Binding]:
    """Return the bindings that a class itself declares."""
    return [
        binding
        for found in BindingsMap(kind.BINDINGS).key_to_bindings.values()
        for binding in found
    ]


def legend_lines(screen: str, room: int) -> list[Line]:
    """Explain each mark of a screen, wrapped to the room there is."""
    lines = [Line(("marks", ""), (Field("on this screen", "strong"), Field("")))]
    for mark, meaning in legend_of(screen):
        lines += _entry(("marks", mark), Field(f"  {mark}", "accent"), meaning, room)
    return lines


def help_lines(sections: Sequence[Section], room: int) -> list[Line]:
    """List each thing that can be done, under the place where it works."""
    lines: list[Line] = []
    for title, kind in sections:
        lines.append(Line((title, ""), (Field(title, "strong"), Field(""))))
        for (word, more), keys in _grouped(own_bindings(kind)):
            lines += _entry(
                (title, keys, word),
                Field(f"  {keys}", "key"),
                f"{word}: {more}" if more else word,
                room,
            )
    return lines


def _entry(key: tuple[str, ...], first: Field, text: str, room: int) -> list[Line]:
    """Format a key or a mark and its meaning, over as many lines as it takes."""
    parts = wrap(text, room) or [""]
    heads = [first, *[Field("")] * (len(parts) - 1)]
    return [
        Line((*key, place), (head, Field(part)))
        for place, (head, part) in enumerate(zip(heads, parts, strict=True))
    ]


def _grouped(bindings: Iterable[Binding]) -> list[tuple[tuple[str, str], str]]:
    """Group keys that do the same thing: ``(words, keys)``."""
    keys: dict[str, list[str]] = {}
    more: dict[str, str] = {}
    for binding in bindings:
        names = keys.setdefault(binding.description, [])
        if shown_key(binding) not in names:
            names.append(shown_key(binding))
        more[binding.description] = more.get(binding.description) or binding.tooltip
    return [((word, more[word]), " ".join(names)) for word, names in keys.items()]
