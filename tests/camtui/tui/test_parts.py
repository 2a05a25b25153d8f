from __future__ import annotations

import base64
from itertools import combinations

import numpy as np
import pytest
from rich.console import Console
from rich.segment import Segment
from rich.style import Style
from textual.binding import Binding
from textual.color import Color

from camtui.tui import halfcell, plots
from camtui.tui.asciifilter import AsciiFilter, as_ascii
from camtui.tui.clipboard import sequence
from camtui.tui.gridmodel import _two_lines
from camtui.tui.runfacts import Part, most_important
from camtui.tui.theme import DARK, LIGHT, Colours, styles_of
from camtui.tui.widgets.fields import Field, fitted
from camtui.tui.widgets.gallery import arrange
from camtui.tui.widgets.keybar import key_lines

# -- plots -----------------------------------------------------------------------------------------------------------------------


def test_histogram_keeps_empty_bins_empty_and_single_images_visible() -> None:
    assert plots.histogram([0, 1, 1000, 500]) == " ▁█▄" or plots.histogram([0, 1, 1000, 500])[0:2] == " ▁"
    assert plots.histogram([]) == ""
    lines = plots.columns([0, 1, 100], 3)
    assert len(lines) == 3
    assert lines[-1][1] == "▁"
    assert [line[2] for line in lines] == ["█", "█", "█"]


def test_a_flat_curve_is_a_flat_line_and_gaps_stay_gaps() -> None:
    plot = plots.BraillePlot(4, 2, 0.0, 1.0)
    plot.line([1.0] * 8)
    assert plot.lines() == ["⠉⠉⠉⠉", "    "]
    plot = plots.BraillePlot(2, 1, 0.0, 1.0)
    plot.line([None, None, 0.0, 0.0])
    assert plot.lines() == [" ⣀"]
    plot.line([])


@pytest.mark.parametrize(("share", "filled"), [(0, 0), (0.5, 5), (0.55, 6), (1, 10), (7, 10), (-1, 0)])
def test_progress_bar_is_always_as_wide(share: float, filled: int) -> None:
    done, rest = plots.bar(share, 10)
    assert len(done) == filled
    assert len(done + rest) == 10


def test_trend_spans_the_range() -> None:
    assert plots.trend([0, 50, 100], 0, 100)[0] == "▁"
    assert plots.trend([0, 50, 100], 0, 100)[-1] == "█"


# -- ascii -----------------------------------------------------------------------------------------------------------------------


def test_ascii_keeps_the_width_of_everything() -> None:
    text = "│é漢●⏎±\u200b⠿a"
    assert as_ascii(text).isascii()
    assert as_ascii("漢") == "??"
    (segment,) = AsciiFilter().apply([Segment("▶ 86.82 ±0.11*", Style(bold=True))], Color(0, 0, 0))
    assert segment.text == "> 86.82 ~0.11*"
    assert segment.style == Style(bold=True)


# -- pictures in text ------------------------------------------------------------------------------------------------------------


def test_a_cell_is_two_pixels() -> None:
    picture = np.zeros((2, 2, 3), dtype=np.uint8)
    picture[0] = 255
    (strip,) = halfcell.strips(picture, 2, 1)
    (segment,) = strip
    assert segment.text == "▀▀"
    assert segment.style is not None
    assert segment.style.color is not None
    assert segment.style.bgcolor is not None
    assert segment.style.color.triplet is not None
    assert segment.style.color.triplet.red > 250
    assert segment.style.bgcolor.triplet is not None
    assert segment.style.bgcolor.triplet.red < 5


def test_256_colours_are_the_nearest() -> None:
    picture = np.array([[[255, 0, 0], [128, 128, 128], [95, 135, 175], [0, 0, 0]]] * 2, dtype=np.uint8)
    (strip,) = halfcell.strips(picture, 4, 1, colours=256)
    numbers = [segment.style.bgcolor.number for segment in strip if segment.style and segment.style.bgcolor]
    assert numbers == [196, 244, 67, 16]
    assert strip.text == " " * 4, "one colour above and below needs no half"


@pytest.mark.parametrize("noise", [0, 10, 20])
def test_a_picture_in_256_colours_keeps_its_budget_and_its_looks(noise: int) -> None:
    random = np.random.default_rng(noise)
    smooth = np.linspace(0, 215, 36)[None, :, None] * np.array([1.0, 0.7, 0.4]) + np.linspace(0, 40, 36)[:, None, None]
    picture = np.clip(smooth + random.normal(0, noise, (36, 36, 3)), 0, 255).astype(np.uint8)
    strips = halfcell.strips(picture, 36, 18, colours=256)
    console = Console(color_system="256", force_terminal=True)
    assert sum(len(strip.render(console).encode()) for strip in strips) <= 12_000
    shown = halfcell._PALETTE[halfcell._within_budget(picture)]
    assert np.abs(shown - picture).max(-1).mean() < 40


def test_without_colour_a_picture_is_a_ramp() -> None:
    picture = np.zeros((4, 6, 3), dtype=np.uint8)
    picture[:, 3:] = 255
    lines = halfcell.strips(picture, 6, 2, ascii_only=True)
    assert [strip.text for strip in lines] == ["   @@@", "   @@@"]


