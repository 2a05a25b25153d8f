"""Colours: two themes that colour-blind people can tell apart, Textual's own, and their styles.

The two are made of the palette of Okabe and Ito (2008). A role is what a piece of text *means*;
only this file says how that looks. Textual's themes are moved towards black or white where their
colours could not be read. Without colour the roles remain distinct by weight.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from rich.style import Style
from textual.color import Color
from textual.theme import BUILTIN_THEMES, Theme

from evaluator.errors import UsageError
from evaluator.text import did_you_mean, printable

if TYPE_CHECKING:
    from textual.app import App

Images = Literal["quadrants", "half", "kitty", "sixel", "off"]


@dataclass(frozen=True)
class Settings:
    """The behaviour of the dashboard.

    Attributes:
        interval: seconds between two polls of the file.
        cell: ``BACKBONE/METHOD`` to open at once.
        image: its number or a part of its path, to open at once.
        readonly: no key stops, resumes or writes anything.
        images: how pictures are drawn.
        theme: its name; empty for the one that was chosen last, else by the terminal's background.
    """

    interval: float = 1.0
    cell: str = ""
    image: str = ""
    readonly: bool = False
    ascii: bool = False
    low_bandwidth: bool = False
    images: Images = "quadrants"
    theme: str = ""


DEFAULTS = Settings()


def _settings_file() -> Path:
    home = os.environ.get("CAMTUI_HOME")
    if home:
        return Path(home) / "settings.toml"
    from platformdirs import user_config_path

    return user_config_path("camtui") / "settings.toml"


def remembered() -> dict[str, object]:
    """Return what was chosen in a dashboard earlier, by name; nothing where it cannot be read."""
    try:
        text = _settings_file().read_text("utf-8")
        import tomllib  # where there is something to read: the grid must be there at once

        return tomllib.loads(text)
    except (OSError, ValueError):
        return {}


def remember(**chosen: str | float) -> None:
    """Keep choices for every later dashboard, where the folder can be written to."""
    lines = [f"{name} = {json.dumps(value)}\n" for name, value in (remembered() | chosen).items()]
    with suppress(OSError):
        _settings_file().parent.mkdir(parents=True, exist_ok=True)
        _settings_file().write_text("".join(lines), "utf-8")


@dataclass(frozen=True)
class Colours:
    """The colours of one theme, ``#rrggbb``."""

    dark: bool
    background: str
    panel: str
    text: str
    dim: str
    rule: str
    accent: str
    best: str
    tie: str
    warn: str
    error: str
    cursor: str
    series: tuple[str, ...]


DARK = Colours(
    dark=True,
    background="#11151a",
    panel="#171d24",
    text="#d9dee4",
    dim="#8b96a2",
    rule="#3a4550",
    accent="#56b4e9",
    best="#2cc295",
    tie="#8fd3bd",
    warn="#e69f00",
    error="#ff8552",
    cursor="#363c44",
    series=("#56b4e9", "#e69f00", "#2cc295", "#f0e442", "#d98bb9", "#ff8552"),
)
LIGHT = Colours(
    dark=False,
    background="#fbfaf7",
    panel="#f0efed",
    text="#22282e",
    dim="#5f6972",
    rule="#c4c1b8",
    accent="#00609a",
    best="#00694b",
    tie="#33705d",
    warn="#855600",
    error="#a83c00",
    cursor="#cfe2f1",
    series=("#1070b0", "#945f36", "#08644b", "#4b3c00", "#9c3f7c", "#ac520d"),
)
THEMES: Mapping[str, Colours] = {"okabe-dark": DARK, "okabe-light": LIGHT}


def theme_named(name: str) -> str:
    """Return the theme of ``--theme``: ``dark``, ``light``, or one of Textual's by its name.

    Raises:
        UsageError: no such theme.
    """
    ours = {key.removeprefix("okabe-"): key for key in THEMES}
    known = {**{one: one for one in (*THEMES, *BUILTIN_THEMES)}, **ours}
    if name and name not in known:
        raise UsageError(
            f"no theme '{printable(name, 40)}'",
            f"{did_you_mean(name, known)}known: {', '.join((*ours, *sorted(BUILTIN_THEMES)))}",
        )
    return known.get(name, "")


MIN_CONTRAST = 4.5
"""Of text against what is behind it, as WCAG 2 asks of ordinary text."""


@cache
def colours_of(theme: str) -> Colours | None:
    """Return the colours of a theme by its name.

    ``None`` for those without colours of their own (``ansi-dark``, ``ansi-light``).
    """
    if theme in THEMES:
        return THEMES[theme]
    known = BUILTIN_THEMES.get(theme)
    return None if known is None or theme.startswith("ansi-") else _adapted(known)


