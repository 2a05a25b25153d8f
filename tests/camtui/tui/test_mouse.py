"""What looks as if it can be clicked can be."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.widget import Widget

from camtui.tui.screens.cell import CellScreen
from camtui.tui.screens.grid import GridScreen
from tests.camtui.tui.support import SIZES, DashboardTester, opened


async def click(tester: DashboardTester, word: str, within: str) -> None:
    """Click on the first letter of a word of a widget."""
    widget = tester.app.screen.query_one(f"#{within}", Widget)
    lines = tester.text().splitlines()
    top = widget.region.y
    for y, line in enumerate(lines[top : top + widget.region.height]):
        x = line.find(word, widget.region.x, widget.region.right)
        if x >= 0:
            await tester.pilot.click(f"#{within}", offset=(x - widget.region.x, y))
            await tester.settle()
            return
    pytest.fail(f"no {word} in {within}:\n{tester.text()}")


async def test_the_keys_at_the_foot(seeded: Path) -> None:
    async with opened(seeded) as tester:
        await click(tester, "metric", "keys")
        assert "Average Drop" in tester.part("hint")
        await click(tester, "help", "keys")
        assert tester.screen_name() == "HelpScreen"
        await click(tester, "close", "keys")
        await click(tester, "?", "keys")
        assert tester.screen_name() == "HelpScreen"


async def test_a_heading_sorts_and_again_the_other_way_round(seeded: Path) -> None:
    async with opened(seeded) as tester:
        screen = tester.app.screen
        assert isinstance(screen, GridScreen)
        await click(tester, "vgg16", "grid")
        assert (screen.options.order, screen.options.column) == ("value", "vgg16")
        best = [row[0] for row in tester.cells()]
        await click(tester, "vgg16", "grid")
        assert [row[0] for row in tester.cells()][:-1] == best[:-1][::-1]
        await click(tester, "method", "grid")
        names = [row[0] for row in tester.cells()][:-1]
        assert names == sorted(names)


async def test_a_heading_of_images_orders_them(seeded: Path) -> None:
    async with opened(seeded, SIZES["large"]) as tester:
        await tester.press("2")
        screen = tester.app.screen
        assert isinstance(screen, CellScreen)
        await tester.until(lambda: tester.cells("images"))
        await click(tester, "coh", "images")
        assert screen.metric == "coherency"
        await click(tester, "coh", "images")
        assert not screen.worst


async def test_the_lists_of_the_log_and_what_the_title_leads_to(seeded: Path) -> None:
    async with opened(seeded) as tester:
        await tester.press("5")
        await click(tester, "timings", "tabs")
        assert "▶timings" in tester.part("tabs")
        await click(tester, "plan", "tabs")
        assert "▶plan" in tester.part("tabs")
        await click(tester, "seeded", "title")
        assert tester.screen_name() == "GridScreen"
        await click(tester, "camtui", "title")
        assert tester.screen_name() == "RunsScreen"
