"""The application as a whole: its theme, and how it is left."""

from __future__ import annotations

from pathlib import Path

from tests.camtui.tui.support import opened


async def test_theme_changes_and_the_screen_follows(seeded: Path) -> None:
    async with opened(seeded) as driver:
        dark = driver.app.export_screenshot()
        await driver.press("t")
        assert driver.app.theme == "okabe-light"
        assert driver.app.export_screenshot() != dark


async def test_detaching_says_nothing_of_a_finished_run(seeded: Path) -> None:
    async with opened(seeded) as driver:
        await driver.press("q")
        assert driver.app.parting_words == ""
        assert driver.app.return_code == 0
