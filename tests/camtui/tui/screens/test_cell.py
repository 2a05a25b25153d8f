from __future__ import annotations

import re
import sqlite3
from functools import partial
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from camtui.tui.screens import cell as cell_module
from camtui.tui.screens.cell import CellScreen, Listed, axis_ticks
from evaluator.store.reader import RunReader
from tests.camtui.tui.support import SIZES, Driver, opened, said
from tests.synthetic import make_run


def cell(driver: Driver) -> CellScreen:
    screen = driver.app.screen
    assert isinstance(screen, CellScreen)
    return screen


def has_lines(driver: Driver, size: int) -> bool:
    return len(driver.table("images").lines) == size


async def test_the_list_is_the_stores_order_from_the_worst(seeded: Path) -> None:
    async with opened(seeded) as driver:
        await driver.press("2")
        with RunReader(seeded) as reader:
            expected = reader.ranked(cell(driver).cell_id, "adcc", ascending=True, limit=100)
        assert [line.key for line in driver.table("images").lines] == [
            ranked.image for ranked in expected
        ]
        assert driver.cells("images")[0][-1] == f"{100 * expected[0].value:.2f}"


async def test_best_first_and_back(seeded: Path) -> None:
    async with opened(seeded) as driver:
        await driver.press("2")
        worst = [line.key for line in driver.table("images").lines]
        await driver.press("b")
        assert [line.key for line in driver.table("images").lines] == worst[::-1]
        assert "Best images" in driver.part("listhead")


async def test_worst_by_any_metric_follows_its_direction(seeded: Path) -> None:
    async with opened(seeded) as driver:
        await driver.press("2", "w")  # after ADCC the first again: average drop, lower is better
        assert "drop↓" in driver.part("listhead")
        values = [float(row[-1]) for row in driver.cells("images")]
        assert values == sorted(values, reverse=True)
        await driver.press("W")
        assert "ADCC↑" in driver.part("listhead")
        await driver.press("w", "w", "w")
        assert "del↓" in driver.part("listhead")
        assert len(driver.cells("images")) == 39


async def test_plots_show_every_image_and_the_settled_value(seeded: Path) -> None:
    async with opened(seeded, SIZES["large"]) as driver:
        await driver.press("2")
        await driver.until(lambda: "38 images" in driver.part("convergence"))
        assert "█" in driver.part("histogram")
        assert any("\u2801" <= character <= "\u28ff" for character in driver.part("convergence"))


async def test_class_names_not_numbers(seeded: Path) -> None:
    async with opened(seeded) as driver:
        await driver.press("2")
        await driver.until(lambda: all("class " in row[2] for row in driver.cells("images")))


async def test_pages_by_key_as_the_cursor_goes_down(tmp_path: Path) -> None:
    run = make_run(
        tmp_path / "many.db",
        images=350,
        methods=("gradcam",),
        backbones=("resnet18",),
        curves=False,
    )
    async with opened(run) as driver:
        await driver.press("2")
        assert len(driver.table("images").lines) == 100
        for size in (200, 300, 348):
            await driver.press("G")
            await driver.until(partial(has_lines, driver, size))
        keys = [line.key for line in driver.table("images").lines]
        assert len(set(keys)) == 348
        await driver.press("g")
        assert driver.table("images").cursor[0] == keys[0]


@pytest.fixture
def may_read(monkeypatch: pytest.MonkeyPatch) -> Event:
    """Until it is set, a list that is asked for does not come."""
    event, read = Event(), cell_module.page

    def slow_page(*question: Any) -> list[Listed]:
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
        (["G", "g", "enter"], 1),
    ],
)
async def test_keys_typed_before_the_list_has_come_are_for_that_list(
    seeded: Path, may_read: Event, typed: list[str], place: int
) -> None:
    async with opened(seeded) as driver:
        await driver.pilot.press("2", *typed)
        assert driver.screen_name() == "CellScreen"
        assert not driver.table("images").lines
        may_read.set()
        await driver.until(lambda: driver.screen_name() == "ImageScreen")
        await driver.until(lambda: f"{place}/38" in driver.text())


