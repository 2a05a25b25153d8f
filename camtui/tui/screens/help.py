"""Every key of every screen, made from the bindings themselves."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from textual.app import App, ComposeResult
from textual.binding import Binding, BindingsMap
from textual.dom import DOMNode
from textual.screen import ModalScreen

from camtui.tui.widgets.fields import Column, Field, Line
from camtui.tui.widgets.keybar import KeyBar, shown_key
from camtui.tui.widgets.table import LineTable

_KEYS, _WORD = 12, 14


class HelpScreen(ModalScreen[None]):
    """A list of keys: which, what for, and a little more."""

    BINDINGS = [Binding("escape,question_mark,q", "close", "close")]

    def compose(self) -> ComposeResult:
        """The list and its own keys."""
        yield LineTable(id="help", can_open=False)
        yield KeyBar()

    def on_mount(self) -> None:
        """Collect the bindings."""
        columns = [Column("keys", "keys", _KEYS, right=False), Column("word", "what", 24, right=False)]
        table = self.query_one("#help", LineTable)
        table.show([*columns, Column("more", "more", 0, right=False)], help_lines(type(self.app)))
        table.focus()

    def action_close(self) -> None:
        """Back."""
        self.dismiss()


def sections(everywhere: type[App[Any]]) -> list[tuple[str, type[DOMNode]]]:
    """Where keys work, in the order of the list; those of the application work everywhere."""
    from camtui.tui.screens.cell import CellScreen
    from camtui.tui.screens.grid import GridScreen
    from camtui.tui.screens.image import ImageScreen
    from camtui.tui.screens.log import LogScreen
    from camtui.tui.screens.runs import RunsScreen

    return [
        ("everywhere", everywhere),
        ("in lists", LineTable),
        ("grid", GridScreen),
        ("cell", CellScreen),
        ("image", ImageScreen),
        ("runs", RunsScreen),
        ("log", LogScreen),
    ]


def own_bindings(kind: type[DOMNode]) -> list[Binding]:
    """The bindings that a class itself declares."""
    return [binding for found in BindingsMap(kind.BINDINGS).key_to_bindings.values() for binding in found]


def help_lines(everywhere: type[App[Any]]) -> list[Line]:
    """One line for each thing that can be done, under the place where it works."""
    lines: list[Line] = []
    for title, kind in sections(everywhere):
        lines.append(Line((title, ""), (Field(title, "strong"), Field(""))))
        for (word, more), keys in _grouped(own_bindings(kind)):
            lines.append(Line((title, keys, word), (Field(f"  {keys}", "key"), Field(word), Field(more, "dim"))))
    return lines


def _grouped(bindings: Iterable[Binding]) -> list[tuple[tuple[str, str], str]]:
    """Keys that do the same thing together: ``(words, keys)``."""
    keys: dict[str, list[str]] = {}
    more: dict[str, str] = {}
    for binding in bindings:
        names = keys.setdefault(binding.description, [])
        if shown_key(binding) not in names:
            names.append(shown_key(binding))
        more[binding.description] = more.get(binding.description) or binding.tooltip
    return [((word, more[word]), " ".join(names)) for word, names in keys.items()]
