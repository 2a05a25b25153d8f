"""What can be typed instead of remembered."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.camtui.tui.support import opened


@pytest.mark.parametrize("key", ["colon", "ctrl+p"])
async def test_palette_has_the_verbs_that_are_possible(seeded: Path, key: str) -> None:
    async with opened(seeded) as driver:
        await driver.press(key)
        assert driver.screen_name() == "CommandPalette"
        await driver.press(*"ls")
        await driver.until(lambda: "all runs" in driver.text())
        assert "stop the run" not in driver.text()
        await driver.press("enter")
        await driver.until(lambda: driver.screen_name() == "RunsScreen")
