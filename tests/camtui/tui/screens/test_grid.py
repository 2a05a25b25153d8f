from __future__ import annotations

import time
from pathlib import Path

import pytest

from camtui.format import cell_views
from camtui.tui.screens.grid import GridScreen
from evaluator.metrics import all_metrics
from evaluator.statistics import PairedDifference
from evaluator.store.reader import RunReader
from tests.camtui.tui.support import SIZES, Driver, opened
from tests.synthetic import make_run


def grid(driver: Driver) -> GridScreen:
    screen = driver.app.screen
    assert isinstance(screen, GridScreen)
    return screen


async def test_every_value_on_the_screen_is_the_stores(seeded: Path) -> None:
    with RunReader(seeded) as reader:
        means = {(s.cell): s.means for s in reader.summaries()}
        cells = {(c.method, c.backbone): c.id for c in reader.cells()}
    async with opened(seeded) as driver:
        shown = {row[0]: row[1:3] for row in driver.cells()}
        for (method, backbone), cell in cells.items():
            place = 0 if backbone == "resnet18" else 1
            assert (
                shown[method][place].strip("~*= ").split()[0]
                == f"{100 * means[cell]['adcc'].value:.2f}"
            )


async def test_the_cursor_begins_on_the_best_cell_and_the_control_is_never_best(
    seeded: Path,
) -> None:
    async with opened(seeded) as driver:
        assert driver.table().cursor == ("gradcampp", "vgg16") or "*" in "".join(
            map("".join, driver.cells())
        )
        row = {row[0]: row for row in driver.cells()}
        assert not any("*" in text for text in row["fakecam"])
        method, backbone = driver.table().cursor
        assert "*" in row[str(method)][1 if backbone == "resnet18" else 2]


async def test_metric_goes_round_both_ways(seeded: Path) -> None:
    async with opened(seeded) as driver:
        first = driver.part("hint")
        assert "ADCC ↑" in first
        await driver.press("m")
        assert "Average Drop ↓" in driver.part("hint")
        await driver.press("M")
        assert driver.part("hint") == first


async def test_long_table_and_back_keep_the_cell(seeded: Path) -> None:
    async with opened(seeded) as driver:
        before = grid(driver).chosen()
        await driver.press("v")
        assert len(driver.cells()) == 12
        assert grid(driver).chosen() == before
        await driver.press("v")
        assert len(driver.cells()) == 6
        assert grid(driver).chosen() == before


async def test_detail_shows_all_metrics_with_intervals_histogram_and_difference(
    seeded: Path,
) -> None:
    async with opened(seeded, SIZES["large"]) as driver:
        await driver.press("g")
        await driver.press("down")
        await driver.until(lambda: "▕" in driver.part("detail"))
        detail = driver.part("detail")
        for name in (
            "ADCC↑",
            "drop↓",
            "inc↑",
            "coh↑",
            "compl↓",
            "del↓",
            "ins↑",
            "mean image ADCC↑",
            "±",
            "failed 1",
        ):
            assert name in detail
        await driver.until(lambda: "paired" in driver.part("detail"))


async def test_sort_by_value_name_and_plan_and_reverse(seeded: Path) -> None:
    async with opened(seeded) as driver:
        plan = [row[0] for row in driver.cells()]
        await driver.press("s")
        values = [
            float(row[2 if driver.table().cursor[1] == "vgg16" else 1].strip("~*=").split()[0])
            for row in driver.cells()
        ]
        assert values == sorted(values, reverse=True)
        await driver.press("S")
        assert [row[0] for row in driver.cells()][-1] != plan[-1] or values != sorted(values)
        await driver.press("s")
        assert [row[0] for row in driver.cells()] == sorted(plan)
        await driver.press("s")
        assert [row[0] for row in driver.cells()] == plan


async def test_filter_takes_the_grammar_of_the_command_line(seeded: Path) -> None:
    async with opened(seeded) as driver:
        await driver.press("slash", *"grad")
        assert {row[0] for row in driver.cells()} == {
            "gradcam",
            "xgradcam",
            "gradcampp",
            "smoothgradcampp",
        }
        await driver.press("enter")
        assert driver.table().has_focus
        first = driver.table().cursor
        await driver.press("n")
        assert driver.table().cursor != first
        await driver.press("N")
        assert driver.table().cursor == first
        await driver.press("escape")
        assert len(driver.cells()) == 6
        await driver.press("slash", "z", "z", "z")
        assert driver.cells() == []
        assert "Esc" in driver.text()


async def test_the_papers_values_one_key_away(seeded: Path) -> None:
    async with opened(seeded) as driver:
        await driver.press("p")
        shown = {row[0]: row for row in driver.cells()}
        assert shown["gradcam"][2] == "53.52"
        assert "as the paper printed it, in percent   p: back to this run" in driver.part("hint")
        await driver.press("p")
        assert "paper" not in driver.part("hint")


