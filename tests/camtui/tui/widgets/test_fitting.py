"""Texts are fitted by the width that a terminal gives them; so are the footer and pictures."""

from __future__ import annotations

import pytest
from textual.binding import Binding

from camtui.tui.widgets.fields import fitted
from camtui.tui.widgets.gallery import GalleryItem, arrange
from camtui.tui.widgets.keybar import key_lines


def test_fitted_counts_terminal_cells() -> None:
    assert fitted("漢字", 6, right=True) == "  漢字"
    assert fitted("abcdef", 4, right=False) == "abc…"
    assert fitted("漢字漢字", 5, right=False) == "漢字…"
    assert fitted("ab", 1, right=False) == "a"


def test_the_footer_keeps_the_way_out() -> None:
    bindings = [Binding(f"{letter}", letter, f"word {letter}") for letter in "abcdefghij"]
    bindings += [Binding("q", "detach", "detach (run continues)", id="always.q")]
    for width in (40, 60, 80):
        for rows in (1, 2):
            lines = [
                "".join(field.text for field in line) for line in key_lines(bindings, width, rows)
            ]
            assert len(lines) <= rows
            assert all(len(line) <= width for line in lines)
            assert "q detach" in lines[-1]


@pytest.mark.parametrize("count", [1, 2, 4, 7, 12])
@pytest.mark.parametrize("size", [(80, 17), (140, 33), (60, 9), (10, 3)])
def test_pictures_fit(count: int, size: tuple[int, int]) -> None:
    layout = arrange(count, *size, captions=True)
    rows = -(-count // layout.columns)
    assert rows * layout.lines <= size[1] or layout.height == 0
    assert layout.columns * (layout.width + 2) <= size[0]


@pytest.mark.parametrize(
    ("width", "heading"),
    [
        (24, "overlay (viridis, α 0.5)"),
        (23, "overlay (viridis)"),
        (16, "overlay"),
    ],
)
def test_a_heading_has_the_details_that_fit_whole(width: int, heading: str) -> None:
    item = GalleryItem("overlay", None, details=("viridis", "α 0.5"))
    assert item.heading(width) == heading