def _adapted(theme: Theme) -> Colours:
    """Make every role of a theme of Textual's readable on its background."""
    generated = theme.to_color_system().generate()
    background = Color.parse(generated["background"])
    foreground = Color.parse(generated["foreground"])
    panel = background.blend(foreground, 0.06)

    def readable(colour: str | Color) -> str:
        return _readable(Color.parse(colour), (background, panel), dark=theme.dark)

    return Colours(
        dark=theme.dark,
        background=background.hex6.lower(),
        panel=panel.hex6.lower(),
        text=readable(foreground),
        dim=readable(foreground.blend(background, 0.4)),
        rule=background.blend(foreground, 0.3).hex6.lower(),
        accent=readable(generated["primary"]),
        best=readable(generated["success"]),
        tie=readable(Color.parse(generated["success"]).blend(foreground, 0.4)),
        warn=readable(generated["warning"]),
        error=readable(generated["error"]),
        cursor=background.blend(Color.parse(generated["primary"]), 0.3).hex6.lower(),
        series=tuple(readable(colour) for colour in (DARK if theme.dark else LIGHT).series),
    )


def _readable(colour: Color, grounds: tuple[Color, ...], *, dark: bool) -> str:
    """Move a colour towards white or black until it is readable on dark or light grounds."""
    end = Color.parse("white" if dark else "black")
    for step in range(21):
        moved = colour.blend(end, step / 20)
        if all(contrast(moved, ground) >= MIN_CONTRAST for ground in grounds):
            return moved.hex6.lower()
    return end.hex6.lower()


def contrast(first: Color, second: Color) -> float:
    """Return the contrast ratio of two colours, 1 to 21, by WCAG 2."""
    low, high = sorted((_luminance(first), _luminance(second)))
    return (high + 0.05) / (low + 0.05)


def _luminance(colour: Color) -> float:
    parts = [part / 255 for part in colour.rgb]
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def textual_theme(name: str) -> Theme:
    """Return a theme as Textual wants it."""
    colours = THEMES[name]
    return Theme(
        name=name,
        primary=colours.accent,
        secondary=colours.best,
        accent=colours.accent,
        warning=colours.warn,
        error=colours.error,
        success=colours.best,
        foreground=colours.text,
        background=colours.background,
        surface=colours.background,
        panel=colours.panel,
        dark=colours.dark,
        variables={"rule": colours.rule, "dim": colours.dim, "cursor": colours.cursor},
    )


_IN_WORDS = {" ±": "+-", "±": "+-", "→": "->", "↓": "(low)", "↑": "", "┼": "|"}
"""What would mean two things in one ASCII character; a metric that is not low is better high.

An interval is as wide as before, so that no column cuts it or the mark behind it.
"""


def in_words(text: str, app: object) -> str:
    """Return a text with words for some signs where the application shows ASCII only."""
    if not getattr(app, "settings", DEFAULTS).ascii or text.isascii():
        return text
    for sign, word in _IN_WORDS.items():
        text = text.replace(sign, word)
    return text


def without_colours(app: App[Any]) -> bool:
    """Whether pictures are drawn by characters, light and dark, without a colour."""
    ascii_only: bool = getattr(app, "settings", DEFAULTS).ascii
    return ascii_only or app.no_color or app.console.color_system is None


Styles = Mapping[str, Style]


def styles_of(theme: str) -> Styles:
    """Return role → style.

    Themes without colours of their own (``ansi-…``, chosen for ``NO_COLOR``) have weights.
    """
    colours = colours_of(theme)
    if colours is None:
        return _MONOCHROME
    plain = Style(color=colours.text)
    roles = {
        "": plain,
        "dim": Style(color=colours.dim),
        "head": Style(color=colours.dim),
        "strong": Style(color=colours.text, bold=True),
        "accent": Style(color=colours.accent),
        "key": Style(color=colours.accent, bold=True),
        "best": Style(color=colours.best, bold=True),
        "tie": Style(color=colours.tie),
        "partial": Style(color=colours.text, italic=True),
        "good": Style(color=colours.best),
        "warn": Style(color=colours.warn),
        "error": Style(color=colours.error, bold=True),
        "rule": Style(color=colours.rule),
        "bar": Style(color=colours.accent),
        "trough": Style(color=colours.rule),
        "cursor": Style(bgcolor=colours.cursor),
        "cursor-idle": Style(bgcolor=colours.panel),
        "cursor-cell": Style(bgcolor=colours.cursor, bold=True, reverse=True),
    }
    series = {f"series{place}": Style(color=colour) for place, colour in enumerate(colours.series)}
    return {**roles, **series}


_BOLD, _FAINT, _REVERSE = Style(bold=True), Style(dim=True), Style(reverse=True)
_MONOCHROME: Styles = {
    **dict.fromkeys(
        ("", "accent", "bar", "tie", "good", *(f"series{place}" for place in range(6))), Style()
    ),
    **dict.fromkeys(("dim", "head", "rule", "trough"), _FAINT),
    **dict.fromkeys(("strong", "key", "best", "warn", "error"), _BOLD),
    "partial": Style(italic=True),
    "cursor": Style(underline=True),
    "cursor-idle": Style(),
    "cursor-cell": _REVERSE,
}
