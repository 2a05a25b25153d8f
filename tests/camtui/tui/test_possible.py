"""What the keys say that mean nothing now."""

from __future__ import annotations

from pathlib import Path

import pytest

from camtui.tui.app import Dashboard
from camtui.tui.possible import KNOWN, why_not
from tests.camtui.tui.support import Driver, Settings, opened, said
from tests.holder import held
from tests.synthetic import make_run

FAST = Settings(interval=0.05)


async def told(driver: Driver, key: str) -> str:
    driver.app.clear_notifications()
    await driver.press(key)
    assert driver.screen_name() == "GridScreen"
    return said(driver)


async def test_a_complete_run_has_nothing_to_stop_or_resume(seeded: Path) -> None:
    async with opened(seeded) as driver:
        assert await told(driver, "x") == "nothing to stop: the run is not under way"
        assert await told(driver, "r") == "nothing to resume: the run is complete"
        assert await told(driver, "f") == "", "a key that does something says nothing of this kind"
        await driver.press("f")
        await driver.press("e")
        await driver.until(lambda: driver.screen_name() == "Question")
        driver.app.clear_notifications()
        await driver.press("x")
        assert driver.screen_name() == "Question"
        assert said(driver) == "", "in a dialog the key is not ours"


async def test_who_only_reads_is_told_so(partial_run: Path) -> None:
    async with opened(partial_run, settings=Settings(readonly=True)) as driver:
        for key in "xrRe":
            assert await told(driver, key) == "not in a dashboard that was opened with --readonly"


async def test_a_key_that_does_something_says_nothing_else(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run.db", images=10, state="running", partial={"vgg16/scorecam": 5})
    with held(run):
        async with opened(run, settings=FAST) as driver:
            await driver.until(lambda: "detach" in driver.part("keys"))
            await driver.press("q")
            assert said(driver) == ""
            assert "continues" in driver.app.parting_words


async def test_what_can_be_done_goes_by_the_run_and_not_by_a_frozen_display(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run.db", images=10, state="running", partial={"vgg16/scorecam": 5})
    with held(run) as holder:
        async with opened(run, settings=FAST) as driver:
            await driver.until(lambda: "stop run" in driver.part("keys"))
            await driver.press("f")
            holder.kill()
            holder.wait()
            await driver.until(lambda: "resume run" in driver.part("keys"))
            assert "RUNNING" in driver.part("title")
            assert await told(driver, "x") == "nothing to stop: the run is not under way"


@pytest.mark.parametrize(
    "action", ["stop", "resume", "retry", "export", "copy_view", "freeze", "open_screen('cell')"]
)
def test_without_a_run_nothing_can_be_done_to_one(action: str) -> None:
    assert why_not(action, None) == "no run is open"


def test_every_action_that_the_rule_knows_is_one_of_the_dashboard() -> None:
    for name in KNOWN:
        assert callable(getattr(Dashboard, f"action_{name}")), name