async def test_nothing_opens_over_what_has_come_to_the_front_meanwhile(
    seeded: Path, may_read: Event
) -> None:
    async with opened(seeded) as driver:
        await driver.pilot.press("2", "enter", "question_mark")
        may_read.set()
        await driver.settle()
        assert driver.screen_name() == "HelpScreen"
        await driver.press("escape")
        assert driver.screen_name() == "CellScreen"
        assert driver.table("images").lines


async def test_a_double_click_means_the_image_that_is_shown(seeded: Path, may_read: Event) -> None:
    may_read.set()
    async with opened(seeded) as driver:
        await driver.press("2")
        table = driver.table("images")
        third = table.lines[2].fields[1].text.strip()
        may_read.clear()
        await driver.pilot.press("b")
        await driver.pilot.click(table, offset=(10, 4), times=2)
        await driver.until(lambda: driver.screen_name() == "ImageScreen")
        may_read.set()
        await driver.until(lambda: third in driver.text())


async def test_a_list_that_cannot_be_read_leaves_no_key_waiting(
    seeded: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = cell_module.page

    may_fail = Event()

    def no_page(*_: Any) -> list[Listed]:
        assert may_fail.wait(60)
        raise sqlite3.OperationalError("disk I/O error")

    async with opened(seeded) as driver:
        await driver.press("2")
        best = driver.table("images").lines[-1].key
        monkeypatch.setattr(cell_module, "page", no_page)
        await driver.pilot.press("b", "enter")
        may_fail.set()
        await driver.settle()
        assert re.search("cannot read .*seeded.db: disk I/O error", said(driver))
        monkeypatch.setattr(cell_module, "page", read)
        await driver.press("G")
        await driver.until(lambda: driver.table("images").lines[0].key == best)
        await driver.settle()
        assert driver.screen_name() == "CellScreen"


async def test_other_cells_and_up(seeded: Path) -> None:
    async with opened(seeded) as driver:
        await driver.press("2")
        first = cell(driver).cell_id
        await driver.press("right_square_bracket")
        assert cell(driver).cell_id != first
        await driver.press("left_square_bracket")
        assert cell(driver).cell_id == first
        await driver.press("escape")
        assert driver.screen_name() == "GridScreen"
        await driver.press("escape")
        assert driver.screen_name() == "GridScreen"


async def test_a_cell_without_values_says_so(partial_run: Path) -> None:
    async with opened(partial_run) as driver:
        await driver.press("G", "l", "enter")
        assert "no image of this cell has a value yet" in driver.text()
        assert "needs more images" in driver.text()


async def test_another_metric_begins_at_its_first_image(seeded: Path) -> None:
    async with opened(seeded) as driver:
        await driver.press("2", "down", "down", "down")
        await driver.press("w")
        await driver.until(lambda: "by drop" in driver.part("listhead"))
        table = driver.table("images")
        await driver.until(lambda: table.cursor[0] == table.lines[0].key)
        await driver.press("down", "b")
        await driver.until(
            lambda: "Best" in driver.part("listhead") and table.cursor[0] == table.lines[0].key
        )


def test_an_axis_has_more_labels_where_there_is_room() -> None:
    assert axis_ticks(0.5, 0.7, 2) == {0: "70.0", 1: "50.0"}
    assert axis_ticks(0.5, 0.7, 9) == {0: "70.0", 4: "60.0", 8: "50.0"}


async def test_groups_in_place_of_images(seeded: Path) -> None:
    async with opened(seeded) as driver:
        await driver.press("2", "B")
        await driver.until(lambda: {row[0] for row in driver.cells("images")} == {"right", "wrong"})
        assert "Worst predictions by ADCC" in driver.part("listhead")
        assert sum(int(row[1]) for row in driver.cells("images")) == 39
        await driver.press("enter")
        assert isinstance(driver.app.screen, CellScreen), "a group is no image"
        worst = driver.cells("images")[0][0]
        await driver.press("b")
        await driver.until(lambda: driver.cells("images")[-1][0] == worst)
        await driver.press("B")
        await driver.until(lambda: "class" in driver.cells("images")[0][0])
        await driver.press("B")
        await driver.until(partial(has_lines, driver, 38))
