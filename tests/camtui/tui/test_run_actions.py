"""What is done to a run from the dashboard, and what is asked first."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from camtui.tui import child_commands
from camtui.tui.child_commands import Said
from camtui.tui.screens.dialogs import Question
from tests.camtui.tui.support import Settings, opened


@pytest.fixture
def deeds(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    done: list[str] = []

    def act(name: str, code: int, line: str) -> Callable[..., Said]:
        def deed(path: Path, *, now: bool | None = None) -> Said:
            done.append(name if now is None else f"{name} {now}")
            return Said(code, line)

        return deed

    monkeypatch.setattr(child_commands, "resume", act("resume", 0, "resumed"))
    monkeypatch.setattr(child_commands, "retry", act("retry", 1, "error: no"))
    monkeypatch.setattr(child_commands, "stop", act("stop", 0, "stopping"))
    return done


@pytest.mark.parametrize("answer", [("enter",), ("escape",), ("n",)])
async def test_no_is_the_answer_at_hand(partial_run: Path, deeds: list[str], answer: tuple[str, ...]) -> None:
    async with opened(partial_run) as driver:
        await driver.press("r")
        await driver.until(lambda: isinstance(driver.app.screen, Question))
        await driver.press(*answer)
        await driver.until(lambda: driver.screen_name() == "GridScreen")
        assert deeds == []


async def test_resume_and_retry_when_told_to(partial_run: Path, deeds: list[str]) -> None:
    async with opened(partial_run) as driver:
        for key, verb in (("r", "resume"), ("R", "retry")):
            await driver.press(key)
            await driver.until(lambda: isinstance(driver.app.screen, Question))
            await driver.press("down", "enter")
            await driver.until(partial(deeds.__contains__, verb))


async def test_keys_that_mean_nothing_now_do_nothing(seeded: Path, deeds: list[str]) -> None:
    async with opened(seeded) as driver:
        await driver.press("x", "r")
        assert driver.screen_name() == "GridScreen"
    async with opened(seeded, settings=Settings(readonly=True)) as driver:
        await driver.press("R", "e")
        assert driver.screen_name() == "GridScreen"
        assert deeds == []


async def test_export_writes_a_file(tmp_path: Path, seeded: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    async with opened(seeded) as driver:
        await driver.press("e")
        await driver.until(lambda: isinstance(driver.app.screen, Question))
        await driver.press("down", "enter")
        await driver.until(lambda: driver.screen_name() == "AskForPath")
        await driver.press("enter")
        await driver.until(lambda: (tmp_path / "seeded.md").is_file())
        assert "gradcam" in (tmp_path / "seeded.md").read_text()


async def test_an_export_can_be_given_up_at_each_question(seeded: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    async with opened(seeded) as driver:
        await driver.press("e")
        await driver.until(lambda: isinstance(driver.app.screen, Question))
        await driver.press("escape")
        await driver.until(lambda: driver.screen_name() == "GridScreen")
        await driver.press("e")
        await driver.until(lambda: isinstance(driver.app.screen, Question))
        await driver.press("down", "enter")
        await driver.until(lambda: driver.screen_name() == "AskForPath")
        await driver.press("escape")
        await driver.until(lambda: driver.screen_name() == "GridScreen")
    assert list(tmp_path.glob("seeded*")) == []
