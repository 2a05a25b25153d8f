"""The screen of events, errors, plan and file."""

from __future__ import annotations

from pathlib import Path

from tests.camtui.tui.support import opened


async def test_log_has_events_errors_plan_and_file(seeded: Path) -> None:
    async with opened(seeded) as driver:
        await driver.press("5")
        assert "run started" in driver.text()
        await driver.press("tab")
        await driver.until(lambda: "▶failed images (" in driver.text() and driver.cells("log"))
        assert any("truncated" in " ".join(row) for row in driver.cells("log"))
        await driver.press("tab")
        await driver.until(lambda: any(row[0] == "seed" for row in driver.cells("log")))
        assert any(row[0] == "torch" for row in driver.cells("log"))
        assert any("layer" in row[1] for row in driver.cells("log"))
        await driver.press("down")
        assert driver.part("whole")
        await driver.press("tab")
        await driver.until(lambda: any(row[0] == "vgg16 masked" for row in driver.cells("log")))
        assert {row[3] for row in driver.cells("log")} == {"4", "1025", "54"}, (
            "forwards of each stage"
        )
        await driver.press("tab")
        await driver.until(lambda: "nothing" in driver.text())
        await driver.press("shift+tab", "escape")
        assert driver.screen_name() == "GridScreen"
