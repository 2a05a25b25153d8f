"""Pictures of quadrants and of half cells: their glyphs, their colours, their size in bytes."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from rich.color import Color
from rich.console import Console

from camtui.tui import image_text
from camtui.tui.image_text import QUADRANTS, Glyphs

BRIGHT, DARK = (202, 150, 98), (6, 10, 2)


def components(colour: Color | None) -> tuple[int, int, int]:
    assert colour is not None
    assert colour.triplet is not None
    return tuple(colour.triplet)  # type: ignore[return-value]  # a triplet is three numbers


@pytest.mark.parametrize("pattern", range(1, 15), ids=lambda pattern: QUADRANTS[pattern])
def test_two_colours_in_four_pixels_are_shown_as_they_are(pattern: int) -> None:
    chosen = [BRIGHT if pattern >> bit & 1 else DARK for bit in range(4)]
    (strip,) = image_text.strips(np.array(chosen, dtype=np.uint8).reshape(2, 2, 3), 1, 1)
    (segment,) = strip
    assert segment.text == QUADRANTS[pattern]
    assert segment.style is not None
    assert components(segment.style.color) == BRIGHT
    assert components(segment.style.bgcolor) == DARK


def test_no_other_two_colours_would_lose_less() -> None:
    picture = np.random.default_rng(3).integers(0, 256, (2, 120, 3)).astype(np.uint8)
    patterns, pairs = image_text._quadrants(picture, 60, 1)
    pixels = picture.reshape(2, 60, 2, 3).transpose(1, 0, 2, 3).reshape(60, 4, 3).astype(float)
    for cell, pattern, pair in zip(pixels, patterns[0], pairs[0], strict=True):
        inside = np.array([pattern >> bit & 1 for bit in range(4)], dtype=bool)
        lost = ((cell - np.where(inside[:, None], pair[0], pair[1])) ** 2).sum()
        least = min(
            sum(((cell[part] - cell[part].mean(0)) ** 2).sum() for part in (mask, ~mask))
            for bits in product((False, True), repeat=4)
            if 0 < sum(mask := np.array(bits)) < 4
        )
        assert lost == pytest.approx(least, abs=12), "but for the rounding of both colours"


def test_a_half_cell_is_two_pixels() -> None:
    picture = np.zeros((2, 2, 3), dtype=np.uint8)
    picture[0] = 255
    (strip,) = image_text.strips(picture, 2, 1, glyphs="halves")
    (segment,) = strip
    assert segment.text == "▀▀"
    assert segment.style is not None
    assert min(components(segment.style.color)) > 250
    assert max(components(segment.style.bgcolor)) < 5


@pytest.mark.parametrize("glyphs", ["quadrants", "halves"])
def test_256_colours_are_the_nearest(glyphs: Glyphs) -> None:
    picture = np.array(
        [[[255, 0, 0], [128, 128, 128], [95, 135, 175], [0, 0, 0]]] * 2, dtype=np.uint8
    )
    (strip,) = image_text.strips(picture, 4, 1, colours=256, glyphs=glyphs)
    numbers = [
        segment.style.bgcolor.number for segment in strip if segment.style and segment.style.bgcolor
    ]
    assert numbers == [196, 244, 67, 16]
    assert strip.text == " " * 4, "one colour needs no glyph"


@pytest.mark.parametrize("noise", [0, 10, 20])
@pytest.mark.parametrize("glyphs", ["quadrants", "halves"])
def test_a_picture_in_256_colours_keeps_its_budget_and_its_looks(
    noise: int, glyphs: Glyphs
) -> None:
    random = np.random.default_rng(noise)
    smooth = (
        np.linspace(0, 215, 72)[None, :, None] * np.array([1.0, 0.7, 0.4])
        + np.linspace(0, 40, 36)[:, None, None]
    )
    picture = np.clip(smooth + random.normal(0, noise, (36, 72, 3)), 0, 255).astype(np.uint8)
    strips = image_text.strips(picture, 36, 18, colours=256, glyphs=glyphs)
    console = Console(color_system="256", force_terminal=True)
    assert sum(len(strip.render(console).encode()) for strip in strips) <= 12_000
    make = image_text._quadrants if glyphs == "quadrants" else image_text._halves
    _, wanted = make(picture, 36, 18)
    shown = image_text._PALETTE[image_text._within_budget(wanted)]
    assert np.abs(shown - wanted).max(-1).mean() < 40


def test_without_colour_a_picture_is_a_ramp() -> None:
    picture = np.zeros((4, 6, 3), dtype=np.uint8)
    picture[:, 3:] = 255
    lines = image_text.strips(picture, 6, 2, glyphs="ramp")
    assert [strip.text for strip in lines] == ["   @@@", "   @@@"]
