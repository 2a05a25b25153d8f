from __future__ import annotations

import re
import time
from pathlib import Path

import pytest

from camtui.format import cell_views
from camtui.tui.screens.grid import GridScreen
from evaluator.catalog import is_control, known_methods, known_metrics
from evaluator.metrics import all_metrics
from evaluator.statistics import PairedDifference
from evaluator.store.queries import Averages
from evaluator.store.reader import RunReader
from tests.camtui.tui.support import SIZES, DashboardTester, Settings, opened, toasts
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
        await tester.press("home")
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
        ]:
            assert name in detail
        assert "failed 1" in tester.heading("detail")
        await tester.until(lambda: "pairs)" in tester.part("detail"))


async def test_most_of_a_small_terminal_are_methods(tmp_path: Path) -> None:
    names = [name for name in known_methods() if not is_control(name)][:18]
    run = make_run(tmp_path / "many.db", images=12, methods=names, curves=False)
    async with opened(run) as tester:
        lines = tester.text().splitlines()
        rows = [line for line in lines if any(line[1:].startswith(f"{name} ") for name in names)]
        assert len(rows) >= 14, tester.text()
        assert "of 18" in tester.text()


async def test_sort_by_value_name_and_plan_and_reverse(seeded: Path) -> None:
    async with opened(seeded) as tester:
        plan = [row[0] for row in tester.cells()]
        await tester.press("s")
        values = [
            float(row[2 if tester.table().cursor[1] == "vgg16" else 1].strip("~*=").split()[0])
            for row in tester.cells()
        ]
        assert values[:-1] == sorted(values[:-1], reverse=True), "the control is last"
        await tester.press("S")
        assert [row[0] for row in tester.cells()][-1] != plan[-1] or values != sorted(values)
        await tester.press("s")
        assert [row[0] for row in tester.cells()][:-1] == sorted(plan[:-1])
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
        measured = tester.cells()
        await tester.press("p")
        assert "the paper has no values of these" in toasts(tester)
        assert tester.cells() == measured


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


async def test_a_key_of_images_says_what_it_needs(seeded: Path) -> None:
    async with opened(seeded) as tester:
        await tester.press("A")
        assert "A shows every method on one image" in toasts(tester)


async def test_zoom_hides_what_is_not_the_table(seeded: Path) -> None:
    async with opened(seeded) as tester:
        assert tester.app.screen.query_one("#detail").display
        await tester.press("z")
        assert not tester.app.screen.query_one("#detail").display
        await tester.press("z")
        assert tester.app.screen.query_one("#detail").display


@pytest.mark.parametrize(
    ("key", "opposite"), [("down", "up"), ("j", "k"), ("right", "left"), ("l", "h"), ("G", "home")]
)
async def test_moving(seeded: Path, key: str, opposite: str) -> None:
    async with opened(seeded) as tester:
        await tester.press("home", "h")
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
    async with opened(partial_run) as tester:
        for words in ("open", "metric", "table", "resume run"):
            assert words in tester.part("keys"), "what everyone tries is left out first"
        await tester.press("3")
        for words in ("all methods", "play"):
            assert words in tester.part("keys")


async def test_of_few_images_it_is_said_why_none_is_best(tmp_path: Path, seeded: Path) -> None:
    run = make_run(tmp_path / "few.db", images=5)
    words = "fewer than 10 images tell no methods apart"
    async with opened(run) as tester:
        assert words in tester.part("hint")
        assert "* best" not in tester.part("hint")
    async with opened(seeded) as tester:
        assert words not in tester.part("hint")


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


