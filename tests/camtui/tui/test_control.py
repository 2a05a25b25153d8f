"""Stop, resume, retry and leave, from the keyboard, with a real driver and real workers; only the
evaluator is a fake.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from camtui.tui.screens.dialogs import Question
from evaluator.store.lock import lock_holder
from evaluator.store.reader import RunReader
from tests.camtui.cli.support import ask, closed, home
from tests.camtui.tui.support import Driver, Settings, opened, said
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


async def choose(driver: Driver, key: str, *answer: str) -> None:
    await driver.press(key)
    await driver.until(lambda: isinstance(driver.app.screen, Question))
    await driver.press(*answer)
    await driver.until(lambda: driver.screen_name() == "GridScreen")


async def state(driver: Driver, word: str) -> None:
    await driver.until(lambda: word in driver.part("title"))


async def test_stop_refused_stop_resume_and_retry(live: Path, closed: Path) -> None:
    async with opened(live, settings=FAST) as driver:
        await state(driver, "● RUNNING")
        await driver.press("r", "R")
        assert (
            said(driver)
            == "nothing to resume: the run is under way\nnothing to retry: the run is under way"
        )
        await choose(driver, "x", "enter")
        await choose(driver, "x", "escape")
        assert lock_holder(live) is not None, "the answer at hand is No"
        await choose(driver, "x", "down", "enter")
        await state(driver, "STOPPING")
        closed.unlink()
        await state(driver, "STOPPED")
        await driver.until(lambda: "resume run" in driver.part("keys"))
        closed.touch()
        await choose(driver, "r", "down", "enter")
        await state(driver, "● RUNNING")
        closed.unlink()
        await state(driver, "COMPLETE")
        assert "2 failed images" in driver.part("title")
        closed.touch()
        await choose(driver, "R", "y")
        await state(driver, "● RUNNING")
        await driver.until(lambda: "0 failed images" in driver.part("title"))
        closed.unlink()
        await state(driver, "COMPLETE")
        assert "2 failed images" in driver.part("title")
    with RunReader(live) as reader:
        assert [summary.n + summary.failed for summary in reader.summaries()] == [13, 13]


async def test_stop_at_once(live: Path) -> None:
    async with opened(live, settings=FAST) as driver:
        await choose(driver, "x", "down", "down", "enter")
        await state(driver, "STOPPED")


async def test_the_killed_driver_is_told_with_the_command_and_r_goes_on(
    live: Path, closed: Path
) -> None:
    async with opened(live, settings=FAST) as driver:
        await state(driver, "● RUNNING")
        pid = lock_holder(live)
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        await state(driver, "CRASHED")
        assert "camtui resume pictures" in driver.part("title")
        closed.unlink()
        await choose(driver, "r", "y")
        await state(driver, "COMPLETE")


async def test_leaving_says_that_the_run_goes_on(live: Path) -> None:
    async with opened(live, settings=FAST) as driver:
        assert "q detach (run continues)" in driver.part("keys")
        await driver.press("q")
        assert (
            driver.app.parting_words
            == "detached; pictures continues. Back to it: camtui watch pictures"
        )
    assert lock_holder(live) is not None


async def test_a_reader_only_can_do_nothing(live: Path) -> None:
    async with opened(live, settings=Settings(interval=0.1, readonly=True)) as driver:
        await driver.press("x", "r", "R", "e")
        assert driver.screen_name() == "GridScreen"
        assert "stop run" not in driver.part("keys")
