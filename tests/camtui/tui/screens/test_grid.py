from __future__ import annotations

import time
from pathlib import Path

import pytest

from camtui.format import cell_views
from camtui.tui.screens.grid import GridScreen
from evaluator.metrics import all_metrics
from evaluator.statistics import PairedDifference
from evaluator.store.queries import Averages
from evaluator.store.reader import RunReader
from tests.camtui.tui.support import SIZES, DashboardTester, opened, toasts
from tests.evaluator.store.runs import raw
from tests.synthetic import make_run


def grid(tester: DashboardTester) -> GridScreen:
    screen = tester.app.screen
    assert isinstance(screen, GridScreen)
    return screen


async def test_every_value_on_the_screen_is_the_stores(seeded: Path) -> None:
    with RunReader(seeded) as reader:
        means = {(s.cell): s.means for s in reader.averages.summaries()}
        cells = {(c.method, c.backbone): c.id for c in reader.cells()}
    async with opened(seeded) as tester:
        shown = {row[0]: row[1:3] for row in tester.cells()}
        for (method, backbone), cell in cells.items():
            place = 0 if backbone == "resnet18" else 1
            assert (
                shown[method][place].strip("~*= ").split()[0]
                == f"{100 * means[cell]['adcc'].value:.2f}"
            )


async def test_the_cursor_begins_on_the_best_cell_and_the_control_is_never_best(
    seeded: Path,
) -> None:
    async with opened(seeded) as tester:
        assert tester.table().cursor == ("gradcampp", "vgg16") or "*" in "".join(
            map("".join, tester.cells())
        )
        row = {row[0]: row for row in tester.cells()}
        assert not any("*" in text for text in row["fakecam"])
        method, backbone = tester.table().cursor
        assert "*" in row[str(method)][1 if backbone == "resnet18" else 2]


async def test_metric_goes_round_both_ways(seeded: Path) -> None:
    async with opened(seeded) as tester:
        first = tester.part("hint")
        assert "ADCC ↑" in first
        await tester.press("m")
        assert "Average Drop ↓" in tester.part("hint")
        await tester.press("M")
        assert tester.part("hint") == first


async def test_long_table_and_back_keep_the_cell(seeded: Path) -> None:
    async with opened(seeded) as tester:
        before = grid(tester).chosen()
        await tester.press("v")
        assert len(tester.cells()) == 12
        assert grid(tester).chosen() == before
        await tester.press("v")
        assert len(tester.cells()) == 6
        assert grid(tester).chosen() == before


async def test_detail_shows_all_metrics_with_intervals_histogram_and_difference(
    seeded: Path,
) -> None:
    async with opened(seeded, SIZES["large"]) as tester:
        await tester.press("g")
        await tester.press("down")
        await tester.until(lambda: "▕" in tester.part("detail"))
        detail = tester.part("detail")
        for name in [
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
        ]:
            assert name in detail
        await tester.until(lambda: "paired" in tester.part("detail"))


async def test_sort_by_value_name_and_plan_and_reverse(seeded: Path) -> None:
    async with opened(seeded) as tester:
        plan = [row[0] for row in tester.cells()]
        await tester.press("s")
        values = [
            float(row[2 if tester.table().cursor[1] == "vgg16" else 1].strip("~*=").split()[0])
            for row in tester.cells()
        ]
        assert values == sorted(values, reverse=True)
        await tester.press("S")
        assert [row[0] for row in tester.cells()][-1] != plan[-1] or values != sorted(values)
        await tester.press("s")
        assert [row[0] for row in tester.cells()] == sorted(plan)
        await tester.press("s")
        assert [row[0] for row in tester.cells()] == plan


async def test_filter_takes_the_grammar_of_the_command_line(seeded: Path) -> None:
    async with opened(seeded) as tester:
        await tester.press("slash", *"grad")
        assert {row[0] for row in tester.cells()} == {
            "gradcam",
            "xgradcam",
            "gradcampp",
            "smoothgradcampp",
        }
        await tester.press("enter")
        assert tester.table().has_focus
        first = tester.table().cursor
        await tester.press("n")
        assert tester.table().cursor != first
        await tester.press("N")
        assert tester.table().cursor == first
        await tester.press("escape")
        assert len(tester.cells()) == 6
        await tester.press("slash", "z", "z", "z")
        assert tester.cells() == []
        assert "Esc" in tester.text()


async def test_the_papers_values_one_key_away(seeded: Path, tmp_path: Path) -> None:
    async with opened(seeded) as tester:
        await tester.press("p")
        shown = {row[0]: row for row in tester.cells()}
        assert shown["gradcam"][2] == "53.52"
        assert "as the paper printed it, in percent   p: back to this run" in tester.part("hint")
        await tester.press("p")
        assert "paper" not in tester.part("hint")
    unknown = make_run(tmp_path / "a.db", backbones=["resnet34"], methods=["gradcam"])
    async with opened(unknown) as tester:
        await tester.press("p")
        assert "the paper has none of these" in tester.part("hint")


