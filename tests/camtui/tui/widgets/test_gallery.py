"""Pictures side by side fit what there is."""

from __future__ import annotations

import pytest

from camtui.tui.widgets.gallery import GalleryItem, arrange


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
