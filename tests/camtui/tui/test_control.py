"""Stop, resume, retry and leave, from the keyboard.

Driver and workers are real; only the evaluator is a fake.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from evaluator.store.files import lock_holder
from evaluator.store.reader import RunReader
from tests.camtui.cli.support import ask, closed, home
from tests.camtui.tui.support import DashboardTester, Settings, opened, toasts
from tests.evaluator.execution.support import camtui, make_data

__all__ = ["closed", "home"]

FAST = Settings(interval=0.1)


@pytest.fixture
def live(home: Path, closed: Path) -> Iterator[Path]:
    """The file of a run that is under way, and stays so while the gate is closed; one of its images
    is bad.
    """
    make_data(home / "pictures", 1, bad=1)
    assert closed.exists()
    assert camtui(*ask(home), "-d").returncode == 0
    path = home / "runs" / "pictures.db"
    yield path
    driver = lock_holder(path)
    if driver is not None:
        os.killpg(driver, signal.SIGKILL)


async def choose(tester: DashboardTester, key: str, *answer: str) -> None:
    await tester.ask(key)
    await tester.press(*answer)
    await tester.on("GridScreen")


async def state(tester: DashboardTester, word: str) -> None:
    await tester.until(lambda: word in tester.part("title"))


async def test_stop_refused_stop_resume_and_retry(live: Path, closed: Path) -> None:
    async with opened(live, settings=FAST) as tester:
        await state(tester, "● RUNNING")
        await tester.press("r", "R")
        assert (
            toasts(tester)
            == "nothing to resume: the run is under way\nnothing to retry: the run is under way"
        )
        await choose(tester, "x", "enter")
        await choose(tester, "x", "escape")
        assert lock_holder(live) is not None, "the answer at hand is No"
        await choose(tester, "x", "down", "enter")
        await state(tester, "STOPPING")
        closed.unlink()
        await state(tester, "STOPPED")
        await tester.until(lambda: "resume run" in tester.part("keys"))
        closed.touch()
        await choose(tester, "r", "down", "enter")
        await state(tester, "● RUNNING")
        closed.unlink()
        await state(tester, "COMPLETE")
        assert "1 image failed (2 maps)" in tester.part("title")
        closed.touch()
        await choose(tester, "R", "y")
        await state(tester, "● RUNNING")
        await tester.until(lambda: "0 images failed" in tester.part("title"))
        closed.unlink()
        await state(tester, "COMPLETE")
        assert "1 image failed (2 maps)" in tester.part("title")
    with RunReader(live) as reader:
        assert [summary.n + summary.failed for summary in reader.averages.summaries()] == [13, 13]


async def test_stop_at_once(live: Path) -> None:
    async with opened(live, settings=FAST) as tester:
        await choose(tester, "x", "down", "down", "enter")
        await state(tester, "STOPPED")


async def test_the_killed_driver_is_told_with_the_command_and_r_goes_on(
    live: Path, closed: Path
) -> None:
    async with opened(live, settings=FAST) as tester:
        await state(tester, "● RUNNING")
        pid = lock_holder(live)
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        await state(tester, "CRASHED")
        assert "camtui resume pictures" in tester.part("title")
        closed.unlink()
        await choose(tester, "r", "y")
        await state(tester, "COMPLETE")


async def test_leaving_says_that_the_run_goes_on(live: Path) -> None:
    async with opened(live, settings=FAST) as tester:
        assert "q detach" in tester.part("keys")
        await tester.press("q")
        assert toasts(tester) == "", "a key that does something says nothing else"
        assert (
            tester.app.exit_message
            == "detached; pictures continues. Back to it: camtui watch pictures"
        )
    assert lock_holder(live) is not None
