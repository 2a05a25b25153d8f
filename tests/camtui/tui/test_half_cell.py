"""Pictures of half cells: their colours and their size in bytes."""

from __future__ import annotations

import numpy as np
import pytest
from rich.console import Console

from camtui.tui import half_cell


def test_a_cell_is_two_pixels() -> None:
    picture = np.zeros((2, 2, 3), dtype=np.uint8)
    picture[0] = 255
    (strip,) = half_cell.strips(picture, 2, 1)
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
    picture = np.array(
        [[[255, 0, 0], [128, 128, 128], [95, 135, 175], [0, 0, 0]]] * 2, dtype=np.uint8
    )
    (strip,) = half_cell.strips(picture, 4, 1, colours=256)
    numbers = [
        segment.style.bgcolor.number for segment in strip if segment.style and segment.style.bgcolor
    ]
    assert numbers == [196, 244, 67, 16]
    assert strip.text == " " * 4, "one colour above and below needs no half"


@pytest.mark.parametrize("noise", [0, 10, 20])
def test_a_picture_in_256_colours_keeps_its_budget_and_its_looks(noise: int) -> None:
    random = np.random.default_rng(noise)
    smooth = (
        np.linspace(0, 215, 36)[None, :, None] * np.array([1.0, 0.7, 0.4])
        + np.linspace(0, 40, 36)[:, None, None]
    )
    picture = np.clip(smooth + random.normal(0, noise, (36, 36, 3)), 0, 255).astype(np.uint8)
    strips = half_cell.strips(picture, 36, 18, colours=256)
    console = Console(color_system="256", force_terminal=True)
    assert sum(len(strip.render(console).encode()) for strip in strips) <= 12_000
    shown = half_cell._PALETTE[half_cell._within_budget(picture)]
    assert np.abs(shown - picture).max(-1).mean() < 40


def test_without_colour_a_picture_is_a_ramp() -> None:
    picture = np.zeros((4, 6, 3), dtype=np.uint8)
    picture[:, 3:] = 255
    lines = half_cell.strips(picture, 6, 2, ascii_only=True)
    assert [strip.text for strip in lines] == ["   @@@", "   @@@"]