async def test_a_run_that_the_paper_knows_nothing_of_says_so(tmp_path: Path) -> None:
    async with opened(
        make_run(tmp_path / "a.db", backbones=["resnet34"], methods=["gradcam"])
    ) as driver:
        await driver.press("p")
        assert "the paper has none of these" in driver.part("hint")


async def test_every_tie_of_the_long_table_is_found_without_a_visit_to_its_metric(
    seeded: Path,
) -> None:
    with RunReader(seeded) as reader:
        views = cell_views(reader, list(all_metrics().values()))
    expected = sum(mark in ("best", "tie") for view in views for mark in view.marks.values())
    async with opened(seeded, (200, 60)) as driver:
        await driver.press("v")
        await driver.until(
            lambda: (
                sum(text.endswith(("*", "=")) for row in driver.cells() for text in row) == expected
            )
        )


async def test_zoom_hides_what_is_not_the_table(seeded: Path) -> None:
    async with opened(seeded) as driver:
        assert driver.app.screen.query_one("#detail").display
        await driver.press("z")
        assert not driver.app.screen.query_one("#detail").display
        await driver.press("z")
        assert driver.app.screen.query_one("#detail").display


async def test_freeze_is_said_and_holds(seeded: Path) -> None:
    async with opened(seeded) as driver:
        await driver.press("f")
        assert "FROZEN" in driver.part("title")
        await driver.press("f")
        assert "FROZEN" not in driver.part("title")


@pytest.mark.parametrize(
    ("key", "opposite"), [("down", "up"), ("j", "k"), ("right", "left"), ("l", "h"), ("G", "g")]
)
async def test_moving(seeded: Path, key: str, opposite: str) -> None:
    async with opened(seeded) as driver:
        await driver.press("g", "h")
        start = driver.table().cursor
        await driver.press(key)
        assert driver.table().cursor != start
        await driver.press(opposite)
        assert driver.table().cursor == start


async def test_pages_and_ends(seeded: Path) -> None:
    async with opened(seeded, (80, 16)) as driver:
        await driver.press("v", "home")
        await driver.press("pagedown")
        assert driver.table().cursor[0] != driver.table().lines[0].key
        await driver.press("pageup", "end")
        assert driver.table().cursor[0] == driver.table().lines[-1].key


async def test_partial_and_not_begun_are_marked(partial_run: Path) -> None:
    async with opened(partial_run) as driver:
        shown = {row[0]: row[2] for row in driver.cells()}
        assert shown["gradcam"].startswith("~")
        assert shown["scorecam"] == "····"
        assert not shown["fakecam"].startswith("~")


async def test_a_crash_is_told_with_the_command_that_mends_it(partial_run: Path) -> None:
    async with opened(partial_run) as driver:
        assert "CRASHED" in driver.part("title")
        assert "camtui resume" in driver.part("title")


@pytest.mark.parametrize("size", [(80, 24), (100, 30), (140, 40), (200, 60)])
async def test_nothing_scrolls_sideways(seeded: Path, size: tuple[int, int]) -> None:
    async with opened(seeded, size) as driver:
        assert all(len(line) <= size[0] for line in driver.text().splitlines())
        assert "›" not in driver.text().splitlines()[4]


async def test_too_small_a_terminal_gets_a_summary(seeded: Path) -> None:
    async with opened(seeded, (40, 10)) as driver:
        assert "best ADCC" in driver.text()
        assert "COMPLETE" in driver.text()
        await driver.pilot.resize_terminal(80, 24)
        await driver.until(lambda: "gradcampp" in driver.text())


async def test_the_footer_tells_what_can_be_done_now(seeded: Path, partial_run: Path) -> None:
    async with opened(seeded) as driver:
        assert "open" in driver.part("keys")
        assert "resume" not in driver.part("keys")
        assert "stop" not in driver.part("keys")
        assert "q quit" in driver.part("keys")
        assert "detach" not in driver.part("keys")
    async with opened(partial_run, SIZES["large"]) as driver:
        assert "resume run" in driver.part("keys")


async def test_worst_image_of_the_best_method_in_two_keys_of_the_footer(seeded: Path) -> None:
    async with opened(seeded) as driver:
        assert "⏎ open" in driver.part("keys")
        await driver.press("enter")
        assert "⏎ open" in driver.part("keys")
        await driver.press("enter")
        await driver.until(lambda: "1/" in driver.part("where"))
        assert driver.screen_name() == "ImageScreen"


async def test_ties_come_though_the_first_test_is_slow(
    seeded: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The cursor comes to rest while the thread is still at work: the second question must not
    swallow the first one's news.
    """
    paired, waits = RunReader.paired, [0.45]

    def slow_at_first(
        self: RunReader, metric: str, first: int, second: int
    ) -> PairedDifference | None:
        time.sleep(waits.pop() if waits else 0)
        return paired(self, metric, first, second)

    monkeypatch.setattr(RunReader, "paired", slow_at_first)
    async with opened(seeded) as driver:
        await driver.until(
            lambda: sum(text.endswith("=") for row in driver.cells() for text in row) >= 3
        )
