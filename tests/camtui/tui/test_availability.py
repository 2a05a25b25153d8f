"""The words of keys that do nothing now."""

from __future__ import annotations

from pathlib import Path

import pytest

from camtui.tui.app import CONDITIONAL_ACTIONS, Dashboard, unavailable_reason
from tests.camtui.tui.support import DashboardTester, Settings, opened, toasts
from tests.holder import held
from tests.synthetic import make_run

FAST = Settings(interval=0.05)


async def told(tester: DashboardTester, key: str) -> str:
    tester.app.clear_notifications()
    await tester.press(key)
    assert tester.screen_name() == "GridScreen"
    return toasts(tester)


async def test_a_complete_run_has_nothing_to_stop_or_resume(seeded: Path) -> None:
    async with opened(seeded) as tester:
        assert await told(tester, "x") == "nothing to stop: the run is not under way"
        assert await told(tester, "r") == "nothing to resume: the run is complete"
        assert await told(tester, "f") == "", "a key that does something says nothing of this kind"
        await tester.press("f")
        await tester.press("e")
        await tester.until(lambda: tester.screen_name() == "Question")
        tester.app.clear_notifications()
        await tester.press("x")
        assert tester.screen_name() == "Question"
        assert toasts(tester) == "", "in a dialog the key is not ours"


async def test_who_only_reads_is_told_so(partial_run: Path) -> None:
    async with opened(partial_run, settings=Settings(readonly=True)) as tester:
        for key in "xrRe":
            assert await told(tester, key) == "not in a dashboard that was opened with --readonly"


async def test_a_key_that_does_something_says_nothing_else(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run.db", images=10, state="running", partial={"vgg16/scorecam": 5})
    with held(run):
        async with opened(run, settings=FAST) as tester:
            await tester.until(lambda: "detach" in tester.part("keys"))
            await tester.press("q")
            assert toasts(tester) == ""
            assert "continues" in tester.app.exit_message


async def test_what_can_be_done_goes_by_the_run_and_not_by_a_frozen_display(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run.db", images=10, state="running", partial={"vgg16/scorecam": 5})
    with held(run) as holder:
        async with opened(run, settings=FAST) as tester:
            await tester.until(lambda: "stop run" in tester.part("keys"))
            await tester.press("f")
            holder.kill()
            holder.wait()
            await tester.until(lambda: "resume run" in tester.part("keys"))
            assert "RUNNING" in tester.part("title")
            assert await told(tester, "x") == "nothing to stop: the run is not under way"


@pytest.mark.parametrize(
    "action", ["stop", "resume", "retry", "export", "copy_view", "freeze", "open_screen('cell')"]
)
def test_without_a_run_nothing_can_be_done_to_one(action: str) -> None:
    assert unavailable_reason(action, None) == "no run is open"


def test_every_action_that_the_rule_knows_is_one_of_the_dashboard() -> None:
    for name in CONDITIONAL_ACTIONS:
        assert callable(getattr(Dashboard, f"action_{name}")), name
