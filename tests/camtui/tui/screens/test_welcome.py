"""The screen where there is no run yet."""

from __future__ import annotations

import shutil
from pathlib import Path

from camtui.tui.app import Dashboard
from tests.camtui.tui.support import SIZES, Settings


async def test_first_screen_names_the_two_commands_and_opens_the_first_run(
    tmp_path: Path, seeded: Path
) -> None:
    app = Dashboard(None, Settings(interval=0.1))
    async with app.run_test(size=SIZES["usual"]) as pilot:
        await pilot.pause()
        text = "\n".join(strip.text for strip in app.screen._compositor.render_strips())
        assert "camtui run --demo" in text
        assert "camtui run --data" in text
        await pilot.press("1", "e", "x", "colon", "escape")
        folder = tmp_path / "home" / "runs"
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copy(seeded, folder / "new.db")
        for _ in range(100):
            await pilot.pause(0.05)
            if type(app.screen).__name__ == "GridScreen":
                break
        assert type(app.screen).__name__ == "GridScreen"