@pytest.mark.parametrize("count", [1, 2, 4, 7, 12])
@pytest.mark.parametrize("size", [(80, 17), (140, 33), (60, 9), (10, 3)])
def test_pictures_fit(count: int, size: tuple[int, int]) -> None:
    layout = arrange(count, *size, captions=True)
    rows = -(-count // layout.columns)
    assert rows * layout.lines <= size[1] or layout.height == 0
    assert layout.columns * (layout.width + 2) <= size[0]


# -- texts -----------------------------------------------------------------------------------------------------------------------


def test_fitted_counts_terminal_cells() -> None:
    assert fitted("漢字", 6, right=True) == "  漢字"
    assert fitted("abcdef", 4, right=False) == "abc…"
    assert fitted("漢字漢字", 5, right=False) == "漢字…"
    assert fitted("ab", 1, right=False) == "a"


def test_long_names_take_two_lines() -> None:
    assert _two_lines("vgg16", 9) == "vgg16"
    assert _two_lines("resnext50_32x4d", 9) == "resnext50\n_32x4d"
    assert _two_lines("x" * 30, 9).count("\n") == 1


def test_a_line_gives_up_its_least_important_parts_first() -> None:
    parts = [Part(0, Field("12.5%")), Part(2, Field(" 62 img/s")), Part(1, Field(" ETA 4h42"))]
    assert "".join(field.text for field in most_important(parts, 30)) == "12.5% 62 img/s ETA 4h42"
    assert "".join(field.text for field in most_important(parts, 15)) == "12.5% ETA 4h42"
    assert "".join(field.text for field in most_important(parts, 1)) == "12.5%"


def test_the_footer_keeps_the_way_out() -> None:
    bindings = [Binding(f"{letter}", letter, f"word {letter}") for letter in "abcdefghij"]
    bindings += [Binding("q", "detach", "detach (run continues)", id="always.q")]
    for width in (40, 60, 80):
        for rows in (1, 2):
            lines = ["".join(field.text for field in line) for line in key_lines(bindings, width, rows)]
            assert len(lines) <= rows
            assert all(len(line) <= width for line in lines)
            assert "q detach" in lines[-1]


def test_clipboard_passes_tmux_and_refuses_what_is_too_long() -> None:
    plain = sequence("ADCC ↑", inside_tmux=False)
    assert plain is not None
    assert base64.b64decode(plain[len("\x1b]52;c;") : -1]).decode() == "ADCC ↑"
    wrapped = sequence("ADCC ↑", inside_tmux=True)
    assert wrapped is not None
    assert wrapped.startswith("\x1bPtmux;\x1b\x1b]52;")
    assert sequence("x" * 80_000, inside_tmux=False) is None


# -- colours ---------------------------------------------------------------------------------------------------------------------

Rgb = tuple[float, float, float]
DEUTERANOPIA = ((0.367322, 0.860646, -0.227968), (0.280085, 0.672501, 0.047413), (-0.011820, 0.042940, 0.968881))
PROTANOPIA = ((0.152286, 1.052583, -0.204868), (0.114503, 0.786281, 0.099216), (-0.003882, -0.048116, 1.051998))
"""Machado, Oliveira and Fernandes (2009), severity 1; on linear light."""
EYES = {"deuteranopia": DEUTERANOPIA, "protanopia": PROTANOPIA, "usual": ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))}


def linear(colour: str) -> Rgb:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
    return red, green, blue


def contrast(first: str, second: str) -> float:
    light = sorted(sum(w * c for w, c in zip((0.2126, 0.7152, 0.0722), linear(x), strict=True)) for x in (first, second))
    return (light[1] + 0.05) / (light[0] + 0.05)


def lab(colour: Rgb) -> Rgb:
    matrix = ((0.4124, 0.3576, 0.1805), (0.2126, 0.7152, 0.0722), (0.0193, 0.1192, 0.9505))
    xyz = [sum(m * max(0.0, c) for m, c in zip(row, colour, strict=True)) for row in matrix]
    f = [t ** (1 / 3) if t > 0.008856 else 7.787 * t + 16 / 116 for t in (xyz[0] / 0.95047, xyz[1], xyz[2] / 1.08883)]
    return 116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])


def apart(first: str, second: str, eye: tuple[Rgb, Rgb, Rgb]) -> float:
    def seen(colour: str) -> Rgb:
        x, y, z = (sum(m * c for m, c in zip(row, linear(colour), strict=True)) for row in eye)
        return lab((x, y, z))

    return float(sum((a - b) ** 2 for a, b in zip(seen(first), seen(second), strict=True)) ** 0.5)


@pytest.mark.parametrize("theme", [DARK, LIGHT], ids=["dark", "light"])
def test_text_can_be_read(theme: Colours) -> None:
    colours = {role: getattr(theme, role) for role in ("text", "dim", "accent", "best", "tie", "warn", "error")}
    colours |= {f"series {place}": colour for place, colour in enumerate(theme.series)}
    for role, colour in colours.items():
        for ground in (theme.background, theme.panel):
            assert contrast(colour, ground) >= 4.5, role


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
