from __future__ import annotations

import re
import sqlite3
from functools import partial
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from camtui.tui.screens import cell as cell_module
from camtui.tui.screens.cell import CellScreen, ListedImage, page
from camtui.tui.text import axis_ticks
from evaluator.store.reader import RunReader
from tests.camtui.tui.support import SIZES, DashboardTester, opened, toasts
from tests.synthetic import make_run


def cell(tester: DashboardTester) -> CellScreen:
    screen = tester.app.screen
    assert isinstance(screen, CellScreen)
    return screen


def has_lines(tester: DashboardTester, size: int) -> bool:
    return len(tester.table("images").lines) == size


async def test_the_list_is_the_stores_order_from_the_worst(seeded: Path) -> None:
    async with opened(seeded) as tester:
        await tester.press("2")
        with RunReader(seeded) as reader:
            expected = reader.ranking.page(cell(tester).cell_id, "adcc", ascending=True, limit=100)
        assert [line.key for line in tester.table("images").lines] == [
            ranked.image for ranked in expected
        ]
        assert tester.cells("images")[0][-1] == f"{100 * expected[0].value:.2f}"


async def test_best_first_and_back(seeded: Path) -> None:
    async with opened(seeded) as tester:
        await tester.press("2")
        worst = [line.key for line in tester.table("images").lines]
        await tester.press("b")
        assert [line.key for line in tester.table("images").lines] == worst[::-1]
        assert "Best images" in tester.part("listhead")


async def test_worst_by_any_metric_follows_its_direction(seeded: Path) -> None:
    async with opened(seeded) as tester:
        await tester.press("2", "w")  # after ADCC the first again: average drop, lower is better
        assert "drop↓" in tester.part("listhead")
        values = [float(row[-1]) for row in tester.cells("images")]
        assert values == sorted(values, reverse=True)
        await tester.press("W")
        assert "ADCC↑" in tester.part("listhead")
        await tester.press("w", "w", "w")
        assert "del↓" in tester.part("listhead")
        assert len(tester.cells("images")) == 39


async def test_plots_show_every_image_and_the_settled_value(seeded: Path) -> None:
    async with opened(seeded, SIZES["large"]) as tester:
        await tester.press("2")
        await tester.until(lambda: "38 images" in tester.part("convergence"))
        assert "█" in tester.part("histogram")
        assert any("\u2801" <= character <= "\u28ff" for character in tester.part("convergence"))


async def test_the_plot_over_n_is_of_the_metric_that_orders(seeded: Path) -> None:
    async with opened(seeded, SIZES["large"]) as tester:
        await tester.press("2")
        await tester.until(lambda: "38 images" in tester.part("convergence"))
        for key, n in (("coh", 39), ("del", 39), ("ADCC", 38)):
            while f"by {key}" not in tester.part("listhead"):
                await tester.press("w")
            await tester.until(lambda n=n: f"{n} images" in tester.part("convergence"))  # type: ignore[misc]  # the default binds n
            title = tester.app.screen.query_one("#convergence").border_title
            assert title == f"{key} over n, 95 % band"


async def test_class_names_not_numbers(seeded: Path) -> None:
    async with opened(seeded) as tester:
        await tester.press("2")
        await tester.until(lambda: all("class " in row[2] for row in tester.cells("images")))


async def test_pages_by_key_as_the_cursor_goes_down(tmp_path: Path) -> None:
    run = make_run(
        tmp_path / "many.db",
        images=350,
        methods=("gradcam",),
        backbones=("resnet18",),
        curves=False,
    )
    async with opened(run) as tester:
        await tester.press("2")
        assert len(tester.table("images").lines) == 100
        for size in (200, 300, 348):
            await tester.press("G")
            await tester.until(partial(has_lines, tester, size))
        keys = [line.key for line in tester.table("images").lines]
        assert len(set(keys)) == 348
        await tester.press("home")
        assert tester.table("images").cursor[0] == keys[0]


@pytest.fixture
def may_read(monkeypatch: pytest.MonkeyPatch) -> Event:
    """Until it is set, a list that is asked for does not come."""
    event, read = Event(), page

    def slow_page(*question: Any) -> list[ListedImage]:
        assert event.wait(60)
        return read(*question)

    monkeypatch.setattr(cell_module, "page", slow_page)
    return event


@pytest.mark.parametrize(
    ("typed", "place"),
    [
        (["enter"], 1),
        (["j", "j", "enter"], 3),
        (["enter", "j"], 1),
        (["G", "enter"], 38),
        (["G", "home", "enter"], 1),
    ],
)
async def test_keys_typed_before_the_list_has_come_are_for_that_list(
    seeded: Path, may_read: Event, typed: list[str], place: int
) -> None:
    async with opened(seeded) as tester:
        await tester.pilot.press("2", *typed)
        assert tester.screen_name() == "CellScreen"
        assert not tester.table("images").lines
        may_read.set()
        await tester.until(lambda: tester.screen_name() == "ImageScreen")
        await tester.until(lambda: f"{place}/38" in tester.text())


