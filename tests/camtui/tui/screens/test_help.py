"""The help screen, and the keys that there are."""

from __future__ import annotations

from pathlib import Path

from camtui.tui.app import Dashboard
from camtui.tui.screens.help import own_bindings, sections
from tests.camtui.tui.support import opened


async def test_help_lists_every_binding_of_every_screen(seeded: Path) -> None:
    async with opened(seeded) as driver:
        await driver.press("question_mark")
        words = {row[1] for row in driver.cells("help")}
        for _, kind in sections(Dashboard):
            assert {binding.description for binding in own_bindings(kind)} <= words
        await driver.press("escape")
        assert driver.screen_name() == "GridScreen"


def test_no_key_that_a_terminal_owns() -> None:
    for _, kind in sections(Dashboard):
        for binding in own_bindings(kind):
            assert not binding.key.startswith("f") or len(binding.key) == 1, "no F-key"
            assert not binding.key.startswith("ctrl+") or binding.key in ("ctrl+c", "ctrl+p", "ctrl+q"), (
                "no chord of tmux or screen"
            )