async def test_the_panels_follow_the_metric(tmp_path: Path) -> None:
    run = make_run(tmp_path / "pics.db", pictures=True, images=20)
    async with opened(run, SIZES["large"]) as tester:
        for metric in ("coherency", "deletion"):
            while grid(tester).options.metric != metric:
                await tester.press("m")
            known = known_metrics()[metric]
            chosen = grid(tester).chosen()
            assert chosen is not None
            with RunReader(run) as reader:
                means = {
                    view.cell.method: mean.value
                    for view in cell_views(reader)
                    if view.cell.backbone == chosen.backbone and (mean := view.mean(metric))
                }
            best = sorted(means, key=lambda name: -known.sign * means[name])
            best.remove("fakecam")
            rows = tester.part("overview").splitlines()
            assert rows[0].split()[1] == f"{known.short}{known.arrow}"
            shown = [row.split()[0] for row in rows[1 : len(best) + 3]]
            assert shown == [*best, "─" * len(rows[0]), "fakecam"]
            await tester.until(
                lambda title=known.title: f"leaders, {title} over n" in tester.text()  # type: ignore[misc]  # the default binds title
            )
            assert "19 images" in tester.part("leaders")
            await tester.until(
                lambda short=known.short: f"  {short} " in tester.part("worst")  # type: ignore[misc]  # as above
            )


@pytest.mark.parametrize("keys", [(), ("s",), ("s", "s"), ("S",), ("v",), ("v", "s")])
@pytest.mark.parametrize("size", [(80, 24), (200, 55)])
async def test_controls_are_last_whatever_the_order(
    seeded: Path, keys: tuple[str, ...], size: tuple[int, int]
) -> None:
    async with opened(seeded, size) as tester:
        await tester.press(*keys)
        controls = [row[0] == "fakecam" for row in tester.cells()]
        assert any(controls)
        assert controls == sorted(controls)
        assert "────" in tester.text()


async def test_a_sorted_grid_shows_its_top(seeded: Path) -> None:
    async with opened(seeded, SIZES["small"]) as tester:
        await tester.press("v", "G", "s")
        assert tester.table().cursor[0] == tester.table().lines[0].key
        assert "▼" in tester.text()
        assert "▲" not in tester.text()


async def test_a_grid_that_was_too_small_keeps_its_keys(seeded: Path) -> None:
    async with opened(seeded) as tester:
        await tester.press("G")
        await tester.pilot.resize_terminal(40, 10)
        await tester.until(lambda: "best ADCC" in tester.text())
        await tester.pilot.resize_terminal(80, 24)
        await tester.until(lambda: "gradcampp" in tester.text())
        await tester.press("home")
        assert tester.table().cursor[0] == tester.table().lines[0].key


@pytest.mark.parametrize("size", [(80, 24), (140, 40), (200, 55)])
@pytest.mark.parametrize("keys", [(), ("v",)])
async def test_three_networks_of_one_name_are_told_apart(
    tmp_path: Path, size: tuple[int, int], keys: tuple[str, ...]
) -> None:
    names = [f"efficientnet_b{number}" for number in range(3)]
    run = make_run(tmp_path / "alike.db", backbones=names, methods=("gradcam",), images=12)
    async with opened(run, size) as tester:
        await tester.press(*keys)
        if keys:
            shown = {row[1] for row in tester.cells()}
            assert len(shown) == 3
            assert size[0] < 140 or shown == set(names), "where there is room, whole"
        side = tester.part("work") if size[0] >= 120 else ""
        rows = [line.split()[0] for line in side.splitlines() if "rows" in line and "%" in line]
        assert len(set(rows)) == len(rows)
        for number in range(3):
            assert f"b{number}" in tester.text()


@pytest.mark.parametrize("size", [(80, 24), (140, 40)])
async def test_in_ascii_no_sign_means_two_things_and_nothing_is_cut(
    partial_run: Path, size: tuple[int, int]
) -> None:
    async with opened(partial_run, size, Settings(ascii=True)) as tester:
        await tester.press("m")
        strips = tester.app.screen._compositor.render_strips()
        for line_filter in tester.app.get_line_filters():
            ground = tester.app.screen.background_colors[0]
            strips = [strip.apply_filter(line_filter, ground) for strip in strips]
        text = "\n".join(strip.text for strip in strips)
        assert text.isascii()
        assert "Average Drop (low)" in text
        assert "Enter open" in text
        values = [value for row in tester.cells() for value in row if "±" in value]
        assert [value for value in values if value.replace(" ±", "+-") not in text] == []
        last = "compl" if size[0] > 80 else "drop"
        assert re.search(rf"{last}\(low\) \d+\.\d+\+-\d+\.\d\d", text), "the last of its line"
        partial = sum("~" in value for row in tester.cells() for value in row)
        assert text.count("~") == partial + 1, "and once in the line of signs"
