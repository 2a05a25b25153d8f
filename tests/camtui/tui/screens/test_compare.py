"""The comparison of two runs: its plot, its sides, other protocols, the images that changed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from camtui.tui.screens.compare import CompareScreen, Interval, axis_line, forest_line, scale_of
from evaluator.store.reader import RunReader
from tests.camtui.tui.support import DashboardTester, opened
from tests.synthetic import make_run

THREE_SIZES = [(80, 24), (140, 40), (200, 55)]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Path]:
    """Two runs of one protocol, of which the second is worse, and one of another protocol."""
    folder = tmp_path_factory.mktemp("compared")
    return (
        make_run(folder / "imagenet-before.db", images=20, curves=False, pictures=True),
        make_run(folder / "imagenet-after.db", images=20, curves=False, shift=0.2, pictures=True),
        make_run(folder / "other.db", images=20, curves=False, plan={"resize": 256}),
    )


@asynccontextmanager
async def compared(
    first: Path, second: Path, size: tuple[int, int] = (80, 24)
) -> AsyncIterator[DashboardTester]:
    async with opened(first, size) as tester:
        await tester.app.push_screen(CompareScreen(tester.connection, first, second))
        await tester.until(lambda: "paired by image" in tester.part("compared"))
        await tester.settle()
        yield tester


@pytest.mark.parametrize(
    ("interval", "drawn"),
    [
        (Interval(2, 2), "     │──●──┤"),
        (Interval(0, 2), "   ├─●─┤    "),
        (Interval(-2, 1), " ├●─┤│      "),
        (Interval(3, 0), "     │  ●   "),
    ],
)
def test_an_interval_is_drawn_around_its_dot_with_the_zero_line(
    interval: Interval, drawn: str
) -> None:
    line = forest_line(interval, (-5, 6), 12)
    assert len(line) == 12
    assert line.index("●") == round((interval.value + 5) / 11 * 11)
    if interval.half:
        assert line.index("├") == interval.value - interval.half + 5
        assert line.index("┤") == interval.value + interval.half + 5
    if interval.value - interval.half > 0 or interval.value + interval.half < 0:
        assert line[5] == "│"


def test_the_axis_has_zero_and_every_interval() -> None:
    assert scale_of([Interval(2, 1), Interval(5, 0.5)]) == (0.0, 5.5)
    assert scale_of([Interval(-2, 1), Interval(5, 0.5)]) == (-3.0, 5.5)
    assert scale_of([]) == (-1.0, 1.0)
    line = axis_line((-3.0, 5.5), 40)
    assert line.startswith("-3.0")
    assert line.endswith("+5.5")
    assert line[round(3 / 8.5 * 39)] == "0"


@pytest.mark.parametrize("size", THREE_SIZES)
async def test_verdict_method_network_plot_and_change_at_every_size(
    runs: tuple[Path, Path, Path], size: tuple[int, int]
) -> None:
    async with compared(*runs[:2], size) as tester:
        lines = tester.text().splitlines()
        rows = [line for line in lines if line[1:7].strip() in ("better", "worse", "tie")]
        assert len(rows) == 12
        for row in rows:
            assert "●" in row
            assert "±" in row
            assert "resnet18" in row or "vgg16" in row
        assert sum("worse" in row for row in rows) >= 10
        assert ["fakecam" in row for row in rows] == [False] * 10 + [True] * 2
        assert ("second" in "".join(lines)) == (size[0] >= 100)


async def test_the_older_run_is_first_and_the_sides_can_be_swapped(
    runs: tuple[Path, Path, Path],
) -> None:
    before, after, _ = runs
    async with compared(after, before) as tester:
        assert tester.part("compared").startswith(
            " imagenet-after is better in 0 of 12, worse in 1"
        )
        assert "imagenet-before  →  imagenet-after" in tester.part("compared")
        await tester.press("less_than_sign")
        await tester.until(lambda: "imagenet-before is better in 1" in tester.part("compared"))
        assert "imagenet-after  →  imagenet-before" in tester.part("compared")


async def test_runs_of_other_protocols_are_paired_by_a_key_and_the_difference_named(
    runs: tuple[Path, Path, Path],
) -> None:
    before, _, other = runs
    async with compared(before, other) as tester:
        assert "resize: 224 → 256" in tester.part("notes")
        assert "F pairs them all the same" in tester.part("compared")
        assert "nothing to compare" in tester.text()
        await tester.press("F")
        await tester.until(lambda: len(tester.cells("differences")) == 12)
        assert "another protocol, paired by force: resize: 224 → 256" in tester.part("notes")
        await tester.press("F")
        await tester.until(lambda: not tester.cells("differences"))


async def test_comparisons_and_changed_images_are_filtered(runs: tuple[Path, Path, Path]) -> None:
    async with compared(*runs[:2]) as tester:
        await tester.press("slash", *"vgg", "space", *"worse", "enter")
        await tester.until(lambda: "filter: vgg worse" in tester.text())
        rows = tester.cells("differences")
        assert {(row[0], row[2]) for row in rows} == {("worse", "vgg16")}
        await tester.press("enter")
        await tester.on("ChangedScreen")
        await tester.until(lambda: len(tester.cells("changed")) > 10)
        name = tester.cells("changed")[3][3]
        await tester.press("slash", *name[-8:-4], "enter")
        await tester.until(lambda: [row[3] for row in tester.cells("changed")] == [name])
        await tester.press("escape")
        await tester.until(lambda: len(tester.cells("changed")) > 10)
        await tester.press("escape", "escape")
        await tester.until(lambda: len(tester.cells("differences")) == 12)


async def test_enter_lists_the_images_that_changed_most_and_then_both_maps(
    runs: tuple[Path, Path, Path],
) -> None:
    before, after, _ = runs
    async with compared(before, after) as tester:
        await tester.press("enter")
        await tester.on("ChangedScreen")
        await tester.until(lambda: len(tester.cells("changed")) > 10)
        rows = tester.cells("changed")
        changes = [float(row[0]) for row in rows]
        assert changes == sorted(changes)
        assert "worse ones first" in tester.part("compared")
        backbone, method = tester.part("compared").split("   ")[0].strip().split(" × ")
        with RunReader(before) as mine, RunReader(after) as theirs:
            image = mine.images.find(rows[0][3])
            values = []
            for reader in (mine, theirs):
                cell = next(
                    one
                    for one in reader.cells()
                    if (one.backbone, one.method) == (backbone, method)
                )
                row = reader.rows.get(cell.id, image.id)
                assert row is not None
                assert row.adcc is not None
                values.append(100 * row.adcc)
        assert [float(text) for text in rows[0][:3]] == pytest.approx(
            [values[1] - values[0], *values], abs=0.006
        )
        await tester.press("b")
        assert [float(row[0]) for row in tester.cells("changed")] == changes[::-1]
        await tester.press("enter")
        await tester.on("TwoScreen")
        await tester.until(lambda: "difference" in tester.part("facts"))
        assert "imagenet-before" in tester.part("facts")
        assert "imagenet-after" in tester.part("facts")
        assert rows[-1][0] in tester.part("facts").splitlines()[-1]
        await tester.press("escape", "escape", "escape")
        assert tester.screen_name() == "GridScreen"
