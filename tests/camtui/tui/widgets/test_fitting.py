"""Texts are fitted by the width that a terminal gives them; so are the footer and pictures."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import pytest
from textual.binding import Binding

from camtui.format import Field
from camtui.tui.text import shortened
from camtui.tui.widgets.fields import TextLines, fitted
from camtui.tui.widgets.gallery import LEAST, GalleryItem, arrange
from camtui.tui.widgets.keybar import key_lines
from tests.camtui.tui.support import opened


def test_fitted_counts_terminal_cells() -> None:
    assert fitted("漢字", 6, right=True) == "  漢字"
    assert fitted("abcdef", 4, right=False) == "abc…"
    assert fitted("漢字漢字", 5, right=False) == "漢字…"
    assert fitted("ab", 1, right=False) == "a"


@pytest.mark.parametrize(
    ("shown", "last"),
    [(["a" * 99], "a" * 79 + "…"), (["a" * 80 + "  "], "a" * 80), (["a,", "b"], "a,…")],
)
async def test_lines_that_are_cut_say_so(seeded: Path, shown: list[str], last: str) -> None:
    async with opened(seeded, (80, 24)) as tester:
        lines = TextLines()
        lines.styles.height = 1
        await tester.app.screen.mount(lines)
        lines.show([[Field(line)] for line in shown])
        await tester.pilot.pause()
        assert lines.render_line(0).text.rstrip() == last


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


@pytest.mark.parametrize(
    ("size", "rows"), [((80, 24), 1), ((80, 40), 2), ((140, 40), 1), ((200, 55), 1)]
)
@pytest.mark.parametrize("screen", ["", "2", "3", "4", "5"])
async def test_keys_have_one_row_but_on_a_narrow_high_terminal(
    seeded: Path, screen: str, size: tuple[int, int], rows: int
) -> None:
    async with opened(seeded, size) as tester:
        await tester.press(*screen)
        bar = tester.app.screen.query_one("#keys")
        assert bar.size.height == rows
        assert "? help" in tester.part("keys")
        assert "q quit" in tester.part("keys")


@pytest.mark.parametrize("largest", [None, 0, -1])
@pytest.mark.parametrize("count", [1, 2, 3, 4, 7, 12])
@pytest.mark.parametrize("size", [(80, 17), (140, 33), (60, 9), (30, 50), (10, 3), (1, 1)])
def test_pictures_fit_and_do_not_cover_each_other(
    count: int, size: tuple[int, int], largest: int | None
) -> None:
    chosen = None if largest is None else range(count)[largest]
    boxes = arrange(count, *size, captions=True, largest=chosen)
    assert len(boxes) in (0, count)
    seen: set[tuple[int, int]] = set()
    for box in boxes:
        assert box.width == 2 * box.height > 0
        cells = set(product(range(box.x, box.x + box.width), range(box.y, box.y + box.height + 2)))
        assert not cells & seen
        seen |= cells
    assert all(0 < x < size[0] and y < size[1] for x, y in seen)


@pytest.mark.parametrize(
    ("count", "size", "side"),
    [
        (1, (80, 17), 32),
        (2, (80, 17), 32),
        (4, (80, 17), 32),
        (2, (140, 34), 66),
        (4, (140, 34), 66),
        (4, (200, 48), 94),
        (4, (60, 50), 58),
    ],
)
def test_one_picture_is_as_large_as_if_it_were_alone(
    count: int, size: tuple[int, int], side: int
) -> None:
    boxes = arrange(count, *size, captions=False, largest=count - 1)
    assert boxes[-1].width == side
    assert arrange(1, *size, captions=False)[0].width == side
    assert all(LEAST <= box.width <= side for box in boxes)


@pytest.mark.parametrize(
    ("names", "width", "shown"),
    [
        (("vgg16", "resnet50"), 8, ["vgg16", "resnet50"]),
        (("resnet50:layer=layer3.5",), 12, ["resnet…er3.5"]),
        (
            ("efficientnet_b0", "efficientnet_b1", "efficientnet_b2"),
            12,
            ["effici…et_b0", "effici…et_b1", "effici…et_b2"],
        ),
        (("network_of_a_kind", "network_or_a_kind"), 12, []),
    ],
)
def test_long_names_lose_what_they_have_in_common(
    names: tuple[str, ...], width: int, shown: list[str]
) -> None:
    found = shortened(names, width)
    assert all(len(text) <= width for text in found.values())
    assert len(set(found.values())) == len(names)
    if any(shown):
        assert list(found.values()) == shown


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
