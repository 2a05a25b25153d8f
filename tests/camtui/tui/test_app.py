"""The application as a whole: its theme, its clipboard, its stillness, and how it is left."""

from __future__ import annotations

from base64 import b64decode
from pathlib import Path

import grimp
import pytest
from textual.command import CommandPalette

from tests.camtui.tui.support import DashboardTester, opened, toasts


async def test_theme_changes_and_the_screen_follows(seeded: Path) -> None:
    async with opened(seeded) as tester:
        dark = tester.app.export_screenshot()
        await tester.press("t")
        await tester.until(lambda: isinstance(tester.app.screen, CommandPalette))
        await tester.press(*"okabe-light")
        await tester.pilot.pause(0.6)
        await tester.press("enter", "enter")
        await tester.until(lambda: tester.app.theme == "okabe-light")
        assert tester.app.export_screenshot() != dark
        tester.app.theme = "nord"
        await tester.settle()
        assert "scorecam" in tester.text()


async def test_detaching_says_nothing_of_a_finished_run(seeded: Path) -> None:
    async with opened(seeded) as tester:
        await tester.press("q")
        assert tester.app.exit_message == ""
        assert tester.app.return_code == 0


def written_by(tester: DashboardTester, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Everything that goes past Textual's own drawing to the terminal from now on."""
    written: list[str] = []
    assert tester.app._driver is not None
    monkeypatch.setattr(tester.app._driver, "write", written.append)
    return written


async def test_the_view_and_the_chosen_cell_go_to_the_clipboard(
    seeded: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(seeded) as tester:
        written = written_by(tester, monkeypatch)
        await tester.press("down", "Y", "y")
        cell, view = (
            b64decode(text.split(";")[2].rstrip("\a\x1b\\")).decode()
            for text in written
            if text.startswith("\x1b]52")
        )
        assert cell.split("\t") in tester.cells()
        assert cell.split("\t")[0] == tester.table().cursor[0]
        assert [line.split("\t") for line in view.splitlines()] == tester.cells()
        await tester.until(lambda: "the view sent to the terminal" in toasts(tester))


async def test_what_is_too_long_for_a_clipboard_is_refused(
    seeded: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(seeded) as tester:
        written = written_by(tester, monkeypatch)
        tester.app.copy("x" * 200_000, "the book")
        tester.app.copy("", "nothing")
        await tester.until(lambda: "the book is too long" in toasts(tester))
        assert written == []


async def test_a_frozen_display_shows_the_newest_again_when_it_is_thawed(seeded: Path) -> None:
    async with opened(seeded) as tester:
        await tester.press("f")
        assert "FROZEN" in tester.text()
        await tester.press("f")
        assert "FROZEN" not in tester.text()


async def test_without_colour_there_is_no_theme_to_choose(
    seeded: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    async with opened(seeded) as tester:
        theme = tester.app.theme
        await tester.press("t")
        assert tester.app.theme == theme


def test_screens_know_neither_the_application_nor_each_other_in_a_circle() -> None:
    graph = grimp.build_graph("camtui", exclude_type_checking_imports=False)
    package = {"camtui.tui", *graph.find_descendants("camtui.tui")}
    assert graph.find_modules_that_directly_import("camtui.tui.app") & package == set()
    for module in package:
        imported = graph.find_modules_directly_imported_by(module) & package
        assert {other for other in imported if graph.chain_exists(other, module)} == set(), module