async def test_every_tie_of_the_long_table_is_found_without_a_visit_to_its_metric(
    seeded: Path,
) -> None:
    with RunReader(seeded) as reader:
        views = cell_views(reader, list(all_metrics().values()))
    expected = sum(mark in ("best", "tie") for view in views for mark in view.marks.values())
    async with opened(seeded, (200, 60)) as tester:
        await tester.press("v")
        await tester.until(
            lambda: (
                sum(text.endswith(("*", "=")) for row in tester.cells() for text in row) == expected
            )
        )


async def test_zoom_hides_what_is_not_the_table(seeded: Path) -> None:
    async with opened(seeded) as tester:
        assert tester.app.screen.query_one("#detail").display
        await tester.press("z")
        assert not tester.app.screen.query_one("#detail").display
        await tester.press("z")
        assert tester.app.screen.query_one("#detail").display


@pytest.mark.parametrize(
    ("key", "opposite"), [("down", "up"), ("j", "k"), ("right", "left"), ("l", "h"), ("G", "g")]
)
async def test_moving(seeded: Path, key: str, opposite: str) -> None:
    async with opened(seeded) as tester:
        await tester.press("g", "h")
        start = tester.table().cursor
        await tester.press(key)
        assert tester.table().cursor != start
        await tester.press(opposite)
        assert tester.table().cursor == start


async def test_pages_and_ends(seeded: Path) -> None:
    async with opened(seeded, (80, 16)) as tester:
        await tester.press("v", "home")
        await tester.press("pagedown")
        assert tester.table().cursor[0] != tester.table().lines[0].key
        await tester.press("pageup", "end")
        assert tester.table().cursor[0] == tester.table().lines[-1].key


async def test_partial_and_not_begun_are_marked(partial_run: Path) -> None:
    async with opened(partial_run) as tester:
        shown = {row[0]: row[2] for row in tester.cells()}
        assert shown["gradcam"].startswith("~")
        assert shown["scorecam"] == "····"
        assert not shown["fakecam"].startswith("~")


async def test_a_crash_is_told_with_the_command_that_mends_it(partial_run: Path) -> None:
    async with opened(partial_run) as tester:
        assert "CRASHED" in tester.part("title")
        assert "camtui resume" in tester.part("title")


@pytest.mark.parametrize("size", [(80, 24), (100, 30), (140, 40), (200, 60)])
async def test_nothing_scrolls_sideways(seeded: Path, size: tuple[int, int]) -> None:
    async with opened(seeded, size) as tester:
        assert all(len(line) <= size[0] for line in tester.text().splitlines())
        assert "›" not in tester.text().splitlines()[4]


async def test_too_small_a_terminal_gets_a_summary(seeded: Path) -> None:
    async with opened(seeded, (40, 10)) as tester:
        assert "best ADCC" in tester.text()
        assert "COMPLETE" in tester.text()
        await tester.pilot.resize_terminal(80, 24)
        await tester.until(lambda: "gradcampp" in tester.text())


async def test_the_footer_tells_what_can_be_done_now(seeded: Path, partial_run: Path) -> None:
    async with opened(seeded) as tester:
        assert "open" in tester.part("keys")
        assert "resume" not in tester.part("keys")
        assert "stop" not in tester.part("keys")
        assert "q quit" in tester.part("keys")
        assert "detach" not in tester.part("keys")
    async with opened(partial_run, SIZES["large"]) as tester:
        assert "resume run" in tester.part("keys")


async def test_a_damaged_row_is_said_once_and_the_grid_stays(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run.db", images=30, backbones=("resnet18",), curves=False)
    for cell in range(1, 9):
        raw(run, "UPDATE results SET coherency = 0.5 WHERE image_id = 3 AND cell_id = ?", (cell,))
    async with opened(run) as tester:
        await tester.until(lambda: "ties are not known" in toasts(tester))
        await tester.press("down", "up")
        await tester.until(lambda: "the row of image 3 in resnet18/" in toasts(tester))
        assert toasts(tester).count("ties are not known") == 1
        assert tester.screen_name() == "GridScreen"
        assert len(tester.cells()) > 4


async def test_ties_come_though_the_first_test_is_slow(
    seeded: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The cursor comes to rest while the thread is still at work: the second question must not
    swallow the first one's news.
    """
    paired, waits = Averages.paired, [0.45]

    def slow_at_first(
        self: Averages, metric: str, first: int, second: int
    ) -> PairedDifference | None:
        time.sleep(waits.pop() if waits else 0)
        return paired(self, metric, first, second)

    monkeypatch.setattr(Averages, "paired", slow_at_first)
    async with opened(seeded) as tester:
        await tester.until(
            lambda: sum(text.endswith("=") for row in tester.cells() for text in row) >= 3
        )


async def test_the_long_table_counts_the_failed_images(seeded: Path) -> None:
    async with opened(seeded) as tester:
        await tester.press("v")
        place = [column.key for column in tester.table()._columns].index("failed")
        assert {row[place] for row in tester.cells()} == {"1"}
        print(tester.text())
        for keys in (("left",), ("left", "left")):
            await tester.press(*keys)
            print(tester.table().cursor)
            await tester.press("s")
            print(
                grid(tester).options.order, repr(grid(tester).options.column), tester.part("hint")
            )
            print([row[:5] for row in tester.cells()][:3])
            await tester.press("s", "s")