async def test_nothing_opens_over_what_has_come_to_the_front_meanwhile(
    seeded: Path, may_read: Event
) -> None:
    async with opened(seeded) as tester:
        await tester.pilot.press("2", "enter", "question_mark")
        may_read.set()
        await tester.settle()
        assert tester.screen_name() == "HelpScreen"
        await tester.press("escape")
        assert tester.screen_name() == "CellScreen"
        assert tester.table("images").lines


async def test_a_double_click_means_the_image_that_is_shown(seeded: Path, may_read: Event) -> None:
    may_read.set()
    async with opened(seeded) as tester:
        await tester.press("2")
        table = tester.table("images")
        third = table.lines[2].fields[1].text.strip()
        may_read.clear()
        await tester.pilot.press("b")
        await tester.pilot.click(table, offset=(10, 4), times=2)
        await tester.until(lambda: tester.screen_name() == "ImageScreen")
        may_read.set()
        await tester.until(lambda: third in tester.text())


async def test_a_list_that_cannot_be_read_leaves_no_key_waiting(
    seeded: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = page

    may_fail = Event()

    def no_page(*_: Any) -> list[ListedImage]:
        assert may_fail.wait(60)
        raise sqlite3.OperationalError("disk I/O error")

    async with opened(seeded) as tester:
        await tester.press("2")
        best = tester.table("images").lines[-1].key
        monkeypatch.setattr(cell_module, "page", no_page)
        await tester.pilot.press("b", "enter")
        may_fail.set()
        await tester.settle()
        assert re.search("cannot read .*seeded.db: disk I/O error", toasts(tester))
        monkeypatch.setattr(cell_module, "page", read)
        await tester.press("G")
        await tester.until(lambda: tester.table("images").lines[0].key == best)
        await tester.settle()
        assert tester.screen_name() == "CellScreen"


async def test_other_cells_and_up(seeded: Path) -> None:
    async with opened(seeded) as tester:
        await tester.press("2")
        first = cell(tester).cell_id
        await tester.press("right_square_bracket")
        assert cell(tester).cell_id != first
        await tester.press("left_square_bracket")
        assert cell(tester).cell_id == first
        await tester.press("escape")
        assert tester.screen_name() == "GridScreen"
        await tester.press("escape")
        assert tester.screen_name() == "GridScreen"


async def test_a_cell_without_values_says_so(partial_run: Path) -> None:
    async with opened(partial_run) as tester:
        await tester.press("G", "k", "l", "enter")
        assert "no image of this method has a value yet" in tester.text()
        assert "needs more images" in tester.text()


async def test_another_metric_begins_at_its_first_image(seeded: Path) -> None:
    async with opened(seeded) as tester:
        await tester.press("2", "down", "down", "down")
        await tester.press("w")
        await tester.until(lambda: "by drop" in tester.part("listhead"))
        table = tester.table("images")
        await tester.until(lambda: table.cursor[0] == table.lines[0].key)
        await tester.press("down", "b")
        await tester.until(
            lambda: "Best" in tester.part("listhead") and table.cursor[0] == table.lines[0].key
        )


def test_an_axis_has_more_labels_where_there_is_room() -> None:
    assert axis_ticks(0.5, 0.7, 2) == {0: "70.0", 1: "50.0"}
    assert axis_ticks(0.5, 0.7, 9) == {0: "70.0", 4: "60.0", 8: "50.0"}


async def test_enter_on_a_class_lists_its_images(seeded: Path) -> None:
    async with opened(seeded) as tester:
        await tester.press("2", "B")
        await tester.until(lambda: len(tester.cells("images")) == 2)
        await tester.press("enter")
        await tester.until(lambda: "B goes on to classes" in toasts(tester))
        await tester.press("B")
        await tester.until(lambda: "Worst classes" in tester.part("listhead"))
        await tester.until(lambda: tester.cells("images"))
        name, number = tester.cells("images")[0][:2]
        await tester.press("enter")
        await tester.until(lambda: f"filter: {name}" in tester.text())
        assert len(tester.cells("images")) >= int(number)
        assert all(name in row[2] for row in tester.cells("images"))
        await tester.press("escape")
        await tester.until(lambda: "filter:" not in tester.text())


async def test_groups_in_place_of_images(seeded: Path) -> None:
    async with opened(seeded) as tester:
        await tester.press("2", "B")
        await tester.until(lambda: {row[0] for row in tester.cells("images")} == {"right", "wrong"})
        assert "Worst predictions by ADCC" in tester.part("listhead")
        assert sum(int(row[1]) for row in tester.cells("images")) == 39
        await tester.press("enter")
        assert isinstance(tester.app.screen, CellScreen), "a group is no image"
        worst = tester.cells("images")[0][0]
        await tester.press("b")
        await tester.until(lambda: tester.cells("images")[-1][0] == worst)
        await tester.press("B")
        await tester.until(lambda: "class" in tester.cells("images")[0][0])
        await tester.press("B")
        await tester.until(partial(has_lines, tester, 38))
