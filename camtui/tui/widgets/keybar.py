"""The foot of every screen: the keys that do something now, made from the bindings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from textual import events
from textual.binding import Binding
from textual.screen import Screen

from camtui.format import Field
from camtui.tui.theme import DEFAULTS
from camtui.tui.widgets.fields import TextLines, field_at

KEY_NAMES = {
    "enter": "⏎",
    "escape": "Esc",
    "space": "Space",
    "left_square_bracket": "[",
    "right_square_bracket": "]",
    "slash": "/",
    "colon": ":",
    "question_mark": "?",
    "equals_sign": "=",
    "up": "↑",
    "down": "↓",
    "left": "←",
    "right": "→",
    "pageup": "PgUp",
    "pagedown": "PgDn",
    "ctrl+p": "^P",
    "ctrl+c": "^C",
    "ctrl+q": "^Q",
    "tab": "Tab",
    "shift+tab": "S-Tab",
    "home": "Home",
    "end": "End",
}


TWO_ROWS = 30
"""Height of the terminal from which the keys have two rows, where it is narrower than this."""

ONE_ROW = 120
"""Width from which one row holds enough of them; it is the pictures' that the other would take."""

_FAMILIAR = ("move", "choose", "page")
"""What everyone tries without being told: where there is no room, others come first."""

IN_ASCII = {"⏎": "Enter", "↑": "Up", "↓": "Down", "←": "Left", "→": "Right", "←→↑↓": "arrows"}


def shown_key(binding: Binding, *, ascii_only: bool = False) -> str:
    """Return the key as people write it."""
    shown = binding.key_display or KEY_NAMES.get(binding.key, binding.key)
    return IN_ASCII.get(shown, shown) if ascii_only else shown


class KeyBar(TextLines):
    """Keys and words, in the order of the bindings; what does not fit is behind ``?``."""

    DEFAULT_CSS = "KeyBar { dock: bottom; height: 1; }"

    def __init__(self) -> None:
        super().__init__(id="keys")

    def on_mount(self) -> None:
        """Follow the bindings of the screen."""
        self.screen.bindings_updated_signal.subscribe(self, self._bindings_changed)
        self._bindings_changed(self.screen)

    async def on_click(self, event: events.Click) -> None:
        """Do what the key that is clicked does."""
        if event.y >= len(self.lines):
            return
        line = self.lines[event.y]
        place = field_at(line, event.x)
        if place is None:
            return
        word = line[place | 1].text.strip()  # a key, then its word
        for node, binding, enabled, _ in self.screen.active_bindings.values():
            if (
                enabled
                and binding.show
                and word in (binding.description, _shortened(binding.description))
            ):
                await self.app.run_action(binding.action, node)
                return

    def on_resize(self) -> None:
        """Show the keys that fit another width."""
        self._bindings_changed(self.screen)

    def _bindings_changed(self, _: Screen[object]) -> None:
        active = [
            binding
            for _, binding, enabled, _ in self.screen.active_bindings.values()
            if enabled and binding.show
        ]
        active.sort(key=lambda binding: binding.description in _FAMILIAR)
        if not getattr(self.screen, "SHOWS_RUN_KEYS", True):
            active = [
                replace(one, id=None) if (one.id or "").startswith("always.run") else one
                for one in active
            ]
        width = self.size.width or self.app.size.width
        ascii_only = getattr(self.app, "settings", DEFAULTS).ascii
        rows = 2 if self.app.size.height >= TWO_ROWS and width < ONE_ROW else 1
        self.styles.height = rows
        self.show(key_lines(active, width, rows, ascii_only=ascii_only))


def key_lines(
    bindings: list[Binding], width: int, rows: int, *, ascii_only: bool = False
) -> list[list[Field]]:
    """Format bindings as lines of ``key word``; one entry for each description.

    Those that are always shown end the last line.
    """
    always = _entries([b for b in bindings if _is_always(b)], ascii_only, short=rows == 1)
    others = _entries([b for b in bindings if not _is_always(b)], ascii_only)
    reserved = sum(map(_length, always))
    lines: list[list[Field]] = [[]]
    used = 0
    for entry in others:
        last = len(lines) == rows
        if used + _length(entry) > width - (reserved if last else 0):
            if last:
                break
            lines.append([])
            used = 0
            if _length(entry) > width - (reserved if len(lines) == rows else 0):
                break
        lines[-1] += entry
        used += _length(entry)
    if used + reserved > width and len(lines) < rows:
        lines.append([])
    lines[-1] += [field for entry in always for field in entry]
    return lines


def _is_always(binding: Binding) -> bool:
    return bool(binding.id and binding.id.startswith("always."))


def keys_by_word(bindings: Sequence[Binding], *, ascii_only: bool = False) -> dict[str, list[str]]:
    """Return what can be done → the keys that do it, as people write them."""
    keys: dict[str, list[str]] = {}
    for binding in bindings:
        shown = keys.setdefault(binding.description, [])
        key = shown_key(binding, ascii_only=ascii_only)
        if key not in shown:
            shown.append(key)
    return keys


def _entries(
    bindings: list[Binding], ascii_only: bool, *, short: bool = False
) -> list[list[Field]]:
    return [
        [
            Field(f" {('/' if ascii_only else '').join(keys)}", "key"),
            Field(f" {_shortened(word) if short else word} ", "dim"),
        ]
        for word, keys in keys_by_word(bindings, ascii_only=ascii_only).items()
    ]


def _shortened(word: str) -> str:
    return word.partition(" (")[0]


def _length(entry: list[Field]) -> int:
    return sum(len(field.text) for field in entry)
