"""From every screen to every other."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.camtui.tui.support import opened


async def test_numbers_go_to_the_screens_from_everywhere(seeded: Path) -> None:
    names = {
        "1": "GridScreen",
        "2": "CellScreen",
        "3": "ImageScreen",
        "4": "RunsScreen",
        "5": "LogScreen",
    }
    async with opened(seeded) as driver:
        for before in names:
            for key, name in names.items():
                await driver.press(before, key)
                assert driver.screen_name() == name
                assert len(driver.app.screen_stack) <= 3


VERBS = {
    "logs": "▶log file",
    "errors": "▶failed images",
    "show": "▶plan",
    "timings": "▶timings",
    "compare": "ADCC↑",
    "worst": "Worst images",
}


@pytest.mark.parametrize("verb", VERBS)
async def test_verbs_of_the_command_line_open_what_they_name(seeded: Path, verb: str) -> None:
    async with opened(seeded) as driver:
        await driver.press("5", "colon", *verb)
        await driver.until(lambda: verb in driver.text().splitlines()[5])
        await driver.press("enter")
        await driver.until(lambda: VERBS[verb] in driver.text())
