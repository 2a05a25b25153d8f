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
    async with opened(seeded) as tester:
        for before in names:
            for key, name in names.items():
                await tester.press(before, key)
                assert tester.screen_name() == name
                assert len(tester.app.screen_stack) <= 3


COMMANDS = {
    "logs": "▶log file",
    "errors": "▶failed images",
    "show": "▶plan",
    "timings": "▶timings",
    "compare": "ADCC↑",
    "worst": "Worst images",
}


@pytest.mark.parametrize("command", COMMANDS)
async def test_commands_of_the_command_line_open_what_they_name(seeded: Path, command: str) -> None:
    async with opened(seeded) as tester:
        await tester.press("5", "colon", *command)
        await tester.until(lambda: command in tester.text().splitlines()[5])
        await tester.press("enter")
        await tester.until(lambda: COMMANDS[command] in tester.text())
