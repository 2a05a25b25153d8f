"""The screen of all runs: which is open, and two side by side."""

from __future__ import annotations

from pathlib import Path

import pytest

from camtui.tui.screens.runs import differences
from tests.camtui.tui.support import SIZES, opened, said
from tests.synthetic import make_run


@pytest.fixture
def two_runs(tmp_path: Path) -> tuple[Path, Path]:
    folder = tmp_path / "home" / "runs"
    first = make_run(folder / "first.db", images=20, curves=False)
    second = make_run(folder / "second.db", images=30, curves=False, shift=0.2)
    return first, second


async def test_runs_with_state_best_and_difference_of_plans(two_runs: tuple[Path, Path]) -> None:
    first, second = two_runs
    (second.parent / "junk.db").write_text("no database at all, not even nearly")
    async with opened(first) as driver:
        await driver.press("4")
        await driver.until(lambda: len(driver.cells("runs")) == 3)
        rows = {row[1]: row for row in driver.cells("runs")}
        assert "COMPLETE" in rows["first"][2]
        assert rows["second"][5]
        assert rows["junk"][2] == "unreadable"
        await driver.press("end", "home")
        assert driver.part("difference")


async def test_open_another_run(two_runs: tuple[Path, Path]) -> None:
    first, second = two_runs
    async with opened(first) as driver:
        await driver.press("4")
        await driver.until(lambda: len(driver.cells("runs")) == 2)
        driver.table("runs").select(second)
        await driver.press("enter")
        await driver.until(lambda: driver.app.path == second and "second" in driver.part("title"))
        assert driver.screen_name() == "GridScreen"
        assert len(driver.app.screen_stack) == 2


async def test_mark_and_compare(two_runs: tuple[Path, Path]) -> None:
    first, _ = two_runs
    async with opened(first, SIZES["large"]) as driver:
        await driver.press("4")
        await driver.until(lambda: len(driver.cells("runs")) == 2)
        await driver.press("equals_sign")
        assert driver.screen_name() == "RunsScreen"
        await driver.press("home", "space", "end", "space", "space", "space", "equals_sign")
        await driver.until(
            lambda: (
                driver.screen_name() == "CompareScreen" and len(driver.cells("differences")) == 12
            )
        )
        assert {row[-1] for row in driver.cells("differences")} <= {"better", "worse", "tie"}
        await driver.press("m")
        await driver.until(
            lambda: "drop↓" in driver.part("compared") and "paired" in driver.part("compared")
        )
        for _ in range(4):
            await driver.press("m")
        await driver.until(
            lambda: "ADCC↑" in driver.part("compared") and len(driver.cells("differences")) == 12
        )
        await driver.press("escape")
        assert driver.screen_name() == "RunsScreen"
        await driver.press("escape")
        assert driver.screen_name() == "GridScreen"


async def test_the_run_that_is_open_already_is_just_shown(two_runs: tuple[Path, Path]) -> None:
    first, _ = two_runs
    async with opened(first) as driver:
        await driver.press("4")
        await driver.until(lambda: len(driver.cells("runs")) == 2)
        link = driver.app.link
        driver.table("runs").select(first)
        await driver.press("enter")
        await driver.until(lambda: driver.screen_name() == "GridScreen")
        assert driver.app.link is link


async def test_a_run_that_cannot_be_read_is_not_opened(two_runs: tuple[Path, Path]) -> None:
    first, _ = two_runs
    junk = first.parent / "junk.db"
    junk.write_text("no database at all, not even nearly")
    async with opened(first) as driver:
        await driver.press("4")
        await driver.until(lambda: len(driver.cells("runs")) == 3)
        driver.table("runs").select(junk)
        await driver.press("enter")
        await driver.until(lambda: "junk.db is not a run of camtui" in said(driver))
        assert driver.app.path == first


async def test_runs_are_sorted_and_searched(two_runs: tuple[Path, Path]) -> None:
    first, _ = two_runs
    make_run(
        first.parent / "alone.db",
        images=12,
        methods=("gradcam",),
        backbones=("vgg16",),
        curves=False,
    )
    async with opened(first) as driver:
        await driver.press("4")
        await driver.until(lambda: len(driver.cells("runs")) == 3)
        rows = {row[1]: row for row in driver.cells("runs")}
        assert float(rows["alone"][4]) > 0, "a run with one method has an ADCC too"
        await driver.press("s")
        assert [row[1] for row in driver.cells("runs")] == ["alone", "first", "second"]
        await driver.press("s")
        values = [float(row[4]) for row in driver.cells("runs")]
        assert values == sorted(values, reverse=True)
        await driver.press("slash", *"sec", "enter")
        assert [row[1] for row in driver.cells("runs")] == ["second"]
        await driver.press("escape")
        assert len(driver.cells("runs")) == 3
        await driver.press("escape")
        assert driver.screen_name() == "GridScreen"


def test_what_differs_is_said_in_words() -> None:
    mine: dict[str, object] = {"labels": None, "demo": False, "limit": 5}
    theirs: dict[str, object] = {"labels": "a.csv", "demo": True, "limit": 5}
    assert differences(mine, theirs) == "labels: none → a.csv;  demo: no → yes"
