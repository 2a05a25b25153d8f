"""The application as a whole: its theme, its clipboard, its stillness, and how it is left."""

from __future__ import annotations

from base64 import b64decode
from pathlib import Path

import pytest
from textual.command import CommandPalette

from tests.camtui.tui.support import Driver, opened, said


async def test_theme_changes_and_the_screen_follows(seeded: Path) -> None:
    async with opened(seeded) as driver:
        dark = driver.app.export_screenshot()
        await driver.press("t")
        await driver.until(lambda: isinstance(driver.app.screen, CommandPalette))
        await driver.press(*"okabe-light")
        await driver.pilot.pause(0.6)
        await driver.press("enter", "enter")
        await driver.until(lambda: driver.app.theme == "okabe-light")
        assert driver.app.export_screenshot() != dark
        driver.app.theme = "nord"
        await driver.settle()
        assert "scorecam" in driver.text()


async def test_detaching_says_nothing_of_a_finished_run(seeded: Path) -> None:
    async with opened(seeded) as driver:
        await driver.press("q")
        assert driver.app.parting_words == ""
        assert driver.app.return_code == 0


def written_by(driver: Driver, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What goes past Textual's own drawing to the terminal from now on."""
    written: list[str] = []
    assert driver.app._driver is not None
    monkeypatch.setattr(driver.app._driver, "write", written.append)
    return written


async def test_the_view_and_the_chosen_cell_go_to_the_clipboard(
    seeded: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(seeded) as driver:
        written = written_by(driver, monkeypatch)
        await driver.press("down", "Y", "y")
        cell, view = (
            b64decode(text.split(";")[2].rstrip("\a\x1b\\")).decode()
            for text in written
            if text.startswith("\x1b]52")
        )
        assert cell.split("\t") in driver.cells()
        assert cell.split("\t")[0] == driver.table().cursor[0]
        assert [line.split("\t") for line in view.splitlines()] == driver.cells()
        await driver.until(lambda: "the view sent to the terminal" in said(driver))


async def test_what_is_too_long_for_a_clipboard_is_refused(
    seeded: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(seeded) as driver:
        written = written_by(driver, monkeypatch)
        driver.app.copy("x" * 200_000, "the book")
        driver.app.copy("", "nothing")
        await driver.until(lambda: "the book is too long" in said(driver))
        assert written == []


async def test_a_frozen_display_shows_the_newest_again_when_it_is_thawed(seeded: Path) -> None:
    async with opened(seeded) as driver:
        await driver.press("f")
        assert "FROZEN" in driver.text()
        await driver.press("f")
        assert "FROZEN" not in driver.text()


async def test_without_colour_there_is_no_theme_to_choose(
    seeded: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    async with opened(seeded) as driver:
        theme = driver.app.theme
        await driver.press("t")
        assert driver.app.theme == theme
