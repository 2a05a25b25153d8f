"""Colours: two themes that colour-blind people can tell apart (Okabe and Ito, 2008), and the styles that widgets draw with.

A role is what a piece of text *means*; only this file says how that looks. Without colour the roles remain distinct by weight.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from rich.style import Style
from textual.theme import Theme


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
    dark=True, background="#11151a", panel="#171d24", text="#d9dee4", dim="#8b96a2", rule="#3a4550", accent="#56b4e9",
    best="#2cc295", tie="#8fd3bd", warn="#e69f00", error="#ff8552", cursor="#24405a",
    series=("#56b4e9", "#e69f00", "#2cc295", "#f0e442", "#d98bb9", "#ff8552"),
)  # fmt: skip
LIGHT = Colours(
    dark=False, background="#fbfaf7", panel="#f1efe9", text="#22282e", dim="#5f6972", rule="#c4c1b8", accent="#00609a",
    best="#00694b", tie="#33705d", warn="#855600", error="#a83c00", cursor="#cfe2f1",
    series=("#1070b0", "#945f36", "#08644b", "#4b3c00", "#9c3f7c", "#ac520d"),
)  # fmt: skip
THEMES: Mapping[str, Colours] = {"okabe-dark": DARK, "okabe-light": LIGHT}


def textual_theme(name: str) -> Theme:
    """The theme as Textual wants it."""
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


Styles = Mapping[str, Style]


def styles_of(theme: str) -> Styles:
    """Role → style. Themes that are not ours (``ansi-…``, chosen for ``NO_COLOR``) get weights and no colour."""
    colours = THEMES.get(theme)
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
    **dict.fromkeys(("", "accent", "bar", "tie", "good", *(f"series{place}" for place in range(6))), Style()),
    **dict.fromkeys(("dim", "head", "rule", "trough"), _FAINT),
    **dict.fromkeys(("strong", "key", "best", "warn", "error"), _BOLD),
    "partial": Style(italic=True),
    "cursor": Style(underline=True),
    "cursor-idle": Style(),
    "cursor-cell": _REVERSE,
}
