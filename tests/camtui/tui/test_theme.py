"""Colours that can be read and told apart, by all eyes and without colour."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import pytest
from textual.color import Color
from textual.theme import BUILTIN_THEMES

from camtui.tui.terminal import BackgroundTold, KeyDecoder
from camtui.tui.theme import (
    DARK,
    LIGHT,
    Colours,
    Settings,
    colours_of,
    contrast,
    remembered,
    styles_of,
    theme_named,
)
from evaluator.errors import UsageError
from tests.camtui.tui.support import opened

Rgb = tuple[float, float, float]
DEUTERANOPIA = (
    (0.367322, 0.860646, -0.227968),
    (0.280085, 0.672501, 0.047413),
    (-0.011820, 0.042940, 0.968881),
)
PROTANOPIA = (
    (0.152286, 1.052583, -0.204868),
    (0.114503, 0.786281, 0.099216),
    (-0.003882, -0.048116, 1.051998),
)
"""Machado, Oliveira and Fernandes (2009), severity 1; on linear light."""
EYES = {
    "deuteranopia": DEUTERANOPIA,
    "protanopia": PROTANOPIA,
    "usual": ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)),
}


def linear(colour: str) -> Rgb:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
    return red, green, blue


def lab(colour: Rgb) -> Rgb:
    matrix = ((0.4124, 0.3576, 0.1805), (0.2126, 0.7152, 0.0722), (0.0193, 0.1192, 0.9505))
    xyz = [sum(m * max(0.0, c) for m, c in zip(row, colour, strict=True)) for row in matrix]
    f = [
        t ** (1 / 3) if t > 0.008856 else 7.787 * t + 16 / 116
        for t in (xyz[0] / 0.95047, xyz[1], xyz[2] / 1.08883)
    ]
    return 116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])


def apart(first: str, second: str, eye: tuple[Rgb, Rgb, Rgb]) -> float:
    def seen(colour: str) -> Rgb:
        x, y, z = (sum(m * c for m, c in zip(row, linear(colour), strict=True)) for row in eye)
        return lab((x, y, z))

    return float(sum((a - b) ** 2 for a, b in zip(seen(first), seen(second), strict=True)) ** 0.5)


TEXTUALS = [name for name in BUILTIN_THEMES if not name.startswith("ansi-")]
ALL = {"dark": DARK, "light": LIGHT} | {
    name: found for name in TEXTUALS if (found := colours_of(name)) is not None
}


def test_contrast_is_that_of_wcag_2() -> None:
    black, white = Color.parse("#000000"), Color.parse("#ffffff")
    assert contrast(black, white) == contrast(white, black) == pytest.approx(21)
    assert contrast(Color.parse("#777777"), white) == pytest.approx(4.48, abs=0.005)


def test_textuals_own_themes_can_be_chosen() -> None:
    assert len(TEXTUALS) > 10
    assert set(TEXTUALS) <= set(ALL)
    assert colours_of("ansi-dark") is None
    assert colours_of("no such theme") is None


@pytest.mark.parametrize("theme", ALL.values(), ids=ALL)
def test_text_can_be_read(theme: Colours) -> None:
    colours = {
        role: getattr(theme, role)
        for role in ("text", "dim", "accent", "best", "tie", "warn", "error")
    }
    colours |= {f"series {place}": colour for place, colour in enumerate(theme.series)}
    for role, colour in colours.items():
        for ground in (theme.background, theme.panel):
            assert contrast(Color.parse(colour), Color.parse(ground)) >= 4.5, role


@pytest.mark.parametrize("theme", [DARK, LIGHT], ids=["dark", "light"])
@pytest.mark.parametrize("eye", EYES.values(), ids=EYES)
def test_all_curves_can_be_told_apart(theme: Colours, eye: tuple[Rgb, Rgb, Rgb]) -> None:
    for first, second in combinations(theme.series, 2):
        assert apart(first, second, eye) >= 15, (first, second)


def test_without_colour_the_roles_differ_by_weight() -> None:
    styles = styles_of("ansi-dark")
    assert all(style.color is None and style.bgcolor is None for style in styles.values())
    assert styles["best"] != styles["dim"] != styles[""]
    assert styles["cursor"] != styles[""]


async def test_a_theme_that_was_chosen_is_remembered(seeded: Path) -> None:
    async with opened(seeded) as tester:
        tester.app.theme = "nord"
        await tester.settle()
    async with opened(seeded) as tester:
        assert tester.app.theme == "nord"
    async with opened(seeded, settings=Settings(theme=theme_named("light"))) as tester:
        assert tester.app.theme == "okabe-light"
    assert remembered()["theme"] == "nord", "an option is for once"


def test_a_theme_is_named_or_refused() -> None:
    assert (theme_named(""), theme_named("dark"), theme_named("nord")) == ("", "okabe-dark", "nord")
    with pytest.raises(UsageError, match="no theme 'drak'") as caught:
        theme_named("drak")
    assert "dark" in caught.value.hint


@pytest.mark.parametrize(
    ("colour", "seconds", "theme"),
    [
        ("ffff/ffff/ffff", 0.05, "okabe-light"),
        ("fd/f6/e3", 0.05, "okabe-light"),
        ("ffff/ffff/ffff", 0.2, "okabe-dark"),
        ("1c1c/1c1c/1c1c", 0.05, "okabe-dark"),
    ],
)
async def test_a_light_terminal_gets_the_light_theme(
    seeded: Path, colour: str, seconds: float, theme: str
) -> None:
    async with opened(seeded) as tester:
        tester.app.post_message(BackgroundTold(colour, seconds))
        await tester.settle()
        assert tester.app.theme == theme
    assert "theme" not in remembered(), "nobody has chosen it"


async def test_a_theme_that_was_chosen_stays_on_a_light_terminal(seeded: Path) -> None:
    async with opened(seeded, settings=Settings(theme="okabe-dark")) as tester:
        tester.app.post_message(BackgroundTold("ffff/ffff/ffff", 0.01))
        await tester.settle()
        assert tester.app.theme == "okabe-dark"


@pytest.mark.parametrize(
    ("pieces", "keys"),
    [
        ([b"\x1b]11;rgb:ffff/ffff/ffff\x1b\\q"], "q"),
        ([b"j\x1b]11;rgb:ff", b"ff/ffff/ffff\x07k"], "jk"),
        ([b"\x1b]", b"11;rgb:ffff/ffff/ffff\x1b", b"\\q"], "q"),
        ([b"\x1b"], "\x1b"),
        ([b"\x1b[A", b"\xff\xc3", b"\xa9"], "\x1b[A\u00e9"),
    ],
)
def test_what_a_terminal_answers_is_no_key(pieces: list[bytes], keys: str) -> None:
    told: list[str] = []
    decoder = KeyDecoder(told.append)
    assert "".join(map(decoder.decode, pieces)) == keys
    assert told == (["ffff/ffff/ffff"] if b"11;" in b"".join(pieces) else [])
