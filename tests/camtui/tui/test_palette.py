"""The palette, where actions are typed by name."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.camtui.tui.support import opened


@pytest.mark.parametrize("key", ["colon", "ctrl+p"])
async def test_palette_has_the_commands_that_are_available(seeded: Path, key: str) -> None:
    async with opened(seeded) as tester:
        await tester.press(key)
        assert tester.screen_name() == "CommandPalette"
        await tester.press(*"ls")
        await tester.until(lambda: "all runs" in tester.text())
        assert "stop the run" not in tester.text()
        await tester.press("enter")
        await tester.until(lambda: tester.screen_name() == "RunsScreen")
