from __future__ import annotations

import shutil
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from camtui import truth_object as object_module
from camtui.tui.imagefacts import fact_lines, where_line
from camtui.tui.screens.image import KEPT, ImageScreen
from camtui.tui.shot import read_shot
from camtui.tui.widgets.gallery import Gallery
from evaluator.store.reader import RunReader
from tests.camtui.tui.support import SIZES, Driver, Settings, opened, said
from tests.synthetic import add_masks, make_run


def image(driver: Driver) -> ImageScreen:
    screen = driver.app.screen
    assert isinstance(screen, ImageScreen)
    return screen


def gallery(driver: Driver) -> Gallery:
    return driver.app.screen.query_one(Gallery)


async def opened_image(driver: Driver) -> None:
    await driver.press("3")
    await driver.until(lambda: image(driver).scene is not None)


async def test_facts_are_the_rows(seeded: Path) -> None:
    async with opened(seeded) as driver:
        await opened_image(driver)
        screen = image(driver)
        with RunReader(seeded) as reader:
            worst = reader.ranked(screen.cell_id, "adcc", ascending=True, limit=1)[0]
            row = reader.row(screen.cell_id, worst.image)
            assert row is not None
        assert screen.image_id == worst.image
        facts = driver.part("facts")
        assert f"class {row.predicted}" in facts
        assert f"{row.y:.3f} → {row.o:.3f}" in facts
        for value in (row.average_drop, row.coherency, row.complexity, row.adcc):
            assert value is not None
            assert f"{100 * value:.2f}" in facts
        assert "1/38" in driver.part("where")


async def test_next_and_previous_walk_the_order(seeded: Path) -> None:
    async with opened(seeded) as driver:
        await opened_image(driver)
        first = image(driver).image_id
        await driver.press("right_square_bracket")
        await driver.until(lambda: "2/38" in driver.part("where"))
        await driver.press("left_square_bracket")
        await driver.until(lambda: "1/38" in driver.part("where"))
        assert image(driver).image_id == first
        await driver.press("left_square_bracket")
        assert "1/38" in driver.part("where")
        await driver.press("b")
        await driver.until(lambda: "best by ADCC 1/38" in driver.part("where"))


async def test_views_go_round(seeded: Path) -> None:
    async with opened(seeded) as driver:
        await opened_image(driver)
        seen = [tuple(gallery(driver).titles)]
        for _ in range(3):
            await driver.press("o")
            seen.append(tuple(title.split(" (")[0] for title in gallery(driver).titles))
        assert seen[1] == ("saliency map", "explanation map")
        assert seen[2] == ("input", "saliency map", "overlay", "explanation map")
        assert seen[3] == ("overlay",)


async def test_all_four_side_by_side_where_there_is_room(seeded: Path) -> None:
    async with opened(seeded, SIZES["large"]) as driver:
        await opened_image(driver)
        assert len(gallery(driver).titles) == 4
        assert driver.text().count("▀") > 600


@pytest.mark.parametrize("key", ["A", "M"])
async def test_all_methods_beside_each_other(seeded: Path, key: str) -> None:
    async with opened(seeded, SIZES["large"]) as driver:
        await opened_image(driver)
        await driver.press(key)
        await driver.until(lambda: len(gallery(driver).titles) == 7)
        assert gallery(driver).titles[0] == "input"
        assert "fakecam" in gallery(driver).titles
        assert gallery(driver).notes == []
        items = gallery(driver)._items
        scene = image(driver).scene
        assert scene is not None
        assert [item.title for item in items if item.chosen] == [scene.shot.cell.method]
        best = [item for item in items if item.best]
        assert best
        assert all(item.caption.endswith("*") for item in best)
        others = [
            float(item.caption.split()[-1])
            for item in items[1:]
            if not item.best and item.title != "fakecam"
        ]
        assert all(float(item.caption.split()[-1].rstrip("*")) >= max(others) for item in best)
        await driver.press(key)
        await driver.until(lambda: len(gallery(driver).titles) == 4)


async def test_colours_alpha_and_curves(seeded: Path) -> None:
    async with opened(seeded) as driver:
        await opened_image(driver)
        assert "viridis, α 0.5" in gallery(driver).titles[1]
        await driver.press("c", "a")
        assert "magma, α 0.7" in gallery(driver).titles[1]
        assert not driver.app.screen.query_one("#curves").display
        await driver.press("d")
        assert "Deletion ↓" in driver.part("curves")
        assert "Insertion ↑" in driver.part("curves")
        assert "100 % of pixels removed" in driver.part("curves")
        assert "100 % of pixels shown" in driver.part("curves")


async def test_other_metric_other_rank(seeded: Path) -> None:
    async with opened(seeded) as driver:
        await opened_image(driver)
        await driver.press("right_square_bracket")
        await driver.until(lambda: "2/38" in driver.part("where"))
        await driver.press("w")
        await driver.until(lambda: "by drop 1/38" in driver.part("where"))
        await driver.press("W")
        await driver.until(lambda: "by ADCC" in driver.part("where"))


async def test_a_missing_file_says_so_and_the_map_is_still_there(tmp_path: Path) -> None:
    run = make_run(tmp_path / "gone.db", pictures=True, images=6)
    shutil.rmtree(tmp_path / "data")
    async with opened(run, SIZES["large"]) as driver:
        await opened_image(driver)
        assert any("image missing" in note for note in gallery(driver).notes)
        assert "saliency map (viridis)" in gallery(driver).titles
        assert "▀" in driver.text()


