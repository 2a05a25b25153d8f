"""The screen of all runs: which is open, and two side by side."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from camtui.tui.screens.runs import differences
from tests.camtui.tui.support import SIZES, DashboardTester, opened, toasts
from tests.synthetic import make_run


@pytest.fixture
def two_runs(tmp_path: Path) -> tuple[Path, Path]:
    folder = tmp_path / "home" / "runs"
    first = make_run(folder / "first.db", images=20, curves=False)
    second = make_run(folder / "second.db", images=30, curves=False, shift=0.2)
    return first, second


@asynccontextmanager
async def listed(
    run: Path, count: int, size: tuple[int, int] = SIZES["usual"]
) -> AsyncIterator[DashboardTester]:
    """The list of runs, with as many of them."""
    async with opened(run, size) as tester:
        await tester.press("4")
        await tester.until(lambda: len(tester.cells("runs")) == count)
        yield tester


async def test_runs_with_state_best_and_difference_of_plans(two_runs: tuple[Path, Path]) -> None:
    first, second = two_runs
    (second.parent / "junk.db").write_text("no database at all, not even nearly")
    async with listed(first, 3) as tester:
        rows = {row[1]: row for row in tester.cells("runs")}
        assert "COMPLETE" in rows["first"][2]
        assert rows["second"][5]
        assert rows["junk"][2] == "unreadable"
        await tester.press("end", "home")
        assert tester.part("difference")


async def test_the_best_has_the_room_that_short_names_leave(tmp_path: Path) -> None:
    run = make_run(
        tmp_path / "home" / "runs" / "demo.db",
        images=12,
        methods=("eigencam",),
        backbones=("resnext50_32x4d",),
        curves=False,
    )
    async with listed(run, 1) as tester:
        assert SIZES["usual"] == (80, 24)
        assert "eigencam/resnext50_32x4d" in tester.table("runs").render_line(1).text


async def test_open_another_run(two_runs: tuple[Path, Path]) -> None:
    first, second = two_runs
    async with listed(first, 2) as tester:
        before = tester.connection
        tester.table("runs").select(first)
        await tester.ask("enter", "GridScreen")
        assert tester.connection is before, "the run that is open already is just shown"
        await tester.press("4")
        await tester.until(lambda: len(tester.cells("runs")) == 2)
        tester.table("runs").select(second)
        await tester.press("enter")
        await tester.until(
            lambda: tester.connection.path == second and "second" in tester.part("title")
        )
        assert tester.screen_name() == "GridScreen"
        assert len(tester.app.screen_stack) == 2


async def test_mark_and_compare(two_runs: tuple[Path, Path]) -> None:
    first, _ = two_runs
    async with listed(first, 2, SIZES["large"]) as tester:
        await tester.press("equals_sign")
        assert tester.screen_name() == "RunsScreen"
        await tester.press("home", "space", "end", "space", "space", "space", "equals_sign")
        await tester.until(
            lambda: (
                tester.screen_name() == "CompareScreen" and len(tester.cells("differences")) == 12
            )
        )
        verdicts = [row[0] for row in tester.cells("differences")]
        assert set(verdicts) <= {"better", "worse", "tie"}
        assert (
            f"second is better in {verdicts.count('better')} of 12, worse in "
            f"{verdicts.count('worse')}, tied in {verdicts.count('tie')} (ADCC, 1"
        ) in tester.part("compared").splitlines()[0]
        await tester.press("m")
        await tester.until(
            lambda: "drop↓" in tester.part("compared") and "paired" in tester.part("compared")
        )
        for _ in range(4):
            await tester.press("m")
        await tester.until(
            lambda: "ADCC↑" in tester.part("compared") and len(tester.cells("differences")) == 12
        )
        await tester.press("escape")
        assert tester.screen_name() == "RunsScreen"
        await tester.press("escape")
        assert tester.screen_name() == "GridScreen"


async def test_a_run_that_cannot_be_read_is_not_opened(two_runs: tuple[Path, Path]) -> None:
    first, _ = two_runs
    junk = first.parent / "junk.db"
    junk.write_text("no database at all, not even nearly")
    async with listed(first, 3) as tester:
        tester.table("runs").select(junk)
        await tester.press("enter")
        await tester.until(lambda: "junk.db is not a run of camtui" in toasts(tester))
        assert tester.connection.path == first


async def test_runs_are_sorted_and_searched(two_runs: tuple[Path, Path]) -> None:
    first, _ = two_runs
    make_run(
        first.parent / "alone.db",
        images=12,
        methods=("gradcam",),
        backbones=("vgg16",),
        curves=False,
    )
    async with listed(first, 3) as tester:
        rows = {row[1]: row for row in tester.cells("runs")}
        assert float(rows["alone"][4]) > 0, "a run with one method has an ADCC too"
        await tester.press("s")
        assert [row[1] for row in tester.cells("runs")] == ["alone", "first", "second"]
        await tester.press("s")
        values = [float(row[4]) for row in tester.cells("runs")]
        assert values == sorted(values, reverse=True)
        await tester.press("slash", *"sec", "enter")
        assert [row[1] for row in tester.cells("runs")] == ["second"]
        await tester.press("escape")
        assert len(tester.cells("runs")) == 3
        await tester.press("escape")
        assert tester.screen_name() == "GridScreen"


def test_what_differs_is_said_in_words() -> None:
    mine: dict[str, object] = {"labels": None, "demo": False, "limit": 5}
    theirs: dict[str, object] = {"labels": "a.csv", "demo": True, "limit": 5}
    assert differences(mine, theirs) == ["labels: none → a.csv", "demo: no → yes"]
    lists = {"methods": "cam, gradcam"}, {"methods": "gradcam, scorecam"}
    assert differences(*lists) == ["methods: + scorecam; − cam"]


@pytest.mark.parametrize("size", ["large", "huge"])
async def test_the_run_under_the_cursor_is_previewed(
    two_runs: tuple[Path, Path], size: str
) -> None:
    first, second = two_runs
    async with listed(first, 2, SIZES[size]) as tester:
        tester.table("runs").select(second)
        await tester.until(lambda: tester.heading("run-preview") == "second")
        assert tester.heading("difference") == "against the open run, first"
        preview = tester.part("run-preview")
        for words in ("networks  resnet18, vgg16", "scorecam", "1 image failed", "├", "±"):
            assert words in preview
        rows = {row[1]: row for row in tester.cells("runs")}
        assert rows["second"][6] == "1", "images that failed"
        assert rows["second"][8:11] == ["data", "2", "6"]