async def test_a_fixed_map_is_drawn_though_none_is_stored(seeded: Path) -> None:
    async with opened(seeded) as driver:
        await driver.press("g")
        assert "fakecam" in str(driver.table().cursor[0])
        await opened_image(driver)
        assert gallery(driver).notes == []


async def test_pictures_can_be_off(seeded: Path) -> None:
    async with opened(seeded, settings=Settings(images="off")) as driver:
        await opened_image(driver)
        assert "▀" not in driver.text()
        assert "ADCC↑" in driver.part("facts")


async def test_full_resolution_only_when_asked_for(seeded: Path) -> None:
    async with opened(seeded) as driver:
        await opened_image(driver)
        await driver.press("i")
        assert driver.screen_name() == "ImageScreen"


async def test_a_cell_without_values_opens_and_closes(partial_run: Path) -> None:
    async with opened(partial_run) as driver:
        await driver.press("G", "l", "3")
        await driver.until(lambda: "no image of this cell has a value yet" in driver.text())
        await driver.press("right_square_bracket", "A", "o", "d", "y", "escape")
        assert driver.screen_name() == "GridScreen"


async def test_asked_for_on_the_command_line(seeded: Path) -> None:
    async with opened(seeded, settings=Settings(cell="vgg16/gradcam", image="3")) as driver:
        await driver.until(
            lambda: driver.screen_name() == "ImageScreen" and image(driver).scene is not None
        )
        assert image(driver).image_id == 3
        assert "vgg16 × gradcam" in driver.part("where")
    async with opened(seeded, settings=Settings(cell="vgg16/gradcam")) as driver:
        await driver.until(lambda: driver.screen_name() == "CellScreen")
    async with opened(seeded, settings=Settings(cell="no/such")) as driver:
        assert driver.screen_name() == "GridScreen"


async def test_an_image_that_has_failed_says_why(seeded: Path) -> None:
    with RunReader(seeded) as reader:
        broken = reader.failures(limit=1)[0].image
    async with opened(seeded, settings=Settings(image=str(broken))) as driver:
        await driver.until(lambda: image(driver).scene is not None)
        assert "truncated: image file is truncated" in driver.text()
        await driver.press("d", "right_square_bracket")
        assert image(driver).scene is not None


def is_at(driver: Driver, place: int) -> bool:
    return f"{place}/38" in driver.part("where")


async def test_only_so_many_images_are_kept(seeded: Path) -> None:
    async with opened(seeded) as driver:
        await opened_image(driver)
        for place in range(2, KEPT + 4):
            await driver.press("right_square_bracket")
            await driver.until(partial(is_at, driver, place))
        assert len(image(driver)._sources) == KEPT


async def test_the_path_is_copied(seeded: Path) -> None:
    async with opened(seeded) as driver:
        await opened_image(driver)
        await driver.press("y")
        await driver.until(lambda: "path sent to the terminal" in said(driver))


@pytest.mark.parametrize("width", [60, 80, 140])
def test_long_names_push_no_number_off_the_screen(seeded: Path, width: int) -> None:
    with RunReader(seeded) as reader:
        cell = next(cell for cell in reader.cells() if cell.method == "gradcam")
        shot = read_shot(reader, cell, 1, "adcc", worst=True)
    assert shot.loaded is not None
    assert shot.row is not None
    long = replace(
        shot.loaded,
        classes=tuple(f"Chesapeake Bay retriever of kind {place}" for place in range(1000)),
    )
    ref = shot.image._replace(path=b"n02099849/" + b"ILSVRC2012_val_" * 5 + b"00000001.JPEG")
    known = replace(shot, loaded=long, image=ref)
    facts = [
        "".join(field.text for field in line).rstrip() for line in fact_lines(known, "adcc", width)
    ]
    assert max(map(len, facts)) <= width
    assert f"{shot.row.y:.3f} → {shot.row.o:.3f}" in " ".join(facts)
    where = "".join(field.text for field in where_line(known, "adcc", True, width))
    assert len(where) <= width
    assert where.endswith(".JPEG")


async def test_the_edge_of_the_object_is_drawn_and_taken_away(tmp_path: Path) -> None:
    run = make_run(
        tmp_path / "true.db",
        images=6,
        methods=("gradcam",),
        backbones=("resnet18",),
        pictures=True,
        plan={"truth": str(tmp_path / "truth")},
    )
    add_masks(run, tmp_path / "truth")
    async with opened(run) as driver:
        await opened_image(driver)
        drawn = {item.title: item.picture for item in gallery(driver)._items}
        await driver.press("T")
        plain = {item.title: item.picture for item in gallery(driver)._items}
        for title, picture in drawn.items():
            without = plain[title]
            assert picture is not None
            assert without is not None
            changed = (picture != without).any(axis=2)
            assert set(changed.any(axis=0).nonzero()[0]) == {111, 112}, (
                "the middle of 320 pixels, at both sides of the edge"
            )
            assert (picture[:, 111] == 255).all()
        await driver.press("T", "A")
        await driver.until(lambda: len(gallery(driver)._items) == 2)
    (tmp_path / "truth").rename(tmp_path / "gone")
    object_module._truths.cache_clear()
    async with opened(run) as driver:
        await opened_image(driver)
        await driver.press("T")
        await driver.until(lambda: "no truth in" in said(driver))


async def test_a_run_without_a_truth_has_no_key_for_it(seeded: Path) -> None:
    async with opened(seeded) as driver:
        await opened_image(driver)
        assert not driver.app.screen.check_action("truth", ())
